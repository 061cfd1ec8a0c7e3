//! Guessing (item 6), and what a proxy's headers cannot change about it (item 41).

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{Answer, Client, FORM, create_client, form, post, request};
use tonic::Code;

/// More failures than are forgiven.
const TOO_MANY: usize = 40;

/// Where enough is enough already: on a busy machine one guess may have been forgiven meanwhile.
const AT_ONCE: usize = 4;

/// Guesses until somebody has had enough; what was said then. Each guess claims to come from elsewhere.
async fn guess(at: SocketAddr, path: &str, id: &str) -> Result<Answer> {
    guess_within(at, path, id, TOO_MANY).await
}

async fn guess_within(at: SocketAddr, path: &str, id: &str, guesses: usize) -> Result<Answer> {
    for attempt in 0..guesses {
        let wrong = Client { id: id.to_owned(), secret: format!("guess {attempt}") };
        let from = format!("192.0.2.{attempt}");
        let forwarded = format!("for={from}");
        let headers = [
            FORM,
            ("authorization", &wrong.basic()),
            ("x-forwarded-for", &from),
            ("x-real-ip", &from),
            ("forwarded", &forwarded),
        ];
        let body = form(&[("grant_type", "client_credentials"), ("token", "garbage")]);
        let answer = request(at, "POST", path, &headers, body).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
    }
    anyhow::bail!("{guesses} guesses and nobody minds")
}

fn assert_throttled(answer: &Answer, case: &str) -> Result<()> {
    assert_refused(answer, 429, "temporarily_unavailable", case);
    let wait: u64 = answer.header("retry-after").context("no Retry-After")?.parse()?;
    assert!((1..=60).contains(&wait), "{wait} s");
    Ok(())
}

/// Item 6: failures are throttled, for clients there are and clients there are not; and whoever has the generated secret is let
/// in nevertheless, or failing in a client's name would lock it out.
#[tokio::test]
async fn failures_are_throttled_and_lock_nobody_out() -> Result<()> {
    let world = shared().await?;
    let issuer = world.pair.ports.issuer_http;
    let victim = create_client(&world.pair, "victim", &["--grant", "client_credentials"])?;
    let known = guess(issuer, "/oauth2/token", "victim").await?;
    let unknown = guess(issuer, "/oauth2/token", "nobody-at-all").await?;
    assert_throttled(&known, "a client there is")?;
    assert_throttled(&unknown, "a client there is not")?;
    assert_eq!(known.body, unknown.body);
    for path in ["/oauth2/revoke", "/oauth2/introspect"] {
        let answer = guess_within(issuer, path, "victim", AT_ONCE).await?;
        assert_throttled(&answer, "there is one count for all endpoints")?;
    }
    let fields = [("grant_type", "client_credentials")];
    let right = post(issuer, "/oauth2/token", Some(&victim), &fields).await?;
    assert_eq!(right.status, 200, "the client itself: {right:?}");
    let other = post(issuer, "/oauth2/token", Some(&world.service), &fields).await?;
    assert_eq!(other.status, 200, "another client: {other:?}");
    Ok(())
}

/// Item 6, at the introspector: its callers' failures count at the issuer, which it asks.
#[tokio::test]
async fn guessing_at_the_introspector_is_throttled_and_locks_nobody_out() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let victim = create_client(&world.pair, "victim-resource", &["--resource", "orders-api"])?;
    let throttled = guess(ports.introspector_http, "/oauth2/introspect", "victim-resource").await?;
    assert_throttled(&throttled, "guessing at the introspector")?;
    let wrong = Client { secret: "another guess".to_owned(), ..victim.clone() };
    let status = tessera_tests::check(ports.introspector_grpc, &wrong, "garbage").await.expect_err("throttled");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(world.ask(&victim, &world.token().await?).await?.active()?, "the resource server itself");
    Ok(())
}
