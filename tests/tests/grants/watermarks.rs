//! What was got before something was taken away gives nothing after it (items 22, 27 and 34).

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_api::admin::v1 as admin;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::oauth::v1::decide_authorization_request::User;
use tessera_testkit::pair::Backend;
use tessera_tests::doors::{BOTH, Grant, Tokens};
use tessera_tests::people::{Account, PASSWORD, People, app, asked, code_in, people, redemption};
use tessera_tests::{Client, as_bearer, channel, eventually, reason};
use tonic::Code;
use tonic::transport::Channel;

/// Everything that one can have.
struct Belongings {
    tokens: Tokens,
    code: String,
    session: String,
}

impl Belongings {
    async fn of(people: &People, client: &Client, person: &Account) -> Result<Self> {
        let session = people.sign_in(&person.name, PASSWORD).await?;
        let mut codes = Vec::new();
        for _ in 0..2 {
            let request = people.request(asked(client, "")).await?;
            codes.push(code_in(&people.decide(&request, User::SessionToken(session.clone())).await?)?);
        }
        let code = codes.pop().context("two")?;
        let tokens = people.at().issue(BOTH[1], client, redemption(&codes[0])).await?;
        ensure!(people.world.everybody_says_active(&tokens.access).await?);
        Ok(Self { tokens, code, session })
    }

    /// Tokens and code are dead, for good.
    async fn are_dead(&self, people: &People, client: &Client) -> Result<()> {
        ensure!(!people.world.everybody_says_active(&self.tokens.access).await?, "the access token");
        let at = people.at();
        at.refuses(client, Grant::Refresh(self.tokens.refresh()?), "", "invalid_grant").await?;
        at.refuses(client, redemption(&self.code), "", "invalid_grant").await?;
        Ok(())
    }

    /// Whether the session is good for anything.
    async fn is_signed_in(&self, people: &People, client: &Client) -> Result<bool> {
        let request = people.request(asked(client, "orders:read")).await?;
        match people.decide(&request, User::SessionToken(self.session.clone())).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::FailedPrecondition => {
                ensure!(reason(&status) == "SIGNED_OUT", "{status:?}");
                Ok(false)
            }
            Err(status) => Err(status.into()),
        }
    }
}

async fn clients(people: &People) -> Result<ClientServiceClient<Channel>> {
    Ok(ClientServiceClient::new(channel(people.at().grpc).await?))
}

async fn enable_client(people: &People, client: &Client, enabled: bool) -> Result<()> {
    let (client_id, mut clients) = (client.id.clone(), clients(people).await?);
    if enabled {
        clients.enable_client(as_bearer(&people.admin, admin::EnableClientRequest { client_id })?).await?;
    } else {
        clients.disable_client(as_bearer(&people.admin, admin::DisableClientRequest { client_id })?).await?;
    }
    Ok(())
}

/// What takes something away.
#[derive(Clone, Copy, Debug)]
enum Deed {
    PasswordChanged,
    UserDisabledAndEnabled,
    UserTokensRevoked,
    ClientNarrowed,
    ClientTokensRevoked,
    ClientDisabledAndEnabled,
}

const DEEDS: [Deed; 6] = [
    Deed::PasswordChanged,
    Deed::UserDisabledAndEnabled,
    Deed::UserTokensRevoked,
    Deed::ClientNarrowed,
    Deed::ClientTokensRevoked,
    Deed::ClientDisabledAndEnabled,
];

impl Deed {
    /// Whether it is the person's, whose sessions end with it. A session is no client's.
    const fn concerns_the_person(self) -> bool {
        matches!(self, Self::PasswordChanged | Self::UserDisabledAndEnabled | Self::UserTokensRevoked)
    }

    async fn happens(self, people: &People, client: &Client, person: &Account) -> Result<()> {
        match self {
            // To the same one: it is the change that counts.
            Self::PasswordChanged => people.set_password(person, PASSWORD).await,
            Self::UserDisabledAndEnabled => {
                people.enable(person, false).await?;
                people.enable(person, true).await
            }
            Self::UserTokensRevoked => people.revoke_tokens(person).await,
            Self::ClientNarrowed => {
                let narrowed = admin::Client {
                    client_id: client.id.clone(),
                    scopes: vec!["orders:read".to_owned()],
                    default_scopes: vec!["orders:read".to_owned()],
                    ..admin::Client::default()
                };
                let update_mask =
                    Some(prost_types::FieldMask { paths: ["scopes", "default_scopes"].map(str::to_owned).into() });
                let request = admin::UpdateClientRequest { client: Some(narrowed), update_mask };
                clients(people).await?.update_client(as_bearer(&people.admin, request)?).await?;
                Ok(())
            }
            Self::ClientTokensRevoked => {
                let request = admin::RevokeClientTokensRequest { client_id: client.id.clone() };
                clients(people).await?.revoke_client_tokens(as_bearer(&people.admin, request)?).await?;
                Ok(())
            }
            Self::ClientDisabledAndEnabled => {
                enable_client(people, client, false).await?;
                enable_client(people, client, true).await
            }
        }
    }
}

/// Item 22, Keycloak CVE-2026-8922: no not-before is forgotten, for nothing that one can have.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_got_before_gives_anything_after(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, "").await? else { return Ok(()) };
    let bystander = Belongings::of(&people, &people.app, &people.ada).await?;
    for (number, deed) in DEEDS.into_iter().enumerate() {
        let person = people.person(&format!("person-{number}")).await?;
        let client = app(&people.world, &format!("app-{number}"))?;
        let before = Belongings::of(&people, &client, &person).await?;
        deed.happens(&people, &client, &person).await?;
        before.are_dead(&people, &client).await.with_context(|| format!("{deed:?}"))?;
        let signed_in = before.is_signed_in(&people, &client).await?;
        assert_eq!(signed_in, !deed.concerns_the_person(), "{deed:?}: the session");
        // What is got afterwards is good.
        let after = people.at().issue(BOTH[0], &client, Grant::Password(&person.email, PASSWORD)).await?;
        assert!(people.world.everybody_says_active(&after.access).await?, "{deed:?}");
        people.at().issue(BOTH[1], &client, Grant::Refresh(after.refresh()?)).await?;
        before.are_dead(&people, &client).await.with_context(|| format!("{deed:?}, later"))?;
    }
    assert!(people.world.everybody_says_active(&bystander.tokens.access).await?, "nobody else is concerned");
    assert!(bystander.is_signed_in(&people, &people.app).await?);
    people.at().issue(BOTH[0], &people.app, redemption(&bystander.code)).await?;
    Ok(())
}

/// Keycloak CVE-2026-1609: a disabled client is refused at every grant, and a disabled user at every grant of theirs; what they had
/// is dead at once, and enabling them again revives none of it.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_is_refused_at_every_grant(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, "").await? else { return Ok(()) };
    let at = people.at();
    for of_client in [true, false] {
        let name = if of_client { "of-disabled-client" } else { "disabled-user" };
        let (person, client) = (people.person(name).await?, app(&people.world, name)?);
        let before = Belongings::of(&people, &client, &person).await?;
        let machine = at.issue(BOTH[0], &client, Grant::ClientCredentials).await?;
        let error = if of_client {
            enable_client(&people, &client, false).await?;
            "invalid_client"
        } else {
            people.enable(&person, false).await?;
            "invalid_grant"
        };
        assert!(!people.world.check(&before.tokens.access).await?.active, "{error}: in the next call");
        let refresh = Grant::Refresh(before.tokens.refresh()?);
        for grant in [refresh, redemption(&before.code), Grant::Password(&person.name, PASSWORD)] {
            at.refuses(&client, grant, "", error).await?;
        }
        if of_client {
            at.refuses(&client, Grant::ClientCredentials, "", error).await?;
            let request = people.request(asked(&client, "")).await;
            assert!(request.is_err(), "nor may it ask anybody");
        } else {
            at.issue(BOTH[0], &client, Grant::ClientCredentials).await?;
            assert!(!before.is_signed_in(&people, &client).await?, "the session");
            let refused = people.sign_in(&person.email, PASSWORD).await.expect_err("disabled");
            assert_eq!(reason(&refused), "USER_CREDENTIALS_INCORRECT", "not told apart");
            let request = people.request(asked(&client, "")).await?;
            let decided = people.decide(&request, User::UserId(person.id.clone())).await;
            assert_eq!(
                decided.map_err(|status| reason(&status)),
                Err("SIGNED_OUT".to_owned()),
                "nor on a front end's word"
            );
        }
        assert_eq!(people.world.everybody_says_active(&machine.access).await?, !of_client, "its own token");

        if of_client {
            enable_client(&people, &client, true).await?;
        } else {
            people.enable(&person, true).await?;
        }
        before.are_dead(&people, &client).await.context("enabled again")?;
        let after = eventually("the client is known again", async || {
            Ok(at.ask(BOTH[1], &client, Grant::Password(&person.name, PASSWORD), "").await?.ok())
        });
        assert!(people.world.everybody_says_active(&after.await?.access).await?);
    }
    Ok(())
}
