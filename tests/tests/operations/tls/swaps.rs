//! Certificates are replaced while calls go on.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use rstest::rstest;
use tessera_testkit::pair::Backend;
use tessera_testkit::process::Service;
use tessera_tests::eventually;
use tokio::task::JoinSet;

use super::authority::{Pem, replace};
use super::setting::{ORDERS, Setting, introspect};

/// How many ask at once.
const ASKING: usize = 8;

impl Setting {
    /// Puts a new certificate where the servers' is, as Kubernetes does: a new folder, and one link that changes.
    fn swap(&self, folder: &str) -> Result<Pem> {
        let (fresh, link) = (self.servers.server()?, self.folder().join("link"));
        fresh.write(&self.folder().join(folder), "tls")?;
        symlink(folder, &link)?;
        std::fs::rename(link, self.folder().join("live"))?;
        Ok(fresh)
    }

    /// Waits until every listener presents a certificate.
    async fn present(&self, expected: &Pem) -> Result<()> {
        let ports = self.ports;
        for at in [ports.issuer_http, ports.issuer_grpc, ports.introspector_http, ports.introspector_grpc] {
            eventually("the new certificate is presented", async || {
                Ok((self.presented(at).await? == expected.der).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

async fn is_seen(service: &Service, line: &str) -> Result<()> {
    eventually(line, async || Ok(service.metrics().await?.contains(line).then_some(()))).await
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test]
async fn certificates_are_swapped_under_load_with_no_failed_call(#[case] backend: Backend) -> Result<()> {
    let Some(setting) = Setting::start(backend).await? else { return Ok(()) };
    let setting = Arc::new(setting);
    let token = setting.token().await?;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut asking = JoinSet::new();
    for index in 0..ASKING {
        let (setting, stop, calls, token) =
            (Arc::clone(&setting), Arc::clone(&stop), Arc::clone(&calls), token.clone());
        asking.spawn(async move {
            let own = setting.clients.client(ORDERS)?;
            let kept = setting.channel(setting.ports.introspector_grpc, Some(&own)).await?;
            while !stop.load(Ordering::Relaxed) {
                // Half of them over the connection they began with, half with a handshake for each call.
                let channel = match index % 2 {
                    0 => kept.clone(),
                    _ => setting.channel(setting.ports.introspector_grpc, Some(&own)).await?,
                };
                ensure!(introspect(channel, &token).await?.active);
                calls.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    for round in 0..3 {
        let fresh = setting.swap(&format!("swapped-{round}"))?;
        if round == 1 {
            setting.issuer.hangup()?;
            setting.introspector.hangup()?;
        }
        setting.present(&fresh).await?;
        let seen = calls.load(Ordering::Relaxed);
        eventually("everybody goes on asking", async || {
            Ok((calls.load(Ordering::Relaxed) > seen + 10 * ASKING).then_some(()))
        })
        .await?;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = asking.join_next().await {
        ended??;
    }
    // The issuer's certificate was swapped as well, and the feed went on.
    let fresh = setting.token().await?;
    ensure!(setting.check(&fresh).await?.active);
    Ok(())
}

#[tokio::test]
async fn half_replaced_files_keep_the_former_ones() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let at = setting.ports.introspector_grpc;
    let former = setting.presented(at).await?;
    let fresh = setting.servers.server()?;
    let live = setting.folder().join("live");
    replace(&live.join("tls.crt"), &fresh.certificate)?;
    is_seen(&setting.introspector, "tessera_tls_reloads_total{purpose=\"listeners\",result=\"failed\"} 1").await?;
    ensure!(setting.presented(at).await? == former);
    let said = setting.introspector.said()?;
    ensure!(said.contains("tls.key is not the key of the first certificate in"), "{said}");
    // The other half follows, and nobody has to ask.
    replace(&live.join("tls.key"), &fresh.key)?;
    is_seen(&setting.introspector, "tessera_tls_reloads_total{purpose=\"listeners\",result=\"renewed\"} 1").await?;
    ensure!(setting.presented(at).await? == fresh.der);
    Ok(())
}

#[tokio::test]
async fn the_clients_authority_and_the_introspectors_own_certificate_are_swapped_too() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let token = setting.token().await?;
    let other = super::authority::Authority::new("other clients")?;
    let own = other.client(ORDERS)?;
    let served = async |own: &Pem| match setting.channel(setting.ports.introspector_grpc, Some(own)).await {
        Ok(channel) => introspect(channel, &token).await.is_ok(),
        Err(_) => false,
    };
    ensure!(!served(&own).await);
    // The introspector gets a certificate of the new authority first: the issuer will take no other.
    other.client(super::setting::INTROSPECTOR)?.write(setting.folder(), "introspector")?;
    is_seen(&setting.introspector, "tessera_tls_reloads_total{purpose=\"issuer_channel\",result=\"renewed\"} 1")
        .await?;
    replace(&setting.folder().join("clients.crt"), &other.pem())?;
    for service in [&setting.issuer, &setting.introspector] {
        is_seen(service, "tessera_tls_reloads_total{purpose=\"listeners\",result=\"renewed\"} 1").await?;
    }
    ensure!(served(&own).await);
    ensure!(!served(&setting.clients.client(ORDERS)?).await, "the former authority vouches for nobody any more");
    Ok(())
}

#[tokio::test]
async fn the_metrics_say_when_a_certificate_ends() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    // rcgen's certificates end in the year 4096.
    for (service, purpose) in [
        (&setting.issuer, "listeners"),
        (&setting.introspector, "listeners"),
        (&setting.introspector, "issuer_channel"),
    ] {
        let line = format!("tessera_tls_certificate_expiry_timestamp_seconds{{purpose=\"{purpose}\"}} 67090118400");
        is_seen(service, &line).await?;
    }
    Ok(())
}
