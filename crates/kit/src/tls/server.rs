//! The side that listens.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::Counter;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, Error, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, UnixTime};
use tessera_types::{Clock, Timestamp};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::error::TlsError;
use super::files::{Contents, Stamp};
use super::peer::{PeerCertificate, Secured};
use super::renewal::{Renewable, Renewal};
use super::vouched::Vouched;
use super::{answer_plain_text, provider};
use crate::config::{ClientAuth, Tls};
use crate::metrics::Metrics;

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// HTTP/1 and HTTP/2.
    Http,
    /// gRPC: HTTP/2 alone.
    Grpc,
    /// Health and metrics; no client is asked for a certificate there, since orchestrators have none.
    Ops,
}

/// The certificates of a service's listeners.
#[derive(Clone)]
pub struct ServerTls(Arc<Inner>);

struct Inner {
    section: Tls,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Current>,
    /// Changes with it.
    replaced: watch::Sender<()>,
}

/// What a handshake is made with: certificate and authorities of one moment, never the one of before and the other of after.
struct Current {
    stamp: Stamp,
    not_after: Timestamp,
    /// Who vouches for clients, where any is asked.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    http: Arc<ServerConfig>,
    grpc: Arc<ServerConfig>,
    ops: Arc<ServerConfig>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("section", &self.0.section).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files; `None` where the section names none.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(section: &Tls, clock: Arc<dyn Clock>) -> Result<Option<Self>, TlsError> {
        let Some(contents) = read(section)? else { return Ok(None) };
        let current = ArcSwap::from_pointee(Current::new(section, &contents, clock.now())?);
        let (section, replaced) = (section.clone(), watch::Sender::new(()));
        Ok(Some(Self(Arc::new(Inner { section, clock, current, replaced }))))
    }

    /// What makes handshakes for a listener; none where it speaks plain text.
    #[must_use]
    pub fn acceptor(&self, role: Role, metrics: &Metrics) -> Option<Acceptor> {
        (role != Role::Ops || self.0.section.ops).then(|| Acceptor {
            tls: self.clone(),
            role,
            failures: Failures::new(metrics),
        })
    }

    /// Whether somebody vouches for a client's certificate now, as in a handshake.
    pub(super) fn verify(&self, presented: &[CertificateDer<'_>]) -> Result<(), Error> {
        let current = self.0.current.load();
        let clients = current.clients.as_ref().ok_or(Error::NoCertificatesPresented)?;
        let (own, between) = presented.split_first().ok_or(Error::NoCertificatesPresented)?;
        let since_1970 = u64::try_from(self.0.clock.now().0).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(since_1970));
        clients.verify_client_cert(own, between, now).map(drop)
    }

    fn config(&self, role: Role) -> Arc<ServerConfig> {
        let current = self.0.current.load();
        Arc::clone(match role {
            Role::Http => &current.http,
            Role::Grpc => &current.grpc,
            Role::Ops => &current.ops,
        })
    }
}

impl Renewable for ServerTls {
    fn purpose(&self) -> &'static str {
        "listeners"
    }

    fn renew(&self) -> Result<Renewal, TlsError> {
        let Inner { section, clock, current, replaced } = &*self.0;
        let Some(contents) = read(section)? else { return Ok(Renewal::Unchanged) };
        if contents.stamp() == current.load().stamp {
            return Ok(Renewal::Unchanged);
        }
        current.store(Arc::new(Current::new(section, &contents, clock.now())?));
        replaced.send_replace(());
        Ok(Renewal::Renewed)
    }

    fn not_after(&self) -> Option<Timestamp> {
        Some(self.0.current.load().not_after)
    }
}

fn read(section: &Tls) -> Result<Option<Contents>, TlsError> {
    let (Some(certificate), Some(key)) = (&section.cert_file, &section.key_file) else { return Ok(None) };
    let contents = Contents::default().with_pair(certificate, key)?;
    match &section.client_ca_file {
        Some(authorities) => contents.with_authorities(authorities).map(Some),
        None => Ok(Some(contents)),
    }
}

impl Current {
    fn new(section: &Tls, contents: &Contents, now: Timestamp) -> Result<Self, TlsError> {
        // Both are there: `read` asked for both.
        let own = contents.own(now)?.ok_or(Error::NoCertificatesPresented)?;
        let roots = contents.roots()?.map(Arc::new);
        let config = |asked, protocols: &[&[u8]]| config(&own.key, verifier(roots.as_ref(), asked)?, protocols);
        Ok(Self {
            stamp: contents.stamp(),
            not_after: own.not_after,
            clients: verifier(roots.as_ref(), ClientAuth::Required)?,
            http: config(section.of_http(), &[b"h2", b"http/1.1"])?,
            grpc: config(section.of_grpc(), &[b"h2"])?,
            ops: config(ClientAuth::Off, &[b"h2", b"http/1.1"])?,
        })
    }
}

/// None where no client is asked.
fn verifier(
    roots: Option<&Arc<RootCertStore>>,
    asked: ClientAuth,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let builder = match (roots, asked) {
        (None, _) | (_, ClientAuth::Off) => return Ok(None),
        (Some(roots), _) => WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider()),
    };
    let builder = if asked == ClientAuth::Required { builder } else { builder.allow_unauthenticated() };
    builder.build().map(Some).map_err(|error| Error::General(error.to_string()).into())
}

fn config(
    key: &Arc<CertifiedKey>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let asks = verifier.is_some();
    let verifier = verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(key)));
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    if asks {
        // A resumed session takes the client's certificate from memory: one that has ended since would pass.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

/// Makes the handshakes of one listener.
#[derive(Clone)]
pub struct Acceptor {
    tls: ServerTls,
    role: Role,
    failures: Failures,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The client spoke plain text.
    #[error("the client spoke plain text")]
    PlainText,
    /// The client presented no certificate where one is required.
    #[error("the client presented no certificate")]
    NoCertificate,
    /// The client's certificate is not good.
    #[error("the client's certificate is not good: {0}")]
    Certificate(Error),
    /// The client does not want our certificate.
    #[error("the client refused the certificate of this server: {0:?}")]
    Refused(AlertDescription),
    /// It took too long, or the process stops.
    #[error("the handshake took too long")]
    Late,
    /// Anything else: mostly a client that hung up.
    #[error(transparent)]
    Other(#[from] std::io::Error),
}

impl Acceptor {
    /// Makes a handshake with the certificate of now.
    pub(crate) async fn accept(
        &self,
        mut stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Secured, Option<Vouched>), Failed> {
        if answer_plain_text(&mut stream, self.role == Role::Grpc).await? {
            return Err(Failed::PlainText);
        }
        let replaced = self.tls.0.replaced.subscribe();
        let stream = TlsAcceptor::from(self.tls.config(self.role)).accept(stream).await.map_err(Failed::from_io)?;
        let (_, connection) = stream.get_ref();
        let presented = connection.peer_certificates().unwrap_or_default().to_vec();
        let certificate = presented.first().and_then(PeerCertificate::read).map(Arc::new);
        let vouched = (!presented.is_empty()).then(|| Vouched {
            tls: self.tls.clone(),
            presented,
            certificate: certificate.clone(),
            replaced,
        });
        Ok((stream, Secured { certificate }, vouched))
    }

    /// Counts a handshake that came to nothing.
    pub(crate) fn failed(&self, failed: &Failed) {
        let counter = match failed {
            Failed::PlainText => &self.failures.plain_text,
            Failed::NoCertificate => &self.failures.no_certificate,
            Failed::Certificate(_) => &self.failures.certificate,
            Failed::Refused(_) => &self.failures.refused,
            Failed::Late => &self.failures.late,
            Failed::Other(_) => &self.failures.other,
        };
        counter.increment(1);
    }
}

impl Failed {
    fn from_io(error: std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(bad @ Error::InvalidCertificate(_)) => Self::Certificate(bad.clone()),
            Some(Error::AlertReceived(alert)) => Self::Refused(*alert),
            _ => Self::Other(error),
        }
    }
}

/// Handshakes that came to nothing, by why.
#[derive(Clone)]
struct Failures {
    plain_text: Counter,
    no_certificate: Counter,
    certificate: Counter,
    refused: Counter,
    late: Counter,
    other: Counter,
}

impl Failures {
    fn new(metrics: &Metrics) -> Self {
        let counter = |reason| {
            let help = "Handshakes that came to nothing, by why.";
            metrics.counter("tessera_tls_handshakes_failed_total", help, &[("reason", reason)])
        };
        Self {
            plain_text: counter("plain_text"),
            no_certificate: counter("no_client_certificate"),
            certificate: counter("bad_client_certificate"),
            refused: counter("refused_by_client"),
            late: counter("late"),
            other: counter("other"),
        }
    }
}

#[cfg(test)]
mod tests;
