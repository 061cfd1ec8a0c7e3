//! Logins and failed logins, and clients that do not authenticate.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_api::admin::v1::{AuditOutcome, AuditRecord};
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::cast;
use tessera_tests::doors::{Door, Grant};
use tessera_tests::people::{PASSWORD, people};
use tessera_tests::person::Person;
use tessera_tests::refusal::CANARY;
use tessera_tests::{Client, FORM, form, post, request, world, world_with};

use super::{Auditor, id};

fn told(record: &AuditRecord) -> (&str, &str, &str, &str) {
    let actor = record.actor.as_ref().map_or("", |actor| &actor.kind);
    (actor, id(record.target.as_ref()), &record.reason, &record.address)
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_login_and_a_failed_login_are_recorded_and_what_was_typed_is_not(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, "").await? else { return Ok(()) };
    let mut auditor = Auditor::of(&people.world).await?;
    let (ada, end) = (&people.ada, auditor.end().await?);
    let sign_in = async |username: &str, password: &str| {
        people.at().ask(Door::Http, &people.app, Grant::Password(username, password), "orders:read").await
    };
    sign_in(&ada.name, PASSWORD).await?.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    people.sign_in(&ada.email, PASSWORD).await?;
    let logins = auditor.told(end, "user.login", 2).await?;
    assert_eq!((logins.len(), told(&logins[0])), (2, ("user", &*ada.id, "", "127.0.0.1")));
    assert_eq!(
        (logins[0].details["method"].as_str(), logins[1].details["method"].as_str()),
        ("password_grant", "session")
    );

    ensure!(sign_in(&ada.name, "wrong").await?.is_err());
    // A password where the name belongs.
    ensure!(sign_in(CANARY, "x").await?.is_err());
    let failed = auditor.told(end, "user.login", 4).await?.split_off(2);
    assert_eq!(told(&failed[0]), ("unknown", &*ada.id, "WRONG_PASSWORD", "127.0.0.1"));
    assert_eq!(told(&failed[1]), ("unknown", "", "UNKNOWN_USER", "127.0.0.1"));
    ensure!(failed.iter().all(|record| record.outcome() == AuditOutcome::Refused), "{failed:?}");
    ensure!(!format!("{:?}", auditor.after(0).await?).contains(CANARY), "what was typed is kept");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_in_their_browser_is_recorded_as_theirs() -> Result<()> {
    let world = &world(Backend::Sqlite).await?.context("SQLite is always there")?;
    let mut auditor = Auditor::of(world).await?;
    cast::user(world, "grace")?;
    cast::application(world, "browsed")?;
    let end = auditor.end().await?;
    let mut grace = Person::new(world.pair.ports.issuer_http);
    grace.authorize(&cast::ask("browsed", &[]), "grace", cast::PASSWORD, true).await?;
    grace.open("/account").await?;
    grace.submit("/account/apps/remove", &[]).await?;
    grace.open("/account").await?;
    grace.logout().await?;
    let records = auditor.after(end).await?;
    let actions: Vec<&str> = records.iter().map(|record| record.action.as_str()).collect();
    assert_eq!(actions, ["user.login", "authorization.allow", "consent.withdraw", "session.end"]);
    let who = id(records[0].actor.as_ref());
    ensure!(who.starts_with("usr_"), "{records:?}");
    ensure!(records.iter().all(|record| id(record.actor.as_ref()) == who), "{records:?}");
    ensure!(records.iter().all(|record| record.address == "127.0.0.1"), "{records:?}");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_authenticate_are_recorded_and_many_of_them_are_one_record(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let mut auditor = Auditor::of(&world).await?;
    let end = auditor.end().await?;
    let (grant, http) = ([("grant_type", "client_credentials")], world.pair.ports.issuer_http);
    let wrong = Client { id: "service".to_owned(), secret: format!("wrong {CANARY}") };
    // A secret where the identifier belongs.
    let swapped = Client { id: world.service.secret.clone(), secret: "service".to_owned() };
    for _ in 0..5 {
        post(http, "/oauth2/token", Some(&wrong), &grant).await?;
    }
    post(http, "/oauth2/token", Some(&swapped), &grant).await?;
    let failed = auditor.told(end, "client.authenticate", 2).await?;
    assert_eq!(failed.len(), 2, "what repeats the first waits to be one record: {failed:?}");
    assert_eq!(told(&failed[0]), ("unknown", "service", "WRONG_SECRET", "127.0.0.1"));
    assert_eq!(told(&failed[1]), ("unknown", "", "UNKNOWN_CLIENT", "127.0.0.1"));
    // A stop writes it.
    world.pair.issuer.terminate().await?;
    world.pair.issuer.restart().await?;
    let mut auditor = Auditor::of(&world).await?;
    let all = auditor.told(end, "client.authenticate", 3).await?;
    assert_eq!(all.iter().map(|record| record.count).collect::<Vec<_>>(), [1, 1, 4]);
    let told = format!("{:?}", auditor.after(0).await?);
    ensure!(!told.contains(CANARY) && !told.contains(&world.service.secret), "what was sent is kept");
    Ok(())
}

/// Nothing is written for a token of client credentials, so nothing is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_client_is_no_record_and_a_spent_refresh_token_is() -> Result<()> {
    let people = people(Backend::Sqlite, "refresh_reuse_grace = \"0s\"").await?.context("SQLite is always there")?;
    let mut auditor = Auditor::of(&people.world).await?;
    let end = auditor.end().await?;
    people.world.token().await?;
    assert_eq!(auditor.after(end).await?, []);
    let first = people.by_password().await?.refresh.context("a refresh token")?;
    let refresh = async |token: &str| people.at().ask(Door::Http, &people.app, Grant::Refresh(token), "").await;
    ensure!(refresh(&first).await?.is_ok(), "the first time");
    ensure!(refresh(&first).await?.is_err(), "the second time");
    let misused = auditor.told(end, "grant.misuse", 1).await?;
    let record = &misused[0];
    assert_eq!((id(record.actor.as_ref()), record.reason.as_str()), ("app", "REFRESH_TOKEN_REUSED"));
    assert_eq!((&record.details["user"], record.address.as_str()), (&people.ada.id, "127.0.0.1"));
    ensure!(!record.revision.is_empty(), "{record:?}");
    Ok(())
}

/// Forwarded addresses are recorded of a proxy of ours, and of nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_somebody_claims_is_not_recorded() -> Result<()> {
    for (proxies, expected) in [("", "127.0.0.1"), ("[proxy]\ntrusted_cidrs = [\"127.0.0.1\"]", "192.0.2.7")] {
        let options = Options { issuer: proxies.to_owned(), ..Options::default() };
        let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
        let mut auditor = Auditor::of(&world).await?;
        let end = auditor.end().await?;
        let token = world.token().await?;
        let basic = world.service.basic();
        let headers = [FORM, ("authorization", &*basic), ("x-forwarded-for", "192.0.2.7")];
        let http = world.pair.ports.issuer_http;
        let answer = request(http, "POST", "/oauth2/revoke", &headers, form(&[("token", &token)])).await?;
        assert_eq!(answer.status, 200);
        let records = auditor.after(end).await?;
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].address.as_str(), id(records[0].actor.as_ref())), (expected, "service"));
    }
    Ok(())
}
