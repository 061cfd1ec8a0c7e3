//! `[keys]`: where the key that signs comes from, and how one follows another.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tessera_keys::KeyFiles;
use tessera_kit::config::Span;

use super::check::Mistakes;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `[keys]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Keys {
    /// Who makes it.
    pub source: KeySource,
    /// For `files`: the private half, PKCS #8 or PKCS #1 in PEM, mode 0600.
    pub private_key: PathBuf,
    /// For `files`: the public half, SPKI in PEM.
    pub public_key: PathBuf,
    /// How long a key signs before another takes its place: `publish_for` to 3660 days, or `0s` for never. Not for keys from files.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "Span")]
    pub rotate_after: Duration,
    /// How long a new key is published before it signs: at most 30 days. As long as the slowest resource server keeps the key set; the
    /// issuer lets them keep it a minute, or this long where it is less.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "Span")]
    pub publish_for: Duration,
    /// How long the tokens of a key that signs no more are accepted: `tokens.access_ttl` to 400 days. No access token lives longer: a
    /// client cannot be given a longer lifetime, and one that has it gets tokens as short as this.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "Span")]
    pub retire_after: Duration,
}

/// Who makes the key that signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// The issuer, which keeps it sealed in the database.
    #[default]
    Generated,
    /// The operator, in two files. While one of them is missing, no token is issued.
    Files,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            source: KeySource::default(),
            private_key: PathBuf::new(),
            public_key: PathBuf::new(),
            rotate_after: 90 * DAY,
            publish_for: 10 * MINUTE,
            // No access token lives longer than a day, and clocks differ.
            retire_after: DAY + 60 * MINUTE,
        }
    }
}

impl Keys {
    pub(super) fn check(&self, access_ttl: Duration, wrong: &mut Mistakes) {
        let nowhere = |path: &PathBuf| path.as_os_str().is_empty();
        let missing = self.source == KeySource::Files && (nowhere(&self.private_key) || nowhere(&self.public_key));
        wrong.unless(!missing, "keys.private_key", "a path, and public_key another, where source is files");
        wrong.unless(self.publish_for <= 30 * DAY, "keys.publish_for", "0s to 30d");
        wrong.unless(
            self.rotate_after.is_zero()
                || (self.publish_for.max(MINUTE / 60)..=3660 * DAY).contains(&self.rotate_after),
            "keys.rotate_after",
            "0s for never, or publish_for to 3660d",
        );
        wrong.unless(
            (access_ttl..=400 * DAY).contains(&self.retire_after),
            "keys.retire_after",
            "tokens.access_ttl to 400d: no token lives longer than its key is accepted",
        );
    }

    pub(super) fn files(&self) -> Option<KeyFiles> {
        (self.source == KeySource::Files)
            .then(|| KeyFiles { private: self.private_key.clone(), public: self.public_key.clone() })
    }
}
