//! Below the endpoints: what is not, or barely, HTTP.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tessera_testkit::process;
use tessera_tests::refusal::{CANARY, assert_refused};
use tessera_tests::shared::shared;
use tessera_tests::{Answer, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Everything that listens.
fn listeners(world: &World) -> [SocketAddr; 6] {
    let ports = world.pair.ports;
    [
        ports.issuer_http,
        ports.issuer_grpc,
        ports.issuer_ops,
        ports.introspector_http,
        ports.introspector_grpc,
        ports.introspector_ops,
    ]
}

/// Sends bytes that ask for an end of the connection, and reads to it.
async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Result<Answer> {
    let (status, head, body) = process::exchange_all(address, bytes).await?;
    Ok(Answer { status, head, body })
}

/// Sends bytes, says that no more will come, and reads to the end: what came back, if anything.
async fn blurt(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // A server that has heard enough may hang up on either.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok(answer)
}

/// What HTTP/1 says to bytes that are none: nothing, or a status of 400 to 499 that repeats nothing.
fn turned_away(answer: &[u8], case: &str) -> Result<()> {
    let text = String::from_utf8_lossy(answer);
    ensure!(!text.contains(CANARY), "{case}: input is echoed: {text}");
    if let Some(rest) = text.strip_prefix("HTTP/1.") {
        let status: u16 = rest.get(2..5).and_then(|code| code.parse().ok()).with_context(|| text.to_string())?;
        ensure!((400..500).contains(&status), "{case}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_http_is_turned_away() -> Result<()> {
    let world = shared().await?;
    let long = [&b"GET /"[..], &vec![b'a'; 100_000], b" HTTP/1.1\r\nhost: x\r\n\r\n"].concat();
    let bomb = [&b"GET / HTTP/1.1\r\nhost: x\r\nx: "[..], &vec![b'a'; 100_000], b"\r\n\r\n"].concat();
    let many: Vec<u8> = (0..5000).flat_map(|n| format!("x{n}: {CANARY}\r\n").into_bytes()).collect();
    let many = [&b"GET / HTTP/1.1\r\nhost: x\r\n"[..], &many, b"\r\n"].concat();
    let frames = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 4096]].concat();
    let cases: &[(&str, &[u8])] = &[
        ("nothing", b""),
        ("a line break", b"\r\n\r\n"),
        ("binary", &[0, 1, 2, 3, 0xff, 0xfe, 13, 10, 13, 10]),
        ("zeroes", &[0; 4096]),
        ("a word", b"cAnArY-7f3a91\r\n\r\n"),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03cAnArY-7f3a91"),
        ("a version that is none", b"GET / HTTP/9.9\r\nhost: x\r\n\r\n"),
        ("HTTP/0.9", b"GET /\r\n"),
        ("a method of control characters", b"G\x01T / HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a header without a name", b"GET / HTTP/1.1\r\nhost: x\r\n: cAnArY-7f3a91\r\n\r\n"),
        ("a header without a colon", b"GET / HTTP/1.1\r\nhost: x\r\ncAnArY-7f3a91\r\n\r\n"),
        ("a header with a zero", b"GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n"),
        ("a header name with a space", b"GET / HTTP/1.1\r\nhost : x\r\n\r\n"),
        ("a folded header", b"GET / HTTP/1.1\r\nhost: x\r\nx: a\r\n cAnArY-7f3a91\r\n\r\n"),
        ("a path with a space", b"GET /cAnArY-7f3a91 b HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("an endless path", &long),
        ("an endless header", &bomb),
        ("thousands of headers", &many),
        ("frames of nothing", &frames),
    ];
    for at in listeners(world) {
        for (name, bytes) in cases {
            turned_away(&blurt(at, bytes).await?, &format!("{at}: {name}"))?;
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn too_many_and_too_long_headers_are_431() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let many: Vec<String> = (0..200).map(|n| format!("x-{n}: {CANARY}")).collect();
    let many = many.join("\r\n");
    let long = format!("x: {}", "a".repeat(100_000));
    let basic = format!("authorization: Basic {}", "A".repeat(100_000));
    for at in [ports.issuer_http, ports.introspector_http, ports.issuer_ops, ports.introspector_ops] {
        for headers in [&many, &long, &basic] {
            let request =
                format!("POST /oauth2/introspect HTTP/1.1\r\nhost: x\r\n{headers}\r\ncontent-length: 0\r\n\r\n");
            let answer = blurt(at, request.as_bytes()).await?;
            turned_away(&answer, "headers")?;
            // The answer may be lost where the server closes while more is being sent; another one may not be given.
            let text = String::from_utf8_lossy(&answer);
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
        }
    }
    world.is_unharmed().await
}

/// A request to introspection at both services, and to the token endpoint.
fn form_endpoints(world: &World) -> [(SocketAddr, &'static str); 3] {
    let ports = world.pair.ports;
    [
        (ports.issuer_http, "/oauth2/token"),
        (ports.issuer_http, "/oauth2/introspect"),
        (ports.introspector_http, "/oauth2/introspect"),
    ]
}

#[tokio::test]
async fn bodies_whose_length_is_a_lie_or_a_riddle_are_turned_away() -> Result<()> {
    let world = shared().await?;
    for (at, path) in form_endpoints(world) {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n");
        let cases = [
            ("a body that breaks off", "content-length: 100\r\n\r\ntoken=cAnArY-7f3a91"),
            ("a negative length", "content-length: -1\r\n\r\n"),
            ("a length that is no number", "content-length: cAnArY-7f3a91\r\n\r\n"),
            ("a length beyond all numbers", "content-length: 99999999999999999999999\r\n\r\n"),
            ("two lengths", "content-length: 1\r\ncontent-length: 2\r\n\r\na"),
            ("a length and chunks", "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            ("an encoding that is unknown", "transfer-encoding: cAnArY-7f3a91\r\n\r\na"),
            ("chunks and more", "transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
            ("a chunk without size", "transfer-encoding: chunked\r\n\r\ncAnArY-7f3a91\r\n"),
            ("a chunk of a size beyond all numbers", "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\na"),
            ("a chunk that breaks off", "transfer-encoding: chunked\r\n\r\n100\r\ntoken=cAnArY-7f3a91"),
        ];
        for (name, rest) in cases {
            turned_away(&blurt(at, format!("{head}{rest}").as_bytes()).await?, &format!("{path}: {name}"))?;
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn a_chunked_body_that_is_too_large_is_413() -> Result<()> {
    let world = shared().await?;
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
    for (at, path) in form_endpoints(world) {
        for chunks in [17, 256] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
                 content-type: application/x-www-form-urlencoded\r\n\r\n{}0\r\n\r\n",
                chunk.repeat(chunks),
            );
            assert_refused(&exchange(at, request).await?, 413, "invalid_request", &format!("{path}: {chunks} chunks"));
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn header_bytes_that_are_not_text_are_refused_like_other_nonsense() -> Result<()> {
    let world = shared().await?;
    for (at, path) in form_endpoints(world) {
        let request = |header: &[u8]| {
            let start = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 7\r\n");
            [start.as_bytes(), header, b"\r\n\r\ntoken=a"].concat()
        };
        let form = b"content-type: application/x-www-form-urlencoded\r\n";
        let credential = [&form[..], b"authorization: Basic \xff\xfe\xc3\xa9"].concat();
        assert_refused(&exchange(at, request(&credential)).await?, 401, "invalid_client", path);
        let scheme = [&form[..], b"authorization: \xff\xfe\xc3\xa9 YTpi"].concat();
        assert_refused(&exchange(at, request(&scheme)).await?, 401, "invalid_client", path);
        let content_type = b"content-type: application/x-www-form-urlencoded; charset=\xff\xfe";
        assert_refused(&exchange(at, request(content_type)).await?, 400, "invalid_request", path);
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn a_connection_goes_on_after_a_refusal() -> Result<()> {
    let world = shared().await?;
    for (at, path) in form_endpoints(world) {
        let refused = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let last = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(at, format!("{refused}{refused}{last}")).await?;
        let all = format!("{}{}", answer.head, answer.body);
        assert_eq!(all.matches("HTTP/1.1 400 ").count(), 2, "{all}");
        assert_eq!(all.matches("HTTP/1.1 405 ").count(), 1, "{all}");
    }
    world.is_unharmed().await
}
