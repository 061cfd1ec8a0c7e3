//! A fresh database for each test, of either kind, and things to put into it.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use tessera_ledger::event::{Entry, Event, Subject};
use tessera_store::{
    AuthorizationCodeRecord, AuthorizationRequest, Client, Consent, Database, DatabaseOptions, LastAccess,
    Organization, RefreshFamily, ScopeRecord, Session, SigningKeyRecord, StoredSecret, Tail, Transaction, Turn, User,
};
use tessera_testkit::postgres::Cluster;
use tessera_types::{
    Algorithm, ClaimsProfile, ClientType, Epoch, GrantId, GrantType, KeyState, OpaqueHash, OrganizationId, Revision,
    SecretHash, Timestamp, TokenId, UserId,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A database of its own.
pub(crate) struct Fixture {
    pub(crate) db: Database,
    pub(crate) url: String,
    // Held for its destructor.
    folder: Option<TempDir>,
}

/// The kinds there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

pub(crate) const EPOCH: Epoch = Epoch(0xfeed_0000_0000_0001);

impl Fixture {
    /// A database without tables. `None` where PostgreSQL is not installed (and this is not CI).
    pub(crate) async fn bare(kind: Kind) -> Option<Self> {
        let (url, folder) = match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                (format!("sqlite://{}?mode=rwc", folder.path().join("tessera.db").display()), Some(folder))
            }
            Kind::Postgres => {
                let cluster = Cluster::shared().expect("PostgreSQL starts")?;
                (cluster.create_database().expect("a database"), None)
            }
        };
        let db = Database::connect(&DatabaseOptions::new(&url)).await.expect("connects");
        Some(Self { db, url, folder })
    }

    /// A database with tables and a head.
    pub(crate) async fn ready(kind: Kind) -> Option<Self> {
        let fixture = Self::bare(kind).await?;
        fixture.db.migrate().await.expect("migrates");
        fixture.db.initialize(EPOCH).await.expect("initialises");
        Some(fixture)
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.folder.is_none()
    }

    /// The same database, opened by somebody less patient.
    pub(crate) async fn impatient(&self) -> Database {
        let short = Duration::from_millis(100);
        let options =
            DatabaseOptions { acquire_timeout: short * 5, statement_timeout: short, ..DatabaseOptions::new(&self.url) };
        Database::connect(&options).await.expect("connects")
    }

    /// Runs a statement behind the store's back.
    pub(crate) async fn sql(&self, statement: &str) {
        let connection = sea_orm::Database::connect(&self.url).await.expect("connects");
        connection.execute_unprepared(statement).await.expect("the statement runs");
        connection.close().await.expect("closes");
    }

    /// Every entry of the log.
    pub(crate) async fn entries(&self) -> Vec<Entry> {
        match self.db.log().after(0, u64::from(u32::MAX)).await.expect("the log reads") {
            Tail::Entries(entries) => entries,
            Tail::Compacted => panic!("compacted"),
        }
    }

    /// Commits a transaction that records events.
    pub(crate) async fn append(&self, events: &[Event]) -> tessera_store::Committed {
        let mut tx = self.db.begin().await.expect("begins");
        for event in events {
            tx.record(event.clone());
        }
        tx.commit().await.expect("commits")
    }
}

/// Makes of each function a test on each database: `sqlite` and `postgresql` in a module of its name. The state in which it
/// wants its database comes first.
macro_rules! on_both {
    ($state:ident: $($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::harness::{Fixture, Kind};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let fixture = Fixture::$state(Kind::Sqlite).await.expect("SQLite is always there");
                super::$name(fixture).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgresql() {
                if let Some(fixture) = Fixture::$state(Kind::Postgres).await {
                    super::$name(fixture).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both;

pub(crate) fn client(id: &str) -> Client {
    Client {
        id: id.parse().expect("a client id"),
        name: format!("Name of {id}"),
        description: "Sells \"things\"; costs 5 % — más".into(),
        kind: ClientType::Confidential,
        enabled: true,
        owner_disabled: false,
        grants: vec![GrantType::RefreshToken, GrantType::ClientCredentials],
        scopes: "orders:write orders:read".parse().expect("scopes"),
        default_scopes: "orders:read".parse().expect("scopes"),
        audiences: vec!["demo-resource".parse().expect("an audience")],
        resources: vec!["https://api.example/x,y".parse().expect("an audience")],
        redirect_uris: vec!["http://127.0.0.1/callback?a=b".parse().expect("a redirect URI")],
        access_ttl: Some(Duration::from_mins(15)),
        claims_profile: Some(ClaimsProfile::Legacy),
        organization: None,
        owner: None,
        site_url: Some("https://shop.example/".parse().expect("a URL")),
        logo_url: Some("https://shop.example/logo.png?x=1".parse().expect("a URL")),
        failure_uri: Some("https://shop.example/failed".parse().expect("a redirect URI")),
        implicit_scopes: "is_authenticated".parse().expect("scopes"),
        last_used: None,
        created: Timestamp(1_700_000_000),
        updated: Timestamp(1_700_000_001),
        version: 1,
    }
}

pub(crate) fn secret(number: u8, expires: Option<i64>) -> StoredSecret {
    StoredSecret {
        id: Uuid::from_bytes([number; 16]),
        hash: SecretHash::Fast([number; 32]),
        created: Timestamp(1_700_000_000 + i64::from(number)),
        expires: expires.map(Timestamp),
        generated: true,
        last_used: None,
    }
}

pub(crate) fn scope(name: &str) -> ScopeRecord {
    ScopeRecord {
        name: name.parse().expect("a scope"),
        descriptions: BTreeMap::from([("en".into(), "Read \"orders\"".into()), ("fr".into(), "Été".into())]),
        reserved: false,
        created: Timestamp(1_700_000_000),
    }
}

pub(crate) fn key(id: &str, state: KeyState) -> SigningKeyRecord {
    SigningKeyRecord {
        key: id.parse().expect("a key id"),
        algorithm: Algorithm::Es256,
        state,
        public_jwk: r#"{"kty":"EC"}"#.into(),
        sealed_private: vec![0, 255, 1, 0],
        created: Timestamp(1_700_000_000),
        since: Some(Timestamp(1_700_000_100)),
    }
}

/// A user whom nothing but the number names.
pub(crate) fn user(number: u8) -> User {
    User {
        id: UserId([number; 16]),
        username: format!("User-{number}").parse().expect("a username"),
        name: "Ada \"Countess\" Lovelace, 5 % más".into(),
        email: Some(format!("User-{number}@Example.test").parse().expect("an address")),
        password: Some(
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
                .parse()
                .expect("a hash"),
        ),
        enabled: true,
        created: Timestamp(1_700_000_000),
        updated: Timestamp(1_700_000_001),
        version: 1,
    }
}

/// An organization that nothing but the number names.
pub(crate) fn organization(number: u8) -> Organization {
    Organization {
        id: OrganizationId([number; 16]),
        name: format!("Organization {number} — \"5 %\""),
        global: false,
        enabled: true,
        created: Timestamp(1_700_000_000),
        updated: Timestamp(1_700_000_001),
        version: 1,
    }
}

pub(crate) fn rev(number: u64) -> Revision {
    Revision { epoch: EPOCH, number }
}

/// A session of a user's that ends when it is told to.
pub(crate) fn session(number: u8, user: UserId, expires: i64) -> Session {
    Session {
        id: Uuid::from_bytes([number; 16]),
        token: OpaqueHash([number; 32]),
        user,
        rev: rev(7),
        created: Timestamp(1_700_000_000),
        seen: Timestamp(1_700_000_000 + i64::from(number)),
        expires: Timestamp(expires),
        agent: "Brow\"ser/1.0 (é)".into(),
        address: "2001:db8::1".into(),
    }
}

pub(crate) fn consent(user: UserId, client: &str) -> Consent {
    Consent {
        user,
        client: client.parse().expect("a client id"),
        scopes: "orders:read profile".parse().expect("scopes"),
        created: Timestamp(1_700_000_000),
        updated: Timestamp(1_700_000_001),
    }
}

/// A request of a client's that ends when it is told to.
pub(crate) fn request(number: u8, client: &str, expires: i64) -> AuthorizationRequest {
    AuthorizationRequest {
        token: OpaqueHash([number; 32]),
        client: client.parse().expect("a client id"),
        redirect_uri: "http://127.0.0.1:5000/callback?a=b".parse().expect("a redirect URI"),
        redirect_given: true,
        state: Some("x\"y é".into()),
        scopes: "orders:read".parse().expect("scopes"),
        audience: Some("demo-resource".parse().expect("an audience")),
        challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse().expect("a challenge")),
        locales: Some("fr en".into()),
        created: Timestamp(1_700_000_000),
        expires: Timestamp(expires),
    }
}

/// A code that ends when it is told to.
pub(crate) fn code(number: u8, client: &str, user: UserId, expires: i64) -> AuthorizationCodeRecord {
    AuthorizationCodeRecord {
        code: OpaqueHash([number; 32]),
        grant: GrantId([number; 16]),
        client: client.parse().expect("a client id"),
        user,
        redirect_uri: Some("http://127.0.0.1:5000/callback?a=b".into()),
        scopes: "orders:read".parse().expect("scopes"),
        audience: Some("demo-resource".parse().expect("an audience")),
        challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse().expect("a challenge")),
        rev: rev(7),
        created: Timestamp(1_700_000_000),
        expires: Timestamp(expires),
        redeemed: None,
    }
}

/// A family that ends, for want of use, when it is told to.
pub(crate) fn family(number: u8, client: &str, user: UserId, expires: i64) -> RefreshFamily {
    RefreshFamily {
        grant: GrantId([number; 16]),
        client: client.parse().expect("a client id"),
        user,
        scopes: "orders:read profile".parse().expect("scopes"),
        audience: "demo-resource".parse().expect("an audience"),
        rev: rev(7),
        generation: 3,
        current: OpaqueHash([number; 32]),
        recent: vec![Turn { generation: 2, at: Timestamp(1_700_000_002) }],
        created: Timestamp(1_700_000_000),
        used: Timestamp(1_700_000_002),
        expires: Timestamp(expires),
        ends: Timestamp(9_000_000_000),
        last_access: Some(LastAccess { token: TokenId([number; 16]), expires: Timestamp(1_700_003_602) }),
    }
}

/// How many of those who tried at once were told that it was they.
pub(crate) async fn winners(racers: impl Iterator<Item = JoinHandle<bool>>) -> usize {
    let mut won = 0;
    // All of them run before the first is waited for.
    for racer in racers.collect::<Vec<_>>() {
        won += usize::from(racer.await.expect("runs"));
    }
    won
}

/// Keeps a client `a`, a client `b` and two users.
pub(crate) async fn people(f: &Fixture) {
    let tx = f.db.begin().await.expect("begins");
    for id in ["a", "b"] {
        tx.clients().insert(&client(id)).await.expect("inserts");
    }
    for number in [1, 2] {
        tx.users().insert(&user(number)).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
}

/// Keeps one of everything that belongs to a client and a user, under a number.
pub(crate) async fn belongings(tx: &Transaction, number: u8, client: &str, user: UserId) {
    tx.sessions().insert(&session(number, user, 2_000_000_000)).await.expect("inserts");
    tx.consents().keep(&consent(user, client)).await.expect("keeps");
    tx.authorizations().insert_request(&request(number, client, 2_000_000_000)).await.expect("inserts");
    tx.authorizations().insert_code(&code(number, client, user, 2_000_000_000)).await.expect("inserts");
    tx.families().insert(&family(number, client, user, 2_000_000_000)).await.expect("inserts");
}

/// Which of them there are: session, consent, request, code, family.
pub(crate) async fn which(db: &Database, number: u8, client: &str, user: UserId) -> [bool; 5] {
    let token = OpaqueHash([number; 32]);
    let client = client.parse().expect("a client id");
    [
        db.sessions().find(token).await.expect("finds").is_some(),
        db.consents().find(user, &client).await.expect("finds").is_some(),
        db.authorizations().request(token).await.expect("finds").is_some(),
        db.authorizations().code(token).await.expect("finds").is_some(),
        db.families().find(GrantId([number; 16])).await.expect("finds").is_some(),
    ]
}

/// The revocation of a token that no other number names.
pub(crate) fn token(number: u64) -> Event {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Event::TokenRevoked { token: TokenId(id), expires: Timestamp(2_000_000_000) }
}

pub(crate) fn watermark(user: &str) -> Event {
    Event::WatermarkRaised(Subject::User(user.into()))
}
