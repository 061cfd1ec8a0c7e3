//! The side that connects: one service to another.
//!
//! tonic's own TLS keeps the files it began with; here each connection is made with the ones of its moment.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, Error, RootCertStore};
use rustls_pki_types::ServerName;
use tessera_types::{Clock, Timestamp};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use super::error::TlsError;
use super::files::{Contents, Stamp};
use super::provider;
use super::renewal::{Renewable, Renewal};

/// Where HTTPS is served when the address does not say (RFC 9110 section 4.2.2).
const DEFAULT_PORT: u16 = 443;

/// Which files there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that servers' certificates must come from; the system's where there is no file.
    pub authorities: Option<PathBuf>,
    /// A certificate of our own and its key, for servers that ask.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// What connections are made with.
#[derive(Clone)]
pub struct ClientTls(Arc<Inner>);

struct Inner {
    files: ClientFiles,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Current>,
}

struct Current {
    stamp: Stamp,
    not_after: Option<Timestamp>,
    config: Arc<ClientConfig>,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("files", &self.0.files).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: ClientFiles, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(Current::new(&files.read()?, clock.now())?);
        Ok(Self(Arc::new(Inner { files, clock, current })))
    }

    /// A channel over TLS that connects when it is first used and again whenever it must. `address` is `https://host:port`; `settings`
    /// puts on the endpoint what it should have besides.
    ///
    /// # Errors
    /// [`TlsError::Name`], where the address has no host.
    pub fn channel(&self, address: &Uri, settings: impl FnOnce(Endpoint) -> Endpoint) -> Result<Channel, TlsError> {
        let host = address.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| TlsError::Name(host.clone()))?;
        let port = address.port_u16().unwrap_or(DEFAULT_PORT);
        // To tonic this is plain text: what is below is the connector's business, and it refuses https:// without its own TLS.
        let authority = address.authority().map_or("", |authority| authority.as_str());
        let plain: Uri = format!("http://{authority}").parse().map_err(|_| TlsError::Name(host.clone()))?;
        let tls = self.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let (tls, host, name) = (tls.clone(), host.clone(), name.clone());
            async move { tls.connect(&host, port, name).await }
        });
        Ok(settings(Endpoint::from(plain).origin(address.clone())).connect_with_connector_lazy(connector))
    }

    async fn connect(
        &self,
        host: &str,
        port: u16,
        name: ServerName<'static>,
    ) -> io::Result<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let config = Arc::clone(&self.0.current.load().config);
        TlsConnector::from(config).connect(name, stream).await.map(TokioIo::new)
    }
}

impl Renewable for ClientTls {
    fn purpose(&self) -> &'static str {
        "issuer_channel"
    }

    fn renew(&self) -> Result<Renewal, TlsError> {
        let Inner { files, clock, current } = &*self.0;
        let contents = files.read()?;
        if contents.stamp() == current.load().stamp {
            return Ok(Renewal::Unchanged);
        }
        current.store(Arc::new(Current::new(&contents, clock.now())?));
        Ok(Renewal::Renewed)
    }

    fn not_after(&self) -> Option<Timestamp> {
        self.0.current.load().not_after
    }
}

impl ClientFiles {
    fn read(&self) -> Result<Contents, TlsError> {
        let mut contents = Contents::default();
        if let Some((certificate, key)) = &self.own {
            contents = contents.with_pair(certificate, key)?;
        }
        match &self.authorities {
            Some(path) => contents.with_authorities(path),
            None => Ok(contents),
        }
    }
}

impl Current {
    fn new(contents: &Contents, now: Timestamp) -> Result<Self, TlsError> {
        let roots = Arc::new(match contents.roots()? {
            Some(roots) => roots,
            None => the_systems()?,
        });
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = builder.with_webpki_verifier(verifier);
        let own = contents.own(now)?;
        let not_after = own.as_ref().map(|own| own.not_after);
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.key))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { stamp: contents.stamp(), not_after, config: Arc::new(config) })
    }
}

fn the_systems() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Some of what a system has no library takes; the rest is as good as before.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(roots) }
}
