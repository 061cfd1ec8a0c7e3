//! Between accepting a connection and serving it: the handshake, where there is to be one.
//!
//! It runs in the connection's own task: who begins one and says no more keeps nobody else waiting, and not for ever either.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use tokio::net::TcpStream;
use tower::Service;

use super::connection::{self, Accepted, Terms};
use crate::tls::Failed;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long one that runs when the process begins to stop may go on: its client is told to go elsewhere in the protocol it speaks.
const PARTING: Duration = Duration::from_secs(1);

/// Serves a connection, after its handshake where the listener speaks TLS.
pub(super) async fn serve<S>(stream: TcpStream, accepted: Accepted, mut terms: Terms<S>)
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Some(tls) = terms.tls.take() else { return connection::serve(stream, accepted, terms).await };
    let parting = async {
        terms.stop.draining().await;
        tokio::time::sleep(PARTING).await;
    };
    let secured = tokio::select! {
        secured = tls.accept(stream) => secured,
        () = tokio::time::sleep(HANDSHAKE) => Err(Failed::Late),
        () = parting => Err(Failed::Late),
        () = terms.stop.over() => Err(Failed::Late),
    };
    match secured {
        Ok((stream, secured, vouched)) => {
            (terms.secured, terms.vouched) = (Some(secured), vouched);
            connection::serve(stream, accepted, terms).await;
        }
        Err(failed) => {
            tls.failed(&failed);
            tracing::debug!(peer = %accepted.peer, error = %failed, "a handshake came to nothing");
        }
    }
}
