//! What stands beside a backup: which place of the log it holds, and by what one can tell that it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use tessera_types::Revision;

use crate::problem::Problem;

/// The manifest of a backup.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Manifest {
    /// Which kind of file it is about.
    pub(super) database: Kind,
    /// When it was begun, RFC 3339.
    pub(super) time: String,
    /// The version that made it.
    pub(super) program: String,
    /// The last migration that is in it.
    pub(super) schema: String,
    /// Which log it holds.
    pub(super) epoch: String,
    /// Up to where.
    pub(super) revision: u64,
    /// The chained hash there.
    pub(super) hash: String,
    /// How large the file is, in bytes.
    pub(super) size: u64,
    /// Its SHA-256.
    pub(super) sha256: String,
}

/// What a backup is a file of.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A SQLite database.
    Sqlite,
    /// What `pg_dump --format=custom` writes.
    Postgres,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl Manifest {
    /// Where the manifest of a backup is.
    pub(super) fn path(backup: &Path) -> PathBuf {
        let mut name = backup.as_os_str().to_owned();
        name.push(".manifest.json");
        name.into()
    }

    /// Fills in where the log stands.
    pub(super) fn set_position(&mut self, revision: Revision, hash: &[u8]) {
        self.epoch = revision.epoch.to_string();
        self.revision = revision.number;
        self.hash = hex(hash);
    }

    /// Writes it beside its backup, for its owner alone.
    pub(super) fn write(&self, backup: &Path) -> Result<PathBuf, Problem> {
        let path = Self::path(backup);
        let text = serde_json::to_string_pretty(self).map_err(|error| unwritable(&path, &error.into()))?;
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        });
        written.map_err(|error| unwritable(&path, &error))?;
        Ok(path)
    }

    /// Reads the one beside a backup, where there is one.
    pub(super) fn read(backup: &Path) -> Result<Option<Self>, Problem> {
        let path = Self::path(backup);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let read = serde_json::from_str(&text).map(Some);
        read.map_err(|error| Problem::usage("MANIFEST", format!("{} is no manifest: {error}", path.display())))
    }
}

/// A file's size and SHA-256.
pub(super) fn fingerprint(path: &Path) -> Result<(u64, String), Problem> {
    let read = || -> io::Result<(u64, String)> {
        let (mut file, mut hash) = (File::open(path)?, Context::new(&SHA256));
        let (mut size, mut buffer) = (0, vec![0; 128 * 1024]);
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok((size, hex(hash.finish().as_ref())));
            }
            hash.update(&buffer[..count]);
            size += count as u64;
        }
    };
    read().map_err(|error| unreadable(path, &error))
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::internal("BACKUP_FILE", format!("cannot write {}: {error}", path.display()))
        .hint("the folder must be there, with room for the whole database, and yours to write")
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::usage("BACKUP_FILE", format!("cannot read {}: {error}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_stands_beside_its_backup_and_reads_back_as_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let backup = folder.path().join("b.db");
        assert_eq!(Manifest::read(&backup).expect("nothing is there"), None);
        fs::write(&backup, "abc").expect("written");
        let (size, sha256) = fingerprint(&backup).expect("it can be read");
        // printf abc | sha256sum
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let manifest = Manifest {
            database: Kind::Sqlite,
            time: "2026-11-26T00:00:00Z".into(),
            program: "0.1.0".into(),
            schema: "m1".into(),
            epoch: "00000000000000aa".into(),
            revision: 7,
            hash: "00".repeat(32),
            size,
            sha256,
        };
        let path = manifest.write(&backup).expect("written");
        assert_eq!(path, folder.path().join("b.db.manifest.json"));
        assert_eq!(Manifest::read(&backup).expect("readable"), Some(manifest.clone()));
        assert!(manifest.write(&backup).is_err(), "nothing is overwritten");
    }
}
