//! Where things are kept: clients, users, organizations, grants, scopes, signing keys and the log, over SQLite and PostgreSQL in one
//! code path.
//!
//! Repositories know no policy. `find` answers `Option`; a change of state is a conditional update whose affected rows are
//! checked. Every change happens in a [`Transaction`], which appends what it recorded to the log as the last thing before it
//! commits: so revisions have no gaps and stand in the order of the commits.
//!
//! No secret comes here in the clear: the types take [`SecretHash`](tessera_types::SecretHash) and sealed bytes alone.

pub mod audit;
pub mod authorizations;
pub mod backup;
pub mod cleanup;
pub mod clients;
pub mod consents;
pub mod database;
mod entities;
pub mod error;
pub mod families;
pub mod holders;
pub mod kept_secrets;
pub mod keys;
pub mod log;
pub mod mails;
pub mod options;
pub mod organizations;
pub mod schema;
pub mod scopes;
pub mod sessions;
pub mod transaction;
pub mod users;

pub use audit::{Action, Actor, Audit, AuditFilter, AuditRecord, Detail, NewRecord, Outcome, Party, Target};
pub use authorizations::{AuthorizationCodeRecord, AuthorizationRequest, AuthorizationWrites, Authorizations};
pub use cleanup::Cleanup;
pub use clients::{Client, ClientFilter, ClientWrites, Clients, Enabled, StoredSecret};
pub use consents::{Consent, ConsentWrites, Consents};
pub use database::Database;
pub use error::{StoreError, Unique};
pub use families::{Families, FamilyWrites, LastAccess, RefreshFamily, Turn};
pub use holders::{HolderRecord, Holders};
pub use kept_secrets::{KeptSecret, KeptSecretWrites, KeptSecrets};
pub use keys::{KeyWrites, Keys, SigningKeyRecord};
pub use log::{ChainCheck, Log, Tail, WholeLog};
pub use mails::{MailRecord, MailWrites, Mails};
pub use options::{ConnectError, DatabaseOptions};
pub use organizations::{Organization, OrganizationFilter, OrganizationWrites, Organizations};
pub use schema::{MigrationState, MigrationStatus};
pub use scopes::{ScopeRecord, ScopeWrites, Scopes};
pub use sessions::{Session, SessionWrites, Sessions};
pub use transaction::{Committed, Transaction};
pub use users::{User, UserFilter, UserWrites, Users};
