//! `tessera.introspection.v1.IntrospectionService`.

use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use http::{Extensions, HeaderMap};
use tessera_api::introspection::v1::introspection_service_server::{
    IntrospectionService, IntrospectionServiceServer, SERVICE_NAME,
};
use tessera_api::introspection::v1::{
    BatchIntrospectRequest, BatchIntrospectResponse, BatchIntrospectResult, IntrospectRequest, IntrospectResponse,
    StreamIntrospectRequest, StreamIntrospectResponse, batch_introspect_result, stream_introspect_response,
};
use tessera_api::status;
use tessera_kit::serve::{MAX_MESSAGE, Stop, deadline};
use tessera_kit::tls::Secured;
use tessera_types::Failure;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{refused, wire};
use crate::callers::Caller;
use crate::consistency::Waits;
use crate::introspection::{IntrospectError, Introspection};

/// The service's full name.
pub const NAME: &str = SERVICE_NAME;

/// The most requests of a batch.
const MAX_BATCH: usize = 1000;

/// The longest batch, in bytes: a thousand tokens of usual length.
const MAX_BATCH_MESSAGE: usize = 4 * 1024 * 1024;

/// How many requests of a batch are answered before others get their turn.
const BATCH_TURN: usize = 64;

/// The service's routes. A batch may be longer than a single request; the cap of a generated server holds for all its methods,
/// so the batch has one of its own.
#[must_use]
pub fn routes(introspection: Introspection, stop: Stop) -> Routes {
    let service = Service { introspection, stop };
    let single = IntrospectionServiceServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE);
    let batch = IntrospectionServiceServer::new(service).max_decoding_message_size(MAX_BATCH_MESSAGE);
    let path = format!("/{NAME}/BatchIntrospect");
    Routes::new(single).into_axum_router().route_service(&path, tower_body(batch)).into()
}

/// tonic's servers take any body; axum's routes hand over axum's.
fn tower_body(
    server: IntrospectionServiceServer<Service>,
) -> impl tonic::codegen::Service<
    http::Request<axum::body::Body>,
    Response = http::Response<tonic::body::Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    server
}

#[derive(Clone)]
struct Service {
    introspection: Introspection,
    stop: Stop,
}

#[async_trait]
impl IntrospectionService for Service {
    async fn introspect(&self, request: Request<IntrospectRequest>) -> Result<Response<IntrospectResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let (mut caller, mut waits) = self.caller(&metadata.into_headers(), &extensions).await?;
        Ok(Response::new(self.one(&mut caller, message, &mut waits).await?))
    }

    async fn batch_introspect(
        &self,
        request: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let (mut caller, mut waits) = self.caller(&metadata.into_headers(), &extensions).await?;
        if message.requests.len() > MAX_BATCH {
            return Err(self.unanswered(&IntrospectError::BatchTooLarge, &waits));
        }
        self.admitted(&mut caller, &mut waits).await?;
        let mut results = Vec::with_capacity(message.requests.len());
        for (index, request) in message.requests.into_iter().enumerate() {
            if index % BATCH_TURN == BATCH_TURN - 1 {
                tokio::task::yield_now().await;
            }
            let result = match self.one(&mut caller, request, &mut waits).await {
                Ok(response) => batch_introspect_result::Result::Response(response),
                Err(status) => batch_introspect_result::Result::Error(wire::error(&status)),
            };
            results.push(BatchIntrospectResult { result: Some(result) });
        }
        Ok(Response::new(BatchIntrospectResponse { results }))
    }

    type StreamIntrospectStream = Pin<Box<dyn Stream<Item = Result<StreamIntrospectResponse, Status>> + Send>>;

    /// The stream ends when its caller may ask no more, and when the process stops: UNAVAILABLE, after the answer to what was asked
    /// last. While neither can be told, requests get errors of their own.
    async fn stream_introspect(
        &self,
        request: Request<Streaming<StreamIntrospectRequest>>,
    ) -> Result<Response<Self::StreamIntrospectStream>, Status> {
        let (metadata, extensions, requests) = request.into_parts();
        let (mut caller, mut waits) = self.caller(&metadata.into_headers(), &extensions).await?;
        self.admitted(&mut caller, &mut waits).await?;
        let (service, stop) = (self.clone(), self.stop.clone());
        let from = Some((service, stop, caller, requests));
        let answers = stream::unfold(from, async |state| {
            let (service, stop, mut caller, mut requests) = state?;
            let request = tokio::select! {
                biased;
                () = stop.draining() => return Some((Err(refused(&IntrospectError::Stopping)), None)),
                request = requests.next() => request?,
            };
            let answer = match request {
                Ok(request) => service.next(&mut caller, request).await,
                Err(status) => Err(status),
            };
            Some((answer, Some((service, stop, caller, requests))))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Service {
    async fn caller(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<(Caller, Waits), Status> {
        let mut waits = self.introspection.waits(deadline::timeout(headers));
        let certificate = Secured::certificate(extensions);
        let caller = self.introspection.callers.from_call(headers, certificate, &mut waits).await;
        let caller = caller.map_err(|e| self.unanswered(&e, &waits))?;
        self.introspection.noted(&caller);
        Ok((caller, waits))
    }

    /// The status of what gets no answer, which is counted.
    fn unanswered(&self, failure: &dyn Failure, waits: &Waits) -> Status {
        self.introspection.unanswered(failure, waits);
        status::status(failure)
    }

    /// Where the caller may ask nothing, the whole batch or stream is refused rather than each request.
    async fn admitted(&self, caller: &mut Caller, waits: &mut Waits) -> Result<(), Status> {
        self.introspection.callers.admitted(caller, waits).await.map_err(|e| self.unanswered(&e, waits))
    }

    async fn one(
        &self,
        caller: &mut Caller,
        request: IntrospectRequest,
        waits: &mut Waits,
    ) -> Result<IntrospectResponse, Status> {
        let question = wire::question(request).map_err(|e| self.unanswered(&e, waits))?;
        let outcome = self.introspection.introspect(caller, &question, waits).await;
        outcome.map(wire::response).map_err(|e| self.unanswered(&e, waits))
    }

    async fn next(
        &self,
        caller: &mut Caller,
        request: StreamIntrospectRequest,
    ) -> Result<StreamIntrospectResponse, Status> {
        let mut waits = self.introspection.waits(None);
        let answer = match self.introspection.callers.admitted(caller, &mut waits).await {
            Ok(()) => self.one(caller, request.request.unwrap_or_default(), &mut waits).await,
            Err(error) if error.is_refusal() => return Err(self.unanswered(&error, &waits)),
            Err(doubt) => Err(self.unanswered(&doubt, &waits)),
        };
        let result = match answer {
            Ok(response) => stream_introspect_response::Result::Response(response),
            Err(status) => stream_introspect_response::Result::Error(wire::error(&status)),
        };
        Ok(StreamIntrospectResponse { result: Some(result) })
    }
}
