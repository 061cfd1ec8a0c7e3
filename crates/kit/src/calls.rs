//! What is seen of every call: its metric, its span where it is traced, its identifier, and a line in the log.
//!
//! The cheapest of it is always there (a histogram's kept handle); a span is made only for a call that is traced; an identifier only
//! where the caller brought one, a line is logged, the call failed, or it is HTTP.

pub(crate) mod current;
mod measures;
mod methods;
pub(crate) mod request_id;
pub(crate) mod status;

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::{HeaderName, Request};
use opentelemetry::trace::Status;
use tokio::time::Instant;
use tonic::Code;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use current::{attribute, came_with, carried, client, is_seen, is_traced, place, remote, request_id, rpc};

use self::current::{CURRENT, Call, Called};
use self::measures::Measures;
use self::methods::{Method, verb};
use self::request_id::RequestId;
use crate::clock::SystemClock;
use crate::config::Telemetry;
use crate::metrics::Metrics;
use crate::trace::sampling::Sampling;
use crate::trace::{TARGET, TraceParent, below, rename};
use tessera_types::Clock as _;

const REQUEST_ID: HeaderName = HeaderName::from_static(request_id::HEADER);

/// The target of the lines that tell of a call.
const LINES: &str = module_path!();

/// An HTTP request that was given up before its answer; as proxies have it.
const GONE: u16 = 499;

/// Sees calls. Cheap to clone.
#[derive(Clone)]
pub struct Calls(Arc<Parts>);

struct Parts {
    measures: Measures,
    /// None where tracing is off.
    sampling: Option<Sampling>,
    /// The beginnings of the methods whose calls are logged at `info`; others are at `debug`.
    told: &'static [&'static str],
}

impl Calls {
    /// For one service. `told` are the beginnings of the methods whose calls get a line at `info`: those that are few and change
    /// something.
    #[must_use]
    pub fn new(telemetry: &Telemetry, metrics: &Metrics, told: &'static [&'static str]) -> Self {
        let sampling = telemetry.is_on().then(|| Sampling::new(telemetry));
        Self(Arc::new(Parts { measures: Measures::new(metrics.clone()), sampling, told }))
    }

    /// A call has come.
    pub(crate) fn begin<B>(&self, is_rpc: bool, remote: IpAddr, request: &Request<B>) -> Begun {
        let called = if is_rpc {
            Called::Rpc(Method::of(request.uri().path()))
        } else {
            Called::Http { verb: verb(request.method()), route: OnceCell::new() }
        };
        let headers = request.headers();
        // Where nothing is traced, a trace is the business of whoever is asked next: it is read when somebody is (`came_with`).
        let parent = self.0.sampling.as_ref().and_then(|_| TraceParent::from_headers(headers));
        let traced = self.0.sampling.as_ref().is_some_and(|s| s.traces(parent.as_ref(), SystemClock.monotonic()));
        let span = if traced { below(span_of(&called), parent.as_ref()) } else { Span::none() };
        let id = RequestId::from_headers(headers).map_or_else(OnceCell::new, OnceCell::from);
        let call = Box::new(Call {
            called,
            remote: Cell::new(remote),
            id,
            parent: parent.map_or_else(OnceCell::new, OnceCell::from),
            decides: self.0.sampling.is_some(),
            place: crate::trace::place(&span),
            span,
            client: RefCell::default(),
        });
        Begun { calls: self.clone(), call, at: Instant::now() }
    }
}

fn span_of(called: &Called) -> Span {
    match called {
        Called::Rpc(method) => tracing::info_span!(
            target: TARGET,
            parent: None,
            "call",
            otel.name = method.name(),
            otel.kind = "server",
            rpc.system.name = "grpc",
            rpc.method = method.name(),
            rpc.status_code = Empty,
        ),
        Called::Http { verb, .. } => tracing::info_span!(
            target: TARGET,
            parent: None,
            "call",
            otel.name = *verb,
            otel.kind = "server",
            http.request.method = *verb,
            http.route = Empty,
            http.response.status_code = Empty,
        ),
    }
}

/// A call that has come and is not answered yet.
pub(crate) struct Begun {
    calls: Calls,
    call: Box<Call>,
    at: Instant,
}

impl Begun {
    /// Answers it.
    pub(crate) async fn answered(self, answer: Pin<&mut impl Future<Output = Response>>) -> Response {
        let Self { calls, call, at } = self;
        let span = call.span.clone();
        let answering = async move {
            let mut unanswered = Unanswered { calls: &calls, at, done: false };
            let mut response = if span.is_disabled() { answer.await } else { answer.instrument(span).await };
            unanswered.done = true;
            let _ = CURRENT.try_with(|call| calls.answered(call, &mut response, at.elapsed()));
            response
        };
        CURRENT.scope(call, answering).await
    }
}

/// Tells of a call whose caller hung up.
struct Unanswered<'a> {
    calls: &'a Calls,
    at: Instant,
    done: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = CURRENT.try_with(|call| self.calls.ended(call, Code::Cancelled, GONE, self.at.elapsed()));
        }
    }
}

impl Calls {
    fn answered(&self, call: &Call, response: &mut Response, took: Duration) {
        let status = response.status().as_u16();
        let code = status::of(response.headers());
        self.ended(call, code, status, took);
        let failed = code != Code::Ok || matches!(call.called, Called::Http { .. });
        if failed || call.id.get().is_some() {
            response.headers_mut().insert(REQUEST_ID, call.request_id().header());
        }
    }

    /// Of `code` and `status` the one counts that the protocol has.
    fn ended(&self, call: &Call, code: Code, status: u16, took: Duration) {
        match &call.called {
            Called::Rpc(method) => {
                self.0.measures.rpc(*method, code, took);
                finish(&call.span, status::is_fault(code), |span| {
                    span.record("rpc.status_code", status::name(code));
                });
                let (status, duration_ms) = (status::name(code), millis(took));
                if self.0.told.iter().any(|told| method.name().starts_with(told)) {
                    tracing::info!(rpc.status_code = status, duration_ms, "answered");
                } else {
                    tracing::debug!(rpc.status_code = status, duration_ms, "answered");
                }
            }
            Called::Http { verb, .. } => {
                let route = call.route();
                self.0.measures.http(route, verb, status, took);
                finish(&call.span, status >= 500, |span| {
                    rename(span, format!("{verb} {route}"));
                    span.record("http.route", route);
                    span.record("http.response.status_code", status);
                });
                tracing::debug!(http.status = status, duration_ms = millis(took), "answered");
            }
        }
    }
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn finish(span: &Span, fault: bool, record: impl FnOnce(&Span)) {
    if span.is_disabled() {
        return;
    }
    record(span);
    if fault {
        span.set_status(Status::error(""));
    }
}

/// Notes the route of each request that a router has found one for.
pub(crate) fn note_routes(router: axum::Router) -> axum::Router {
    router.layer(tower::util::MapRequestLayer::new(|request: Request<axum::body::Body>| {
        current::routed(request.extensions().get());
        request
    }))
}

#[cfg(test)]
mod tests;
