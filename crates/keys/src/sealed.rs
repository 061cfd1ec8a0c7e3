//! How private keys rest: AES-256-GCM under a key-encryption key (KEK) that lives in a file, apart from the database.
//!
//! Sealed bytes are: one byte of version, 8 bytes that tell which KEK, 12 bytes of nonce, the ciphertext with its tag. The
//! version, the KEK's identifier and the caller's own associated data are authenticated, so that a sealed key cannot be
//! moved to another row. Nonces are random: with so few keys sealed ever, they do not meet.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_types::{Randomness, random};
use zeroize::{Zeroize as _, Zeroizing};

use crate::mac::MacKey;

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const ID_LEN: usize = 8;
const HEADER_LEN: usize = 1 + ID_LEN;

/// The longest file that is looked at: 44 characters and a line end fit well.
const MAX_FILE_LEN: u64 = 256;

/// What names a KEK: 8 bytes of a keyed hash, in hexadecimal where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KekId([u8; ID_LEN]);

impl KekId {
    /// The KEK that sealed some bytes; `None` where they are none of ours.
    #[must_use]
    pub fn of(sealed: &[u8]) -> Option<Self> {
        let (header, _) = sealed.split_first_chunk::<HEADER_LEN>()?;
        let (version, id) = header.split_first()?;
        (*version == VERSION).then(|| id.try_into().ok().map(Self)).flatten()
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A key-encryption key: 256 bits.
pub struct Kek {
    id: [u8; ID_LEN],
    key: LessSafeKey,
    /// What keys of other purposes are derived from.
    material: hmac::Key,
}

/// Why a KEK's file was not read or made. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// There is no such file.
    #[error("there is no key-encryption key at {path}: restore the file, or have one made if no keys exist yet")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There is one already; it is never overwritten, for what it sealed would be lost.
    #[error("{path} exists already and is not overwritten: what it has sealed would be lost")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may use it.
    #[error("{path} is open to others than its owner (mode {mode:04o}): chmod 600 it, and replace it if it was read")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold a key.
    #[error("{path} does not hold 32 bytes in base64: restore the file from a backup")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path} cannot be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why bytes were not sealed, or do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The library did not seal.
    #[error("sealing failed")]
    Failed,
    /// Not what sealing writes, or of a later version.
    #[error("the sealed bytes have an unknown form")]
    Unknown,
    /// Sealed under another key-encryption key.
    #[error("sealed under another key-encryption key: restore the file it was sealed with")]
    OtherKek,
    /// Altered, or sealed for something else.
    #[error("the sealed bytes were altered or belong elsewhere")]
    Altered,
}

impl Kek {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?);
        // A keyed hash of a fixed text names the key and tells nothing of it.
        let material = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let tag = hmac::sign(&material, b"tessera key-encryption key id");
        let id = tag.as_ref().first_chunk::<ID_LEN>().copied()?;
        Some(Self { id, key, material })
    }

    /// Reads a KEK: 32 bytes in base64, in a file that only its owner may use.
    pub fn read_file(path: &Path) -> Result<Self, KekError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => KekError::Missing { path: path.to_owned() },
            _ => KekError::Io { path: path.to_owned(), source },
        };
        let file = File::open(path).map_err(io)?;
        // Of the file that was opened, not of the path: nobody can exchange it in between.
        let metadata = file.metadata().map_err(io)?;
        if let Some(mode) = exposed(&metadata) {
            return Err(KekError::Exposed { path: path.to_owned(), mode });
        }
        let malformed = || KekError::Malformed { path: path.to_owned() };
        if !metadata.is_file() || metadata.len() > MAX_FILE_LEN {
            return Err(malformed());
        }
        let mut text = Zeroizing::new(Vec::with_capacity(64));
        file.take(MAX_FILE_LEN).read_to_end(&mut text).map_err(io)?;
        let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| malformed())?);
        let bytes: &[u8; KEY_LEN] = bytes.as_slice().try_into().map_err(|_| malformed())?;
        Self::from_bytes(bytes).ok_or_else(malformed)
    }

    /// Makes a KEK and writes its file, readable by its owner alone. There must be none: of two processes that try, one
    /// gets [`KekError::Exists`].
    pub fn create_file(path: &Path, random: &dyn Randomness) -> Result<Self, KekError> {
        let bytes: Zeroizing<[u8; KEY_LEN]> = Zeroizing::new(random::bytes(random));
        let mut text = STANDARD.encode(*bytes);
        text.push('\n');
        let written = write_new(path, text.as_bytes());
        text.zeroize();
        written?;
        Self::from_bytes(&bytes).ok_or_else(|| KekError::Malformed { path: path.to_owned() })
    }

    /// A key for keyed hashes of one purpose, always the same for the same KEK.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> MacKey {
        MacKey::derive(&self.material, purpose)
    }

    /// The bytes of which [`Kek::derive`] makes its key, for a place where they outlive this KEK.
    #[must_use]
    pub fn derive_bytes(&self, purpose: &str) -> Zeroizing<[u8; KEY_LEN]> {
        MacKey::derive_bytes(&self.material, purpose)
    }

    /// What names this KEK and tells nothing of it.
    #[must_use]
    pub fn id(&self) -> KekId {
        KekId(self.id)
    }

    /// Seals bytes, bound to associated data that opening must repeat.
    pub fn seal(&self, random: &dyn Randomness, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = random::bytes(random);
        let header = self.header();
        let mut body = Zeroizing::new(Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len()));
        body.extend_from_slice(plaintext);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(&header, aad), &mut *body)
            .map_err(|_| SealError::Failed)?;
        Ok([&header[..], &nonce, &body].concat())
    }

    /// Opens what [`Kek::seal`] sealed with the same associated data.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, rest) = sealed.split_first_chunk::<HEADER_LEN>().ok_or(SealError::Unknown)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Unknown)?;
        if header[0] != VERSION {
            return Err(SealError::Unknown);
        }
        if header[1..] != self.id {
            return Err(SealError::OtherKek);
        }
        let mut buffer = Zeroizing::new(body.to_vec());
        let opened = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), bound(header, aad), &mut buffer)
            .map_err(|_| SealError::Altered)?
            .len();
        buffer.truncate(opened);
        Ok(buffer)
    }

    fn header(&self) -> [u8; HEADER_LEN] {
        let mut header = [VERSION; HEADER_LEN];
        header[1..].copy_from_slice(&self.id);
        header
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(…)")
    }
}

fn bound(header: &[u8; HEADER_LEN], aad: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([&header[..], aad].concat())
}

/// Writes a file that did not exist, down to the disk; takes it back where that fails half-way.
fn write_new(path: &Path, text: &[u8]) -> Result<(), KekError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KekError::Exists { path: path.to_owned() },
        _ => KekError::Io { path: path.to_owned(), source },
    })?;
    let written = file.write_all(text).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
    written.map_err(|source| {
        // What cannot be removed is refused as malformed when it is read.
        drop(std::fs::remove_file(path));
        KekError::Io { path: path.to_owned(), source }
    })
}

/// Without this a power cut may lose the file's name while the database keeps what it sealed.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The mode of a file that others than its owner may use.
#[cfg(unix)]
pub(crate) fn exposed(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub(crate) fn exposed(_: &std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests;
