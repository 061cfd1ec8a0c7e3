//! TLS and mTLS from files, on issuer and introspector as two processes: set up by `tessera init` and a configuration file, nothing else.

mod authority;
mod ends;
mod grpcurl;
mod identities;
mod refusals;
pub(super) mod setting;
mod startup;
mod swaps;
mod trust;

use anyhow::Result;
use rstest::rstest;
use tessera_testkit::pair::Backend;

use self::setting::Setting;

/// Every call is over TLS with a client certificate. The administrator and the introspector have nothing else: no secret was given to either.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test]
async fn a_token_lives_and_dies_over_mutual_tls(#[case] backend: Backend) -> Result<()> {
    let Some(setting) = Setting::start(backend).await? else { return Ok(()) };
    let token = setting.token().await?;
    assert!(setting.check(&token).await?.active);
    let revision = setting.revoke(&token).await?;
    assert!(!revision.is_empty());
    assert!(!setting.check(&token).await?.active);
    Ok(())
}
