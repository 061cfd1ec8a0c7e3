//! Administration of users, and what becomes of all they have.

use std::time::Duration;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Argon2, Params};
use rstest::rstest;
use tessera_check::{AudienceRule, Verdict};
use tessera_store::{Session, User, UserFilter};
use tessera_types::{
    Audience, Email, ErrorCode, Failure as _, GrantType, OpaqueHash, PresentedSecret, Revision, ScopeSet, SessionToken,
    UserId, Username,
};
use uuid::Uuid;

use super::{Backend, TestIssuer, draft, presented, secret};
use crate::context::Context;
use crate::grants::{self, GrantRequest, PresentedRefreshToken, TokenRequest};
use crate::operations::clients::{self, AdminError, DraftError};
use crate::operations::sessions;
use crate::operations::setup::Setup;
use crate::operations::users::{self, NewPassword, UserDraft, UserDraftError, UserPatch};
use crate::throttle::Attempt;
use crate::user_auth::{PresentedUser, Refusal, UserAuthError, authenticate};

const PASSWORD: &str = "correct horse";

fn plain(text: &str) -> NewPassword {
    NewPassword::Plain(secret(text))
}

fn somebody(name: &str) -> UserDraft {
    UserDraft {
        username: name.parse().expect("a username"),
        name: String::new(),
        email: Some(format!("{name}@example.test").parse().expect("an address")),
        password: Some(plain(PASSWORD)),
    }
}

fn typed(identifier: &str, password: &str) -> PresentedUser {
    PresentedUser { identifier: identifier.to_owned(), password: secret(password), from: None, relayed: false }
}

/// What a user has: a session, an access token and a refresh token.
struct Belongings {
    session: SessionToken,
    access: String,
    refresh: String,
}

/// An issuer with a first-party client `app`, and a user.
struct Stage {
    issuer: TestIssuer,
    app: PresentedSecret,
    ada: User,
}

impl Stage {
    async fn set(backend: Backend) -> Option<Self> {
        let issuer = TestIssuer::start(backend).await?;
        // For its scopes.
        issuer.client("c", None).await;
        let mut draft = draft("app");
        draft.rest.grants = Some(vec![GrantType::Password, GrantType::RefreshToken]);
        let app = clients::create(issuer.cx(), draft, None).await.expect("created").secret.expect("generated");
        let ada = users::create(issuer.cx(), somebody("ada")).await.expect("registered");
        Some(Self { issuer, app, ada })
    }

    fn cx(&self) -> &Context {
        self.issuer.cx()
    }

    fn request(&self, grant: GrantRequest) -> TokenRequest {
        let client = presented("app", Some(self.app.clone()));
        TokenRequest { client, grant, scopes: ScopeSet::empty(), audience: None }
    }

    async fn sign_in(&self, password: &str) -> Belongings {
        let begun = sessions::login(self.cx(), &typed("ada", password), "a browser").await.expect("signed in");
        let request = self.request(GrantRequest::Password(typed("ADA@example.TEST", password)));
        let minted = grants::issue(self.cx(), request).await.expect("issued");
        let refresh = minted.refresh_token.expect("one").to_string();
        Belongings { session: begun.token, access: minted.access_token, refresh }
    }

    fn is_active(&self, token: &str) -> bool {
        let audience: Audience = "demo-resource".parse().expect("an audience");
        let rule = AudienceRule { resources: std::slice::from_ref(&audience), only: None };
        matches!(self.cx().checker.check(token, rule), Ok(Verdict::Active(_)))
    }

    async fn all_live(&self, had: &Belongings) -> bool {
        let session = sessions::find(self.cx(), &had.session).await.expect("told");
        session.is_some() && self.is_active(&had.access)
    }

    async fn all_dead(&self, had: &Belongings) {
        assert!(sessions::find(self.cx(), &had.session).await.expect("told").is_none(), "the session");
        assert!(!self.is_active(&had.access), "the access token");
        let request = self.request(GrantRequest::RefreshToken(PresentedRefreshToken(had.refresh.clone())));
        let error = grants::issue(self.cx(), request).await.err().expect("the refresh token");
        assert_eq!(error.code(), ErrorCode::InvalidGrant, "{error:?}");
    }

    /// That a revision is one at which something holds: this process has applied it.
    fn applied(&self, revision: Revision) {
        let position = self.cx().replica.position().expect("loaded").revision();
        assert!(revision.epoch == position.epoch && revision.number <= position.number, "{revision} of {position}");
    }
}

async fn everybody(cx: &Context) -> Vec<User> {
    users::list(cx, &UserFilter::default(), None, 100).await.expect("listed")
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_identifier_username_and_address(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    let ada = users::create(cx, somebody("Ada")).await.expect("registered");
    for who in [&ada.id.to_string(), "Ada", "ADA", " ada ", "ada@EXAMPLE.test"] {
        assert_eq!(users::find(cx, who).await.expect(who), ada, "{who}");
    }
    let other = UserId([7; 16]).to_string();
    for who in ["", "ad", "ada@example", "a b", "usr_", "a\u{0}", &other] {
        assert!(matches!(users::find(cx, who).await, Err(AdminError::UserNotFound)), "{who:?}");
    }
    assert!(authenticate(cx, &typed("ADA", PASSWORD)).await.is_ok());
    assert!(authenticate(cx, &typed("aDa@example.test", PASSWORD)).await.is_ok());
    // Without a password there is none to guess.
    let keyless = UserDraft { password: None, ..somebody("keyless") };
    users::create(cx, keyless).await.expect("registered");
    let error = authenticate(cx, &typed("keyless", PASSWORD)).await.expect_err("refused");
    assert!(matches!(error, UserAuthError::Refused(Refusal::WrongPassword)), "{error:?}");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_taken_however_it_is_written(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    users::create(cx, somebody("zoë")).await.expect("registered");
    let bob = users::create(cx, somebody("bob")).await.expect("registered");
    let username = |text: &str| text.parse::<Username>().expect("a username");
    let email = |text: &str| Some(text.parse::<Email>().expect("an address"));
    for (username, email, reason) in [
        (username("zoë"), None, "USERNAME_TAKEN"),
        (username("ZOË"), None, "USERNAME_TAKEN"),
        (username("zoe\u{308}"), None, "USERNAME_TAKEN"),
        (username("zo"), email("ZOË@Example.Test"), "EMAIL_TAKEN"),
    ] {
        let taken = UserDraft { username: username.clone(), email: email.clone(), ..somebody("x") };
        let error = users::create(cx, taken).await.expect_err("taken");
        assert_eq!((error.code(), error.reason()), (ErrorCode::AlreadyExists, reason), "{username}");
        let patch = UserPatch { username: Some(username), email: Some(email), name: None };
        let error = users::update(cx, bob.id, None, patch).await.expect_err("taken");
        assert_eq!((error.code(), error.reason()), (ErrorCode::AlreadyExists, reason));
    }
    assert_eq!(everybody(cx).await.len(), 2, "nothing is left behind");
    assert_eq!(users::find(cx, "bob").await.expect("there"), bob);
    // One's own name may be written anew.
    let patch = UserPatch { username: Some(username("BOB")), ..UserPatch::default() };
    assert_eq!(users::update(cx, bob.id, None, patch).await.expect("changed").username.as_str(), "BOB");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_what_it_names_and_overwrites_nobody_elses(#[case] backend: Backend) {
    let Some(stage) = Stage::set(backend).await else { return };
    let (cx, ada) = (stage.cx(), &stage.ada);
    let had = stage.sign_in(PASSWORD).await;
    let rename = || UserPatch { name: Some("Ada Lovelace".to_owned()), ..UserPatch::default() };
    let changed = users::update(cx, ada.id, Some(ada.version), rename()).await.expect("changed");
    let expected =
        User { name: "Ada Lovelace".to_owned(), version: changed.version, updated: changed.updated, ..ada.clone() };
    assert_eq!(changed, expected);
    let error = users::update(cx, ada.id, Some(ada.version), rename()).await.expect_err("changed meanwhile");
    assert!(matches!(error, AdminError::Conflict), "{error:?}");
    let homeless = UserPatch { email: Some(None), ..UserPatch::default() };
    assert_eq!(users::update(cx, ada.id, None, homeless).await.expect("changed").email, None);
    assert!(matches!(users::find(cx, "ada@example.test").await, Err(AdminError::UserNotFound)));
    assert!(stage.all_live(&had).await, "a name opens nothing and closes nothing");
    for name in ["x".repeat(256), "a\nb".to_owned()] {
        let patch = UserPatch { name: Some(name), ..UserPatch::default() };
        let error = users::update(cx, ada.id, None, patch).await.expect_err("out of bounds");
        assert!(matches!(error, AdminError::User(UserDraftError::Name)), "{error:?}");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_what_the_old_one_opened(#[case] backend: Backend) {
    let Some(stage) = Stage::set(backend).await else { return };
    let had = stage.sign_in(PASSWORD).await;
    assert!(stage.all_live(&had).await);
    let revision = users::set_password(stage.cx(), stage.ada.id, &plain("battery staple")).await.expect("changed");
    stage.applied(revision);
    stage.all_dead(&had).await;
    let error = authenticate(stage.cx(), &typed("ada", PASSWORD)).await.expect_err("the old one");
    assert!(matches!(error, UserAuthError::Refused(Refusal::WrongPassword)), "{error:?}");
    let new = stage.sign_in("battery staple").await;
    assert!(stage.all_live(&new).await);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn enabling_a_user_again_revives_nothing(#[case] backend: Backend) {
    let Some(stage) = Stage::set(backend).await else { return };
    let (cx, id) = (stage.cx(), stage.ada.id);
    let had = stage.sign_in(PASSWORD).await;
    let (disabled, revision) = users::set_enabled(cx, id, false).await.expect("disabled");
    stage.applied(revision);
    assert!(!disabled.enabled);
    stage.all_dead(&had).await;
    let (again, repeated) = users::set_enabled(cx, id, false).await.expect("as it was");
    assert_eq!((again, repeated.number >= revision.number), (disabled, true));
    let (enabled, _) = users::set_enabled(cx, id, true).await.expect("enabled");
    assert!(enabled.enabled);
    stage.all_dead(&had).await;
    let new = stage.sign_in(PASSWORD).await;
    assert!(stage.all_live(&new).await);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_users_tokens_lets_them_sign_in_again(#[case] backend: Backend) {
    let Some(stage) = Stage::set(backend).await else { return };
    let had = stage.sign_in(PASSWORD).await;
    stage.applied(users::revoke_tokens(stage.cx(), stage.ada.id).await.expect("revoked"));
    stage.all_dead(&had).await;
    let new = stage.sign_in(PASSWORD).await;
    assert!(stage.all_live(&new).await);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_gone_and_a_namesake_inherits_nothing(#[case] backend: Backend) {
    let Some(stage) = Stage::set(backend).await else { return };
    let (cx, id) = (stage.cx(), stage.ada.id);
    let had = stage.sign_in(PASSWORD).await;
    stage.applied(users::delete(cx, id).await.expect("deleted"));
    stage.all_dead(&had).await;
    let namesake = users::create(cx, somebody("ada")).await.expect("the name is free");
    assert_ne!(namesake.id, id);
    stage.all_dead(&had).await;
    let nobody = [
        users::delete(cx, id).await.err(),
        users::set_enabled(cx, id, true).await.err(),
        users::set_password(cx, id, &plain(PASSWORD)).await.err(),
        users::revoke_tokens(cx, id).await.err(),
        users::update(cx, id, None, UserPatch::default()).await.err(),
    ];
    for error in nobody {
        assert!(matches!(error, Some(AdminError::UserNotFound)), "{error:?}");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_imported_hash_is_made_anew_at_the_next_login(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    let params = Params::new(64, 1, 1, None).expect("parameters");
    let other = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let argon2id = other.hash_password_with_salt(PASSWORD.as_bytes(), b"somesalt").expect("a hash").to_string();
    let bcrypt = bcrypt::hash(PASSWORD, 4).expect("a hash");
    for (name, hash) in [("by-argon2id", argon2id), ("by-bcrypt", bcrypt)] {
        let imported = NewPassword::Imported(hash.parse().expect("a hash"));
        let user = users::create(cx, UserDraft { password: Some(imported), ..somebody(name) }).await.expect("created");
        let stored = async || users::find(cx, name).await.expect("there").password.expect("a password");
        assert!(authenticate(cx, &typed(name, "wrong")).await.is_err());
        assert_eq!(Some(stored().await), user.password, "whoever is wrong upgrades nothing");
        authenticate(cx, &typed(name, PASSWORD)).await.expect(name);
        assert!(!stored().await.needs_upgrade(), "{name}");
        let upgraded = stored().await;
        authenticate(cx, &typed(name, PASSWORD)).await.expect(name);
        assert_eq!(stored().await, upgraded, "once is enough");
        assert_eq!(users::find(cx, name).await.expect("there").version, user.version, "nobody changed anything");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_has_bounds() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let ada = users::create(cx, somebody("ada")).await.expect("registered");
    let before = issuer.head().await;
    for bad in ["1234567", "éàü", "12345678\u{0}"] {
        let draft = UserDraft { password: Some(plain(bad)), ..somebody("bob") };
        let create = users::create(cx, draft).await.err();
        let set = users::set_password(cx, ada.id, &plain(bad)).await.err();
        for error in [create, set] {
            assert!(matches!(error, Some(AdminError::User(UserDraftError::Password))), "{bad:?}: {error:?}");
        }
    }
    assert_eq!((everybody(cx).await.len(), issuer.head().await), (1, before));
    users::set_password(cx, ada.id, &plain("12345678")).await.expect("just long enough");
    users::set_password(cx, ada.id, &plain(&"x".repeat(PresentedSecret::MAX_LEN))).await.expect("just short enough");
}

/// RFC 9068 section 5: a client's `sub` must not be a user's.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_of_the_shape_of_users_is_refused() {
    let Some(stage) = Stage::set(Backend::Sqlite).await else { return };
    for id in [stage.ada.id.to_string(), "usr_".to_owned(), "usr_anything".to_owned()] {
        let error = clients::create(stage.cx(), draft(&id), None).await.err().expect("refused");
        assert!(matches!(&error, AdminError::Draft(DraftError::IdOfAUser)), "{id}: {error:?}");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn unknown_users_wrong_passwords_and_disabled_users_are_one_error(#[case] backend: Backend) {
    let Some(stage) = Stage::set(backend).await else { return };
    let cx = stage.cx();
    let carl = users::create(cx, somebody("carl")).await.expect("registered");
    users::set_enabled(cx, carl.id, false).await.expect("disabled");
    let told = |error: &dyn tessera_types::Failure| {
        (error.code(), error.reason(), error.advice(), error.retry_after(), error.field())
    };
    let mut all = Vec::new();
    for (identifier, password, why) in [
        ("nobody", PASSWORD, Refusal::Unknown),
        ("nobody@example.test", PASSWORD, Refusal::Unknown),
        ("no body", PASSWORD, Refusal::Unknown),
        ("", PASSWORD, Refusal::Unknown),
        ("ada", "wrong", Refusal::WrongPassword),
        ("ada", "nul\u{0}", Refusal::WrongPassword),
        ("carl", "wrong", Refusal::WrongPassword),
        ("carl", PASSWORD, Refusal::Disabled),
    ] {
        let error = authenticate(cx, &typed(identifier, password)).await.expect_err("refused");
        assert!(matches!(error, UserAuthError::Refused(reason) if reason == why), "{identifier}: {error:?}");
        all.push(told(&error));
        let request = stage.request(GrantRequest::Password(typed(identifier, password)));
        let error = grants::issue(cx, request).await.err().expect("refused");
        all.push(told(&error));
    }
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    assert_eq!(all[0].0, ErrorCode::InvalidGrant);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_the_names_of_a_user_share_one_counter() {
    let Some(stage) = Stage::set(Backend::Sqlite).await else { return };
    let cx = stage.cx();
    let spellings = ["ada", "ADA", "ada@example.test", "Ada@Example.test", " ada "];
    let guesses = spellings.iter().cycle().take(10).map(|name| typed(name, "wrong"));
    let guesses: Vec<PresentedUser> = guesses.collect();
    let refused = futures::future::join_all(guesses.iter().map(|guess| authenticate(cx, guess))).await;
    assert!(refused.iter().all(|answer| matches!(answer, Err(UserAuthError::Refused(_)))), "{refused:?}");
    let mut wait = None;
    for name in spellings {
        // Not even the right one is looked at.
        let error = authenticate(cx, &typed(name, PASSWORD)).await.expect_err("throttled");
        assert_eq!(error.code(), ErrorCode::Throttled, "{name}: {error:?}");
        wait = error.retry_after();
    }
    users::create(cx, somebody("bob")).await.expect("registered");
    assert!(authenticate(cx, &typed("bob", PASSWORD)).await.is_ok(), "others are not locked out");
    stage.issuer.clock.advance(wait.expect("how long"));
    while !cx.publication.in_touch(cx.clock.monotonic()) {
        tokio::task::yield_now().await;
    }
    assert!(authenticate(cx, &typed("ada", PASSWORD)).await.is_ok(), "after the wait it said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_guessed_at_from_everywhere_waits_and_is_let_in() {
    let Some(stage) = Stage::set(Backend::Sqlite).await else { return };
    let cx = stage.cx();
    for host in 0..=u8::MAX {
        let from = Some([192, 0, 2, host].into());
        cx.logins.failed(&Attempt { who: stage.ada.id.to_string(), from, relayed: false });
    }
    let begun = tokio::time::Instant::now();
    authenticate(cx, &typed("ada", PASSWORD)).await.expect("it is right");
    assert!(begun.elapsed() >= Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_password_for_everybody_is_stopped_where_it_comes_from() {
    let Some(stage) = Stage::set(Backend::Sqlite).await else { return };
    let (cx, from) = (stage.cx(), Some([192, 0, 2, 1].into()));
    for person in 0..200 {
        cx.logins.failed(&Attempt { who: person.to_string(), from, relayed: false });
    }
    let here = PresentedUser { from, ..typed("ada", PASSWORD) };
    let error = authenticate(cx, &here).await.expect_err("throttled");
    assert_eq!(error.code(), ErrorCode::Throttled, "{error:?}");
    let request = stage.request(GrantRequest::Password(here));
    assert!(grants::issue(cx, request).await.is_ok(), "a server that relays its users' logins goes on");
    assert!(authenticate(cx, &typed("ada", PASSWORD)).await.is_ok(), "and so does everybody elsewhere");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sessions_stand_and_a_further_one_ends_the_one_not_used_for_longest(#[case] backend: Backend) {
    let Some(stage) = Stage::set(backend).await else { return };
    let cx = stage.cx();
    let login = async || sessions::login(cx, &typed("ada", PASSWORD), "a browser").await.expect("signed in");
    let first = login().await;
    let tx = cx.store.begin().await.expect("begins");
    for number in 0..99 {
        let used = first.session.seen.plus(Duration::from_secs(u64::from(number) + 1));
        let (id, token) = (Uuid::from_bytes([number; 16]), OpaqueHash([number; 32]));
        tx.sessions().insert(&Session { id, token, seen: used, ..first.session.clone() }).await.expect("inserted");
    }
    tx.commit().await.expect("committed");
    assert!(sessions::find(cx, &first.token).await.expect("told").is_some(), "the hundredth ends none");

    let next = login().await;
    assert!(sessions::find(cx, &first.token).await.expect("told").is_none(), "not used for longest");
    assert!(sessions::find(cx, &next.token).await.expect("told").is_some());
    let there = async |number| cx.store.sessions().find(OpaqueHash([number; 32])).await.expect("read").is_some();
    assert!(there(0).await && there(98).await, "the others stand");
    let somebody_elses = users::create(cx, somebody("bob")).await.expect("registered");
    sessions::login(cx, &typed("bob", PASSWORD), "").await.expect("signed in");
    assert_eq!(sessions::list(cx, &somebody_elses).await.expect("listed").len(), 1);
    assert_eq!(sessions::list(cx, &stage.ada).await.expect("listed").len(), 100);
}

async fn fixtures(cx: &Context) {
    let setup = Setup { store: &cx.store, clock: &*cx.clock, random: &*cx.random };
    let (issuer, introspection) = (&cx.policy.issuer_audience, &cx.policy.introspection_audience);
    setup.fixtures(issuer, introspection, &cx.user_passwords).await.expect("made");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_development_are_made_where_they_are_missing_and_stay_as_they_are(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    // Somebody has an address that would be a fixture's.
    let other = UserDraft { email: Some("Admin@example.test".parse().expect("an address")), ..somebody("other") };
    users::create(cx, other).await.expect("registered");
    fixtures(cx).await;
    let ada = authenticate(cx, &typed("ada@example.test", "dev-password")).await.expect("as documented").user;
    assert_eq!(ada.name, "Ada Lovelace");
    assert!(matches!(users::find(cx, "admin").await, Err(AdminError::UserNotFound)));
    users::set_password(cx, ada.id, &plain("another password")).await.expect("changed");
    users::delete(cx, users::find(cx, "other").await.expect("there").id).await.expect("deleted");
    let before = users::find(cx, "ada").await.expect("there");
    fixtures(cx).await;
    assert_eq!(users::find(cx, "ada").await.expect("there"), before);
    assert!(authenticate(cx, &typed("admin", "shopware")).await.is_ok());
    assert_eq!(everybody(cx).await.len(), 2);
}
