//! What the keeper does about pairs from files, about introspectors that do not confirm, and about what fails.

use std::future::Future;

use tessera_keys::KeyFiles;
use tessera_ledger::ReplicaId;
use tessera_store::{Action, AuditFilter, HolderRecord};

use super::*;
use crate::log::Holder;

/// An issuer whose keys come from files that are not there yet. Another key has signed before.
async fn with_files(backend: Backend) -> Option<TestIssuer> {
    let mut issuer = TestIssuer::start(backend).await?;
    let at = |name: &str| issuer.folder.path().join(name);
    let (private_key, public_key) = (at("private.key"), at("public.key"));
    issuer.config.keys = Keys { source: KeySource::Files, private_key, public_key, ..Keys::default() };
    issuer.config.sync.confirm_within = Duration::from_secs(1);
    Some(issuer.restart().await)
}

/// Puts a pair in the place of the one there is.
fn put_pair(at: &Keys, key: &SigningKey) {
    for path in [&at.private_key, &at.public_key] {
        if path.exists() {
            std::fs::remove_file(path).expect("removed");
        }
    }
    write_pair(at, key);
}

fn new_pair() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).expect("a key")
}

/// An introspector that has confirmed nothing yet.
async fn introspector(issuer: &TestIssuer) -> Holder {
    let record = HolderRecord {
        replica: ReplicaId([1; 16]),
        name: "here".to_owned(),
        max_staleness: Duration::from_secs(5),
        joined: issuer.clock.now(),
    };
    issuer.cx().publication.join(&record).await.expect("joined")
}

/// Waits for what waits for introspectors: the time that they have is the clock's.
async fn meanwhile<T>(issuer: &TestIssuer, waiting: impl Future<Output = T>) -> T {
    let mut waiting = std::pin::pin!(waiting);
    loop {
        tokio::select! {
            biased;
            done = &mut waiting => return done,
            () = tokio::task::yield_now() => issuer.clock.advance(Duration::from_millis(1)),
        }
    }
}

fn signer(issuer: &TestIssuer) -> Option<KeyId> {
    issuer.cx().signer.load_full().map(|signer| signer.key_id().clone())
}

/// How often it is recorded that the issuer did something to a key.
async fn recorded(issuer: &TestIssuer, action: Action, key: &SigningKey) -> usize {
    let records = issuer.cx().store.audit().after(&AuditFilter::default(), 0, 10_000).await.expect("listed");
    let of_it = |record: &&tessera_store::AuditRecord| {
        record.action == action.as_str()
            && record.actor.kind == "issuer"
            && record.target.as_ref().is_some_and(|target| target.id == key.key_id().as_str())
    };
    records.iter().filter(of_it).count()
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_put_back_is_promoted_like_any_other_and_recorded(#[case] backend: Backend) {
    let Some(issuer) = with_files(backend).await else { return };
    let (first, second) = (new_pair(), new_pair());
    let mut keeper = Keeper::new(issuer.cx().clone(), None);
    for pair in [&first, &second] {
        put_pair(&issuer.config.keys, pair);
        keeper.round(issuer.clock.now()).await.expect("published");
        keys::promote(issuer.cx(), Some(pair.key_id()), true).await.expect("promoted");
    }
    assert_eq!(recorded(&issuer, Action::KeyPublish, &first).await, 1);
    // While it runs.
    put_pair(&issuer.config.keys, &first);
    keeper.round(issuer.clock.now()).await.expect("put back");
    assert_eq!((signer(&issuer).as_ref(), active(&issuer).await), (Some(first.key_id()), first.key_id().clone()));
    assert_eq!(recorded(&issuer, Action::KeyPromote, &first).await, 2, "by hand, and now");
    // While it does not.
    let TestIssuer { running, clock, config, folder } = issuer;
    running.shutdown().await;
    put_pair(&config.keys, &second);
    let running = TestIssuer::run(&config, &clock, 9).await;
    let issuer = TestIssuer { running, clock, config, folder };
    while signer(&issuer).as_ref() != Some(second.key_id()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(recorded(&issuer, Action::KeyPromote, &second).await, 2);
    assert_eq!(active(&issuer).await, *second.key_id());
    let known = keys::jwks(issuer.cx()).expect("loaded");
    assert!([&first, &second].iter().all(|pair| known.contains(pair.key_id().as_str())), "{known}");

    let mut keeper = Keeper::new(issuer.cx().clone(), Some(second.key_id().clone()));
    keeper.round(issuer.clock.now()).await.expect("nothing to do");
    keys::promote(issuer.cx(), Some(first.key_id()), true).await.expect("promoted");
    keeper.round(issuer.clock.now()).await.expect("nothing to do");
    assert_eq!(active(&issuer).await, *first.key_id(), "what an administrator has promoted goes on");
}

/// Put there by mistake, and taken away before it signed.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_not_in_the_files_any_more_does_not_sign(#[case] backend: Backend) {
    let Some(issuer) = with_files(backend).await else { return };
    let (own, mistake) = (new_pair(), new_pair());
    put_pair(&issuer.config.keys, &own);
    // Its own keeper knows which pair is there, too.
    let issuer = issuer.restart().await;
    let mut keeper = Keeper::new(issuer.cx().clone(), Some(own.key_id().clone()));
    keys::promote(issuer.cx(), Some(own.key_id()), true).await.expect("promoted");
    for pair in [&mistake, &own] {
        put_pair(&issuer.config.keys, pair);
        keeper.round(issuer.clock.now()).await.expect("taken up");
    }
    assert_eq!(states(&issuer).await, [KeyState::Retiring, KeyState::Active, KeyState::Next]);
    issuer.advance(Duration::from_secs(601)).await;
    keeper.round(issuer.clock.now()).await.expect("nothing to do");
    assert_eq!((active(&issuer).await, signer(&issuer)), (own.key_id().clone(), Some(own.key_id().clone())));
    // No mistake after all: it has been published for long enough.
    put_pair(&issuer.config.keys, &mistake);
    keeper.round(issuer.clock.now()).await.expect("taken up");
    assert_eq!(active(&issuer).await, *mistake.key_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_put_back_signs_once_introspectors_have_confirmed() {
    let Some(issuer) = with_files(Backend::Sqlite).await else { return };
    let (first, second) = (new_pair(), new_pair());
    let mut keeper = Keeper::new(issuer.cx().clone(), None);
    for pair in [&first, &second] {
        put_pair(&issuer.config.keys, pair);
        keeper.round(issuer.clock.now()).await.expect("published");
        keys::promote(issuer.cx(), Some(pair.key_id()), true).await.expect("promoted");
    }
    let holder = introspector(&issuer).await;
    put_pair(&issuer.config.keys, &first);
    let unheard = meanwhile(&issuer, keeper.round(issuer.clock.now())).await.expect_err("not confirmed");
    assert_eq!(unheard.reason(), "REVOCATION_UNCONFIRMED");
    assert_eq!(active(&issuer).await, *second.key_id());
    holder.ack(issuer.head().await);
    let begun = meanwhile(&issuer, keeper.round(issuer.clock.now())).await.expect_err("that it signs is not confirmed");
    assert_eq!(begun.reason(), "REVOCATION_UNCONFIRMED");
    assert_eq!(signer(&issuer).as_ref(), Some(first.key_id()));
    holder.ack(issuer.head().await);
    keeper.round(issuer.clock.now()).await.expect("done");
}

/// There is no other that could sign meanwhile, and still introspectors know it first.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_there_is_signs_once_introspectors_have_confirmed_it() {
    let Some(mut issuer) = with_files(Backend::Sqlite).await else { return };
    issuer.config.data_dir = issuer.folder.path().join("empty");
    let issuer = issuer.restart().await;
    let holder = introspector(&issuer).await;
    let mut keeper = Keeper::new(issuer.cx().clone(), None);
    let own = new_pair();
    put_pair(&issuer.config.keys, &own);
    let unheard = meanwhile(&issuer, keeper.round(issuer.clock.now())).await.expect_err("not confirmed");
    assert_eq!(unheard.reason(), "REVOCATION_UNCONFIRMED");
    assert_eq!((states(&issuer).await, signer(&issuer)), (vec![KeyState::Next], None));
    holder.ack(issuer.head().await);
    meanwhile(&issuer, keeper.round(issuer.clock.now())).await.expect_err("that it signs is not confirmed");
    assert_eq!(
        signer(&issuer).as_ref(),
        Some(own.key_id()),
        "it is not waited for as long as others may keep the key set"
    );
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn no_key_signs_before_every_introspector_has_confirmed_it(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    issuer.config.keys = Keys::default();
    issuer.config.sync.confirm_within = Duration::from_secs(1);
    let issuer = issuer.restart().await;
    let first = active(&issuer).await;
    let holder = introspector(&issuer).await;
    let next = keys::rotate(issuer.cx(), false).await.expect("published").key.key;
    for _ in ["now", "again"] {
        let unheard = meanwhile(&issuer, keys::promote(issuer.cx(), Some(&next), true)).await.expect_err("not known");
        assert_eq!(unheard.reason(), "REVOCATION_UNCONFIRMED");
        assert_eq!((active(&issuer).await, signer(&issuer)), (first.clone(), Some(first.clone())));
    }
    holder.ack(issuer.head().await);
    meanwhile(&issuer, keys::promote(issuer.cx(), Some(&next), true))
        .await
        .expect_err("that it signs is not confirmed");
    assert_eq!((active(&issuer).await, signer(&issuer)), (next.clone(), Some(next)), "it is known everywhere");
}

/// Nothing of it is called done while an introspector may say active.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_is_done_when_every_introspector_has_confirmed_it(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    issuer.config.sync.confirm_within = Duration::from_secs(1);
    let issuer = issuer.restart().await;
    let first = active(&issuer).await;
    keys::rotate(issuer.cx(), true).await.expect("rotated");
    let holder = introspector(&issuer).await;
    holder.ack(issuer.head().await);
    for _ in ["now", "again"] {
        let unheard = meanwhile(&issuer, keys::retire(issuer.cx(), &first)).await.expect_err("not confirmed");
        assert_eq!(unheard.reason(), "REVOCATION_UNCONFIRMED");
    }
    holder.ack(issuer.head().await);
    let done = keys::retire(issuer.cx(), &first).await.expect("confirmed");
    assert_eq!(done.key.state, KeyState::Retired);
}

/// Its private half would be lost, and nothing could be signed until somebody notices.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_database_costs_a_round_and_the_pair_is_taken_up_in_the_next(#[case] backend: Backend) {
    let Some(issuer) = with_files(backend).await else { return };
    let mut keeper = Keeper::new(issuer.cx().clone(), None);
    let own = new_pair();
    // Somebody else holds what it needs: the writer on SQLite, the table on PostgreSQL.
    let holder = match backend {
        Backend::Sqlite => Some(issuer.cx().store.begin().await.expect("begins")),
        Backend::Postgres => {
            sql(&issuer, "ALTER TABLE signing_keys RENAME TO aside");
            None
        }
    };
    put_pair(&issuer.config.keys, &own);
    let failed = keeper.round(issuer.clock.now()).await.expect_err("the database does not answer");
    assert!(matches!(failed, KeyChangeError::Store(_)), "{failed:?}");
    match holder {
        Some(holder) => holder.rollback().await.expect("rolls back"),
        None => sql(&issuer, "ALTER TABLE aside RENAME TO signing_keys"),
    }
    keeper.round(issuer.clock.now()).await.expect("taken up");
    assert_eq!(states(&issuer).await, [KeyState::Active, KeyState::Next]);
    assert!(signer(&issuer).is_some(), "the pair is not missing any more");
}

/// A promotion that always fails is no reason to accept a key for longer; nor is a key that does not open here.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_keeps_no_retirement_waiting(#[case] backend: Backend) {
    let Some(issuer) = with_schedule(backend).await else { return };
    let cx = issuer.cx();
    let first = active(&issuer).await;
    keys::rotate(cx, true).await.expect("rotated");
    let next = keys::rotate(cx, false).await.expect("published").key.key;
    let lost = KekRing::from(Kek::from_bytes(&[9; 32]).expect("a key"));
    let sealed = lost.seal(&*cx.random, b"whatever", b"secret").expect("sealed");
    let tx = cx.store.begin().await.expect("begins");
    for key in [&next, &active(&issuer).await] {
        tx.keys().set_sealed(key, sealed.clone()).await.expect("written");
    }
    tx.commit().await.expect("commits");
    let mut keeper = Keeper::new(cx.clone(), None);
    issuer.advance(A_DAY + Duration::from_secs(3601)).await;
    let failed = keeper.round(issuer.clock.now()).await.expect_err("the next one does not open");
    assert_eq!(failed.reason(), "KEK_MISSING");
    assert_eq!(states(&issuer).await, [KeyState::Retired, KeyState::Active, KeyState::Next]);
    let retired = cx.store.keys().find(&first).await.expect("found").expect("kept");
    assert_eq!(retired.state, KeyState::Retired);

    // As at a start under another key-encryption key: what signs cannot be loaded.
    let second = active(&issuer).await;
    cx.signer.store(None);
    let failed = keeper.round(issuer.clock.now()).await.expect_err("it does not open");
    assert!(failed.to_string().contains(second.as_str()), "what came first is told: {failed}");
}

fn sql(issuer: &TestIssuer, statement: &str) {
    let cluster = Cluster::shared().expect("started").expect("installed");
    let name = issuer.config.database.url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name");
    cluster.execute(name, statement).expect("it runs");
}

/// A stop between a first pair's publication and its promotion: the next start has a key that waits, and none that signs.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_first_pair_that_was_published_and_not_promoted_signs_from_the_next_start_on(#[case] backend: Backend) {
    let Some(issuer) = with_files(backend).await else { return };
    let cx = issuer.cx();
    // As if none had ever been made here.
    let tx = cx.store.begin().await.expect("begun");
    let generated = active(&issuer).await;
    tx.keys().set_state(&generated, KeyState::Active, KeyState::Retired, issuer.clock.now()).await.expect("put away");
    tx.commit().await.expect("committed");
    let pair = new_pair();
    let at = |name: &str| issuer.folder.path().join(name);
    let elsewhere = Keys { private_key: at("its.key"), public_key: at("its.pub"), ..issuer.config.keys.clone() };
    put_pair(&elsewhere, &pair);
    let files = KeyFiles { private: elsewhere.private_key, public: elsewhere.public_key };
    let same = files.read(Algorithm::EdDsa).expect("read").expect("there");
    let setup = Setup { store: &cx.store, clock: &*cx.clock, random: &*cx.random };
    setup.own_key(&cx.signing.keks, same).await.expect("published");
    put_pair(&issuer.config.keys, &pair);
    let issuer = issuer.restart().await;
    assert_eq!((signer(&issuer).as_ref(), &active(&issuer).await), (Some(pair.key_id()), pair.key_id()));
    assert_eq!(recorded(&issuer, Action::KeyPromote, &pair).await, 1);
}
