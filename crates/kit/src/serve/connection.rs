//! One connection, from accepting to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures::FutureExt as _;
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tower::Service;

use super::call::{self, Protocol};
use super::linger;
use super::slow::Timed;
use super::stop::Stop;
use super::traffic::{Connection, Endless, Line};
use crate::calls::{self, Calls};
use crate::tls::{self, Acceptor, Secured, Vouched};

/// How often an idle HTTP/2 connection is probed, and how long its answer may take: what no router between forgets.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many calls one connection may have in flight.
const MAX_STREAMS: u32 = 256;

/// How long calls in flight may go on when their connection has reached its age. Streams without an end are cut off then; whoever
/// holds one begins it anew, perhaps at another process.
const GRACE: Duration = Duration::from_secs(30);

/// How long the head of an HTTP/1 request may take: otherwise a slow sender holds a connection for nothing.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to its first call, TLS aside. HTTP/1's heads have a time of their own once the protocol is known;
/// until then, and for HTTP/2, silence would hold a connection until it has reached its age.
const FIRST_CALL: Duration = Duration::from_secs(30);

/// How long the first call of a connection that was accepted just before the end may be on its way; closing at once would reset it.
const ARRIVING: Duration = Duration::from_millis(500);

/// How long the last answers may take to leave when time is up.
const LAST: Duration = Duration::from_secs(1);

/// The longest header block, in bytes. Basic credentials and Bearer tokens of 16 KiB fit.
const MAX_HEADERS: u32 = 32 * 1024;

/// The other end of the connection that a request came on, among its extensions. It may be a proxy.
#[derive(Clone, Debug)]
pub struct Peer {
    addr: SocketAddr,
    line: Line,
}

impl Peer {
    /// Its address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Says that a stream without an end runs on this connection, on which calls in flight may depend: it goes on until it is
    /// [quiet](Stop::quiet).
    #[must_use]
    pub fn endless(&self) -> Endless {
        self.line.endless()
    }
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) peer: SocketAddr,
    /// How old it may become.
    pub(super) age: Duration,
    /// From the accepting on: until it is over, a call may begin on it.
    pub(super) open: Connection,
}

/// What a connection needs to know.
#[derive(Clone)]
pub(super) struct Terms<S> {
    pub(super) service: S,
    pub(super) protocol: Protocol,
    pub(super) builder: Builder<TokioExecutor>,
    pub(super) stop: Stop,
    /// What sees the calls, where anything does.
    pub(super) calls: Option<Calls>,
    /// What makes its handshake, where it is to be encrypted.
    pub(super) tls: Option<Acceptor>,
    /// What the handshake told, once it is.
    pub(super) secured: Option<Secured>,
    /// What has the client's certificate held against the authorities again.
    pub(super) vouched: Option<Vouched>,
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
pub(super) async fn serve<T, S>(stream: T, accepted: Accepted, terms: Terms<S>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Terms { service, protocol, builder, stop, calls, secured, vouched, .. } = terms;
    let Accepted { peer, age, open } = accepted;
    let line = open.line();
    let begun = Arc::new(Begun::default());
    let service = {
        // Of its own, since what it is made of is shared by all connections: counting its references would cost every call.
        let (begun, stop) = (Arc::clone(&begun), Arc::new(stop.clone()));
        service_fn(move |mut request: Request<Incoming>| {
            begun.set();
            let seen = calls.as_ref().map(|calls| calls.begin(protocol == Protocol::Grpc, peer.ip(), &request));
            if let Some(secured) = &secured {
                request.extensions_mut().insert(secured.clone());
            }
            let peer = Peer { addr: peer, line: line.clone() };
            answer(service.clone(), request, (peer, seen), protocol, Arc::clone(&stop))
        })
    };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Pending for ever, once it has resolved.
    let mut lapsed = pin!(tls::lapsed(vouched).fuse());
    let patience = tokio::select! {
        result = connection.as_mut() => return ended(result),
        () = tokio::time::sleep(age) => Some(GRACE),
        () = begun.not_within(FIRST_CALL) => Some(ARRIVING),
        () = lapsed.as_mut() => Some(ARRIVING),
        () = stop.draining() => None,
    };
    if patience.is_none() {
        tokio::select! {
            result = connection.as_mut() => return ended(result),
            () = begun.wait() => {}
            () = tokio::time::sleep(ARRIVING) => {}
        }
    }
    // GOAWAY, or `Connection: close`: what is in flight finishes. h2 first names the highest stream there can be, and the last one it
    // takes only after a round trip, so that a call which crosses the GOAWAY is still served.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        result = connection.as_mut() => return ended(result),
        () = stop.over() => {}
        () = lapsed => return,
        () = tokio::time::sleep(patience.unwrap_or_default()), if patience.is_some() => {
            tracing::debug!("a connection was closed with calls in flight, or before its first");
            return;
        }
    }
    // The calls that were cut off are told so.
    if let Ok(result) = tokio::time::timeout(LAST, connection).await {
        ended(result);
    }
}

/// Serves a call. What needs no waiting is done before the future is made, which then has room for what is left alone.
fn answer<S>(
    mut service: S,
    request: Request<Incoming>,
    (peer, seen): (Peer, Option<calls::Begun>),
    protocol: Protocol,
    stop: Arc<Stop>,
) -> impl Future<Output = Result<Response, Infallible>>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    let in_flight = stop.traffic.call();
    let timeout = call::timeout(protocol, request.headers());
    let resets = request.version() < Version::HTTP_2;
    let (mut request, rest) = match protocol {
        Protocol::Grpc => (request.map(Body::new), None),
        Protocol::Http => linger::listen(request.map(Timed::new)),
    };
    request.extensions_mut().insert(peer);
    async move {
        let _in_flight = in_flight;
        // The call is gone, with all it holds, before what it left unread is waited for.
        let mut response = {
            let call = pin!(async move { service.call(request).await });
            let answer = pin!(call::run(protocol, timeout, &stop, call));
            match seen {
                Some(seen) => seen.answered(answer).await,
                None => answer.await,
            }
        };
        if let Some(rest) = rest {
            Box::pin(rest.drain()).await;
        }
        if resets && stop.is_leaving() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Whether a connection had a call.
#[derive(Default)]
struct Begun {
    set: AtomicBool,
    told: Notify,
}

impl Begun {
    fn set(&self) {
        if !self.set.load(Ordering::Relaxed) {
            self.set.store(true, Ordering::Relaxed);
            // One waits, and what is told before it waits is kept for it.
            self.told.notify_one();
        }
    }

    async fn wait(&self) {
        if !self.set.load(Ordering::Relaxed) {
            self.told.notified().await;
        }
    }

    /// Resolves when there was none in that time; never, where there was.
    async fn not_within(&self, time: Duration) {
        if tokio::time::timeout(time, self.wait()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }
}

fn ended(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(error = &*error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    const AGE: Duration = Duration::from_mins(1);

    fn accepted(age: Duration, stop: &Stop) -> Accepted {
        Accepted { peer: ([127, 0, 0, 1], 1).into(), age, open: stop.traffic.connection() }
    }

    fn terms<S>(service: S, protocol: Protocol, stop: &Stop) -> Terms<S> {
        let (builder, stop) = (builder(protocol), stop.clone());
        Terms { service, protocol, builder, stop, calls: None, tls: None, secured: None, vouched: None }
    }

    /// A connection with one call in flight, which is answered when it is told.
    async fn with_a_call(stop: &Stop) -> (JoinHandle<()>, DuplexStream, Arc<Notify>) {
        let (entered, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (began, told) = (Arc::clone(&entered), Arc::clone(&answer));
        let handler = async move || {
            began.notify_one();
            told.notified().await;
            "done"
        };
        let service = Router::new().route("/", get(handler)).with_state(());
        let (mut near, far) = tokio::io::duplex(4096);
        let serving = tokio::spawn(serve(far, accepted(AGE, stop), terms(service, Protocol::Http, stop)));
        near.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
        entered.notified().await;
        (serving, near, answer)
    }

    /// The future of every call is copied when hyper spawns it, and again with its task: what is large there, every call pays for.
    #[test]
    fn a_calls_future_is_small() {
        fn size<A, F: Future>(_: fn(A) -> F) -> usize {
            size_of::<F>()
        }
        type Arguments = (Router, Request<Incoming>, (Peer, Option<calls::Begun>), Protocol, Arc<Stop>);
        let size =
            size(|(service, request, seen, protocol, stop): Arguments| answer(service, request, seen, protocol, stop));
        assert!(size <= 1792, "{size} bytes");
    }

    async fn all_of(mut stream: DuplexStream) -> String {
        let mut text = String::new();
        // How it ends is not the question.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_waits_for_its_calls_but_not_for_ever() {
        let began = Instant::now();
        let (serving, stream, _answer) = with_a_call(&Stop::new()).await;
        serving.await.expect("no panic");
        let lasted = began.elapsed();
        assert!((AGE + GRACE..AGE + GRACE + Duration::from_secs(1)).contains(&lasted), "{lasted:?}");
        assert_eq!(all_of(stream).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_in_the_grace_arrives() {
        let began = Instant::now();
        let (serving, stream, answer) = with_a_call(&Stop::new()).await;
        tokio::time::advance(AGE + GRACE / 2).await;
        answer.notify_one();
        assert!(all_of(stream).await.ends_with("done"));
        serving.await.expect("no panic");
        assert!(began.elapsed() < AGE + GRACE, "and nothing is waited for after it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stops_waits_as_long_as_it_was_told() {
        let stop = Stop::new();
        let (serving, stream, answer) = with_a_call(&stop).await;
        stop.drain();
        tokio::time::advance(AGE + GRACE * 2).await;
        answer.notify_one();
        assert!(all_of(stream).await.ends_with("done"));
        serving.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_closed() {
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let began = Instant::now();
            let (service, stop) = (Router::new().with_state(()), Stop::new());
            let (_near, far) = tokio::io::duplex(4096);
            serve(far, accepted(AGE * 5, &stop), terms(service, protocol, &stop)).await;
            let lasted = began.elapsed();
            assert!((FIRST_CALL..=FIRST_CALL + ARRIVING).contains(&lasted), "{protocol:?}: {lasted:?}");
        }
    }
}
