//! A key pair of the operator's own, in two PEM files, as `openssl genrsa` and `openssl rsa -pubout` write them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use tessera_types::Algorithm;
use zeroize::Zeroizing;

use crate::sealed::exposed;
use crate::signing::{KeyError, SigningKey};

/// Nobody's key is longer.
const MAX_FILE_LEN: u64 = 64 * 1024;

/// Where the two halves are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// The private half: PKCS #8 or, for RSA, PKCS #1, in PEM, in a file that only its owner may use.
    pub private: PathBuf,
    /// The public half: SPKI in PEM.
    pub public: PathBuf,
}

/// Why files that are there give no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Others may read the private half.
    #[error("{path} may be used by others than its owner (mode {mode:04o}): chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{path} does not hold {expected} in PEM, unencrypted")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The private half is of another algorithm, or weak.
    #[error("{path} does not hold a key for {algorithm}: give another, or change [tokens] signing_alg")]
    Rejected {
        /// The file.
        path: PathBuf,
        /// The algorithm.
        algorithm: Algorithm,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The halves are of two keys.
    #[error("{public} is not the public half of {private}")]
    Differ {
        /// The one.
        private: PathBuf,
        /// The other.
        public: PathBuf,
    },
    /// The system refused.
    #[error("{path} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl KeyFiles {
    /// Reads the pair; `None` where a file is missing.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn read(&self, algorithm: Algorithm) -> Result<Option<SigningKey>, KeyFileError> {
        let (Some(private), Some(public)) = (open(&self.private)?, open(&self.public)?) else { return Ok(None) };
        let refused = |source| KeyFileError::Io { path: self.private.clone(), source };
        if let Some(mode) = exposed(&private.metadata().map_err(refused)?) {
            return Err(KeyFileError::Exposed { path: self.private.clone(), mode });
        }
        let key = self.private(private, algorithm)?;
        let pem = read(&self.public, public)?;
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(&pem)
            .map_err(|_| KeyFileError::Malformed { path: self.public.clone(), expected: "a public key" })?;
        if key.spki().is_some_and(|own| own == spki.as_ref()) {
            return Ok(Some(key));
        }
        Err(KeyFileError::Differ { private: self.private.clone(), public: self.public.clone() })
    }

    fn private(&self, file: File, algorithm: Algorithm) -> Result<SigningKey, KeyFileError> {
        let pem = read(&self.private, file)?;
        let malformed = || KeyFileError::Malformed { path: self.private.clone(), expected: "a private key" };
        let key = match PrivateKeyDer::from_pem_slice(&pem).map_err(|_| malformed())? {
            PrivateKeyDer::Pkcs8(der) => SigningKey::from_pkcs8(algorithm, der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) if algorithm == Algorithm::Rs256 => {
                SigningKey::from_pkcs1(der.secret_pkcs1_der())
            }
            _ => Err(KeyError::Rejected(algorithm)),
        };
        key.map_err(|source| KeyFileError::Rejected { path: self.private.clone(), algorithm, source })
    }
}

fn open(path: &Path) -> Result<Option<File>, KeyFileError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Io { path: path.to_owned(), source }),
    }
}

fn read(path: &Path, file: File) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    // At once: what grows leaves its former self behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    file.take(MAX_FILE_LEN)
        .read_to_end(&mut bytes)
        .map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
