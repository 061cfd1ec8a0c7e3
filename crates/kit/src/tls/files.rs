//! The files: a chain of certificates, a key, and authorities, in PEM (RFC 7468).

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tessera_types::Timestamp;
use zeroize::Zeroizing;

use super::error::TlsError;
use super::provider;
use super::validity::{Moment, Validity, is_version_3};

/// Every authority of a system's bundle fits, and nothing is read without end.
const MAX_FILE_LEN: u64 = 4 * 1024 * 1024;

const CERTIFICATE: &str = "a certificate";
const KEY: &str = "a private key";
const AUTHORITIES: &str = "the certificates of authorities";

/// What the files held: another stamp is another content. Times and sizes do not tell, where a file is replaced twice in one tick of
/// the file system's clock.
pub(super) type Stamp = [u8; 32];

/// The contents of files, read at one moment; parsed only where they are other than before.
#[derive(Default)]
pub(super) struct Contents {
    pair: Option<Pair>,
    authorities: Option<(PathBuf, Vec<u8>)>,
    stamp: Sha256,
}

struct Pair {
    certificate: (PathBuf, Vec<u8>),
    key: (PathBuf, Zeroizing<Vec<u8>>),
}

/// A certificate with its key, good now.
pub(super) struct OwnCertificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_after: Timestamp,
}

impl Contents {
    /// Reads a certificate and its key.
    pub(super) fn with_pair(mut self, certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = (certificate.to_owned(), self.read(certificate, CERTIFICATE, false)?.to_vec());
        let key = (key.to_owned(), self.read(key, KEY, true)?);
        self.pair = Some(Pair { certificate: chain, key });
        Ok(self)
    }

    /// Reads the certificates of authorities.
    pub(super) fn with_authorities(mut self, path: &Path) -> Result<Self, TlsError> {
        self.authorities = Some((path.to_owned(), self.read(path, AUTHORITIES, false)?.to_vec()));
        Ok(self)
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp.clone().finalize().into()
    }

    /// The certificate, where one was read: its key must be its own, and it must be good now.
    pub(super) fn own(&self, now: Timestamp) -> Result<Option<OwnCertificate>, TlsError> {
        let Some(Pair { certificate: (path, pem), key: (key_path, key_pem) }) = &self.pair else { return Ok(None) };
        let malformed = |path: &Path, what| TlsError::Malformed { path: path.to_owned(), what };
        let chain = certificates(pem).ok_or_else(|| malformed(path, CERTIFICATE))?;
        let validity = chain.first().and_then(|own| Validity::of(own)).ok_or_else(|| malformed(path, CERTIFICATE))?;
        if !chain.first().is_some_and(|own| is_version_3(own)) {
            return Err(TlsError::OldVersion { path: path.clone() });
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| malformed(key_path, KEY))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(_) => TlsError::Mismatch { certificate: path.clone(), key: key_path.clone() },
            Error::InvalidCertificate(_) => malformed(path, CERTIFICATE),
            source => TlsError::Key { path: key_path.clone(), source },
        })?;
        if now > validity.not_after {
            return Err(TlsError::Expired { path: path.clone(), at: Moment(validity.not_after) });
        }
        if now < validity.not_before {
            return Err(TlsError::NotYetValid { path: path.clone(), at: Moment(validity.not_before) });
        }
        Ok(Some(OwnCertificate { key: Arc::new(key), not_after: validity.not_after }))
    }

    /// The authorities, where they were read.
    pub(super) fn roots(&self) -> Result<Option<RootCertStore>, TlsError> {
        let Some((path, pem)) = &self.authorities else { return Ok(None) };
        let malformed = || TlsError::Malformed { path: path.clone(), what: AUTHORITIES };
        let mut roots = RootCertStore::empty();
        for authority in certificates(pem).ok_or_else(malformed)? {
            roots.add(authority).map_err(|_| malformed())?;
        }
        Ok(Some(roots))
    }

    fn read(&mut self, path: &Path, what: &'static str, is_secret: bool) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        let refused = |source| TlsError::Io { path: path.to_owned(), what, source };
        let file = File::open(path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        if is_secret && is_exposed(metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw()) {
            return Err(TlsError::Exposed { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity(&metadata)));
        file.take(MAX_FILE_LEN).read_to_end(&mut bytes).map_err(refused)?;
        self.stamp.update(bytes.len().to_le_bytes());
        self.stamp.update(bytes.as_slice());
        Ok(bytes)
    }
}

/// All at once: what grows leaves its former self behind.
fn capacity(metadata: &Metadata) -> usize {
    usize::try_from(metadata.len().min(MAX_FILE_LEN)).unwrap_or(0) + 1
}

/// Its owner alone may read a key; where that is root, a group may too: so orchestrators hand out secrets, and so PostgreSQL takes
/// them.
fn is_exposed(mode: u32, owner: u32, ours: u32) -> bool {
    let allowed = if owner == 0 && ours != 0 { 0o740 } else { 0o700 };
    mode & 0o777 & !allowed != 0
}

/// Every certificate in a file; `None` where there is none, or one that is broken.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

#[cfg(test)]
mod tests;
