//! Calls to another service of ours: the trace and the request's identifier go along.

use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::context::TRACEPARENT;
use super::{TARGET, below, place};
use crate::calls::current::{self, Thread};
use crate::calls::request_id::HEADER;

/// Makes a call as part of the one that is being answered, where there is one: with a span of its own where that is traced, with the
/// decision that it is not, or the caller's word where nothing is traced here, and with its identifier.
///
/// # Errors
/// What the call says.
pub async fn outgoing<T, R, F>(
    method: &'static str,
    mut request: Request<T>,
    send: impl FnOnce(Request<T>) -> F,
) -> Result<R, tonic::Status>
where
    F: Future<Output = Result<R, tonic::Status>>,
{
    let thread = current::thread();
    let span = span(method, thread.as_ref());
    if let Some(thread) = &thread {
        let told = place(&span).or_else(|| thread.untraced());
        let headers = [(TRACEPARENT, told.map(|told| told.to_string())), (HEADER, Some(thread.id.as_str().to_owned()))];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| AsciiMetadataValue::try_from(value).ok()) {
                request.metadata_mut().insert(name, value);
            }
        }
    }
    let answer = send(request).instrument(span.clone()).await;
    if let Err(status) = &answer {
        span.set_status(opentelemetry::trace::Status::error(""));
        span.record("rpc.status_code", crate::calls::status::name(status.code()));
    } else {
        span.record("rpc.status_code", "OK");
    }
    answer
}

fn span(method: &'static str, thread: Option<&Thread>) -> Span {
    let Some(place) = thread.and_then(|thread| thread.place) else { return Span::none() };
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "call",
        otel.name = method,
        otel.kind = "client",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.status_code = Empty,
    );
    below(span, Some(&place))
}
