//! What a handshake told of the other end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls_pki_types::CertificateDer;
use tessera_types::Timestamp;

use super::identity::IdentityName;
use super::validity::Validity;

/// Among a request's extensions where its connection is encrypted.
#[derive(Clone, Debug)]
pub struct Secured {
    /// The client's certificate, where it presented one. The handshake has verified it.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Secured {
    /// The certificate behind a request, if any.
    #[must_use]
    pub fn certificate(extensions: &http::Extensions) -> Option<&Arc<PeerCertificate>> {
        extensions.get::<Self>()?.certificate.as_ref()
    }
}

/// A client's certificate, as far as it is asked about.
#[derive(Debug)]
pub struct PeerCertificate {
    names: Vec<IdentityName>,
    not_after: Timestamp,
    withdrawn: AtomicBool,
}

impl PeerCertificate {
    /// A certificate with these names that is good until then, inclusive.
    #[must_use]
    pub const fn new(names: Vec<IdentityName>, not_after: Timestamp) -> Self {
        Self { names, not_after, withdrawn: AtomicBool::new(false) }
    }

    /// Reads a certificate that rustls has verified; `None` where it cannot be read after all.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
        let names = parsed.valid_dns_names().map(IdentityName::dns);
        let names = names.chain(parsed.valid_uri_names().map(IdentityName::uri)).collect();
        Some(Self::new(names, Validity::of(certificate)?.not_after))
    }

    /// The DNS names and URIs of its subject alternative name.
    #[must_use]
    pub fn names(&self) -> &[IdentityName] {
        &self.names
    }

    /// The same for a log line.
    #[must_use]
    pub fn shown(&self) -> String {
        self.names.iter().map(IdentityName::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Whether it is still good. That it was when the handshake began is settled; a connection may outlive it, and so may the authority
    /// that vouched for it.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now <= self.not_after && !self.withdrawn.load(Ordering::Relaxed)
    }

    /// Nobody vouches for it any more.
    pub(super) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }
}
