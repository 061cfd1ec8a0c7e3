use tessera_ledger::ReplicaId;
use tessera_store::{
    Client, ClientFilter, ConnectError, Database, DatabaseOptions, HolderRecord, MigrationState, SigningKeyRecord,
    StoreError,
};
use tessera_testkit::postgres::Cluster;
use tessera_types::{ErrorCode, Failure as _, KeyState, ScopeSet, Timestamp};

use crate::harness::{EPOCH, Fixture, belongings, client, key, on_both, scope, secret, token, user, which};

on_both!(bare:
    migrations_go_up_down_and_up_again,
    names_that_only_this_release_allows_are_told_apart_when_going_down,
    going_down_to_the_release_before_and_up_again_loses_nothing_of_its_tables,
    a_migration_that_fails_leaves_nothing,
    several_may_migrate_at_once,
    an_unprepared_database_is_said_to_be_so,
);

on_both!(ready:
    a_newer_database_is_no_reason_to_stop,
    a_locked_database_is_unavailable,
    a_closed_database_is_unavailable,
    an_exhausted_pool_is_unavailable,
    the_databases_clock_tells_the_time,
);

/// How many migrations there are up to these, in their order.
const THROUGH_KEYS: usize = 2;
const THROUGH_HOLDERS: usize = 4;
const THROUGH_GRANTS: usize = 6;

/// Takes back every migration but the first ones, and says how all of them then stand.
async fn down_to(db: &Database, kept: usize) -> Vec<MigrationState> {
    let applied = states(db).await.into_iter().filter(|state| *state == MigrationState::Applied).count();
    db.rollback(u32::try_from(applied - kept).expect("few")).await.expect("goes down");
    states(db).await
}

/// The first ones applied, the others not.
fn first(kept: usize, of: usize) -> Vec<MigrationState> {
    (0..of).map(|at| if at < kept { MigrationState::Applied } else { MigrationState::Pending }).collect()
}

async fn states(db: &Database) -> Vec<MigrationState> {
    db.migration_status().await.expect("reads").into_iter().map(|migration| migration.state).collect()
}

async fn migrations_go_up_down_and_up_again(f: Fixture) {
    let all = states(&f.db).await.len();
    assert_eq!(states(&f.db).await, first(0, all));
    assert_eq!(f.db.migrate().await.expect("migrates").len(), all);
    assert_eq!(states(&f.db).await, first(all, all));
    assert!(f.db.migrate().await.expect("migrates").is_empty(), "nothing is left to do");

    assert_eq!(down_to(&f.db, THROUGH_KEYS).await, first(THROUGH_KEYS, all));
    assert!(matches!(f.db.log().head().await, Err(StoreError::NotPrepared(_))));
    assert_eq!(down_to(&f.db, 0).await, first(0, all));
    assert!(matches!(f.db.keys().list().await, Err(StoreError::NotPrepared(_))));

    f.db.migrate().await.expect("migrates");
    f.db.initialize(EPOCH).await.expect("initialises");
    let tx = f.db.begin().await.expect("begins");
    tx.clients().insert(&client("a")).await.expect("inserts");
    tx.scopes().insert(&scope("a")).await.expect("inserts");
    tx.commit().await.expect("commits");
    assert_eq!(f.append(&[token(1)]).await.recorded, [1]);
}

async fn names_that_only_this_release_allows_are_told_apart_when_going_down(f: Fixture) {
    f.db.migrate().await.expect("migrates");
    f.db.initialize(EPOCH).await.expect("initialises");
    let tx = f.db.begin().await.expect("begins");
    for (id, organization) in [("a", None), ("b", Some(1)), ("c", Some(2)), ("d", Some(2))] {
        let organization = organization.map(|number| crate::harness::organization(number).id);
        let name = if id == "d" { "Only" } else { "Same" }.to_owned();
        tx.clients().insert(&Client { name, organization, ..client(id) }).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    down_to(&f.db, THROUGH_GRANTS).await;
    f.db.migrate().await.expect("migrates");
    let clients = f.db.clients().list(&ClientFilter::default(), None, 10).await.expect("lists");
    let names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    assert_eq!(names, ["Same", "Same (b)", "Same (c)", "Only"]);
}

/// What a release before this one keeps is its own: going down to it and up again touches none of it.
async fn going_down_to_the_release_before_and_up_again_loses_nothing_of_its_tables(f: Fixture) {
    f.db.migrate().await.expect("migrates");
    f.db.initialize(EPOCH).await.expect("initialises");
    let mut tx = f.db.begin().await.expect("begins");
    tx.clients().insert(&client("a")).await.expect("inserts");
    tx.clients().insert_secret(&client("a").id, &secret(1, Some(5))).await.expect("inserts");
    tx.scopes().insert(&scope("a")).await.expect("inserts");
    tx.keys().insert(&key("k", KeyState::Active)).await.expect("inserts");
    tx.users().insert(&user(1)).await.expect("inserts");
    belongings(&tx, 1, "a", user(1).id).await;
    tx.record(token(1));
    tx.commit().await.expect("commits");
    let holder = HolderRecord {
        replica: ReplicaId([1; 16]),
        name: "here".into(),
        max_staleness: std::time::Duration::from_secs(5),
        joined: Timestamp(1_700_000_000),
    };
    f.db.holders().keep(&holder).await.expect("keeps");
    let before = f.db.log().snapshot().await.expect("reads");

    let all = states(&f.db).await.len();
    assert_eq!(down_to(&f.db, THROUGH_HOLDERS).await, first(THROUGH_HOLDERS, all));
    assert!(matches!(f.db.users().find(user(1).id).await, Err(StoreError::NotPrepared(_))));
    for up in [false, true] {
        if up {
            f.db.migrate().await.expect("migrates");
        }
        if up {
            // What only this release has room for is gone; the rest is as it was.
            let bare = Client {
                site_url: None,
                logo_url: None,
                failure_uri: None,
                implicit_scopes: ScopeSet::empty(),
                ..client("a")
            };
            let found = f.db.clients().find_with_secrets(&bare.id).await.expect("finds");
            assert_eq!(found, Some((bare, vec![secret(1, Some(5))])));
            let bare = SigningKeyRecord { since: None, ..key("k", KeyState::Active) };
            assert_eq!(f.db.keys().list().await.expect("lists"), [bare]);
        }
        assert_eq!(f.db.scopes().list(None, 10).await.expect("lists"), [scope("a")]);
        assert_eq!(f.db.holders().list().await.expect("lists"), std::slice::from_ref(&holder));
        assert_eq!(f.db.log().snapshot().await.expect("reads"), before);
    }
    assert_eq!(
        f.db.users().find(user(1).id).await.expect("finds"),
        None,
        "what only this release has room for is gone"
    );
    assert_eq!(which(&f.db, 1, "a", user(1).id).await, [false; 5]);
}

async fn the_databases_clock_tells_the_time(f: Fixture) {
    let (first, second) = (f.db.now().await.expect("reads"), f.db.now().await.expect("reads"));
    assert!(first <= second && second <= first.plus(std::time::Duration::from_secs(60)), "{first} {second}");
    assert!(first > Timestamp(1_700_000_000), "{first}");
}

async fn a_migration_that_fails_leaves_nothing(f: Fixture) {
    f.sql("CREATE TABLE signing_keys (in_the_way INT)").await;
    f.db.migrate().await.expect_err("the second migration's table is there");
    let all = states(&f.db).await.len();
    assert_eq!(states(&f.db).await, first(0, all), "nor was the first one applied");
    f.sql("DROP TABLE signing_keys").await;
    assert_eq!(f.db.migrate().await.expect("migrates").len(), all);
}

async fn several_may_migrate_at_once(f: Fixture) {
    let others = [0; 3].map(|_| {
        let url = f.url.clone();
        tokio::spawn(async move {
            let db = Database::connect(&DatabaseOptions::new(url)).await.expect("connects");
            let applied = db.migrate().await.expect("migrates").len();
            (applied, db.initialize(EPOCH).await.expect("initialises").revision)
        })
    });
    let mut applied = 0;
    for other in others {
        applied += other.await.expect("runs").0;
    }
    assert_eq!(applied, states(&f.db).await.len(), "each migration once");
}

async fn an_unprepared_database_is_said_to_be_so(f: Fixture) {
    let error = f.db.clients().find(&client("a").id).await.expect_err("no tables");
    assert!(matches!(error, StoreError::NotPrepared(_)), "{error:?}");
    assert!(!f.db.is_writable().await);
    f.db.migrate().await.expect("migrates");
    let mut tx = f.db.begin().await.expect("begins");
    tx.record(token(1));
    let error = tx.commit().await.expect_err("no head");
    assert!(matches!(error, StoreError::NotPrepared(_)), "{error:?}");
}

async fn a_newer_database_is_no_reason_to_stop(f: Fixture) {
    f.sql("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_newer', 0)").await;
    assert_eq!(f.db.migrate().await.expect("nothing to do"), Vec::<String>::new());
    assert_eq!(states(&f.db).await.last(), Some(&MigrationState::Newer));
}

async fn a_locked_database_is_unavailable(f: Fixture) {
    let holder = f.db.begin().await.expect("begins");
    holder.exclusive().await.expect("alone");
    let impatient = f.impatient().await;
    let append = async {
        let mut tx = impatient.begin().await?;
        tx.record(token(1));
        tx.commit().await
    };
    let error = append.await.expect_err("locked");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(error.code(), ErrorCode::TemporarilyUnavailable);
    assert!(error.is_internal());
    holder.rollback().await.expect("rolls back");
    assert!(impatient.is_writable().await, "free again");
    assert_eq!(f.db.log().head().await.expect("reads").revision, 0);
}

async fn a_closed_database_is_unavailable(f: Fixture) {
    assert!(f.db.is_writable().await);
    f.db.close().await;
    assert!(!f.db.is_writable().await);
    for error in [
        f.db.begin().await.expect_err("closed"),
        f.db.log().head().await.expect_err("closed"),
        f.db.clients().find(&client("a").id).await.expect_err("closed"),
    ] {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
}

async fn an_exhausted_pool_is_unavailable(f: Fixture) {
    let options = DatabaseOptions {
        max_connections: 1,
        acquire_timeout: std::time::Duration::from_millis(500),
        ..DatabaseOptions::new(&f.url)
    };
    let small = Database::connect(&options).await.expect("connects");
    let _holder = small.begin().await.expect("begins");
    let error = small.begin().await.expect_err("no connection is left");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_stopped_postgresql_is_unavailable_and_an_open_transaction_is_lost() {
    let Some(cluster) = Cluster::start().expect("PostgreSQL starts") else { return };
    let options = DatabaseOptions {
        acquire_timeout: std::time::Duration::from_millis(300),
        ..DatabaseOptions::new(cluster.create_database().expect("a database"))
    };
    let db = Database::connect(&options).await.expect("connects");
    db.migrate().await.expect("migrates");
    db.initialize(EPOCH).await.expect("initialises");
    let mut tx = db.begin().await.expect("begins");
    tx.record(token(1));
    cluster.stop();
    let error = tx.commit().await.expect_err("the server is gone");
    assert!(matches!(error, StoreError::Unavailable(_)), "nothing was committed: {error:?}");
    let error = db.clients().find(&client("a").id).await.expect_err("the server is gone");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!db.is_writable().await);
}

#[tokio::test]
async fn postgresql_acknowledges_no_commit_that_is_not_on_disk() {
    let Some(cluster) = Cluster::shared().expect("PostgreSQL starts") else { return };
    let url = cluster.create_database().expect("a database");
    let name = url.split(['/', '?']).nth(3).expect("the database's name");
    cluster.execute(name, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).expect("alters");
    let db = Database::connect(&DatabaseOptions::new(&url)).await.expect("connects");
    db.migrate().await.expect("migrates");
    // The setting of the store's own session, as the server sees it while that session writes.
    let watcher = "CREATE TABLE seen (setting TEXT); \
                   CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                   INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; \
                   CREATE TRIGGER see AFTER INSERT ON log_head FOR EACH ROW EXECUTE FUNCTION see()";
    cluster.execute(name, watcher).expect("a trigger");
    db.initialize(EPOCH).await.expect("initialises");
    assert_eq!(cluster.execute(name, "SELECT setting FROM seen").expect("reads"), "on");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    let options = DatabaseOptions {
        acquire_timeout: std::time::Duration::from_millis(300),
        ..DatabaseOptions::new("postgres://ada:hunter2@127.0.0.1:1/tessera")
    };
    let error = Database::connect(&options).await.expect_err("nobody listens");
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.to_string(), "cannot open the database postgres://127.0.0.1:1/tessera");
    assert!(!format!("{error:?}").contains("hunter2"));

    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/absent.db", folder.path().display());
    let error = Database::connect(&DatabaseOptions::new(url)).await.expect_err("no such file");
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}
