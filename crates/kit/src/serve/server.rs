//! Servers: an accept loop each, on the current runtime or on one event loop per worker.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use tessera_types::{Randomness, random};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::service::Routes;
use tower::Service;

use super::beat::Loops;
use super::call::Protocol;
use super::connection::{self, Accepted, Terms};
use super::limits::{self, Place, Room, Trouble};
use super::listener::{BACKLOG, BindError, Listener};
use super::secure;
use super::stop::Stop;
use super::traffic::Going;
use crate::calls::{Calls, note_routes};
use crate::clock::SystemClock;
use crate::config::CONNECTIONS;
use crate::metrics::Metrics;
use crate::tls::Acceptor;

/// How long a connection lives, give or take a tenth, so that balancers spread load anew.
const MAX_AGE: Duration = Duration::from_mins(5);

/// How long accepting pauses after an error, such as running out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What servers of a process share.
#[derive(Clone)]
pub struct Options {
    /// How the process stops.
    pub stop: Stop,
    /// Spreads the ages of connections.
    pub random: Arc<dyn Randomness>,
    /// How many connections each listener takes.
    pub connections: usize,
    /// Where event loops say that they turn.
    pub loops: Loops,
    /// Where connections are counted.
    pub metrics: Option<Metrics>,
}

impl Options {
    /// The usual number of connections, counted nowhere.
    #[must_use]
    pub fn new(stop: Stop, random: Arc<dyn Randomness>) -> Self {
        Self { stop, random, connections: CONNECTIONS, loops: Loops::new(Arc::new(SystemClock)), metrics: None }
    }
}

/// A bound server that does not accept yet.
pub struct Server {
    listeners: Vec<Listener>,
    protocol: Protocol,
    calls: Option<Calls>,
    tls: Option<Acceptor>,
    purpose: &'static str,
}

/// A running server.
#[derive(Debug)]
pub struct Serving {
    addr: SocketAddr,
    running: mpsc::Receiver<Infallible>,
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resolves when the server has stopped: its listener is closed and every connection has ended.
    pub async fn finished(&mut self) {
        // Nothing is ever sent; the channel closes when the last connection drops its end.
        let _ = self.running.recv().await;
    }
}

impl Server {
    /// Binds a gRPC server. With `workers` above 1, each has an event loop of its own on a thread of its own; otherwise calls
    /// run on the current runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn grpc(addr: SocketAddr, workers: usize) -> Result<Self, BindError> {
        let listeners = Listener::bind_many(addr, "grpc", workers)?;
        Ok(Self { listeners, protocol: Protocol::Grpc, calls: None, tls: None, purpose: "grpc" })
    }

    /// Binds an HTTP/1 and HTTP/2 server; `purpose` is its name in `[listen]`.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn http(addr: SocketAddr, purpose: &'static str) -> Result<Self, BindError> {
        let listeners = vec![Listener::bind(addr, purpose)?];
        Ok(Self { listeners, protocol: Protocol::Http, calls: None, tls: None, purpose })
    }

    /// Has every call seen: measured, traced, and named in the log.
    #[must_use]
    pub fn seen_by(self, calls: &Calls) -> Self {
        Self { calls: Some(calls.clone()), ..self }
    }

    /// Speaks TLS, where there is something to make handshakes with.
    #[must_use]
    pub fn secured(self, tls: Option<Acceptor>) -> Self {
        Self { tls, ..self }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Never: a server has a listener.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listeners[0].addr()
    }

    /// Accepts, and serves gRPC services.
    ///
    /// # Errors
    /// Where an event loop cannot be started.
    pub fn serve_grpc(self, routes: Routes, options: &Options) -> io::Result<Serving> {
        self.serve(routes.prepare().into_axum_router(), options)
    }

    /// Accepts, and serves HTTP routes.
    ///
    /// # Errors
    /// Where an event loop cannot be started.
    pub fn serve_http(self, router: Router, options: &Options) -> io::Result<Serving> {
        self.serve(note_routes(router).with_state(()), options)
    }

    /// Accepts, and serves any service; its answers never fail.
    ///
    /// # Errors
    /// Where an event loop cannot be started.
    pub fn serve<S>(self, service: S, options: &Options) -> io::Result<Serving>
    where
        S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let addr = self.addr();
        let (alive, running) = mpsc::channel(1);
        let builder = connection::builder(self.protocol);
        let terms = Terms {
            service,
            protocol: self.protocol,
            builder,
            stop: options.stop.clone(),
            calls: self.calls,
            tls: self.tls,
            secured: None,
            vouched: None,
        };
        let room = Room::new(self.purpose, options.connections, options.metrics.as_ref());
        let several = self.listeners.len() > 1;
        for (index, listener) in self.listeners.into_iter().enumerate() {
            let accepting = Accepting {
                terms: terms.clone(),
                random: Arc::clone(&options.random),
                room: room.clone(),
                trouble: Trouble::default(),
                alive: alive.clone(),
                _listening: options.stop.traffic.listener(),
            };
            if several {
                own_event_loop(index, listener, accepting, &options.loops)?;
            } else {
                tokio::spawn(accepting.run(listener.register()?));
            }
        }
        Ok(Serving { addr, running })
    }
}

/// A thread with an event loop: calls of one connection never change cores.
fn own_event_loop<S>(index: usize, listener: Listener, mut accepting: Accepting<S>, loops: &Loops) -> io::Result<()>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        listener.register()?
    };
    let name = format!("grpc-{index}");
    let beating = loops.begin(&name);
    std::thread::Builder::new().name(name).spawn(move || {
        let alive = runtime.block_on(async move {
            tokio::spawn(beating.run());
            let (own, mut connections) = mpsc::channel(1);
            let alive = std::mem::replace(&mut accepting.alive, own);
            accepting.run(listener).await;
            // The loop must turn until its connections have ended.
            let _ = connections.recv().await;
            alive
        });
        // What beats ends with the runtime, and only then is nothing left of this loop. What blocks elsewhere is not waited for.
        runtime.shutdown_background();
        drop(alive);
    })?;
    Ok(())
}

/// The accept loop of a listening socket.
struct Accepting<S> {
    terms: Terms<S>,
    random: Arc<dyn Randomness>,
    room: Room,
    trouble: Trouble,
    alive: mpsc::Sender<Infallible>,
    /// Until its queue is emptied, calls may come.
    _listening: Going,
}

impl<S> Accepting<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    async fn run(mut self, listener: TcpListener) {
        let stop = self.terms.stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.draining() => break,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) if limits::is_its_own(&error) => {
                    tracing::debug!(%error, "a connection was gone before it was accepted");
                }
                Err(error) => {
                    self.room.not_accepted();
                    if let Some(times) = self.trouble.again() {
                        tracing::warn!(%error, times, "connections cannot be accepted; those there are go on");
                    }
                    // Without a pause the loop would spin: the connection waits to be accepted, and so the socket is ready.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        if let Err(error) = self.take_the_rest(listener, BACKLOG) {
            tracing::debug!(%error, "the listener was not emptied");
        }
    }

    /// To their clients, connections in the queue are established, and calls may be on their way on them; closing the listener
    /// would reset them. No more of them than the queue held when the stop began: others may come faster than they are taken.
    fn take_the_rest(&mut self, listener: TcpListener, most: i32) -> io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..most {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    self.take(TcpStream::from_std(stream)?, peer);
                }
                Err(error) if limits::is_its_own(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.trouble.over() {
            tracing::info!("connections are accepted again");
        }
        // Dropped, and so closed, where there is no room.
        let Some(place) = self.room.enter() else { return };
        // Without it, a delayed acknowledgement at the other end adds 40 ms to some answers.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        let (terms, alive) = (self.terms.clone(), self.alive.clone());
        let accepted = Accepted { peer, age: age(&*self.random), open: terms.stop.traffic.connection() };
        tokio::spawn(async move {
            secure::serve(stream, accepted, terms).await;
            drop::<(Place, _)>((place, alive));
        });
    }
}

/// Five minutes, give or take a tenth.
fn age(random: &dyn Randomness) -> Duration {
    let [draw] = random::bytes::<1>(random);
    MAX_AGE.mul_f64(0.9 + 0.2 * f64::from(draw) / 255.0)
}

#[cfg(test)]
mod tests;
