//! A fresh database for each test, of either kind, and things to put into it.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use tessera_ledger::event::{Entry, Event, Subject};
use tessera_store::{Client, Database, DatabaseOptions, ScopeRecord, SigningKeyRecord, StoredSecret, Tail};
use tessera_testkit::postgres::Cluster;
use tessera_types::{Algorithm, ClaimsProfile, ClientType, Epoch, GrantType, KeyState, SecretHash, Timestamp, TokenId};
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
        grants: vec![GrantType::RefreshToken, GrantType::ClientCredentials],
        scopes: "orders:write orders:read".parse().expect("scopes"),
        default_scopes: "orders:read".parse().expect("scopes"),
        audiences: vec!["demo-resource".parse().expect("an audience")],
        resources: vec!["https://api.example/x,y".parse().expect("an audience")],
        redirect_uris: vec!["http://127.0.0.1/callback?a=b".parse().expect("a redirect URI")],
        access_ttl: Some(Duration::from_mins(15)),
        claims_profile: ClaimsProfile::Legacy,
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
    }
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
