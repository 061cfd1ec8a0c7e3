//! The endpoints that take forms, and the documents.

use std::net::SocketAddr;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use tessera_tests::refusal::{CANARY, assert_refused};
use tessera_tests::shared::shared;
use tessera_tests::{Answer, FORM, World, form, request};

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
            let answer = endpoint.send("POST", &json, &large).await?;
            assert_refused(&answer, 400, "invalid_request", &endpoint.case("1 MiB of another type"));
            let answer = endpoint.send("PUT", &json, &large).await?;
            assert_refused(&answer, 405, "invalid_request", &endpoint.case("1 MiB by another method"));
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
        ("padding left out", format!("Basic {}", STANDARD_NO_PAD.encode("ab:c"))),
        ("padding too much", format!("{}=", basic(b"abc:de"))),
        // `ab` is YWI= alone; YWJ= has a stray bit at its end, and decodes to the same for a lenient reader.
        ("stray bits at the end", "Basic YTpiYWJ=".to_owned()),
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
