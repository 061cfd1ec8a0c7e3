//! An application of the person's: a program on their machine that waits for the answer.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tessera_tests::{EVENTUALLY, World, create_client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What it answers to the browser.
const PAGE: &str =
    "<!doctype html><html lang=en><title>The application</title><h1 id=back>Back at the application</h1>";

/// It listens on a loopback port, as programs do that open a browser (RFC 8252 section 7.3).
pub(crate) struct Application {
    pub(crate) id: String,
    listener: TcpListener,
    at: SocketAddr,
}

impl Application {
    /// Registers it and listens.
    pub(crate) async fn start(world: &World, id: &str) -> Result<Self> {
        Ok(Self::registered(world, id, &["--public"]).await?.0)
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
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        Ok((Self { id: id.to_owned(), listener, at }, client.secret))
    }

    /// Where it wants the answer.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://{}/callback", self.at)
    }

    /// Waits until the browser comes back; the URL it came with.
    pub(crate) async fn back(&self) -> Result<String> {
        tokio::time::timeout(EVENTUALLY, self.serve()).await.context("the browser never came back")?
    }

    async fn serve(&self) -> Result<String> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let mut head = vec![0; 16 * 1024];
            let length = stream.read(&mut head).await?;
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{PAGE}",
                PAGE.len()
            );
            // Browsers open connections on the chance, and ask for an icon.
            let _ = stream.write_all(answer.as_bytes()).await;
            if path.starts_with("/callback") {
                return Ok(format!("http://{}{path}", self.at));
            }
        }
    }
}
