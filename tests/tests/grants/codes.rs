//! Redeeming codes: what must match, and what a second redemption does.

use anyhow::{Context as _, Result};
use rstest::rstest;
use tessera_api::oauth::v1::CreateAuthorizationRequest;
use tessera_api::oauth::v1::create_authorization_response::Outcome;
use tessera_api::oauth::v1::decide_authorization_request::User;
use tessera_testkit::pair::Backend;
use tessera_tests::doors::{BOTH, Grant};
use tessera_tests::people::{
    CHALLENGE, People, REDIRECT, VERIFIER, app, asked, code_in, people, redemption, shared_people,
};
use tessera_tests::{Client, as_bearer, create_client, form_encode, request};

/// A verifier like any, of nothing.
const OTHER: &str = "0123456789-0123456789_0123456789.0123456789~";

/// Item 23: a second redemption with everything right revokes what came of the first, also what was refreshed since.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_code_revokes_everything_that_came_of_it(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, "").await? else { return Ok(()) };
    let (at, app) = (people.at(), &people.app);
    let other = people.by_code().await?;
    for door in BOTH {
        let code = people.code(app, &people.ada, "").await?;
        let first = at.issue(door, app, redemption(&code)).await?;
        let second = at.issue(door, app, Grant::Refresh(first.refresh()?)).await?;
        assert!(people.world.everybody_says_active(&second.access).await?);
        let refusal = at.ask(door, app, redemption(&code), "").await?.expect_err("used");
        assert_eq!(refusal.error, "invalid_grant");
        assert!(refusal.reason.is_none_or(|reason| reason == "CODE_REPLAYED"));
        for tokens in [&first, &second] {
            assert!(!people.world.check(&tokens.access).await?.active, "{door:?}: in the next call");
            assert!(!people.world.everybody_says_active(&tokens.access).await?, "{door:?}");
            at.refuses(app, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
        }
    }
    assert!(people.world.everybody_says_active(&other.access).await?, "another grant");
    Ok(())
}

/// Items 23 and 24: whoever gets anything wrong is refused, before and after the redemption, and neither consumes the code nor
/// revokes what came of it: anybody may have seen a code.
#[tokio::test]
async fn a_wrong_redemption_is_refused_consumes_nothing_and_revokes_nothing() -> Result<()> {
    let people = shared_people().await?;
    let (at, right, stranger) = (people.at(), &people.app, app(&people.world, "code-stranger")?);
    let impostor = Client { secret: stranger.secret.clone(), ..right.clone() };
    let nameless = Client { secret: String::new(), ..right.clone() };
    let code = people.code(right, &people.ada, "").await?;
    let wrong = [
        (right, REDIRECT, OTHER, "invalid_grant"),
        (right, REDIRECT, "", "invalid_grant"),
        (right, REDIRECT, "short", "invalid_grant"),
        (right, REDIRECT, CHALLENGE, "invalid_grant"),
        (right, "https://app.example/cb2", VERIFIER, "invalid_grant"),
        (right, "https://app.example/CB", VERIFIER, "invalid_grant"),
        (right, "https://app.example/cb/", VERIFIER, "invalid_grant"),
        (right, "", VERIFIER, "invalid_grant"),
        (&stranger, REDIRECT, VERIFIER, "invalid_grant"),
        (&impostor, REDIRECT, VERIFIER, "invalid_client"),
        (&nameless, REDIRECT, VERIFIER, "invalid_client"),
    ];
    let try_all = async || -> Result<()> {
        for (client, redirect, verifier, error) in wrong {
            at.refuses(client, Grant::Code { code: &code, redirect, verifier }, "", error).await?;
        }
        Ok(())
    };
    try_all().await.context("before")?;
    let tokens = at.issue(BOTH[0], right, redemption(&code)).await?;
    try_all().await.context("after")?;
    assert!(people.world.everybody_says_active(&tokens.access).await?);
    let second = at.issue(BOTH[1], right, Grant::Refresh(tokens.refresh()?)).await?;
    assert!(people.world.everybody_says_active(&second.access).await?);
    Ok(())
}

/// Asks at both doors of the authorization endpoint; where the browser would be sent.
async fn answers(people: &People, asked: &CreateAuthorizationRequest) -> Result<[String; 2]> {
    let fields = [
        ("response_type", &asked.response_type),
        ("client_id", &asked.client_id),
        ("redirect_uri", &asked.redirect_uri),
        ("state", &asked.state),
        ("code_challenge", &asked.code_challenge),
        ("code_challenge_method", &asked.code_challenge_method),
    ];
    let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", form_encode(value))).collect();
    let path = format!("/oauth2/authorize?{}", query.join("&"));
    let answer = request(people.at().http, "GET", &path, &[], "").await?;
    assert_eq!(answer.status, 303, "{answer:?}");
    let by_http = answer.header("location").context("a location")?.to_owned();
    let response =
        people.authorizations().await?.create_authorization(as_bearer(&people.front, asked.clone())?).await?;
    let by_grpc = match response.into_inner().outcome.context("an outcome")? {
        Outcome::Authorization(authorization) => format!("/consent?request={}", authorization.authorization_id),
        Outcome::ErrorRedirectUri(redirect) => redirect,
    };
    Ok([by_http, by_grpc])
}

/// Item 25, the first half: what a challenge must be, for whom.
#[tokio::test]
async fn only_s256_challenges_are_taken_and_public_clients_must_send_one() -> Result<()> {
    let people = shared_people().await?;
    let shape = ["--grant", "authorization_code", "--audience", "orders-api", "--redirect-uri", REDIRECT];
    let confidential = create_client(&people.world.pair, "with-a-secret", &shape)?;
    let public = create_client(&people.world.pair, "without-a-secret", &[&shape[..], &["--public"]].concat())?;
    for (challenge, method, for_confidential, for_public) in [
        (CHALLENGE, "S256", true, true),
        ("", "", true, false),
        ("", "S256", false, false),
        (CHALLENGE, "", false, false),
        (CHALLENGE, "plain", false, false),
        (CHALLENGE, "s256", false, false),
        (VERIFIER, "plain", false, false),
        (&CHALLENGE[1..], "S256", false, false),
        ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "S256", false, false),
        ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "S256", false, false),
    ] {
        for (client, fine) in [(&confidential, for_confidential), (&public, for_public)] {
            let asked = CreateAuthorizationRequest {
                code_challenge: challenge.to_owned(),
                code_challenge_method: method.to_owned(),
                ..asked(client, "")
            };
            for answer in answers(people, &asked).await? {
                let case = format!("{challenge:?} {method:?} of {}: {answer}", client.id);
                if fine {
                    assert!(answer.contains("/consent?request="), "{case}");
                } else {
                    assert!(answer.starts_with(REDIRECT) && answer.contains("error=invalid_request"), "{case}");
                    assert!(answer.contains("state=xyz") && answer.contains("iss="), "{case}");
                }
            }
        }
    }
    Ok(())
}

/// Item 25, the second half: the verifier of the challenge and no other, well-formed; and none where there was no challenge.
#[tokio::test]
async fn a_verifier_must_be_well_formed_and_the_challenges_own() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    let longest = format!("{VERIFIER}{}", "~".repeat(128 - VERIFIER.len()));
    let with = people.code(app, &people.ada, "").await?;
    let unproven = CreateAuthorizationRequest {
        code_challenge: String::new(),
        code_challenge_method: String::new(),
        ..asked(app, "")
    };
    let id = people.request(unproven).await?;
    let without = code_in(&people.decide(&id, User::UserId(people.ada.id.clone())).await?)?;
    let too_long = format!("{longest}~");
    for verifier in [&VERIFIER[..42], &longest, &too_long, "dBjftJeZ4CVP+mB92K27uhbUJU1p1r_wW1gFWFOEjXk", OTHER] {
        for code in [&with, &without] {
            let grant = Grant::Code { code, redirect: REDIRECT, verifier };
            at.refuses(app, grant, "", "invalid_grant").await.with_context(|| verifier.to_owned())?;
        }
    }
    // RFC 9700 section 4.8.2: the right verifier of another request is a downgrade all the same.
    at.refuses(app, redemption(&without), "", "invalid_grant").await?;
    at.refuses(app, Grant::Code { code: &with, redirect: REDIRECT, verifier: "" }, "", "invalid_grant").await?;
    at.issue(BOTH[0], app, redemption(&with)).await?;
    at.issue(BOTH[1], app, Grant::Code { code: &without, redirect: REDIRECT, verifier: "" }).await?;
    Ok(())
}
