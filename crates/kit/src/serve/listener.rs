//! Listening sockets.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections may wait to be accepted.
pub(super) const BACKLOG: i32 = 1024;

/// A bound address that several event loops may accept from.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    addr: SocketAddr,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for {purpose}: {source}{}", advice(source))]
pub struct BindError {
    /// The address.
    pub addr: SocketAddr,
    /// What it was for: `http`, `grpc` or `ops`, as in `[listen]`.
    pub purpose: &'static str,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process listens there: stop it, or choose another port in [listen]",
        io::ErrorKind::AddrNotAvailable => "; this host has no such address: correct it in [listen]",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege: choose a higher one in [listen]",
        _ => "",
    }
}

impl Listener {
    /// Binds an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`], which says what to do.
    pub fn bind(addr: SocketAddr, purpose: &'static str) -> Result<Self, BindError> {
        Self::open(addr, false).map_err(|source| BindError { addr, purpose, source })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Binds for several event loops, each with a socket of its own among which the kernel spreads the connections.
    ///
    /// # Errors
    /// [`BindError`], which says what to do.
    pub fn bind_many(addr: SocketAddr, purpose: &'static str, count: usize) -> Result<Vec<Self>, BindError> {
        let failed = |source| BindError { addr, purpose, source };
        if count <= 1 {
            return Ok(vec![Self::bind(addr, purpose)?]);
        }
        // SO_REUSEPORT would let a second process of the same user share the port unnoticed: find that out first.
        if addr.port() != 0 {
            drop(Self::bind(addr, purpose)?);
        }
        let first = Self::open(addr, true).map_err(failed)?;
        let addr = first.addr;
        let mut listeners = vec![first];
        for _ in 1..count {
            listeners.push(Self::open(addr, true).map_err(failed)?);
        }
        Ok(listeners)
    }

    fn open(addr: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        let addr = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { socket, addr })
    }

    /// Hands the socket to the current event loop.
    pub(super) fn register(self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.socket.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_says_what_to_do() {
        let first = Listener::bind(([127, 0, 0, 1], 0).into(), "grpc").expect("a free port");
        let error = Listener::bind(first.addr(), "grpc").expect_err("taken").to_string();
        assert!(error.contains(&first.addr().to_string()), "{error}");
        assert!(error.contains("for grpc") && error.contains("choose another port"), "{error}");
        assert!(Listener::bind_many(first.addr(), "grpc", 2).is_err(), "also for several loops");
    }

    #[test]
    fn several_sockets_share_one_port() {
        let listeners = Listener::bind_many(([127, 0, 0, 1], 0).into(), "grpc", 3).expect("a free port");
        assert_eq!(listeners.len(), 3);
        assert!(listeners.iter().all(|l| l.addr() == listeners[0].addr()));
        assert!(Listener::bind(listeners[0].addr(), "grpc").is_err(), "and nobody else gets it");
    }
}
