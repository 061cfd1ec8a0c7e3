//! How clients prove who they are (items 1 to 6).

use std::net::SocketAddr;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest, RevokeTokenRequest};
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{
    Answer, Client, FORM, World, as_client, channel, check, create_client, form, post, reason, request,
};
use tonic::{Code, Status};

/// The fields of a form.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// An endpoint that clients authenticate at, who may, and what else a good request says.
struct Door<'a> {
    at: SocketAddr,
    path: &'static str,
    client: &'a Client,
    field: (&'static str, &'static str),
}

fn doors(world: &World) -> [Door<'_>; 4] {
    let ports = world.pair.ports;
    let token = ("token", "garbage");
    [
        Door {
            at: ports.issuer_http,
            path: "/oauth2/token",
            client: &world.service,
            field: ("grant_type", "client_credentials"),
        },
        Door { at: ports.issuer_http, path: "/oauth2/revoke", client: &world.service, field: token },
        Door { at: ports.issuer_http, path: "/oauth2/introspect", client: &world.resource, field: token },
        Door { at: ports.introspector_http, path: "/oauth2/introspect", client: &world.resource, field: token },
    ]
}

impl Door<'_> {
    async fn ask(&self, authorization: Option<&str>, fields: Fields<'_>) -> Result<Answer> {
        let mut headers = vec![FORM];
        headers.extend(authorization.map(|value| ("authorization", value)));
        request(self.at, "POST", self.path, &headers, form(&[&[self.field], fields].concat())).await
    }
}

fn issue(id: &str, secret: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        client_id: id.to_owned(),
        client_secret: secret.to_owned(),
        grant: Some(Grant::ClientCredentials(ClientCredentialsGrant {})),
        ..IssueTokenRequest::default()
    }
}

/// Item 1: two mechanisms in one request, both right, are refused: one might be checked and the other used.
#[tokio::test]
async fn two_client_authentications_in_one_request_are_refused() -> Result<()> {
    let world = shared().await?;
    let admin = format!("Bearer {}", world.admin_token().await?);
    for door in doors(world) {
        let Client { id, secret } = door.client;
        let basic = door.client.basic();
        let assertion = [
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", "a.b.c"),
        ];
        let is_issuer = door.at == world.pair.ports.issuer_http;
        let cases: &[(&str, Option<&str>, Fields<'_>)] = &[
            ("header and secret", Some(&basic), &[("client_secret", secret)]),
            ("header and both", Some(&basic), &[("client_id", id), ("client_secret", secret)]),
            ("header and another client", Some(&basic), &[("client_id", "somebody")]),
            ("header and another client's secret", Some(&basic), &[("client_id", "somebody"), ("client_secret", "x")]),
            ("token and secret", Some(&admin), &[("client_id", id), ("client_secret", secret)]),
        ];
        for (name, authorization, fields) in cases {
            let answer = door.ask(*authorization, fields).await?;
            assert_refused(&answer, 400, "invalid_request", &format!("{} {}: {name}", door.at, door.path));
        }
        // The introspector knows no assertions: they are unknown parameters there.
        if is_issuer {
            let answer = door.ask(Some(&basic), &assertion).await?;
            assert_refused(&answer, 400, "invalid_request", "header and assertion");
            let answer =
                door.ask(None, &[&assertion[..], &[("client_id", id), ("client_secret", secret)]].concat()).await?;
            assert_refused(&answer, 400, "invalid_request", "secret and assertion");
        }
        let repeated = door.ask(Some(&basic), &[("client_id", id)]).await?;
        assert_eq!(repeated.status, 200, "the same identifier again is no second authentication: {repeated:?}");
    }
    let mut service = TokenServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let Client { id, secret } = &world.service;
    for (id, secret) in [(id.as_str(), secret.as_str()), (id, ""), ("", secret)] {
        let status = service.issue_token(as_client(&world.service, issue(id, secret))?).await.expect_err("two");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "TWO_CLIENT_AUTHENTICATIONS"));
        let revoke = RevokeTokenRequest {
            client_id: id.to_owned(),
            client_secret: secret.to_owned(),
            token: "garbage".to_owned(),
            token_type_hint: String::new(),
        };
        let status = service.revoke_token(as_client(&world.service, revoke)?).await.expect_err("two");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    Ok(())
}

/// Item 2: strict base64, split at the first colon, both halves form-decoded (RFC 6749 section 2.3.1).
#[tokio::test]
async fn ids_and_secrets_of_any_characters_authenticate_everywhere() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    for (index, (id, secret)) in [
        ("a:b%c+d\u{e9}", "p:%+\u{e9} \"\\ \u{1f511}"),
        ("%41", "%2B+%20"),
        ("colon:", ":::"),
        ("tsk_looks-like-a-secret", "tsk_looks-like-ours-and-is-not-but-long-enough-for-it-00"),
        ("\u{6f22}\u{5b57}", "+"),
    ]
    .into_iter()
    .enumerate()
    {
        let file = world.pair.folder().join(format!("imported-{index}"));
        std::fs::write(&file, secret)?;
        let arguments =
            ["--grant", "client_credentials", "--audience", "orders-api", "--resource", "orders-api", "--secret-file"];
        create_client(&world.pair, id, &[&arguments[..], &[&file.display().to_string()]].concat())?;
        let client = Client { id: id.to_owned(), secret: secret.to_owned() };
        let grant = ("grant_type", "client_credentials");
        let by_header = post(ports.issuer_http, "/oauth2/token", Some(&client), &[grant]).await?;
        assert_eq!(by_header.status, 200, "{id}: {by_header:?}");
        let fields = [grant, ("client_id", id), ("client_secret", secret)];
        let by_form = post(ports.issuer_http, "/oauth2/token", None, &fields).await?;
        assert_eq!(by_form.status, 200, "{id}: {by_form:?}");
        let token = by_form.json()?["access_token"].as_str().unwrap_or_default().to_owned();
        assert!(world.ask(&client, &token).await?.active()?, "{id} at both introspections");
        let mut service = TokenServiceClient::new(channel(ports.issuer_grpc).await?);
        service.issue_token(as_client(&client, issue("", ""))?).await?;
        service.issue_token(issue(id, secret)).await?;
        // What a client sends that forgets to form-encode is another secret, or none.
        let raw = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let answer =
            request(ports.issuer_http, "POST", "/oauth2/token", &[FORM, ("authorization", &raw)], form(&[grant]))
                .await?;
        let harmless = form(&[(id, secret)]) == format!("{id}={secret}");
        assert_eq!(answer.status == 200, harmless, "{id}: {answer:?}");
    }
    Ok(())
}

/// Item 2: the first colon splits: a secret may have them, as many clients send it, without escaping.
#[tokio::test]
async fn the_first_colon_of_the_pair_splits_it() -> Result<()> {
    let world = shared().await?;
    let file = world.pair.folder().join("with-colons");
    std::fs::write(&file, "p:q:r")?;
    create_client(
        &world.pair,
        "with-colons",
        &["--grant", "client_credentials", "--secret-file", &file.display().to_string()],
    )?;
    for (pair, status) in [("with-colons:p:q:r", 200), ("with-colons:p%3Aq%3Ar", 200), ("with-colons%3Ap:q:r", 401)] {
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let headers = [FORM, ("authorization", &*basic)];
        let body = form(&[("grant_type", "client_credentials")]);
        let answer = request(world.pair.ports.issuer_http, "POST", "/oauth2/token", &headers, body).await?;
        assert_eq!(answer.status, status, "{pair}: {answer:?}");
    }
    Ok(())
}

/// Item 3: credentials in the URI are never accepted, and never logged.
#[tokio::test]
async fn credentials_in_the_uri_are_never_accepted_nor_logged() -> Result<()> {
    let world = shared().await?;
    for door in doors(world) {
        let secret = &door.client.secret;
        let queries = [
            form(&[("client_id", &door.client.id), ("client_secret", secret)]),
            form(&[("client_id", &door.client.id), ("CLIENT_SECRET", secret)]),
            format!("client_id={}&client%5Fsecret={secret}", door.client.id),
            format!("client_id={}&password={secret}&username=x", door.client.id),
        ];
        for query in queries {
            let path = format!("{}?{query}", door.path);
            let answer = request(door.at, "POST", &path, &[FORM], form(&[door.field])).await?;
            assert!(matches!(answer.status, 400 | 401), "{path}: {answer:?}");
            let split =
                request(door.at, "POST", &path, &[FORM], form(&[door.field, ("client_id", &door.client.id)])).await?;
            assert!(
                matches!(split.status, 400 | 401),
                "the identifier in the body, the secret in the query: {split:?}"
            );
            let user = format!("http://{}:{secret}@{}{}", door.client.id, door.at, door.path);
            let answer = request(door.at, "POST", &user, &[FORM], form(&[door.field])).await?;
            assert!(matches!(answer.status, 400 | 401 | 404), "user information in the URI: {answer:?}");
        }
        for service in [&world.pair.issuer, &world.pair.introspector] {
            assert!(!service.said()?.contains(secret), "a secret was logged");
        }
    }
    Ok(())
}

/// Item 4: failed authentication is 401 `invalid_client`, with a challenge of the scheme that was used (RFC 6749 section 5.2).
#[tokio::test]
async fn failed_authentication_is_401_with_a_matching_challenge() -> Result<()> {
    let world = shared().await?;
    for door in doors(world) {
        let wrong = Client { id: "failing".to_owned(), secret: "wrong".to_owned() };
        let answer = door.ask(Some(&wrong.basic()), &[]).await?;
        assert_refused(&answer, 401, "invalid_client", door.path);
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"tessera\", charset=\"UTF-8\""));
        let lowercase = wrong.basic().replacen("Basic", "bAsIc", 1);
        let answer = door.ask(Some(&lowercase), &[]).await?;
        assert_refused(&answer, 401, "invalid_client", door.path);
        assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic ")));
        for fields in [&[][..], &[("client_id", "failing")], &[("client_id", "failing"), ("client_secret", "wrong")]] {
            assert_refused(&door.ask(None, fields).await?, 401, "invalid_client", door.path);
        }
    }
    Ok(())
}

/// Item 5: a confidential client never passes as a public one, and an empty secret never authenticates.
#[tokio::test]
async fn a_client_that_has_a_secret_must_show_it() -> Result<()> {
    let world = shared().await?;
    for door in doors(world) {
        let id = door.client.id.as_str();
        let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
        let cases: &[(&str, Option<String>, Fields<'_>)] = &[
            ("its name alone", None, &[("client_id", id)]),
            ("an empty secret", None, &[("client_id", id), ("client_secret", "")]),
            ("an empty secret in the header", Some(basic(format!("{id}:"))), &[]),
            ("an escaped nothing", Some(basic(format!("{id}:%00"))), &[]),
            ("a space", None, &[("client_id", id), ("client_secret", " ")]),
        ];
        for (name, authorization, fields) in cases {
            let answer = door.ask(authorization.as_deref(), fields).await?;
            assert_refused(&answer, 401, "invalid_client", &format!("{}: {name}", door.path));
        }
    }
    let shape = ["--public", "--grant", "authorization_code", "--redirect-uri", "http://127.0.0.1/callback"];
    let public = create_client(&world.pair, "public", &shape)?;
    assert_eq!(public.secret, "", "a public client has none");
    let issuer = world.pair.ports.issuer_http;
    for secret in ["x", "dev-secret"] {
        let fields = [("token", "garbage"), ("client_id", "public"), ("client_secret", secret)];
        let answer = post(issuer, "/oauth2/revoke", None, &fields).await?;
        assert_refused(&answer, 401, "invalid_client", "a public client with a secret");
    }
    let answer = post(issuer, "/oauth2/revoke", None, &[("token", "garbage"), ("client_id", "public")]).await?;
    assert_eq!(answer.status, 200, "a public client as itself: {answer:?}");
    let mut service = TokenServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let status = service.issue_token(issue(&world.service.id, "")).await.expect_err("no secret");
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    Ok(())
}

/// What a caller can see of an HTTP answer, but for the time.
fn seen(answer: &Answer) -> (u16, String, String) {
    let same = |line: &&str| !["date:", "x-request-id:"].iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    let head = answer.head.lines().filter(same);
    (answer.status, head.collect::<Vec<_>>().join("\n"), answer.body.clone())
}

/// What a caller can see of a status.
fn shown(status: &Status) -> (Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

/// Item 6: an unknown client, a wrong secret, another client's secret and a disabled client are answered alike in every byte.
/// That they take as long follows from the shape of the presented secret alone picking the work; clocks decide no test.
#[tokio::test]
async fn an_unknown_client_and_a_wrong_secret_cannot_be_told_apart() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let arguments = ["--grant", "client_credentials", "--resource", "orders-api"];
    let known = create_client(&world.pair, "known", &arguments)?;
    let disabled = create_client(&world.pair, "known-disabled", &arguments)?;
    world.pair.tessera_json(&["client", "disable", "known-disabled", "--yes"])?;
    let with = |id: &str, secret: &str| Client { id: id.to_owned(), secret: secret.to_owned() };
    let attempts = [
        with("unknown", "guess"),
        with("known", "guess"),
        with("unknown", &known.secret),
        with("known", &disabled.secret),
        with("known-disabled", "guess"),
        disabled,
        with("not-a-client:\u{e9}", "guess"),
    ];
    for door in doors(world) {
        let (mut headers, mut forms) = (Vec::new(), Vec::new());
        for client in &attempts {
            headers.push(seen(&door.ask(Some(&client.basic()), &[]).await?));
            let fields = [("client_id", &*client.id), ("client_secret", &*client.secret)];
            forms.push(seen(&door.ask(None, &fields).await?));
        }
        for answers in [headers, forms] {
            assert_eq!(answers[0].0, 401);
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{} {}: {answers:#?}", door.at, door.path);
        }
    }
    let mut service = TokenServiceClient::new(channel(ports.issuer_grpc).await?);
    let (mut issuer, mut introspector) = (Vec::new(), Vec::new());
    for client in &attempts {
        issuer.push(shown(&service.issue_token(as_client(client, issue("", ""))?).await.expect_err("refused")));
        issuer.push(shown(&service.issue_token(issue(&client.id, &client.secret)).await.expect_err("refused")));
        introspector.push(shown(&check(ports.introspector_grpc, client, "garbage").await.expect_err("refused")));
    }
    for statuses in [issuer, introspector] {
        assert_eq!(statuses[0].0, Code::Unauthenticated);
        assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:#?}");
    }
    Ok(())
}
