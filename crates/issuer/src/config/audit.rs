//! `[audit]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A day.
const DAY: Duration = Duration::from_hours(24);

/// `[audit]`: what is recorded of changes, revocations and logins.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Audit {
    /// How long records are kept: 1 d to 3660 d, or 0 for ever.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub keep: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep: 400 * DAY }
    }
}

impl Audit {
    /// Whether records are kept for a time that was meant.
    pub(super) fn is_sound(&self) -> bool {
        self.keep.is_zero() || (DAY..=3660 * DAY).contains(&self.keep)
    }
}
