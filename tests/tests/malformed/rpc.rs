//! Every RPC of both services, found through their descriptors: a new one is tested without anybody thinking of it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use http::HeaderValue;
use tessera_tests::refusal::CANARY;
use tessera_tests::rpcs::{self, Method, Told, frame, framed};
use tessera_tests::shared::shared;
use tessera_tests::{World, channel};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// A method, and where and as whom it is called.
struct Rpc {
    path: String,
    streaming: bool,
    channel: Channel,
    authorization: String,
}

/// The one whose empty message changes something: to say it again is answered otherwise.
fn said_once(rpc: &Rpc) -> bool {
    rpc.path.ends_with("/RotateKey")
}

async fn rpcs(world: &World) -> Result<Vec<Rpc>> {
    let ports = world.pair.ports;
    let issuer = channel(ports.issuer_grpc).await?;
    let introspector = channel(ports.introspector_grpc).await?;
    let admin = format!("Bearer {}", world.admin_token().await?);
    let follower = format!("Bearer {}", world.sync_token().await?);
    let rpc = |method: Method| {
        let (channel, authorization) = match &*method.package {
            "tessera.introspection.v1" => (&introspector, world.resource.basic()),
            "tessera.oauth.v1" => (&issuer, world.service.basic()),
            "tessera.sync.v1" => (&issuer, follower.clone()),
            _ => (&issuer, admin.clone()),
        };
        Rpc { path: method.path, streaming: method.streaming, channel: channel.clone(), authorization }
    };
    Ok(rpcs::methods()?.into_iter().map(rpc).collect())
}

/// Sends a body as it is. Headers replace the usual ones.
async fn send(rpc: &Rpc, headers: &[(&str, HeaderValue)], body: Vec<u8>) -> Result<Told> {
    let usual = [("authorization", HeaderValue::try_from(&rpc.authorization)?)];
    let told = rpcs::call(&rpc.channel, &rpc.path, &[&usual, headers].concat(), body).await?;
    ensure!(!String::from_utf8_lossy(&told.body).contains(CANARY), "input is echoed");
    Ok(told)
}

/// The status of an answer, which must not echo what was sent nor be a failure of ours.
fn told(told: Told, case: &str) -> Result<Status> {
    let status = told.status().with_context(|| case.to_owned())?;
    ensure!(!status.message().contains(CANARY), "{case}: input is echoed: {status:?}");
    ensure!(!matches!(status.code(), Code::Unknown | Code::DataLoss | Code::Unavailable), "{case}: {status:?}");
    Ok(status)
}

/// Bytes that are no protobuf message, whatever the message's fields are.
const GARBAGE: &[(&str, &[u8])] = &[
    ("a tag that breaks off", &[0xff]),
    ("a tag beyond 32 bits", &[0xff; 32]),
    ("field number 0", &[0x02, 0x01, b'x']),
    ("a wire type that is none", &[0x0f]),
    ("a length beyond the message", &[0x0a, 0x7f, b'x']),
    ("a length beyond all memory", &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ("a group that never ends", &[0xfb, 0xbb, 0x07]),
    ("the end of a group that never began", &[0xfc, 0xbb, 0x07]),
    ("form fields", b"token=cAnArY-7f3a91"),
    ("JSON", b"{\"token\":\"cAnArY-7f3a91\"}"),
];

#[tokio::test]
async fn bytes_that_are_no_message_are_a_decoding_error() -> Result<()> {
    let world = shared().await?;
    for rpc in rpcs(world).await? {
        for (name, bytes) in GARBAGE {
            let case = format!("{}: {name}", rpc.path);
            let status = told(send(&rpc, &[], framed(bytes)).await?, &case)?;
            // "Error parsing request proto" of gRPC's own table of status codes; a stream may say so in its own words.
            let codes: &[Code] =
                if rpc.streaming { &[Code::Internal, Code::InvalidArgument] } else { &[Code::Internal] };
            assert!(codes.contains(&status.code()), "{case}: {status:?}");
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn empty_messages_and_unknown_fields_are_answered_alike() -> Result<()> {
    let world = shared().await?;
    // Field 15000 as a number, a text and a group.
    let unknown = [
        &[0xc0, 0xa9, 0x07, 0x2a][..],
        &[0xc2, 0xa9, 0x07, 13],
        CANARY.as_bytes(),
        &[0xc3, 0xa9, 0x07, 0xc0, 0xa9, 0x07, 0x01, 0xc4, 0xa9, 0x07],
    ]
    .concat();
    assert_eq!(CANARY.len(), 13, "as the length above says");
    for rpc in rpcs(world).await? {
        if said_once(&rpc) {
            continue;
        }
        let empty = told(send(&rpc, &[], framed(&[])).await?, &rpc.path)?;
        assert_ne!(empty.code(), Code::Internal, "{}: {empty:?}", rpc.path);
        let more = told(send(&rpc, &[], framed(&unknown)).await?, &rpc.path)?;
        assert_eq!((empty.code(), empty.message()), (more.code(), more.message()), "{}", rpc.path);
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn messages_beyond_the_cap_are_refused_before_they_are_read() -> Result<()> {
    let world = shared().await?;
    for rpc in rpcs(world).await? {
        // 64 KiB where tokens pass; lists of a thousand and clients with long descriptions may have more.
        let cap = match rpc.path.rsplit('/').next() {
            Some("BatchIntrospect") => 4 * 1024 * 1024,
            _ if rpc.path.contains("ClientService") => 256 * 1024,
            _ => 64 * 1024,
        };
        for (length, sent) in [(cap + 1, 100), (u32::MAX, 100), (cap + 1, cap + 1)] {
            let bytes = vec![0; usize::try_from(sent)?];
            let case = format!("{}: {length} bytes", rpc.path);
            let status = told(send(&rpc, &[], frame(0, length, &bytes)).await?, &case)?;
            // The feed says of whatever it cannot read that it is malformed.
            let codes = [Code::OutOfRange, Code::ResourceExhausted, Code::InvalidArgument];
            assert!(codes.contains(&status.code()), "{case}: {status:?}");
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn broken_frames_are_refused() -> Result<()> {
    let world = shared().await?;
    for rpc in rpcs(world).await? {
        for (name, body) in [
            ("nothing", Vec::new()),
            ("half a head", vec![0, 0]),
            ("a message that breaks off", frame(0, 100, b"cAnArY-7f3a91")),
            ("a flag that is none", frame(7, 1, b"x")),
            ("compressed without saying how", frame(1, 1, b"x")),
        ] {
            let case = format!("{}: {name}", rpc.path);
            let answer = send(&rpc, &[], body).await?;
            // A stream may end before its first message.
            if rpc.streaming && answer.status.as_ref().is_some_and(|status| status.code() == Code::Ok) {
                continue;
            }
            let status = told(answer, &case)?;
            let codes = [Code::Internal, Code::InvalidArgument, Code::Unimplemented];
            assert!(codes.contains(&status.code()), "{case}: {status:?}");
        }
        let gzip = HeaderValue::from_static("gzip");
        let status = told(send(&rpc, &[("grpc-encoding", gzip)], frame(1, 3, &[31, 139, 8])).await?, &rpc.path)?;
        assert_eq!(status.code(), Code::Unimplemented, "{}: {status:?}", rpc.path);
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn credentials_that_are_no_text_or_malformed_are_unauthenticated() -> Result<()> {
    let world = shared().await?;
    for rpc in rpcs(world).await? {
        for value in [
            &b"\xff\xfe\xc3\xa9"[..],
            b"Basic \xff\xfe",
            b"Basic !!!",
            b"Basic Og==",
            b"Basic Y0FuQXJZLTdmM2E5MQ==",
            b"Basic Y0FuQXJZLTdmM2E5MTolenog",
            b"Bearer",
            b"Bearer \xff\xfe",
            b"Bearer cAnArY-7f3a91 x",
            b"Bearer cAnArY-7f3a91",
            b"cAnArY-7f3a91",
            b"",
        ] {
            let case = format!("{}: {}", rpc.path, String::from_utf8_lossy(value));
            // A token, and a grant: nothing that is missing may be found before the credential is looked at.
            let message: &[u8] = match rpc.path.rsplit('/').next() {
                Some("IssueToken") => &[0x52, 0],
                Some("RevokeToken") => &[0x1a, 1, b'x'],
                _ => &[],
            };
            let header = [("authorization", HeaderValue::from_bytes(value)?)];
            let status = told(send(&rpc, &header, framed(message)).await?, &case)?;
            assert_eq!(status.code(), Code::Unauthenticated, "{case}: {status:?}");
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn odd_metadata_changes_nothing() -> Result<()> {
    let world = shared().await?;
    for rpc in rpcs(world).await? {
        if said_once(&rpc) {
            continue;
        }
        let usual = told(send(&rpc, &[], framed(&[])).await?, &rpc.path)?;
        for (name, value) in [
            ("x-bin", &b"!!! no base64 !!!"[..]),
            ("x-text", b"\xff\xfe\xc3\xa9"),
            ("grpc-timeout", b"cAnArY-7f3a91"),
            ("grpc-timeout", b"99999999999S"),
            ("grpc-timeout", b"-1S"),
            ("traceparent", b"cAnArY-7f3a91"),
            ("grpc-accept-encoding", b"cAnArY-7f3a91"),
            ("te", b"cAnArY-7f3a91"),
            ("user-agent", b"\xff"),
            ("content-type", b"application/grpc+proto"),
        ] {
            let case = format!("{}: {name}", rpc.path);
            let status = told(send(&rpc, &[(name, HeaderValue::from_bytes(value)?)], framed(&[])).await?, &case)?;
            assert_eq!((status.code(), status.message()), (usual.code(), usual.message()), "{case}");
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn calls_that_are_not_grpc_and_methods_that_are_not_there_are_refused() -> Result<()> {
    let world = shared().await?;
    for rpc in rpcs(world).await? {
        for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
            let header = [("content-type", HeaderValue::from_static(content_type))];
            let answer = send(&rpc, &header, b"token=cAnArY-7f3a91".to_vec()).await?;
            let refused = (400..500).contains(&answer.http)
                || answer
                    .status
                    .as_ref()
                    .is_some_and(|status| status.code() != Code::Ok && status.code() != Code::Unknown);
            assert!(refused, "{} as {content_type}: HTTP {} {:?}", rpc.path, answer.http, answer.status);
        }
        let channel = rpc.channel.clone();
        for path in [
            format!("{}{CANARY}", rpc.path),
            format!("{}/", rpc.path),
            rpc.path.to_uppercase(),
            format!("/{CANARY}/{CANARY}"),
            "/".to_owned(),
        ] {
            let other =
                Rpc { path, streaming: false, channel: channel.clone(), authorization: rpc.authorization.clone() };
            let status = told(send(&other, &[], framed(&[])).await?, &other.path)?;
            assert_eq!(status.code(), Code::Unimplemented, "{}: {status:?}", other.path);
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn headers_beyond_the_cap_end_the_call_and_not_the_server() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    for (at, path) in [
        (ports.issuer_grpc, "/tessera.oauth.v1.TokenService/IssueToken"),
        (ports.introspector_grpc, "/tessera.introspection.v1.IntrospectionService/Introspect"),
    ] {
        let answer = bomb(at, path).await;
        // Refused by a status or by a reset of the stream; our own side may refuse to send so much as well.
        assert!(!answer.is_ok_and(|told| told.status.is_some_and(|status| status.code() == Code::Ok)));
    }
    assert!(world.everybody_says_active(&world.token().await?).await?);
    world.is_unharmed().await
}

async fn bomb(at: SocketAddr, path: &str) -> Result<Told> {
    let names: Vec<String> = (0..500).map(|n| format!("x-{n}")).collect();
    let value = HeaderValue::try_from("a".repeat(1000))?;
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), value.clone())).collect();
    rpcs::call(&channel(at).await?, path, &headers, framed(&[])).await
}
