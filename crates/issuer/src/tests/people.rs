//! What the tests of users' grants share: a user, clients that act for them, and requests.

use tessera_store::User;
use tessera_types::{CodeVerifier, GrantType, RequestToken, ScopeSet};

use super::{TestIssuer, draft, presented, secret};
use crate::client_auth::PresentedClient;
use crate::grants::{self, GrantRequest, Terms, TokenError, TokenRequest};
use crate::minting::Minted;
use crate::operations::authorization::{self, Asked, Decider};
use crate::operations::clients::{self, Draft, Patch};
use crate::operations::users::{self, NewPassword, UserDraft};

pub(super) const PASSWORD: &str = "correct horse";
pub(super) const REDIRECT: &str = "https://app.example/cb";
/// RFC 7636 Appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// An issuer with the user `ada` and a client that may act for her.
pub(super) struct People {
    pub(super) issuer: TestIssuer,
    pub(super) ada: User,
    pub(super) app: PresentedClient,
}

impl People {
    pub(super) async fn of(issuer: TestIssuer) -> Self {
        let app = issuer.client("scopes", None).await;
        drop(app);
        let app = user_client(&issuer, "app").await;
        let ada = user(&issuer, "ada").await;
        Self { issuer, ada, app }
    }

    pub(super) async fn run(&self, grant: GrantRequest) -> Result<Minted, TokenError> {
        self.run_as(&self.app, grant).await
    }

    pub(super) async fn run_as(&self, app: &PresentedClient, grant: GrantRequest) -> Result<Minted, TokenError> {
        let request = TokenRequest { client: app.clone(), grant, scopes: ScopeSet::empty(), audience: None };
        grants::issue(self.issuer.cx(), request).await
    }

    pub(super) async fn by_password(&self) -> Minted {
        self.run(password("ada", PASSWORD)).await.expect("issued")
    }

    pub(super) async fn refresh(&self, token: &str) -> Result<Minted, TokenError> {
        self.run(GrantRequest::refresh_token(Some(token.to_owned())).expect("given")).await
    }

    pub(super) async fn refresh_under(&self, before: &Minted, terms: &Terms) -> Result<Minted, TokenError> {
        let grant = GrantRequest::refresh_token(Some(refresh_of(before))).expect("given");
        let request = TokenRequest { client: self.app.clone(), grant, scopes: ScopeSet::empty(), audience: None };
        grants::issue_under(self.issuer.cx(), request, terms).await
    }

    /// A code that Ada has decided on, on the word of a front end.
    pub(super) async fn code(&self) -> String {
        let request = self.ask(&asked()).await;
        let decider = Decider::User(self.ada.id);
        let answer = authorization::decide(self.issuer.cx(), &request, &decider, true).await.expect("decided");
        code_in(&answer)
    }

    pub(super) async fn ask(&self, asked: &Asked) -> RequestToken {
        authorization::create(self.issuer.cx(), asked).await.expect("in order").0
    }

    pub(super) async fn redeem(&self, code: &str) -> Result<Minted, TokenError> {
        self.run(redemption(code)).await
    }
}

/// A confidential client that may act for users.
pub(super) async fn user_client(issuer: &TestIssuer, id: &str) -> PresentedClient {
    let grants = vec![GrantType::Password, GrantType::AuthorizationCode, GrantType::RefreshToken];
    let rest = Patch {
        grants: Some(grants),
        redirect_uris: Some(vec![REDIRECT.parse().expect("a redirect URI")]),
        ..draft(id).rest
    };
    let created = clients::create(issuer.cx(), Draft { rest, ..draft(id) }, None).await.expect("created");
    presented(id, created.secret)
}

pub(super) async fn user(issuer: &TestIssuer, name: &str) -> User {
    let draft = UserDraft {
        username: name.parse().expect("a username"),
        name: String::new(),
        email: Some(format!("{name}@example.test").parse().expect("an address")),
        password: Some(NewPassword::Plain(secret(PASSWORD))),
    };
    users::create(issuer.cx(), draft).await.expect("created")
}

pub(super) fn password(who: &str, password: &str) -> GrantRequest {
    GrantRequest::password(Some(who.to_owned()), Some(password.to_owned()), None).expect("given")
}

pub(super) fn redemption(code: &str) -> GrantRequest {
    let given = |text: &str| Some(text.to_owned());
    GrantRequest::authorization_code(given(code), given(REDIRECT), given(VERIFIER)).expect("given")
}

/// An authorization request that is in order.
pub(super) fn asked() -> Asked {
    let verifier: CodeVerifier = VERIFIER.parse().expect("a verifier");
    Asked {
        response_type: Some("code".to_owned()),
        client_id: Some("app".to_owned()),
        redirect_uri: Some(REDIRECT.to_owned()),
        state: Some("xyz".to_owned()),
        challenge: Some(verifier.challenge().to_string()),
        challenge_method: Some("S256".to_owned()),
        ..Asked::default()
    }
}

/// The code in an answer's query.
pub(super) fn code_in(answer: &str) -> String {
    let (_, after) = answer.split_once("code=").expect("a code");
    after.split('&').next().unwrap_or_default().to_owned()
}

pub(super) fn refresh_of(minted: &Minted) -> String {
    minted.refresh_token.as_ref().expect("a refresh token").to_string()
}
