//! Operations against real databases, in this process: what is hard to see from outside.

mod applications;
mod audit;
mod authentication;
mod clients;
mod codes;
mod decisions;
mod failures;
mod housekeeping;
mod keys;
mod owners;
mod people;
mod refreshing;
mod restored;
mod revocation;
mod stopping;
mod users;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tessera_kit::config::Listen;
use tessera_testkit::postgres::Cluster;
use tessera_testkit::{MockClock, SeededRandom};
use tessera_types::{ClientType, Clock, GrantType, PresentedSecret, ScopeSet};

use crate::client_auth::{AuthMethod, PresentedClient};
use crate::config::{Applications, Config};
use crate::context::Context;
use crate::grants::{GrantRequest, TokenRequest};
use crate::operations::clients::{Created, Draft, Patch};
use crate::operations::{self, scopes};
use crate::{Deps, Running, StartOptions, start};

/// Which database.
#[derive(Clone, Copy, Debug)]
enum Backend {
    Sqlite,
    Postgres,
}

/// An issuer with a clock that a test moves.
struct TestIssuer {
    running: Running,
    clock: Arc<MockClock>,
    config: Config,
    folder: TempDir,
}

impl TestIssuer {
    /// None where the database is not installed; in CI that is a panic.
    async fn start(backend: Backend) -> Option<Self> {
        let url = match backend {
            Backend::Sqlite => String::new(),
            Backend::Postgres => {
                let cluster = Cluster::shared().expect("PostgreSQL starts")?;
                cluster.create_database().expect("a database")
            }
        };
        let folder = TempDir::new().expect("a folder");
        let mut config =
            Config { data_dir: folder.path().join("data"), listen: Listen::free_ports(), ..Config::default() };
        config.database.url = url;
        // The smallest key to make: these tests are not about it.
        config.tokens.signing_alg = "EdDSA".to_owned();
        config.tokens.password_grant = true;
        // Keys are as old as a test says, and follow one another only where it is about that.
        config.keys.publish_for = Duration::ZERO;
        config.keys.rotate_after = Duration::ZERO;
        config.applications = Applications { scopes: vec!["a".to_owned()], per_owner: 3, per_day: 4 };
        config.stop = tessera_kit::config::Stopping::at_once();
        let clock = Arc::new(MockClock::default());
        let running = Self::run(&config, &clock, 7).await;
        Some(Self { running, clock, config, folder })
    }

    /// Stops it and starts another process's worth on the same database.
    async fn restart(self) -> Self {
        let Self { running, clock, config, folder } = self;
        running.shutdown().await;
        let running = Self::run(&config, &clock, 8).await;
        Self { running, clock, config, folder }
    }

    async fn run(config: &Config, clock: &Arc<MockClock>, seed: u64) -> Running {
        let deps = Deps { clock: Arc::clone(clock) as Arc<dyn Clock>, random: Arc::new(SeededRandom::new(seed)) };
        Box::pin(start(config.clone(), deps, StartOptions::default())).await.expect("starts")
    }

    fn cx(&self) -> &Context {
        &self.running.cx
    }

    /// A client with the scopes `a b`, which it may have been given a secret for.
    async fn client(&self, id: &str, imported: Option<&str>) -> Created {
        for name in ["a", "b"] {
            let name = name.parse().expect("a scope");
            if scopes::find(self.cx(), &name).await.is_err() {
                scopes::create(self.cx(), name, std::collections::BTreeMap::new()).await.expect("registered");
            }
        }
        let imported = imported.map(secret);
        operations::clients::create(self.cx(), draft(id), imported).await.expect("created")
    }

    /// Lets time pass; then waits until the issuer has heard from its database again.
    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        let heard = async {
            while !self.cx().publication.in_touch(self.clock.monotonic()) {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), heard).await.expect("the database answers");
    }

    async fn head(&self) -> u64 {
        self.cx().store.log().head().await.expect("a head").revision
    }
}

fn draft(id: &str) -> Draft {
    let rest = Patch {
        name: Some(id.to_owned()),
        grants: Some(vec![GrantType::ClientCredentials]),
        scopes: Some("a b".parse().expect("scopes")),
        default_scopes: Some("a".parse().expect("scopes")),
        ..Patch::default()
    };
    Draft { id: Some(id.parse().expect("an id")), kind: ClientType::Confidential, enabled: true, rest }
}

fn secret(text: &str) -> PresentedSecret {
    PresentedSecret::new(text.to_owned()).expect("not empty")
}

fn presented(id: &str, secret: Option<PresentedSecret>) -> PresentedClient {
    let method = if secret.is_some() { AuthMethod::Post } else { AuthMethod::None };
    PresentedClient { id: id.to_owned(), secret, method, from: None }
}

fn token_request(id: &str, secret: &PresentedSecret) -> TokenRequest {
    TokenRequest {
        client: presented(id, Some(secret.clone())),
        grant: GrantRequest::ClientCredentials,
        scopes: ScopeSet::empty(),
        audience: None,
    }
}

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
