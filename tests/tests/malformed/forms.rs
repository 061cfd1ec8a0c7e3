//! The endpoints that take forms, and the documents.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use tessera_tests::refusal::{CANARY, assert_refused};
use tessera_tests::shared::shared;
use tessera_tests::{Answer, FORM, World, form, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An endpoint with what it takes.
struct Endpoint {
    at: SocketAddr,
    path: &'static str,
    basic: String,
    /// A good request's form.
    fields: String,
}

impl Endpoint {
    async fn send(&self, method: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Result<Answer> {
        request(self.at, method, self.path, headers, body).await
    }

    /// As [`send`](Self::send), as senders do that only listen once everything is sent: being hung up on is an error.
    async fn send_all(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (path, headers, length) = (self.path, headers.concat(), body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.at).await?;
        for piece in [head.as_bytes(), body.as_bytes()].into_iter().flat_map(|bytes| bytes.chunks(16 * 1024)) {
            stream.write_all(piece).await.context("hung up on while sending")?;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.context("reset before the answer was read")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// Posts a body as a form, with good credentials.
    async fn form(&self, body: impl AsRef<[u8]>) -> Result<Answer> {
        self.send("POST", &[FORM, ("authorization", &self.basic)], body).await
    }

    fn case(&self, name: &str) -> String {
        format!("{} {}: {name}", self.at, self.path)
    }
}

fn endpoints(world: &World) -> [Endpoint; 4] {
    let ports = world.pair.ports;
    let endpoint = |at, path, client: &tessera_tests::Client, fields: &[(&str, &str)]| Endpoint {
        at,
        path,
        basic: client.basic(),
        fields: form(fields),
    };
    [
        endpoint(ports.issuer_http, "/oauth2/token", &world.service, &[("grant_type", "client_credentials")]),
        endpoint(ports.issuer_http, "/oauth2/revoke", &world.service, &[("token", CANARY)]),
        endpoint(ports.issuer_http, "/oauth2/introspect", &world.resource, &[("token", CANARY)]),
        endpoint(ports.introspector_http, "/oauth2/introspect", &world.resource, &[("token", CANARY)]),
    ]
}

#[tokio::test]
async fn broken_forms_are_invalid_requests() -> Result<()> {
    let world = shared().await?;
    let many: Vec<String> = (0..200).map(|n| format!("p{n}={CANARY}")).collect();
    let many = many.join("&");
    let cases: &[(&str, &[u8])] = &[
        ("an escape of nothing", b"token=%"),
        ("an escape of one digit", b"token=cAnArY-7f3a91%4"),
        ("an escape of no digits", b"token=%zz"),
        ("an escape broken by the next parameter", b"token=%4&x=1"),
        ("a broken escape in a name", b"%G0=cAnArY-7f3a91"),
        ("a raw byte that is not UTF-8", b"token=cAnArY-7f3a91\xff"),
        ("an escaped byte that is not UTF-8", b"token=cAnArY-7f3a91%ff"),
        ("an overlong form", b"token=%c0%80"),
        ("half of a surrogate pair", b"token=%ed%a0%80"),
        ("a character that breaks off", b"token=%e2%82"),
        ("a name that is not UTF-8", b"\xfe\xff=1"),
        ("a parameter twice", b"token=cAnArY-7f3a91&token=b"),
        ("a parameter twice with one value", b"token=a&token=a"),
        ("a parameter twice, once escaped", b"token=a&%74oken=cAnArY-7f3a91"),
        ("a parameter twice, once empty", b"token=a&token="),
        ("an unknown parameter twice", b"x=1&token=a&x=2"),
        ("too many parameters", many.as_bytes()),
    ];
    for endpoint in endpoints(world) {
        assert_eq!(endpoint.form(&endpoint.fields).await?.status, 200, "{}", endpoint.case("as it should be"));
        for (name, body) in cases {
            let body = [body, &b"&grant_type=client_credentials"[..]].concat();
            assert_refused(&endpoint.form(body).await?, 400, "invalid_request", &endpoint.case(name));
        }
        for body in ["", "&&&", "=", "cAnArY-7f3a91", "{\"token\":\"cAnArY-7f3a91\"}"] {
            assert_refused(&endpoint.form(body).await?, 400, "invalid_request", &endpoint.case(body));
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn oversized_bodies_are_refused_and_the_answer_arrives() -> Result<()> {
    let world = shared().await?;
    let large = format!("token={}", "a".repeat(1024 * 1024));
    for endpoint in endpoints(world) {
        assert_refused(&endpoint.form(&large).await?, 413, "invalid_request", &endpoint.case("1 MiB"));
        let just = format!("token={}", "a".repeat(64 * 1024 - 5));
        assert_refused(&endpoint.form(just).await?, 413, "invalid_request", &endpoint.case("64 KiB and a byte"));
        // Refused before the body is looked at: the sender must still get to see why.
        let json = [("content-type", "application/json"), ("authorization", &endpoint.basic)];
        for _ in 0..3 {
            let answer = endpoint.send_all("POST", &json, &large).await?;
            assert_refused(&answer, 400, "invalid_request", &endpoint.case("1 MiB of another type"));
            let answer = endpoint.send_all("PUT", &json, &large).await?;
            assert_refused(&answer, 405, "invalid_request", &endpoint.case("1 MiB by another method"));
            let answer = endpoint.send_all("POST", &[FORM, json[1]], &large).await?;
            assert_refused(&answer, 413, "invalid_request", &endpoint.case("1 MiB"));
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn other_content_types_are_invalid_requests() -> Result<()> {
    let world = shared().await?;
    let form_type = FORM.1;
    let latin1 = format!("{form_type}; charset=latin1");
    let multipart = "multipart/form-data; boundary=x";
    for endpoint in endpoints(world) {
        let authorization = ("authorization", endpoint.basic.as_str());
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("none", &[]),
            ("an empty one", &[("content-type", "")]),
            ("JSON", &[("content-type", "application/json")]),
            ("text", &[("content-type", "text/plain")]),
            ("multipart", &[("content-type", multipart)]),
            ("another charset", &[("content-type", &latin1)]),
            ("a form's, nearly", &[("content-type", "application/x-www-form-urlencoded2")]),
            ("two", &[FORM, FORM]),
            ("compressed", &[FORM, ("content-encoding", "gzip")]),
        ];
        for (name, headers) in cases {
            let headers = [headers, &[authorization][..]].concat();
            let answer = endpoint.send("POST", &headers, &endpoint.fields).await?;
            assert_refused(&answer, 400, "invalid_request", &endpoint.case(name));
        }
        for good in ["APPLICATION/X-WWW-FORM-URLENCODED", "application/x-www-form-urlencoded; charset=\"UTF-8\""] {
            let answer = endpoint.send("POST", &[("content-type", good), authorization], &endpoint.fields).await?;
            assert_eq!(answer.status, 200, "{}", endpoint.case(good));
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn broken_basic_credentials_are_an_invalid_client() -> Result<()> {
    let world = shared().await?;
    let basic = |pair: &[u8]| format!("Basic {}", STANDARD.encode(pair));
    let values = [
        ("the scheme alone", "Basic".to_owned()),
        ("nothing after the scheme", "Basic ".to_owned()),
        ("no base64", "Basic !!!".to_owned()),
        ("base64 with a space", "Basic YTpi YTpi".to_owned()),
        ("the alphabet of URLs", format!("Basic {}", URL_SAFE.encode(b"ab:\xff\xfe\xfd???>>>"))),
        ("no colon", basic(CANARY.as_bytes())),
        ("a broken escape", basic(b"cAnArY-7f3a91:%zz")),
        ("an escape that is not UTF-8", basic(b"cAnArY-7f3a91:%ff")),
        ("bytes that are not UTF-8", basic(b"\xff:\xff")),
        ("no client id", basic(b":secret")),
        ("nothing on either side", basic(b":")),
        ("a client id with a line break", basic(b"a%0Ab:secret")),
        ("a client id that is too long", basic(&[&[b'a'; 256][..], b":secret"].concat())),
        ("a secret that is too long", basic(&[b"cAnArY-7f3a91:", &[b'a'; 1025][..]].concat())),
        ("another scheme", format!("Digest {CANARY}")),
        ("an unknown scheme", format!("{CANARY} x")),
        ("two in one", format!("{0}, {0}", basic(b"a:b"))),
        ("none", String::new()),
    ];
    for endpoint in endpoints(world) {
        for (name, value) in &values {
            let answer = endpoint.send("POST", &[FORM, ("authorization", value)], &endpoint.fields).await?;
            assert_refused(&answer, 401, "invalid_client", &endpoint.case(name));
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Basic realm="), "{}: {challenge}", endpoint.case(name));
        }
        let twice = [FORM, ("authorization", &*endpoint.basic), ("authorization", &*endpoint.basic)];
        let answer = endpoint.send("POST", &twice, &endpoint.fields).await?;
        assert_refused(&answer, 400, "invalid_request", &endpoint.case("two Authorization headers"));
    }
    world.is_unharmed().await
}

/// Two texts for one credential would be two credentials to whoever remembers or counts them.
#[tokio::test]
async fn good_credentials_in_another_than_the_canonical_base64_are_refused() -> Result<()> {
    let world = shared().await?;
    for endpoint in endpoints(world) {
        let pair = STANDARD.decode(endpoint.basic.trim_start_matches("Basic "))?;
        // Escaping its first characters lengthens the pair, until there is padding of one and of two.
        let escaped = |count: usize| -> Vec<u8> {
            let start: String =
                pair[..count].iter().map(|byte| format!("%{byte:02X}")).fold(String::new(), |a, b| a + &b);
            [start.as_bytes(), &pair[count..]].concat()
        };
        let padded: Vec<String> =
            (0..3).map(|count| STANDARD.encode(escaped(count))).filter(|text| text.ends_with('=')).collect();
        assert_eq!(padded.len(), 2, "{padded:?}");
        for good in padded {
            let send = async |text: &str| {
                endpoint.send("POST", &[FORM, ("authorization", &format!("Basic {text}"))], &endpoint.fields).await
            };
            assert_eq!(send(&good).await?.status, 200, "{}", endpoint.case("canonical"));
            let bare = good.trim_end_matches('=');
            let (body, padding) = (&bare[..bare.len() - 1], &good[bare.len()..]);
            let last = bare.as_bytes()[bare.len() - 1];
            for (name, text) in [
                ("padding left out", bare.to_owned()),
                ("padding too much", format!("{good}=")),
                ("padding twice", format!("{good}{padding}")),
                ("a stray bit", format!("{body}{}{padding}", char::from(last + 1))),
                ("a line break", format!("{}\t{}", &good[..4], &good[4..])),
                ("a comma after it", format!("{good},")),
                ("a parameter after it", format!("{good} charset=UTF-8")),
            ] {
                assert_refused(&send(&text).await?, 401, "invalid_client", &endpoint.case(name));
            }
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn parameters_of_the_wrong_shape_get_their_own_error() -> Result<()> {
    let world = shared().await?;
    let [token, revoke, at_issuer, at_introspector] = endpoints(world);
    let cc = "grant_type=client_credentials&";
    for (body, error) in [
        (format!("{cc}scope=%22{CANARY}%22"), "invalid_scope"),
        (format!("{cc}scope={CANARY}%C3%A9"), "invalid_scope"),
        (format!("{cc}scope={CANARY}%00"), "invalid_scope"),
        (format!("{cc}scope={}", "a".repeat(300)), "invalid_scope"),
        (format!("{cc}scope={CANARY}"), "invalid_scope"),
        (format!("{cc}audience=two+{CANARY}"), "invalid_target"),
        (format!("{cc}audience={CANARY}"), "invalid_target"),
        (format!("{cc}resource={CANARY}"), "invalid_target"),
        (format!("{cc}resource=https://a.example/%23{CANARY}"), "invalid_target"),
        (format!("grant_type={CANARY}"), "unsupported_grant_type"),
        ("grant_type=client_credentials%00".to_owned(), "unsupported_grant_type"),
        ("grant_type=password&username=cAnArY-7f3a91&password=x".to_owned(), "unsupported_grant_type"),
        ("grant_type=&scope=orders:read".to_owned(), "invalid_request"),
    ] {
        assert_refused(&token.form(&body).await?, 400, error, &token.case(&body));
    }
    for endpoint in [&revoke, &at_issuer, &at_introspector] {
        assert_refused(&endpoint.form("token=").await?, 400, "invalid_request", &endpoint.case("an empty token"));
        // Neither a form nor a base64url character, but a token that simply is none.
        for token in ["%00", "%F0%9F%94%91", "..", "...", "a.b.c", "%2e%2e%2f", "+"] {
            assert_eq!(endpoint.form(format!("token={token}")).await?.status, 200, "{}", endpoint.case(token));
        }
    }
    for extra in ["scope=%22", "audience=two+words", "at_least=1", "at_least=x.y", "consistency=some", "at_least=%00"] {
        let answer = at_introspector.form(format!("token=a&{extra}")).await?;
        assert_refused(&answer, 400, "invalid_request", &at_introspector.case(extra));
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_the_answer_says_which_are() -> Result<()> {
    let world = shared().await?;
    for endpoint in endpoints(world) {
        let headers = [FORM, ("authorization", &*endpoint.basic)];
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "TRACE"] {
            let answer = endpoint.send(method, &headers, &endpoint.fields).await?;
            assert_refused(&answer, 405, "invalid_request", &endpoint.case(method));
            assert_eq!(answer.header("allow"), Some("POST"), "{}", endpoint.case(method));
        }
        let head = endpoint.send("HEAD", &headers, "").await?;
        assert_eq!((head.status, head.header("allow"), head.body.as_str()), (405, Some("POST"), ""));
    }
    let issuer = world.pair.ports.issuer_http;
    for path in ["/oauth2/jwks", "/.well-known/oauth-authorization-server"] {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = request(issuer, method, path, &[FORM], "a=1").await?;
            assert_refused(&answer, 405, "invalid_request", path);
            assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method} {path}");
        }
    }
    for ops in [world.pair.ports.issuer_ops, world.pair.ports.introspector_ops] {
        for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
            assert_refused(&request(ops, "POST", path, &[FORM], "a=1").await?, 405, "invalid_request", path);
        }
    }
    world.is_unharmed().await
}

#[tokio::test]
async fn paths_that_are_not_there_are_not_found() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let long = format!("/{}", "a".repeat(4096));
    let listeners = [ports.issuer_http, ports.introspector_http, ports.issuer_ops, ports.introspector_ops];
    for at in listeners {
        for path in [
            "/",
            "/cAnArY-7f3a91",
            "/oauth2",
            "/oauth2/",
            "/oauth2/token/",
            "//oauth2/token",
            "/oauth2/../oauth2/token",
            "/oauth2/%2e%2e/token",
            "/OAUTH2/TOKEN",
            "/oauth2/token%00",
            "/oauth2/par",
            "/oauth2/register",
            "/oauth2/device_authorization",
            "/%ff%fe",
            long.as_str(),
        ] {
            for method in ["GET", "POST"] {
                assert_refused(
                    &request(at, method, path, &[FORM], "a=1").await?,
                    404,
                    "not_found",
                    &format!("{at} {path}"),
                );
            }
        }
    }
    world.is_unharmed().await
}
