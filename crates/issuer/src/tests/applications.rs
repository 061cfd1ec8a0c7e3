//! Applications: whose they are, and what becomes of them when those go.

use std::time::Duration;

use rstest::rstest;
use tessera_check::{AudienceRule, Verdict};
use tessera_ledger::event::Subject;
use tessera_store::{Client, Organization, User};
use tessera_types::{Audience, ClientId, GrantType, PresentedSecret};

use super::{Backend, TestIssuer, draft, people, presented, token_request};
use crate::client_auth::{ClientAuthError, Refusal, authenticate};
use crate::grants;
use crate::operations::clients::{self, AdminError, Draft, DraftError, Patch};
use crate::operations::{organizations, users};

/// An issuer with an organization, a member, and an application of theirs.
struct Shop {
    issuer: TestIssuer,
    acme: Organization,
    ada: User,
    app: Client,
    secret: PresentedSecret,
}

impl Shop {
    async fn open(backend: Backend) -> Option<Self> {
        let issuer = TestIssuer::start(backend).await?;
        let cx = issuer.cx();
        issuer.client("scopes", None).await;
        let acme = organizations::create(cx, "Acme".to_owned(), false).await.expect("created");
        let ada = people::user(&issuer, "ada").await;
        organizations::add_member(cx, acme.id, ada.id).await.expect("added");
        let created = clients::create(cx, of(&acme, &ada, "app"), None).await.expect("created");
        let secret = created.secret.expect("generated");
        Some(Self { issuer, acme, ada, app: created.client, secret })
    }

    /// A token that the application gets now.
    async fn token(&self) -> String {
        let request = token_request("app", &self.secret);
        grants::issue(self.issuer.cx(), request).await.expect("issued").access_token
    }

    /// Whom a token acts for, where it is active.
    fn acts_for(&self, token: &str) -> Option<String> {
        let demo: Audience = "demo-resource".parse().expect("an audience");
        let rule = AudienceRule { resources: &[demo], only: None };
        match self.issuer.cx().checker.check(token, rule).expect("can tell") {
            Verdict::Active(active) => Some(active.subject().into_owned()),
            Verdict::Inactive => None,
        }
    }

    async fn is_refused(&self) -> bool {
        let answer = authenticate(self.issuer.cx(), &presented("app", Some(self.secret.clone()))).await;
        matches!(answer, Err(ClientAuthError::Refused(Refusal::Disabled)))
    }

    /// Whether replicas think that it may be used.
    fn is_told_usable(&self) -> bool {
        let state = self.issuer.cx().replica.state().expect("loaded");
        state.client(&self.app.id).is_some_and(|entry| entry.state.enabled)
    }

    fn watermark(&self) -> u64 {
        self.issuer.cx().replica.state().expect("loaded").watermark(&Subject::Client(self.app.id.clone()))
    }
}

fn of(organization: &Organization, owner: &User, id: &str) -> Draft {
    let rest = Patch { organization: Some(Some(organization.id)), owner: Some(Some(owner.id)), ..draft(id).rest };
    Draft { rest, ..draft(id) }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_organization_refuses_its_clients_and_enabling_revives_no_token(#[case] backend: Backend) {
    let Some(shop) = Shop::open(backend).await else { return };
    let cx = shop.issuer.cx();
    let (token, elsewhere) = (shop.token().await, shop.issuer.client("elsewhere", None).await);
    assert_eq!(shop.acts_for(&token), Some(shop.ada.id.to_string()));
    organizations::set_enabled(cx, shop.acme.id, false).await.expect("disabled");
    assert_eq!(shop.acts_for(&token), None);
    assert!(shop.is_refused().await && !shop.is_told_usable());
    let other = presented("elsewhere", elsewhere.secret);
    assert!(authenticate(cx, &other).await.is_ok(), "a client of nobody's");

    let before = shop.watermark();
    organizations::set_enabled(cx, shop.acme.id, false).await.expect("as it was");
    assert_eq!(shop.watermark(), before);
    organizations::set_enabled(cx, shop.acme.id, true).await.expect("enabled");
    assert_eq!(shop.acts_for(&token), None, "what died stays dead");
    assert!(shop.is_told_usable() && shop.acts_for(&shop.token().await).is_some());
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_owner_refuses_their_clients_and_enabling_revives_no_token(#[case] backend: Backend) {
    let Some(shop) = Shop::open(backend).await else { return };
    let cx = shop.issuer.cx();
    let token = shop.token().await;
    users::set_enabled(cx, shop.ada.id, false).await.expect("disabled");
    assert_eq!(shop.acts_for(&token), None);
    assert!(shop.is_refused().await && !shop.is_told_usable());
    users::set_enabled(cx, shop.ada.id, true).await.expect("enabled");
    assert_eq!(shop.acts_for(&token), None);
    assert!(shop.is_told_usable() && shop.acts_for(&shop.token().await).is_some());
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_owner_leaves_a_disabled_client_that_needs_another(#[case] backend: Backend) {
    let Some(shop) = Shop::open(backend).await else { return };
    let cx = shop.issuer.cx();
    let token = shop.token().await;
    users::delete(cx, shop.ada.id).await.expect("deleted");
    assert_eq!(shop.acts_for(&token), None);
    assert!(!clients::find(cx, &shop.app.id).await.expect("stays").enabled);
    clients::set_enabled(cx, &shop.app.id, true).await.expect("enabled");
    assert!(shop.is_refused().await && !shop.is_told_usable(), "its owner is still gone");

    let bob = people::user(&shop.issuer, "bob").await;
    let owner = || Patch { owner: Some(Some(bob.id)), ..Patch::default() };
    let stranger = clients::update(cx, &shop.app.id, None, owner()).await.err().expect("no member");
    assert!(matches!(stranger, AdminError::Draft(DraftError::OwnerNotOfOrganization)), "{stranger:?}");
    organizations::add_member(cx, shop.acme.id, bob.id).await.expect("added");
    clients::update(cx, &shop.app.id, None, owner()).await.expect("changed");
    assert_eq!(shop.acts_for(&shop.token().await), Some(bob.id.to_string()));
    assert_eq!(shop.acts_for(&token), None);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_leaves_disabled_clients(#[case] backend: Backend) {
    let Some(shop) = Shop::open(backend).await else { return };
    let cx = shop.issuer.cx();
    let token = shop.token().await;
    organizations::delete(cx, shop.acme.id).await.expect("deleted");
    assert_eq!(shop.acts_for(&token), None);
    assert!(shop.is_refused().await && !shop.is_told_usable());
    let again = organizations::delete(cx, shop.acme.id).await.err().expect("gone");
    assert!(matches!(again, AdminError::OrganizationNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_moves_or_changes_hands_starts_anew() {
    let Some(shop) = Shop::open(Backend::Sqlite).await else { return };
    let cx = shop.issuer.cx();
    let other = organizations::create(cx, "Other".to_owned(), false).await.expect("created");
    organizations::add_member(cx, other.id, shop.ada.id).await.expect("added");
    let token = shop.token().await;
    let moved = Patch { organization: Some(Some(other.id)), ..Patch::default() };
    clients::update(cx, &shop.app.id, None, moved).await.expect("moved");
    assert_eq!(shop.acts_for(&token), None);
    let (token, before) = (shop.token().await, shop.watermark());
    let described = Patch { description: Some("new".to_owned()), ..Patch::default() };
    clients::update(cx, &shop.app.id, None, described).await.expect("changed");
    assert_eq!((shop.acts_for(&token).is_some(), shop.watermark()), (true, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_global_organization_may_own_clients_of_the_others() {
    let Some(shop) = Shop::open(Backend::Sqlite).await else { return };
    let cx = shop.issuer.cx();
    let group = organizations::create(cx, "Group".to_owned(), true).await.expect("created");
    let bob = people::user(&shop.issuer, "bob").await;
    let create = async || clients::create(cx, of(&shop.acme, &bob, "bobs"), None).await;
    let error = create().await.err().expect("a stranger");
    assert!(matches!(error, AdminError::Draft(DraftError::OwnerNotOfOrganization)), "{error:?}");
    organizations::add_member(cx, group.id, bob.id).await.expect("added");
    create().await.expect("created");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_of_an_organization_must_make_sense() {
    let Some(shop) = Shop::open(Backend::Sqlite).await else { return };
    let cx = shop.issuer.cx();
    let with = |change: &dyn Fn(&mut Patch)| {
        let mut draft = of(&shop.acme, &shop.ada, "bad");
        change(&mut draft.rest);
        draft
    };
    let gone = "org_AAAAAAAAAAAAAAAAAAAAAA".parse().expect("an id");
    for (draft, why) in [
        (with(&|p| p.owner = Some(None)), DraftError::NoOwner),
        (with(&|p| p.organization = Some(Some(gone))), DraftError::UnknownOrganization),
        (with(&|p| p.owner = Some(Some(tessera_types::UserId([0; 16])))), DraftError::UnknownOwner),
        (with(&|p| p.implicit_scopes = Some("introspect".parse().expect("scopes"))), DraftError::ImplicitReserved),
        (with(&|p| p.implicit_scopes = Some("nowhere".parse().expect("scopes"))), DraftError::UnknownScope),
        (
            with(&|p| {
                p.grants = Some(Vec::new());
                p.resources = Some(vec!["x".parse().expect("an audience")]);
            }),
            DraftError::NoGrantInOrganization,
        ),
    ] {
        let error = clients::create(cx, draft, None).await.err().expect("refused");
        assert!(matches!(error, AdminError::Draft(reason) if reason == why), "{why:?}: {error:?}");
    }
    let regranted = Patch { grants: Some(vec![GrantType::Password]), ..Patch::default() };
    let error = clients::update(cx, &shop.app.id, None, regranted).await.err().expect("fixed");
    assert!(matches!(error, AdminError::Draft(DraftError::GrantsFixed)), "{error:?}");
    let same = Patch { grants: Some(shop.app.grants.clone()), ..Patch::default() };
    clients::update(cx, &shop.app.id, None, same).await.expect("the same");
    for bad in ["", "a\nb", "org_AAAAAAAAAAAAAAAAAAAAAA"] {
        let error = organizations::create(cx, bad.to_owned(), false).await.err().expect("refused");
        assert!(matches!(error, AdminError::OrganizationName), "{bad:?}");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_written_in_the_background_and_costs_the_token_nothing(#[case] backend: Backend) {
    let Some(shop) = Shop::open(backend).await else { return };
    let cx = shop.issuer.cx();
    let id: ClientId = shop.app.id.clone();
    let last = async || clients::find(cx, &id).await.expect("is there").last_used;
    // The task's first round may have come between.
    let before = last().await;
    shop.issuer.advance(Duration::from_secs(100)).await;
    shop.token().await;
    let used = cx.clock.now();
    assert_eq!(last().await, before, "in memory alone");
    assert!(!shop.is_refused().await);
    cx.last_used.write(&cx.store).await.expect("written");
    assert_eq!(last().await, Some(used));
    cx.last_used.write(&cx.store).await.expect("nothing to write");
    let wrong = presented("app", Some(super::secret("wrong")));
    shop.issuer.advance(Duration::from_secs(100)).await;
    authenticate(cx, &wrong).await.expect_err("refused");
    cx.last_used.write(&cx.store).await.expect("nothing to write");
    assert_eq!(last().await, Some(used), "who is refused was not used");
}
