//! An application of the person's: a program on their machine that waits for the answer.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tessera_tests::{EVENTUALLY, World, create_client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it answers to the browser.
const PAGE: &str =
    "<!doctype html><html lang=en><title>The application</title><h1 id=back>Back at the application</h1>";

/// A picture, as an application's site has one.
const LOGO: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='88' height='88' viewBox='0 0 88 88'><circle cx='44' cy='44' r='40' fill='#7a3b8f'/></svg>";

/// It listens on a loopback port, as programs do that open a browser (RFC 8252 section 7.3).
pub(crate) struct Application {
    pub(crate) id: String,
    door: Door,
}

/// Where a browser is waited for.
pub(crate) struct Door {
    listener: TcpListener,
    at: SocketAddr,
}

impl Application {
    /// Registers it and listens.
    pub(crate) async fn start(world: &World, id: &str) -> Result<Self> {
        Ok(Self::registered(world, id, &["--public"]).await?.0)
    }

    /// As [`start`](Self::start), one that is told of errors elsewhere: on another port.
    pub(crate) async fn told_elsewhere(world: &World, id: &str) -> Result<(Self, Door)> {
        let errors = Door::open().await?;
        let app = Self::registered(world, id, &["--public", "--failure-uri", &errors.url("/failed")]).await?.0;
        Ok((app, errors))
    }

    /// As [`start`](Self::start), one that keeps a secret; with it.
    pub(crate) async fn with_secret(world: &World, id: &str) -> Result<(Self, String)> {
        Self::registered(world, id, &[]).await
    }

    async fn registered(world: &World, id: &str, more: &[&str]) -> Result<(Self, String)> {
        let grant = ["--grant", "authorization_code", "refresh_token"];
        let may = ["--scope", "orders:read", "orders:write", "--audience", "orders-api"];
        let back = ["--redirect-uri", "http://127.0.0.1/callback"];
        let client = create_client(&world.pair, id, &[&grant[..], &may, &back, more].concat())?;
        Ok((Self { id: id.to_owned(), door: Door::open().await? }, client.secret))
    }

    /// Where it wants the answer.
    pub(crate) fn redirect_uri(&self) -> String {
        self.door.url("/callback")
    }

    /// Waits until the browser comes back; the URL it came with.
    pub(crate) async fn back(&self) -> Result<String> {
        self.door.visited("/callback").await
    }
}

impl Door {
    /// Listens on a free port.
    pub(crate) async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        Ok(Self { listener, at })
    }

    /// A path here.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// Waits until a browser comes to a path; the URL it came with.
    pub(crate) async fn visited(&self, path: &str) -> Result<String> {
        tokio::time::timeout(EVENTUALLY, self.serve(path)).await.context("the browser never came back")?
    }

    /// Answers whoever comes, until the runtime ends.
    pub(crate) fn stay_open(self) {
        tokio::spawn(async move {
            while let Ok((stream, _)) = self.listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
    }

    async fn serve(&self, wanted: &str) -> Result<String> {
        // Browsers open connections on the chance, and say nothing on some.
        let mut visitors = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => drop(visitors.spawn(answer(accepted?.0))),
                Some(path) = visitors.join_next() => {
                    if let Some(path) = path?.filter(|path| path.starts_with(wanted)) {
                        return Ok(self.url(&path));
                    }
                }
            }
        }
    }
}

/// Answers one request; its path.
async fn answer(mut stream: TcpStream) -> Option<String> {
    let mut head = vec![0; 16 * 1024];
    let length = stream.read(&mut head).await.ok()?;
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let path = head.split(' ').nth(1)?;
    let (kind, body) = if path.starts_with("/logo") { ("image/svg+xml", LOGO) } else { ("text/html", PAGE) };
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // They ask for an icon, too, and hang up.
    let _ = stream.write_all(answer.as_bytes()).await;
    Some(path.to_owned())
}
