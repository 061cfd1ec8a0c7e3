//! Who is not let in.

use anyhow::{Result, ensure};
use tessera_testkit::pair::Backend;
use tessera_testkit::process;
use tessera_tests::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::authority::{Authority, Pem};
use super::setting::{ORDERS, Setting, introspect};

/// Whether a call comes through, with this certificate.
async fn is_served(setting: &Setting, own: Option<&Pem>, token: &str) -> bool {
    match setting.channel(setting.ports.introspector_grpc, own).await {
        Ok(channel) => introspect(channel, token).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn no_foreign_and_expired_certificates_are_not_served() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let token = setting.token().await?;
    let (foreign, expired) = (Authority::new("clients")?.client(ORDERS)?, setting.clients.expired_client(ORDERS)?);
    // What vouches for servers vouches for no client.
    let servers = setting.servers.client(ORDERS)?;
    for refused in [None, Some(&foreign), Some(&expired), Some(&servers)] {
        ensure!(!is_served(&setting, refused, &token).await);
    }
    ensure!(is_served(&setting, Some(&setting.clients.client(ORDERS)?), &token).await);
    // HTTP asks for a certificate, and takes none for an answer, but no bad one.
    let get = "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = setting.http(setting.ports.issuer_http, None, get).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for refused in [&foreign, &expired] {
        ensure!(setting.http(setting.ports.issuer_http, Some(refused), get).await.is_err());
    }
    let metrics = setting.introspector.metrics().await?;
    for reason in ["no_client_certificate", "bad_client_certificate"] {
        let none = format!("tessera_tls_handshakes_failed_total{{reason=\"{reason}\"}} 0");
        ensure!(!metrics.contains(&none), "{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn plain_text_is_told_that_the_port_speaks_tls() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    for at in [setting.ports.issuer_http, setting.ports.introspector_http] {
        let (status, body) = process::get(at, "/oauth2/jwks").await?;
        ensure!(status == 400 && body.contains("This port speaks TLS"), "{status} {body}");
    }
    let mut stream = TcpStream::connect(setting.ports.introspector_grpc).await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(String::from_utf8_lossy(&answer).contains("this port speaks TLS"), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn who_begins_a_handshake_and_says_no_more_keeps_nobody_waiting() -> Result<()> {
    let mut setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let token = setting.token().await?;
    let mut idle = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(setting.ports.introspector_grpc).await?;
        // The head of a handshake record that never comes.
        stream.write_all(&[22, 3, 1, 2, 0]).await?;
        idle.push(stream);
    }
    ensure!(setting.check(&token).await?.active);
    // A stop does not wait for them either.
    ensure!(setting.introspector.terminate().await? == Some(0));
    let said = setting.introspector.said()?;
    ensure!(!said.contains("calls were cut off"), "{said}");
    eventually("the connections are over", async || {
        let mut byte = [0];
        let over = matches!(idle[0].try_read(&mut byte), Ok(0))
            || idle[0].try_read(&mut byte).is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock);
        Ok(over.then_some(()))
    })
    .await
}
