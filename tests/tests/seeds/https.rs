//! PrestaShop over plain HTTP, and whose word counts that it was HTTPS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, Result};
use tessera_testkit::pair::{Backend, Options};
use tessera_testkit::process::clean_command;
use tessera_tests::{Answer, World, form, tool, world_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::answers::{Told, assert_told, tokens};
use crate::cast::{PRESTASHOP_SECRET, System, imported};

/// The address of the proxy that is configured. The whole network is this machine's.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SOMEBODY: Ipv4Addr = Ipv4Addr::LOCALHOST;

async fn strict() -> Result<World> {
    let issuer = format!("[dialects]\nprestashop = true\n[proxy]\ntrusted_cidrs = [\"{PROXY}/32\"]\n");
    let options = Options { issuer, ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    imported(&world.pair, "your_client_id", PRESTASHOP_SECRET, &["--grant", "client_credentials"])?;
    Ok(world)
}

/// Asks for a token from this address, with these header lines.
async fn ask(world: &World, from: Ipv4Addr, headers: &str, secret: &str) -> Result<Answer> {
    let fields = [("grant_type", "client_credentials"), ("client_id", "your_client_id"), ("client_secret", secret)];
    let (body, path) = (form(&fields), System::PrestaShop.path());
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let mut stream = socket.connect(world.pair.ports.issuer_http).await?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n{headers}\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").context("a head")?;
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

fn assert_use_https(answer: &Answer, world: &World, case: &str) {
    let location = format!("https://{}{}", world.pair.ports.issuer_http, System::PrestaShop.path());
    assert_eq!((answer.status, answer.body.as_str()), (401, "\"Use HTTPS protocol\""), "{case}: {answer:?}");
    assert_eq!(answer.header("location"), Some(&*location), "the configured host, whatever the request names: {case}");
    assert_eq!(answer.header("www-authenticate"), None, "{case}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_plain_http_prestashops_secret_is_not_looked_at() -> Result<()> {
    let world = strict().await?;
    let right = ask(&world, SOMEBODY, "", PRESTASHOP_SECRET).await?;
    assert_use_https(&right, &world, "the right secret");
    // More than are forgiven: nothing is counted where nothing was looked at.
    for attempt in 0..25 {
        let wrong = ask(&world, SOMEBODY, "", &format!("wrong {attempt}")).await?;
        assert_use_https(&wrong, &world, "a wrong secret");
        assert_eq!(wrong.head.lines().next(), right.head.lines().next());
    }
    let metrics = world.pair.issuer.metrics().await?;
    let counted = metrics.lines().filter(|line| line.starts_with("tessera_client_auth_failures_total{"));
    assert!(counted.clone().count() > 0 && counted.clone().all(|line| line.ends_with(" 0")), "a failure was counted");
    let proxied = format!("x-forwarded-proto: https\r\nx-forwarded-for: {SOMEBODY}\r\n");
    tokens(&ask(&world, PROXY, &proxied, PRESTASHOP_SECRET).await?)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_configured_proxy_is_believed_that_it_was_https() -> Result<()> {
    let world = strict().await?;
    for (from, headers) in [
        (SOMEBODY, "x-forwarded-proto: https\r\n"),
        (SOMEBODY, "forwarded: for=127.0.0.2;proto=https\r\n"),
        (SOMEBODY, "x-forwarded-for: 127.0.0.2\r\nx-forwarded-proto: https\r\n"),
        (PROXY, ""),
        (PROXY, "x-forwarded-proto: http\r\n"),
        // What the client sent comes first, and the proxy's own word last.
        (PROXY, "x-forwarded-proto: https, http\r\n"),
        (PROXY, "x-forwarded-proto: https\r\nx-forwarded-proto: http\r\n"),
        (PROXY, "x-forwarded-ssl: on\r\nfront-end-https: on\r\n"),
    ] {
        let answer = ask(&world, from, headers, PRESTASHOP_SECRET).await?;
        assert_use_https(&answer, &world, &format!("{from} {headers}"));
    }
    tokens(&ask(&world, PROXY, "x-forwarded-proto: https\r\n", PRESTASHOP_SECRET).await?)?;
    let wrong = ask(&world, PROXY, "x-forwarded-proto: https\r\n", "wrong").await?;
    assert_told(&wrong, System::PrestaShop, &Told::client(), "over HTTPS the secret is looked at");
    Ok(())
}

/// `curl --location` would make a GET of a POST that is redirected; 401 redirects nobody.
#[tokio::test(flavor = "multi_thread")]
async fn curl_is_told_to_use_https_and_goes_nowhere() -> Result<()> {
    let Some(curl) = tool("TEST_TESSERA_CURL")? else { return Ok(()) };
    let world = strict().await?;
    let url = format!("{}{}", world.pair.ports.issuer_url(), System::PrestaShop.path());
    let mut command = clean_command(Path::new(&curl));
    command.args(["--silent", "--location", "--write-out", " %{http_code} %{num_redirects}", &url]);
    command.args(["--form", "grant_type=client_credentials", "--form", "client_id=your_client_id"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "\"Use HTTPS protocol\" 401 0");
    Ok(())
}
