//! Owners and the applications of their own: what they may, and what they may not.

use std::time::Duration;

use rstest::rstest;
use tessera_ledger::ReplicaId;
use tessera_ledger::event::{Event, Subject};
use tessera_store::{Client, ClientFilter, HolderRecord, Organization};
use tessera_types::{ClientId, ClientType, Clock as _, GrantType, PresentedSecret};

use super::{A_DAY, Backend, TestIssuer, draft, people, presented, secret, token_request};
use crate::client_auth::authenticate;
use crate::grants;
use crate::operations::clients::owned::{self, OwnDraft, OwnKind, OwnPatch};
use crate::operations::clients::{self, AdminError, Created, Draft, DraftError, OwnerError, Patch, Rotated};
use crate::operations::sessions::{self, Live};
use crate::operations::{organizations, users};
use crate::user_auth::PresentedUser;

/// An issuer with an organization, its member Ada, and Bob, who is a member of nothing.
struct Owners {
    issuer: TestIssuer,
    acme: Organization,
    ada: Live,
    bob: Live,
}

impl Owners {
    async fn start(backend: Backend) -> Option<Self> {
        let issuer = TestIssuer::start(backend).await?;
        issuer.client("scopes", None).await;
        let acme = organizations::create(issuer.cx(), "Acme".to_owned(), false).await.expect("created");
        for name in ["ada", "bob"] {
            people::user(&issuer, name).await;
        }
        let (ada, bob) = (signed_in(&issuer, "ada").await, signed_in(&issuer, "bob").await);
        organizations::add_member(issuer.cx(), acme.id, ada.user.id).await.expect("added");
        Some(Self { issuer, acme, ada, bob })
    }

    fn draft(&self, name: &str) -> OwnDraft {
        let rest = OwnPatch { name: name.to_owned(), scopes: "a".parse().expect("scopes"), ..OwnPatch::default() };
        OwnDraft { organization: self.acme.id, kind: OwnKind::Service, enabled: true, rest }
    }

    async fn make(&self, name: &str) -> Created {
        owned::create(self.issuer.cx(), &self.ada, self.draft(name)).await.expect("created")
    }

    /// Whether an application authenticates with a secret.
    async fn works(&self, id: &ClientId, secret: &PresentedSecret) -> bool {
        authenticate(self.issuer.cx(), &presented(id.as_str(), Some(secret.clone()))).await.is_ok()
    }

    /// An application of Ada's that an administrator made.
    async fn given(&self, id: &str, change: impl FnOnce(&mut Patch)) -> Client {
        let mut rest =
            Patch { organization: Some(Some(self.acme.id)), owner: Some(Some(self.ada.user.id)), ..draft(id).rest };
        change(&mut rest);
        clients::create(self.issuer.cx(), Draft { rest, ..draft(id) }, None).await.expect("created").client
    }

    fn patch_of(client: &Client) -> OwnPatch {
        OwnPatch {
            name: client.name.clone(),
            scopes: client.scopes.clone(),
            redirect_uris: client.redirect_uris.clone(),
            ..OwnPatch::default()
        }
    }

    /// Whatever somebody may try with an application, in turn; the last deletes it.
    async fn try_all(&self, by: &Live, id: &ClientId) -> Vec<AdminError> {
        let cx = self.issuer.cx();
        let client = clients::find(cx, id).await.expect("is there");
        let update = owned::update(cx, by, id, client.version, Self::patch_of(&client)).await.err();
        let newest = clients::list_secrets(cx, id).await.expect("listed").first().map(|secret| secret.id);
        let renewed = owned::rotate_secret(cx, by, id, newest, false).await.err();
        let disabled = owned::set_enabled(cx, by, id, false).await.err();
        let enabled = owned::set_enabled(cx, by, id, true).await.err();
        let deleted = owned::delete(cx, by, id).await.err();
        [update, renewed, disabled, enabled, deleted].into_iter().flatten().collect()
    }
}

async fn signed_in(issuer: &TestIssuer, name: &str) -> Live {
    let typed =
        PresentedUser { identifier: name.to_owned(), password: secret(people::PASSWORD), from: None, relayed: false };
    let begun = sessions::login(issuer.cx(), &typed, "a browser").await.expect("signed in");
    Live { session: begun.session, user: begun.user }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_makes_sees_changes_switches_renews_and_deletes_their_own(#[case] backend: Backend) {
    let Some(owners) = Owners::start(backend).await else { return };
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    let Created { client, secret, .. } = owners.make("billing").await;
    assert_eq!((client.owner, client.organization, client.enabled), (Some(ada.user.id), Some(owners.acme.id), true));
    assert_eq!((client.kind, &*client.grants), (ClientType::Confidential, &[GrantType::ClientCredentials][..]));
    assert_eq!(client.audiences, std::slice::from_ref(&cx.policy.default_audience));
    assert!(client.default_scopes.is_empty() && client.implicit_scopes.is_empty() && client.resources.is_empty());
    let secret = secret.expect("generated");
    grants::issue(cx, token_request(client.id.as_str(), &secret)).await.expect("issued");
    let all = owned::list(cx, ada.user.id, ClientFilter::default(), None, 10).await.expect("listed");
    assert_eq!(all.iter().map(|client| &client.id).collect::<Vec<_>>(), [&client.id]);

    let patch = OwnPatch { name: "invoices".to_owned(), ..Owners::patch_of(&client) };
    let changed = owned::update(cx, ada, &client.id, client.version, patch.clone()).await.expect("changed").client;
    assert_eq!(changed.name, "invoices");
    let stale = owned::update(cx, ada, &client.id, client.version, patch).await.err();
    assert!(matches!(stale, Some(AdminError::Conflict)), "{stale:?}");

    let newest = clients::list_secrets(cx, &client.id).await.expect("listed").first().map(|secret| secret.id);
    owned::rotate_secret(cx, ada, &client.id, newest, true).await.expect("renewed");
    let twice = owned::rotate_secret(cx, ada, &client.id, newest, true).await.err();
    assert!(matches!(twice, Some(AdminError::Conflict)), "a form sent twice makes one secret: {twice:?}");
    assert!(authenticate(cx, &presented(client.id.as_str(), Some(secret))).await.is_err(), "ended at once");

    assert!(!owned::set_enabled(cx, ada, &client.id, false).await.expect("disabled").client.enabled);
    assert!(owned::set_enabled(cx, ada, &client.id, true).await.expect("enabled").client.enabled);
    owned::delete(cx, ada, &client.id).await.expect("deleted");
    assert!(owned::list(cx, ada.user.id, ClientFilter::default(), None, 10).await.expect("listed").is_empty());
}

/// Sends the form for a new secret, as the page shows it now.
async fn renew(owners: &Owners, id: &ClientId) -> Rotated {
    let newest = clients::list_secrets(owners.issuer.cx(), id).await.expect("listed").first().map(|secret| secret.id);
    owned::rotate_secret(owners.issuer.cx(), &owners.ada, id, newest, false).await.expect("renewed")
}

/// The form is sent twice, the browser shows the second answer, and its owner tries again: the secret in use goes on.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_keeps_the_secret_in_use_and_ends_one_that_nobody_has_kept(#[case] backend: Backend) {
    let Some(owners) = Owners::start(backend).await else { return };
    let Created { client, secret, .. } = owners.make("doubled").await;
    let (cx, id, first) = (owners.issuer.cx(), client.id, secret.expect("generated"));
    assert!(owners.works(&id, &first).await);
    let form = clients::list_secrets(cx, &id).await.expect("listed").first().map(|secret| secret.id);
    let lost = owned::rotate_secret(cx, &owners.ada, &id, form, false).await.expect("renewed");
    let until = owners.issuer.clock.now().plus(A_DAY);
    assert_eq!(lost.before_until, Some(until));
    let again = owned::rotate_secret(cx, &owners.ada, &id, form, false).await.err();
    assert!(matches!(again, Some(AdminError::Conflict)), "{again:?}");
    owners.issuer.advance(Duration::from_secs(3600)).await;
    let kept = renew(&owners, &id).await;
    assert_eq!(kept.before_until, Some(until), "it ends when it was to end");
    assert!(owners.works(&id, &first).await && owners.works(&id, &kept.secret).await);
    assert!(!owners.works(&id, &lost.secret).await, "never three");
}

/// Also where the process that saw the secrets in use is gone.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_ends_the_secret_that_the_application_has_given_up(
    #[case] backend: Backend,
    #[values(false, true)] restarted: bool,
) {
    let Some(mut owners) = Owners::start(backend).await else { return };
    let Created { client, secret, .. } = owners.make("moved-on").await;
    let (id, first) = (client.id, secret.expect("generated"));
    assert!(owners.works(&id, &first).await);
    let second = renew(&owners, &id).await.secret;
    owners.issuer.advance(Duration::from_secs(60)).await;
    assert!(owners.works(&id, &second).await, "given to the application");
    if restarted {
        owners.issuer = owners.issuer.restart().await;
    }
    let third = renew(&owners, &id).await.secret;
    assert!(owners.works(&id, &second).await && owners.works(&id, &third).await);
    assert!(!owners.works(&id, &first).await);

    // Where nobody has used any, the one that was there first stays.
    let Created { client, secret, .. } = owners.make("unused").await;
    let lost = renew(&owners, &client.id).await.secret;
    renew(&owners, &client.id).await;
    assert!(owners.works(&client.id, &secret.expect("generated")).await);
    assert!(!owners.works(&client.id, &lost).await);
}

/// Whoever is told of a conflict must not take it for a confirmation of what came before.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_told_once_everybody_knows_what_it_was_with() {
    let Some(mut owners) = Owners::start(Backend::Sqlite).await else { return };
    owners.issuer.config.sync.confirm_within = Duration::from_secs(1);
    owners.issuer = owners.issuer.restart().await;
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    let id = owners.make("watched").await.client.id;
    let form = clients::list_secrets(cx, &id).await.expect("listed").first().map(|secret| secret.id);
    let record = HolderRecord {
        replica: ReplicaId([1; 16]),
        name: "here".to_owned(),
        max_staleness: Duration::from_secs(3600),
        joined: owners.issuer.clock.now(),
    };
    let holder = cx.publication.join(&record).await.expect("joined");
    let sent = async || {
        let (cx, ada, id) = (cx.clone(), ada.clone(), id.clone());
        let sent = tokio::spawn(async move { owned::rotate_secret(&cx, &ada, &id, form, false).await });
        while !sent.is_finished() {
            owners.issuer.clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
        sent.await.expect("no panic")
    };
    assert!(!sent().await.expect("renewed").confirmed);
    let unconfirmed = sent().await.err();
    assert!(matches!(unconfirmed, Some(AdminError::Unconfirmed(_))), "{unconfirmed:?}");
    holder.ack(owners.issuer.head().await);
    let conflict = sent().await.err();
    assert!(matches!(conflict, Some(AdminError::Conflict)), "{conflict:?}");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_application_is_told_as_one_that_is_not_there(#[case] backend: Backend) {
    let Some(owners) = Owners::start(backend).await else { return };
    let cx = owners.issuer.cx();
    organizations::add_member(cx, owners.acme.id, owners.bob.user.id).await.expect("added");
    let theirs = owners.make("theirs").await.client.id;
    let nobodys = owners.issuer.client("nobodys", None).await.client.id;
    for id in [&theirs, &nobodys] {
        let found = owned::find(cx, owners.bob.user.id, id).await.err();
        assert!(matches!(found, Some(AdminError::ClientNotFound)), "{found:?}");
        let errors = owners.try_all(&owners.bob, id).await;
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert!(errors.iter().all(|error| matches!(error, AdminError::ClientNotFound)), "{errors:?}");
    }
    assert!(owned::list(cx, owners.bob.user.id, ClientFilter::default(), None, 10).await.expect("listed").is_empty());
    // Not even by a filter that names the other.
    let filter = ClientFilter { owner: Some(owners.ada.user.id), ..ClientFilter::default() };
    assert!(owned::list(cx, owners.bob.user.id, filter, None, 10).await.expect("listed").is_empty());
}

/// The word itself holds within the transaction, whoever read what before.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_changed_hands_obeys_its_new_owner_alone() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let cx = owners.issuer.cx();
    organizations::add_member(cx, owners.acme.id, owners.bob.user.id).await.expect("added");
    let client = owners.make("moving").await.client;
    let moved = Patch { owner: Some(Some(owners.bob.user.id)), ..Patch::default() };
    clients::update(cx, &client.id, None, moved).await.expect("moved");
    let errors = owners.try_all(&owners.ada, &client.id).await;
    assert!(errors.len() == 5 && errors.iter().all(|e| matches!(e, AdminError::ClientNotFound)), "{errors:?}");
    assert!(owners.try_all(&owners.bob, &client.id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_acts_in_enabled_organizations_of_theirs_or_in_all_where_one_is_global() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let (cx, bob) = (owners.issuer.cx(), &owners.bob);
    let names = async || -> Vec<String> {
        owned::organizations(cx, bob.user.id).await.expect("listed").into_iter().map(|found| found.name).collect()
    };
    let refused = async || match owned::create(cx, bob, owners.draft("x")).await.err() {
        Some(AdminError::Owner(error)) => Some(error),
        other => panic!("{other:?}"),
    };
    assert!(names().await.is_empty());
    assert_eq!(refused().await, Some(OwnerError::NotOfOrganization));
    let group = organizations::create(cx, "Group".to_owned(), true).await.expect("created");
    organizations::add_member(cx, group.id, bob.user.id).await.expect("added");
    assert_eq!(names().await, ["Acme", "Group"]);
    let made = owned::create(cx, bob, owners.draft("x")).await.expect("by the global one").client;
    organizations::set_enabled(cx, owners.acme.id, false).await.expect("disabled");
    assert_eq!(names().await, ["Group"]);
    assert_eq!(refused().await, Some(OwnerError::NotOfOrganization), "it is disabled");
    organizations::set_enabled(cx, owners.acme.id, true).await.expect("enabled");

    // Who left may still take away, and no more.
    organizations::remove_member(cx, group.id, bob.user.id).await.expect("removed");
    let errors = owners.try_all(&owners.bob, &made.id).await;
    assert_eq!(errors.len(), 3, "changing, renewing and enabling: {errors:?}");
    for error in &errors {
        assert!(matches!(error, AdminError::Owner(OwnerError::NotOfOrganization)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_gives_the_scopes_that_the_operator_lists_and_keeps_what_was_given() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    for scopes in ["b", "a b", "tessera.admin", "introspect"] {
        let mut draft = owners.draft("greedy");
        draft.rest.scopes = scopes.parse().expect("scopes");
        let error = owned::create(cx, ada, draft).await.err();
        assert!(matches!(error, Some(AdminError::Owner(OwnerError::Scope))), "{scopes}: {error:?}");
    }
    // An administrator gave it both, and `a` where it asks for none.
    let given = owners.given("given", |_| ()).await;
    let with = |scopes: &str, client: &Client| OwnPatch {
        scopes: scopes.parse().expect("scopes"),
        ..Owners::patch_of(client)
    };
    let fewer = owned::update(cx, ada, &given.id, given.version, with("b", &given)).await.expect("kept").client;
    assert_eq!((fewer.scopes.to_string().as_str(), fewer.default_scopes.is_empty()), ("b", true));
    let both = owned::update(cx, ada, &given.id, fewer.version, with("a b", &fewer)).await.expect("listed").client;
    let one = owned::update(cx, ada, &given.id, both.version, with("a", &both)).await.expect("fewer").client;
    let back = owned::update(cx, ada, &given.id, one.version, with("a b", &one)).await.err();
    assert!(matches!(back, Some(AdminError::Owner(OwnerError::Scope))), "given up is given up: {back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_never_reaches_a_client_that_administers() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let cx = owners.issuer.cx();
    let admin = |patch: &mut Patch| {
        patch.scopes = Some("a tessera.admin".parse().expect("scopes"));
        patch.audiences = Some(vec![cx.policy.issuer_audience.clone()]);
    };
    let client = owners.given("robot-admin", admin).await;
    let errors = owners.try_all(&owners.ada, &client.id).await;
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert!(errors.iter().all(|e| matches!(e, AdminError::Owner(OwnerError::Administered))), "{errors:?}");
}

/// It introspects by its secret alone: no scope says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_never_reaches_a_resource_server() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let resources = vec!["orders-api".parse().expect("an audience")];
    let client = owners.given("orders", |patch| patch.resources = Some(resources)).await;
    let errors = owners.try_all(&owners.ada, &client.id).await;
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert!(errors.iter().all(|e| matches!(e, AdminError::Owner(OwnerError::Administered))), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_enables_what_they_disabled_and_nothing_that_an_administrator_did() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    let id = owners.make("switched").await.client.id;
    let refused = async || {
        let error = owned::set_enabled(cx, ada, &id, true).await.err();
        assert!(matches!(error, Some(AdminError::Owner(OwnerError::DisabledByAdministrator))), "{error:?}");
    };
    clients::set_enabled(cx, &id, false).await.expect("disabled");
    refused().await;
    // Disabling it themself does not make it theirs to enable.
    owned::set_enabled(cx, ada, &id, false).await.expect("as it is");
    refused().await;
    clients::set_enabled(cx, &id, true).await.expect("enabled");
    owned::set_enabled(cx, ada, &id, false).await.expect("disabled");
    owned::set_enabled(cx, ada, &id, true).await.expect("enabled");
    owned::set_enabled(cx, ada, &id, false).await.expect("disabled");
    clients::set_enabled(cx, &id, false).await.expect("an administrator takes over");
    refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_owner_makes_disabled_they_may_enable() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    let later = OwnDraft { enabled: false, ..owners.draft("later") };
    let Created { client, secret, .. } = owned::create(cx, ada, later).await.expect("created");
    let secret = secret.expect("generated");
    assert!(!client.enabled && grants::issue(cx, token_request(client.id.as_str(), &secret)).await.is_err());
    owned::set_enabled(cx, ada, &client.id, true).await.expect("enabled");
    grants::issue(cx, token_request(client.id.as_str(), &secret)).await.expect("issued");
    // What an administrator made disabled is an administrator's to enable.
    let rest = Patch { owner: Some(Some(ada.user.id)), organization: Some(Some(owners.acme.id)), ..draft("kept").rest };
    let given = Draft { enabled: false, rest, ..draft("kept") };
    let given = clients::create(cx, given, None).await.expect("created").client;
    let refused = owned::set_enabled(cx, ada, &given.id, true).await.err();
    assert!(matches!(refused, Some(AdminError::Owner(OwnerError::DisabledByAdministrator))), "{refused:?}");
}

/// An administrator disables what is to be looked at: its owner does not take it away.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_deletes_nothing_that_an_administrator_has_disabled() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    let id = owners.make("evidence").await.client.id;
    clients::set_enabled(cx, &id, false).await.expect("disabled");
    for _ in 0..2 {
        let error = owned::delete(cx, ada, &id).await.err();
        assert!(matches!(error, Some(AdminError::Owner(OwnerError::DisabledByAdministrator))), "{error:?}");
        // Disabling it themself does not make it theirs to delete.
        owned::set_enabled(cx, ada, &id, false).await.expect("as it is");
    }
    clients::set_enabled(cx, &id, true).await.expect("enabled");
    owned::set_enabled(cx, ada, &id, false).await.expect("disabled");
    owned::delete(cx, ada, &id).await.expect("deleted");
}

/// The session was looked at before the operation, which waits for its turn at the database: it is looked at again.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_meanwhile_does_nothing(#[case] backend: Backend) {
    let Some(owners) = Owners::start(backend).await else { return };
    let cx = owners.issuer.cx();
    let id = owners.make("kept").await.client.id;
    let refused = async |by: &Live| {
        let made = owned::create(cx, by, owners.draft("more")).await.err();
        assert!(matches!(made, Some(AdminError::UserNotFound)), "{made:?}");
        let errors = owners.try_all(by, &id).await;
        assert!(errors.len() == 5 && errors.iter().all(|e| matches!(e, AdminError::UserNotFound)), "{errors:?}");
    };
    // Signed out.
    assert!(sessions::end_one(cx, &owners.ada.user, owners.ada.session.id).await.expect("ended"));
    refused(&owners.ada).await;
    // Overtaken by a watermark, its row still there.
    let again = signed_in(&owners.issuer, "ada").await;
    let mut tx = cx.store.begin().await.expect("begun");
    tx.record(Event::WatermarkRaised(Subject::Everything));
    let raised = cx.publication.commit(tx).await.expect("committed").position.revision();
    cx.publication.applied(raised, Duration::from_secs(30)).await.expect("applied");
    refused(&again).await;
    // Over by the clock.
    let last = signed_in(&owners.issuer, "ada").await;
    owners.issuer.advance(cx.policy.session_absolute_ttl).await;
    refused(&last).await;
    // And one that stands acts.
    assert!(owners.try_all(&signed_in(&owners.issuer, "ada").await, &id).await.is_empty());
}

/// Who was disabled since the page was asked for does nothing any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_owner_does_nothing() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let cx = owners.issuer.cx();
    let id = owners.make("kept").await.client.id;
    users::set_enabled(cx, owners.ada.user.id, false).await.expect("disabled");
    let made = owned::create(cx, &owners.ada, owners.draft("more")).await.err();
    assert!(matches!(made, Some(AdminError::UserNotFound)), "{made:?}");
    let errors = owners.try_all(&owners.ada, &id).await;
    assert!(errors.len() == 5 && errors.iter().all(|e| matches!(e, AdminError::UserNotFound)), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_so_many_applications_and_no_more() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    for name in ["one", "two", "three"] {
        owners.make(name).await;
    }
    let error = owned::create(cx, ada, owners.draft("four")).await.err();
    assert!(matches!(error, Some(AdminError::Owner(OwnerError::TooMany))), "{error:?}");
    owners.given("by-an-administrator", |_| ()).await;
}

/// Making and deleting in a loop fills the log, where what was deleted leaves its watermark for good, and mailboxes.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_makes_so_many_applications_within_a_day_and_no_more(#[case] backend: Backend) {
    let Some(mut owners) = Owners::start(backend).await else { return };
    let begun = owners.issuer.clock.now();
    for name in ["one", "two", "three", "four"] {
        let id = owners.make(name).await.client.id;
        owned::delete(owners.issuer.cx(), &owners.ada, &id).await.expect("deleted");
        owners.issuer.advance(Duration::from_secs(60)).await;
    }
    let refused = async |owners: &Owners| {
        let error = owned::create(owners.issuer.cx(), &owners.ada, owners.draft("five")).await.err();
        assert!(matches!(error, Some(AdminError::Owner(OwnerError::TooManyToday))), "{error:?}");
    };
    refused(&owners).await;
    // Others, and administrators, go on.
    owners.given("by-an-administrator", |_| ()).await;
    organizations::add_member(owners.issuer.cx(), owners.acme.id, owners.bob.user.id).await.expect("added");
    owned::create(owners.issuer.cx(), &owners.bob, owners.draft("bobs")).await.expect("created");
    // A restart forgets nothing, and a day after the first there is room for one.
    owners.issuer = owners.issuer.restart().await;
    owners.issuer.advance(owners.issuer.clock.now().until(begun.plus(A_DAY))).await;
    owners.ada = signed_in(&owners.issuer, "ada").await;
    refused(&owners).await;
    owners.issuer.advance(Duration::from_secs(1)).await;
    owners.make("five").await;
    refused(&owners).await;
}

/// RFC 6749 section 4.3 is for first-party clients: there is no way to ask for it, and what an administrator gave stays.
#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_application_has_the_password_grant_and_a_name_must_be_said() {
    let Some(owners) = Owners::start(Backend::Sqlite).await else { return };
    let (cx, ada) = (owners.issuer.cx(), &owners.ada);
    for (kind, secret) in [(OwnKind::Service, true), (OwnKind::Web, true), (OwnKind::Native, false)] {
        let mut draft = OwnDraft { kind, ..owners.draft(&format!("{kind:?}")) };
        draft.rest.redirect_uris = vec!["https://app.example/cb".parse().expect("a URI")];
        let made = owned::create(cx, ada, draft).await.expect("created");
        assert!(!made.client.grants.contains(&GrantType::Password), "{kind:?}");
        assert_eq!((made.secret.is_some(), made.client.kind == ClientType::Confidential), (secret, secret));
        owned::delete(cx, ada, &made.client.id).await.expect("deleted");
    }
    let nameless = owned::create(cx, ada, owners.draft("")).await.err();
    assert!(matches!(nameless, Some(AdminError::Draft(DraftError::Name))), "{nameless:?}");
    let nowhere = owned::create(cx, ada, OwnDraft { kind: OwnKind::Web, ..owners.draft("web") }).await.err();
    assert!(matches!(nowhere, Some(AdminError::Draft(DraftError::NoRedirectUri))), "{nowhere:?}");
    let first_party = owners.given("oro", |patch| patch.grants = Some(vec![GrantType::Password])).await;
    let changed = owned::update(cx, ada, &first_party.id, first_party.version, Owners::patch_of(&first_party)).await;
    assert_eq!(changed.expect("changed").client.grants, [GrantType::Password]);
}
