//! Administration of clients.

use rstest::rstest;
use tessera_ledger::event::Subject;
use tessera_types::{ClientType, ErrorCode, Failure as _};

use super::{Backend, TestIssuer, draft, presented, secret};
use crate::client_auth::authenticate;
use crate::operations::clients::{self, AdminError, Draft, DraftError, Patch};
use crate::operations::scopes;

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_leaves_nothing_behind(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    issuer.client("first", None).await;
    let before = issuer.head().await;
    let same_name = Draft { rest: Patch { name: Some("first".to_owned()), ..draft("second").rest }, ..draft("second") };
    let error = clients::create(cx, same_name, None).await.err().expect("the name is taken");
    assert_eq!((error.code(), error.reason()), (ErrorCode::AlreadyExists, "NAME_TAKEN"));
    let same_id = Draft { rest: Patch { name: Some("other".to_owned()), ..draft("first").rest }, ..draft("first") };
    let error = clients::create(cx, same_id, None).await.err().expect("the id is taken");
    assert_eq!((error.code(), error.reason()), (ErrorCode::AlreadyExists, "ID_TAKEN"));
    assert!(matches!(clients::find(cx, &"second".parse().expect("an id")).await, Err(AdminError::ClientNotFound)));
    assert_eq!(issuer.head().await, before, "nothing was written to the log");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn only_taking_something_away_raises_the_watermark(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    let id = issuer.client("c", None).await.client.id;
    let watermark = || cx.replica.state().expect("loaded").watermark(&Subject::Client(id.clone()));
    let describe = Patch { description: Some("new".to_owned()), ..Patch::default() };
    clients::update(cx, &id, None, describe).await.expect("changed");
    let widen = Patch {
        audiences: Some(vec!["x".parse().expect("ok"), "demo-resource".parse().expect("ok")]),
        ..Patch::default()
    };
    clients::update(cx, &id, None, widen).await.expect("changed");
    assert_eq!(watermark(), 0);
    let narrow = Patch { scopes: Some("a".parse().expect("scopes")), ..Patch::default() };
    let changed = clients::update(cx, &id, None, narrow).await.expect("changed");
    let first = watermark();
    assert!(first > 0 && first <= changed.revision.number);
    clients::set_enabled(cx, &id, true).await.expect("as it was");
    assert_eq!(watermark(), first);
    clients::set_enabled(cx, &id, false).await.expect("disabled");
    assert!(watermark() > first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_somebody_else_changed_is_refused() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let client = issuer.client("c", None).await.client;
    let patch = || Patch { description: Some("mine".to_owned()), ..Patch::default() };
    clients::update(cx, &client.id, Some(client.version), patch()).await.expect("changed");
    let error = clients::update(cx, &client.id, Some(client.version), patch()).await.err().expect("changed meanwhile");
    assert!(matches!(error, AdminError::Conflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_must_make_sense() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    issuer.client("c", None).await;
    let with = |change: fn(&mut Patch)| {
        let mut draft = draft("d");
        change(&mut draft.rest);
        draft
    };
    for (draft, why) in [
        (with(|p| p.name = Some("x".repeat(256))), DraftError::Name),
        (with(|p| p.name = Some("a\nb".to_owned())), DraftError::Name),
        (with(|p| p.description = Some("x".repeat(21_845))), DraftError::Description),
        (with(|p| p.grants = Some(Vec::new())), DraftError::NoGrant),
        (with(|p| p.scopes = Some("unknown".parse().expect("ok"))), DraftError::DefaultScope),
        (with(|p| p.access_ttl = Some(Some(std::time::Duration::from_secs(86_401)))), DraftError::Lifetime),
        (Draft { kind: ClientType::Public, ..draft("d") }, DraftError::PublicClientCredentials),
    ] {
        let error = clients::create(cx, draft, None).await.err().expect("refused");
        assert!(matches!(error, AdminError::Draft(reason) if reason == why), "{error:?}");
    }
    let unregistered = with(|p| {
        p.scopes = Some("unknown".parse().expect("ok"));
        p.default_scopes = None;
    });
    let error = clients::create(cx, unregistered, None).await.err().expect("refused");
    assert!(matches!(error, AdminError::Draft(DraftError::UnknownScope)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_in_use_cannot_be_deleted_and_a_reserved_one_never() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let id = issuer.client("c", None).await.client.id;
    let scope = "b".parse().expect("a scope");
    assert!(matches!(scopes::delete(cx, &scope).await, Err(AdminError::ScopeInUse)));
    clients::delete(cx, &id).await.expect("deleted");
    scopes::delete(cx, &scope).await.expect("deleted");
    for name in ["introspect", "tessera.admin"] {
        assert!(matches!(scopes::delete(cx, &name.parse().expect("ok")).await, Err(AdminError::ScopeReserved)));
    }
    let made_up = scopes::create(cx, "tessera.new".parse().expect("ok"), std::collections::BTreeMap::new()).await;
    assert!(matches!(made_up, Err(AdminError::ScopeReserved)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_clients_secret_is_not_its_successors() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let created = issuer.client("c", Some("imported")).await;
    clients::delete(cx, &created.client.id).await.expect("deleted");
    issuer.client("c", None).await;
    assert!(authenticate(cx, &presented("c", Some(secret("imported")))).await.is_err());
}
