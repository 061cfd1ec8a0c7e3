//! The environment variables a command reads, taken once so that tests can hand in their own.

use std::collections::HashMap;
use std::path::PathBuf;

/// A snapshot of environment variables. Empty ones count as absent.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Takes the variables of this process; those that are not UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect())
    }

    /// The value of a variable, unless it is empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// Where contexts are kept: `$XDG_CONFIG_HOME/tessera/config.toml`, else under `~/.config`. `None` where neither variable
    /// is set to an absolute path, as the XDG base directory specification wants.
    #[must_use]
    pub fn contexts_file(&self) -> Option<PathBuf> {
        let absolute = |name: &str| self.var(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
        Some(base.join("tessera").join("config.toml"))
    }

    /// Where data is kept: `TESSERA_DATA_DIR`, else `folder` in `$XDG_DATA_HOME/tessera` or `~/.local/share/tessera`.
    #[must_use]
    pub fn data_dir(&self, folder: &str) -> Option<PathBuf> {
        if let Some(named) = self.var("TESSERA_DATA_DIR") {
            return Some(named.into());
        }
        let absolute = |name: &str| self.var(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let base = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
        Some(base.join("tessera").join(folder))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
