//! What can be wrong with the files of `[tls]`: each says which file it is and what to do.

use std::io;
use std::path::PathBuf;

use super::validity::Moment;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The system refused.
    #[error("{path} cannot be read: {source}; it should hold {what}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the key.
    #[error("{path} may be used by others than its owner (mode {mode:04o}): chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{path} does not hold {what} in PEM: put it there, unencrypted")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate of an older form, which the library does not take.
    #[error(
        "the certificate in {path} is not X.509 version 3: make it anew with a subjectAltName, as every client asks for"
    )]
    OldVersion {
        /// The file.
        path: PathBuf,
    },
    /// The library does not take the key.
    #[error(
        "the key in {path} cannot be used: give one of RSA with 2048 bits or more, ECDSA P-256 or P-384, or Ed25519"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Certificate and key are of two pairs: also for the moment in which one of them was replaced and the other not yet.
    #[error(
        "{key} is not the key of the first certificate in {certificate}: replace both, and put the server's own certificate before its issuer's"
    )]
    Mismatch {
        /// The one.
        certificate: PathBuf,
        /// The other.
        key: PathBuf,
    },
    /// Nobody would accept it any more.
    #[error("the certificate in {path} ended on {at}: put a new one there")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        at: Moment,
    },
    /// Nobody would accept it yet.
    #[error(
        "the certificate in {path} begins on {at} only: put the present one back, or set this machine's clock right"
    )]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When.
        at: Moment,
    },
    /// The system trusts nobody.
    #[error("this system has no certificate authorities: name one with ca_file")]
    NoAuthorities,
    /// A name that no certificate can have.
    #[error("{0} is no host name or address that a certificate could be for")]
    Name(String),
    /// What rustls does not take.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}
