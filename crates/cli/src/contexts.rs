//! The contexts file: the servers a person works with, by name.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tessera_types::{ClientId, PresentedSecret};
use zeroize::Zeroizing;

use crate::credential;
use crate::problem::Problem;

/// What the file holds.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used where nothing else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// All of them.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// A pair of servers, and the client to be there.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The issuer's gRPC endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The introspector's gRPC endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspector: Option<String>,
    /// The client to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Zeroizing<String>>,
    /// The file its secret is in; instead of `client_secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// A PEM file with the authority that signs the servers' certificates, instead of the system's authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// A PEM file with a certificate of one's own, for servers that ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// A PEM file with its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Whether these endpoints may be spoken to in plain text off this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

impl Context {
    /// The client to be, where the context names one.
    ///
    /// # Errors
    /// Usage, where it is no client id.
    pub fn client_id(&self) -> Result<Option<ClientId>, Problem> {
        self.client_id
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| Problem::usage("BAD_CONTEXT", format!("`client_id` of the context: {error}")))
    }

    /// Its secret, where the context has one.
    ///
    /// # Errors
    /// Usage, where both forms are there or the file cannot be read.
    pub fn secret(&self) -> Result<Option<PresentedSecret>, Problem> {
        match (&self.client_secret, &self.client_secret_file) {
            (Some(_), Some(_)) => {
                Err(Problem::usage("BAD_CONTEXT", "the context has both `client_secret` and `client_secret_file`"))
            }
            (Some(secret), None) => credential::accept(secret, "the context").map(Some),
            (None, Some(path)) => credential::from_file(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl Contexts {
    /// Reads the file; none is the same as an empty one.
    ///
    /// # Errors
    /// Usage, where it cannot be read or holds a secret that others may read.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let bad = |why: String| Problem::usage("BAD_CONTEXTS_FILE", format!("{}: {why}", path.display()));
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(bad(error.to_string())),
        };
        let contexts: Self = toml::from_str(&text).map_err(|error| bad(error.message().to_owned()))?;
        let open = fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
        if open && contexts.contexts.values().any(|c| c.client_secret.is_some()) {
            return Err(
                bad("holds a secret and can be read by others".into()).hint(format!("chmod 600 {}", path.display()))
            );
        }
        Ok(contexts)
    }

    /// Writes the file, readable by its owner alone, in one step: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// Internal, where the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            Problem::internal("CONTEXTS_FILE", format!("cannot write {}: {error}", path.display()))
        };
        let text = Zeroizing::new(toml::to_string_pretty(self).map_err(|e| failed(&e))?);
        write_private(path, &text).map_err(|e| failed(&e))
    }

    /// A context by its name.
    ///
    /// # Errors
    /// Not found, with the names there are.
    pub fn find(&self, name: &str) -> Result<&Context, Problem> {
        self.contexts.get(name).ok_or_else(|| {
            let names: Vec<_> = self.contexts.keys().map(String::as_str).collect();
            let problem = Problem::not_found("NO_SUCH_CONTEXT", format!("there is no context `{name}`"));
            match names.as_slice() {
                [] => problem.hint(format!("tessera context add {name} --endpoint URL")),
                names => problem.hint(format!("there is: {}", names.join(", "))),
            }
        })
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("no folder"))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let fresh = path.with_extension(format!("toml.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    // `mode` counts only for a file that was not there.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Contexts {
        let context = Context {
            endpoint: Some("https://issuer.example".into()),
            client_id: Some("ops".into()),
            client_secret: Some(Zeroizing::new("s3cret".into())),
            ..Context::default()
        };
        Contexts { current: Some("prod".into()), contexts: [("prod".to_owned(), context)].into() }
    }

    #[test]
    fn what_is_saved_is_loaded_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("tessera/config.toml");
        some().save(&path).expect("saves");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let loaded = Contexts::load(&path).expect("loads");
        assert_eq!(loaded.current.as_deref(), Some("prod"));
        let context = loaded.find("prod").expect("there");
        assert_eq!(context.secret().expect("readable").expect("present").expose(), "s3cret");
        assert_eq!(fs::read_dir(path.parent().expect("folder")).expect("list").count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.toml");
        some().save(&path).expect("saves");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("chmod");
        let problem = Contexts::load(&path).err().expect("refused");
        assert!(problem.hint.expect("hint").starts_with("chmod 600"));
    }

    #[test]
    fn an_unknown_key_is_an_error_and_no_file_is_none() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.toml");
        assert!(Contexts::load(&path).expect("empty").contexts.is_empty());
        fs::write(&path, "[contexts.a]\nendpont = \"x\"\n").expect("write");
        let problem = Contexts::load(&path).err().expect("refused");
        assert!(problem.message.contains("unknown field `endpont`"), "{}", problem.message);
    }

    #[test]
    fn a_context_that_is_not_there_names_those_that_are() {
        let contexts = some();
        let problem = contexts.find("stage").err().expect("absent");
        assert_eq!(problem.hint.as_deref(), Some("there is: prod"));
    }
}
