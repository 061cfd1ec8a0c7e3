//! How keys are shown.

use serde::Serialize;
use tessera_api::admin::v1 as wire;

use crate::output::{ListedView, Table, View, moment};

/// A signing key.
#[derive(Debug, Serialize)]
pub(super) struct KeyView {
    key_id: String,
    algorithm: String,
    state: &'static str,
    create_time: Option<String>,
    /// Since when it is in its state.
    state_time: Option<String>,
    /// When it goes on to the next by itself.
    change_time: Option<String>,
    /// The key-encryption key it rests under.
    #[serde(skip_serializing_if = "String::is_empty")]
    kek_id: String,
    /// The public key (RFC 7517), as an object where it is one.
    public_jwk: serde_json::Value,
    /// The revision of the change, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
}

impl KeyView {
    /// A key that was changed.
    pub(super) fn changed(key: Option<wire::Key>, revision: String) -> Self {
        Self { revision: Some(revision), ..Self::from(key.unwrap_or_default()) }
    }

    pub(super) fn change_time(&self) -> Option<&str> {
        self.change_time.as_deref()
    }
}

impl From<wire::Key> for KeyView {
    fn from(key: wire::Key) -> Self {
        Self {
            state: state_word(key.state()),
            create_time: moment(key.create_time.as_ref()),
            state_time: moment(key.state_time.as_ref()),
            change_time: moment(key.change_time.as_ref()),
            public_jwk: serde_json::from_str(&key.public_jwk).unwrap_or(serde_json::Value::String(key.public_jwk)),
            key_id: key.key_id,
            algorithm: key.algorithm,
            kek_id: key.kek_id,
            revision: None,
        }
    }
}

pub(in crate::commands) const fn state_word(state: wire::KeyState) -> &'static str {
    match state {
        wire::KeyState::Next => "next",
        wire::KeyState::Active => "active",
        wire::KeyState::Retiring => "retiring",
        wire::KeyState::Retired => "retired",
        wire::KeyState::Unspecified => "unknown",
    }
}

impl View for KeyView {
    fn table(&self) -> Table {
        Table::List(Self::HEAD.to_vec(), vec![self.row()])
    }

    fn names(&self) -> Vec<String> {
        vec![self.key_id.clone()]
    }
}

impl ListedView for KeyView {
    const HEAD: &'static [&'static str] = &["KEY ID", "ALGORITHM", "STATE", "SINCE", "CHANGES", "SEALED UNDER"];

    fn row(&self) -> Vec<String> {
        let or_empty = |moment: &Option<String>| moment.clone().unwrap_or_default();
        vec![
            self.key_id.clone(),
            self.algorithm.clone(),
            self.state.into(),
            or_empty(&self.state_time),
            or_empty(&self.change_time),
            self.kek_id.clone(),
        ]
    }
}
