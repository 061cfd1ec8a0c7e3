//! One connection, from accepting to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tower::Service;

use super::call::{self, Protocol};
use super::linger;
use super::stop::Stop;

/// How often an idle HTTP/2 connection is probed, and how long its answer may take: what no router between forgets.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many calls one connection may have in flight.
const MAX_STREAMS: u32 = 1024;

/// How long the head of an HTTP/1 request may take: otherwise a slow sender holds a connection for nothing.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest header block, in bytes. Basic credentials and Bearer tokens of 16 KiB fit.
const MAX_HEADERS: u32 = 32 * 1024;

/// The address at the other end of a connection, among a request's extensions. It may be a proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What a connection needs to know.
#[derive(Clone)]
pub(super) struct Terms<S> {
    pub(super) service: S,
    pub(super) protocol: Protocol,
    pub(super) builder: Builder<TokioExecutor>,
    pub(super) stop: Stop,
}

/// The settings of every connection.
pub(super) fn builder(protocol: Protocol) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(KEEPALIVE))
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(64 * 1024);
    match protocol {
        Protocol::Grpc => builder.http2_only(),
        Protocol::Http => builder,
    }
}

/// Serves a connection until its peer closes it, it has reached its age, or the process stops.
pub(super) async fn serve<S>(stream: TcpStream, peer: SocketAddr, age: Duration, terms: Terms<S>)
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Terms { service, protocol, builder, stop } = terms;
    let service = service_fn(move |request: Request<Incoming>| {
        let mut service = service.clone();
        async move {
            let timeout = call::timeout(protocol, request.headers());
            let (mut request, rest) = linger::listen(request);
            request.extensions_mut().insert(Peer(peer));
            let response = call::run(protocol, timeout, async move { service.call(request).await }).await;
            if let Some(rest) = rest {
                rest.drain().await;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        result = connection.as_mut() => return ended(result),
        () = tokio::time::sleep(age) => {}
        () = stop.draining() => {}
    }
    // GOAWAY, or `Connection: close`: what is in flight finishes.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        result = connection => ended(result),
        () = stop.over() => {}
    }
}

fn ended(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(error = &*error, "a connection ended early");
    }
}
