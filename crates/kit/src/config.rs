//! Configuration: a TOML file, over it the environment (`TESSERA_`, `__` for nesting, `_FILE` for a value kept in a file).
//!
//! Unknown keys are errors, with a suggestion (but not the variables that Kubernetes sets for Services named `tessera…`); all errors are reported at once, with file and line; a bad configuration ends
//! the process with [`EXIT_CODE`].

mod de;
mod dump;
pub mod duration;
mod error;
pub mod reload;
mod schema;
mod sections;
mod source;
mod telemetry;
mod tls;
mod tree;

pub use dump::{Setting, changed, dump, settings};
pub use duration::Span;
pub use error::{ConfigError, ConfigErrors};
pub use schema::{example, schema};
pub use sections::{CONNECTIONS, Listen, Log, Stopping, connections_mistake};
pub use source::Sources;
pub use telemetry::Telemetry;
pub use tls::{ClientAuth, Listeners, MappedIdentity, Tls};

use serde::de::DeserializeOwned;

/// What the process exits with where its configuration is bad (`EX_CONFIG` of sysexits.h).
pub const EXIT_CODE: u8 = 78;

/// A configuration, and where each of its values came from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// Key and origin of every value that was set.
    pub origins: std::collections::BTreeMap<String, String>,
}

/// Loads a configuration.
///
/// # Errors
/// Every mistake in it, not only the first.
pub fn load<T: DeserializeOwned>(sources: &Sources) -> Result<T, ConfigErrors> {
    load_with_origins(sources).map(|loaded| loaded.value)
}

/// Loads a configuration and says where each value came from.
///
/// # Errors
/// Every mistake in it, not only the first.
pub fn load_with_origins<T: DeserializeOwned>(sources: &Sources) -> Result<Loaded<T>, ConfigErrors> {
    load_checked(sources, |_| Vec::new())
}

/// Loads a configuration and checks what its types do not say. What `check` finds is told together with everything else, at the
/// place where the key was set.
///
/// # Errors
/// Every mistake in it, not only the first.
pub fn load_checked<T: DeserializeOwned>(
    sources: &Sources,
    check: impl FnOnce(&T) -> Vec<ConfigError>,
) -> Result<Loaded<T>, ConfigErrors> {
    let (tree, errors) = sources.read();
    let de::Read { value, origins, mut errors } = de::read::<T>(tree, errors);
    let found = value.as_ref().map(check).unwrap_or_default();
    let told = errors.len();
    for mut error in found {
        // What could not be read has been told; what stands in for it is nobody's mistake. What is found twice is two mistakes.
        if errors[..told].iter().any(|told| told.key == error.key && !told.key.is_empty()) {
            continue;
        }
        if let Some(origin) = origins.get(&error.key) {
            error.origin.clone_from(origin);
        }
        errors.push(error);
    }
    match value {
        Some(value) if errors.is_empty() => Ok(Loaded { value, origins }),
        _ => Err(ConfigErrors(errors)),
    }
}
