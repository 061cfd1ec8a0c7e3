//! One kind of secret never passes for another (Keycloak CVE-2026-4282).

use anyhow::{Context as _, Result};
use tessera_api::admin::v1 as admin;
use tessera_api::admin::v1::user_service_client::UserServiceClient;
use tessera_api::oauth::v1::decide_authorization_request::User;
use tessera_api::oauth::v1::{CreateAuthorizationRequest, GetAuthorizationRequest};
use tessera_api::sync::v1::AuthenticateClientRequest;
use tessera_api::sync::v1::sync_service_client::SyncServiceClient;
use tessera_tests::doors::{BOTH, Grant, Tokens};
use tessera_tests::people::{Account, PASSWORD, People, app, asked, redemption, shared_people};
use tessera_tests::{Client, FORM, as_bearer, channel, form, reason, request};
use tonic::Code;

/// One of each.
struct Kinds {
    client: Client,
    person: Account,
    tokens: Tokens,
    code: String,
    session: String,
    request: String,
}

impl Kinds {
    async fn of(people: &People, name: &str) -> Result<Self> {
        let (client, person) = (app(&people.world, name)?, people.person(name).await?);
        let code = people.code(&client, &person, "").await?;
        let tokens = people.at().issue(BOTH[0], &client, redemption(&code)).await?;
        let code = people.code(&client, &person, "").await?;
        let session = people.sign_in(&person.name, PASSWORD).await?;
        let request = people.request(asked(&client, "")).await?;
        Ok(Self { client, person, tokens, code, session, request })
    }

    fn all(&self) -> Result<[(&'static str, &str); 6]> {
        Ok([
            ("an access token", &self.tokens.access),
            ("a refresh token", self.tokens.refresh()?),
            ("a code", &self.code),
            ("a session", &self.session),
            ("a request", &self.request),
            ("a client's secret", &self.client.secret),
        ])
    }

    /// All but one.
    fn but(&self, right: &str) -> Result<Vec<(&'static str, &str)>> {
        Ok(self.all()?.into_iter().filter(|(what, _)| *what != right).collect())
    }

    /// Each works still, where it belongs.
    async fn all_work(&self, people: &People) -> Result<()> {
        let at = people.at();
        assert!(people.world.everybody_says_active(&self.tokens.access).await?, "the access token");
        people.decide(&self.request, User::SessionToken(self.session.clone())).await.context("request and session")?;
        at.issue(BOTH[0], &self.client, Grant::Refresh(self.tokens.refresh()?)).await?;
        at.issue(BOTH[1], &self.client, redemption(&self.code)).await?;
        assert!(people.world.everybody_says_active(&self.tokens.access).await?, "nothing was revoked by any of it");
        Ok(())
    }
}

#[tokio::test]
async fn the_token_endpoint_takes_no_kind_for_another() -> Result<()> {
    let people = shared_people().await?;
    let (at, kinds) = (people.at(), Kinds::of(people, "kinds-at-token").await?);
    for (what, wrong) in kinds.but("a refresh token")? {
        at.refuses(&kinds.client, Grant::Refresh(wrong), "", "invalid_grant").await.context(what)?;
    }
    for (what, wrong) in kinds.but("a code")? {
        at.refuses(&kinds.client, redemption(wrong), "", "invalid_grant").await.context(what)?;
    }
    for (what, wrong) in kinds.but("a client's secret")? {
        let impostor = Client { secret: wrong.to_owned(), ..kinds.client.clone() };
        at.refuses(&impostor, Grant::ClientCredentials, "", "invalid_client").await.context(what)?;
    }
    // Few enough that the throttle stays out of it.
    let guesses =
        kinds.all()?.into_iter().filter(|(what, _)| matches!(*what, "a session" | "a code" | "a client's secret"));
    for (what, wrong) in guesses {
        at.refuses(&kinds.client, Grant::Password(&kinds.person.name, wrong), "", "invalid_grant")
            .await
            .context(what)?;
    }
    kinds.all_work(people).await
}

#[tokio::test]
async fn revoking_and_introspecting_take_no_kind_for_another() -> Result<()> {
    let people = shared_people().await?;
    let (at, kinds) = (people.at(), Kinds::of(people, "kinds-at-revoke").await?);
    for (what, wrong) in kinds.but("an access token")? {
        assert!(!people.world.everybody_says_active(wrong).await?, "{what}");
    }
    for (what, wrong) in kinds.but("an access token")?.into_iter().filter(|(what, _)| *what != "a refresh token") {
        for (door, hint) in
            BOTH.into_iter().flat_map(|door| ["", "access_token", "refresh_token"].map(|hint| (door, hint)))
        {
            at.revoke(door, &kinds.client, wrong, hint).await.context(what)?;
        }
    }
    kinds.all_work(people).await
}

#[tokio::test]
async fn nothing_but_the_right_access_token_is_a_bearers() -> Result<()> {
    let people = shared_people().await?;
    let ports = people.world.pair.ports;
    let kinds = Kinds::of(people, "kinds-of-bearers").await?;
    let grpc = channel(ports.issuer_grpc).await?;
    let (mut users, mut feed) = (UserServiceClient::new(grpc.clone()), SyncServiceClient::new(grpc));
    for (what, wrong) in kinds.all()? {
        let listed = users.list_users(as_bearer(wrong, admin::ListUsersRequest::default())?).await;
        let followed = feed.authenticate_client(as_bearer(wrong, AuthenticateClientRequest::default())?).await;
        let created = CreateAuthorizationRequest::default();
        let created = people.authorizations().await?.create_authorization(as_bearer(wrong, created)?).await;
        for refused in [listed.map(drop), followed.map(drop), created.map(drop)] {
            let status = refused.err().with_context(|| what.to_owned())?;
            assert_eq!(status.code(), Code::Unauthenticated, "{what}: {status:?}");
        }
        let bearer = format!("Bearer {wrong}");
        for at in [ports.issuer_http, ports.introspector_http] {
            let body = form(&[("token", &kinds.tokens.access)]);
            let answer = request(at, "POST", "/oauth2/introspect", &[FORM, ("authorization", &bearer)], body).await?;
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
        }
    }
    kinds.all_work(people).await
}

#[tokio::test]
async fn deciding_takes_no_kind_for_another() -> Result<()> {
    let people = shared_people().await?;
    let kinds = Kinds::of(people, "kinds-at-decide").await?;
    for (what, wrong) in kinds.but("a request")? {
        let decided = people.decide(wrong, User::SessionToken(kinds.session.clone())).await;
        assert_eq!(decided.map_err(|status| status.code()), Err(Code::NotFound), "{what} as a request");
        let asked = GetAuthorizationRequest { authorization_id: wrong.to_owned(), user_id: String::new() };
        let found = people.authorizations().await?.get_authorization(as_bearer(&people.front, asked)?).await;
        assert_eq!(found.expect_err(what).code(), Code::NotFound, "{what} as a request");
    }
    for (what, wrong) in kinds.but("a session")? {
        let decided = people.decide(&kinds.request, User::SessionToken(wrong.to_owned())).await;
        assert_eq!(decided.map_err(|status| reason(&status)), Err("SIGNED_OUT".to_owned()), "{what} as a session");
    }
    for (what, wrong) in kinds.all()? {
        let decided = people.decide(&kinds.request, User::UserId(wrong.to_owned())).await;
        assert_eq!(decided.map_err(|status| status.code()), Err(Code::InvalidArgument), "{what} as a user");
    }
    kinds.all_work(people).await
}

#[tokio::test]
async fn the_pages_take_no_kind_for_another() -> Result<()> {
    let people = shared_people().await?;
    let (at, kinds) = (people.at(), Kinds::of(people, "kinds-at-pages").await?);
    for (what, wrong) in kinds.but("a session")? {
        let cookie = format!("tessera_session={wrong}");
        let answer = request(at.http, "GET", "/account", &[("cookie", &cookie)], "").await?;
        assert_eq!(answer.status, 303, "{what} as a cookie: {answer:?}");
        assert!(answer.header("location").is_some_and(|to| to.contains("/login")), "{what}: {answer:?}");
    }
    for (what, wrong) in kinds.but("a request")? {
        let answer = request(at.http, "GET", &format!("/consent?request={wrong}"), &[], "").await?;
        assert!((400..500).contains(&answer.status), "{what} as a request: {answer:?}");
        assert!(!answer.body.contains(wrong), "{what} is on the page");
    }
    let cookie = format!("tessera_session={}", kinds.session);
    let answer = request(at.http, "GET", "/account", &[("cookie", &cookie)], "").await?;
    assert_eq!(answer.status, 200, "a session is one: {answer:?}");
    kinds.all_work(people).await
}
