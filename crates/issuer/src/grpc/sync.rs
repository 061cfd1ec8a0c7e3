//! `tessera.sync.v1.SyncService`: the driver of [`tessera_ledger::feed`], one task for each introspector.

mod stream;

use std::sync::Arc;

use hashbrown::HashMap;
use std::sync::{Mutex, PoisonError};
use tessera_api::sync::v1::sync_service_server::SyncService;
use tessera_api::sync::v1::{AuthenticateClientRequest, AuthenticateClientResponse, WatchRequest, WatchResponse};
use tessera_kit::serve::{Peer, Stop};
use tessera_types::scope::reserved;
use tessera_types::{ErrorCode, Failure, PresentedSecret};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{access, wire};
use crate::client_auth::{self, AuthMethod, PresentedClient};
use crate::context::Context;
use stream::Driver;

/// How many messages may wait for an introspector that reads slowly; then its stream waits, and at last ends.
const QUEUE: usize = 32;

/// How many streams one client may hold: each is somebody every revocation waits for.
const STREAMS_PER_CLIENT: usize = 1024;

/// The service.
pub(crate) struct Feed {
    cx: Context,
    stop: Stop,
    open: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

impl Feed {
    /// The service; its streams end when the process stops, after every other call.
    #[must_use]
    pub(crate) fn new(cx: Context, stop: Stop) -> Self {
        Self { cx, stop, open: Arc::default() }
    }
}

/// A client has too many streams.
#[derive(Debug, thiserror::Error)]
#[error("too many feeds of one client")]
struct TooManyStreams;

impl Failure for TooManyStreams {
    fn code(&self) -> ErrorCode {
        ErrorCode::Throttled
    }

    fn reason(&self) -> &'static str {
        "TOO_MANY_FEEDS"
    }

    fn advice(&self) -> &'static str {
        "This client holds 1024 feeds already. Give further introspectors a client of their own."
    }
}

#[tonic::async_trait]
impl SyncService for Feed {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let caller = access::verified(&self.cx, &request, &[reserved::SYNC]).await?;
        let place = Place::take(&self.open, caller.name()).ok_or_else(|| access::refused(&TooManyStreams))?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let driver = Driver::new(self.cx.clone(), caller, sender);
        let (stop, endless) = (self.stop.clone(), request.extensions().get::<Peer>().map(Peer::endless));
        let incoming = request.into_inner();
        tokio::spawn(async move {
            driver.run(incoming, stop).await;
            drop((place, endless));
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn authenticate_client(
        &self,
        request: Request<AuthenticateClientRequest>,
    ) -> Result<Response<AuthenticateClientResponse>, Status> {
        access::verified(&self.cx, &request, &[reserved::SYNC]).await?;
        let message = request.into_inner();
        // The address is the introspector's, not the caller's: failures count per client alone.
        let presented = PresentedClient {
            id: message.client_id,
            secret: PresentedSecret::new(message.client_secret),
            method: AuthMethod::Basic,
            from: None,
        };
        let client = client_auth::authenticate(&self.cx, &presented).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(AuthenticateClientResponse {
            revision: client.rev.number,
            expire_time: client.secret_expires.map(wire::timestamp),
        }))
    }
}

/// A caller's place among its streams, given back when dropped.
struct Place {
    open: Arc<Mutex<HashMap<Arc<str>, usize>>>,
    caller: Arc<str>,
}

impl Place {
    fn take(open: &Arc<Mutex<HashMap<Arc<str>, usize>>>, caller: &str) -> Option<Self> {
        let caller: Arc<str> = caller.into();
        let mut counts = open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(Arc::clone(&caller)).or_insert(0);
        if *count >= STREAMS_PER_CLIENT {
            return None;
        }
        *count += 1;
        Some(Self { open: Arc::clone(open), caller })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}
