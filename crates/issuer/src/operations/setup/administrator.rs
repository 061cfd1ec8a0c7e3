//! The first administrator, and an introspector's credential: made on the issuer's host, written once to files.

use tessera_ledger::event::{Event, Subject};
use tessera_store::{Action, Actor, Client, NewRecord, StoreError, StoredSecret, Target, Transaction};
use tessera_types::random;
use tessera_types::scope::reserved;
use tessera_types::{
    Audience, ClaimsProfile, ClientId, ClientType, GrantType, PresentedSecret, Scope, ScopeSet, SecretHash,
};
use uuid::Uuid;

use super::Setup;
use crate::operations::clients::changed;

/// The administrator that `tessera init` makes.
pub const ADMINISTRATOR: &str = "tessera-admin";

/// The introspector's client that `tessera init` makes.
pub const INTROSPECTOR: &str = "tessera-introspector";

/// Why there is no new credential.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There is one already.
    #[error("there is an administrator already; --recover replaces the credential of tessera-admin")]
    Exists,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A built-in name is not valid.
    #[error("a built-in name is not valid: {0}")]
    Name(&'static str),
}

impl Setup<'_> {
    /// Makes the administrator and returns its secret. With `recover` its older secrets end at once and its tokens die.
    ///
    /// # Errors
    /// `Exists` where any client may administer and `recover` was not said.
    pub async fn administrator(&self, issuer: &Audience, recover: bool) -> Result<PresentedSecret, CredentialError> {
        let tx = self.store.begin().await?;
        // Of two who ask at once one is refused.
        tx.exclusive().await?;
        let scope = word::<Scope>(reserved::ADMIN)?;
        if !recover && tx.clients().any_with_scope(&scope).await? {
            return Err(CredentialError::Exists);
        }
        self.service_client(tx, ADMINISTRATOR, "Administrator", scope, issuer).await
    }

    /// Makes the client by which introspectors follow the log, or gives it a new secret, and returns the secret.
    ///
    /// # Errors
    /// `Store`.
    pub async fn introspector(&self, issuer: &Audience) -> Result<PresentedSecret, CredentialError> {
        let tx = self.store.begin().await?;
        tx.exclusive().await?;
        self.service_client(tx, INTROSPECTOR, "Introspectors", word(reserved::SYNC)?, issuer).await
    }

    async fn service_client(
        &self,
        mut tx: Transaction,
        id: &'static str,
        name: &str,
        scope: Scope,
        issuer: &Audience,
    ) -> Result<PresentedSecret, CredentialError> {
        let id: ClientId = word(id)?;
        let now = self.clock.now();
        let scopes = ScopeSet::from_iter([scope]);
        let wanted = Client {
            id: id.clone(),
            name: name.to_owned(),
            description: "Made by tessera init.".to_owned(),
            kind: ClientType::Confidential,
            enabled: true,
            owner_disabled: false,
            grants: vec![GrantType::ClientCredentials],
            scopes: scopes.clone(),
            default_scopes: scopes,
            audiences: vec![issuer.clone()],
            resources: Vec::new(),
            redirect_uris: Vec::new(),
            access_ttl: None,
            claims_profile: Some(ClaimsProfile::Rfc9068),
            organization: None,
            owner: None,
            site_url: None,
            logo_url: None,
            failure_uri: None,
            implicit_scopes: ScopeSet::empty(),
            last_used: None,
            created: now,
            updated: now,
            version: 1,
        };
        let client = if let Some((existing, secrets)) = tx.clients().find_with_secrets(&id).await? {
            for secret in secrets {
                tx.clients().delete_secret(&id, secret.id).await?;
            }
            tx.record(Event::WatermarkRaised(Subject::Client(id.clone())));
            let kept = Client { name: existing.name, created: existing.created, version: existing.version, ..wanted };
            Client { version: tx.clients().update(&kept).await?, ..kept }
        } else {
            tx.clients().insert(&wanted).await?;
            wanted
        };
        let secret = PresentedSecret::generate(self.random);
        let kept = StoredSecret {
            id: Uuid::from_bytes(random::bytes(self.random)),
            hash: SecretHash::Fast(secret.fast_hash()),
            created: now,
            expires: None,
            generated: true,
            last_used: None,
        };
        tx.clients().insert_secret(&id, &kept).await?;
        tx.record(changed(&client, true));
        let action =
            if client.id.as_str() == INTROSPECTOR { Action::SetupIntrospector } else { Action::SetupAdministrator };
        tx.audit(NewRecord::done(now, Actor::Host("tessera init"), action).to(Target::Client(id)));
        tx.commit().await?;
        Ok(secret)
    }
}

fn word<T: std::str::FromStr>(text: &'static str) -> Result<T, CredentialError> {
    text.parse().map_err(|_| CredentialError::Name(text))
}
