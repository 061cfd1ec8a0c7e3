//! The client a command acts as: an id and a secret that is never a flag's value.

use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use tessera_types::{ClientId, PresentedSecret};
use tonic::metadata::{Ascii, MetadataValue};
use zeroize::Zeroizing;

use crate::console::{Console, read_short};
use crate::problem::Problem;

/// A client and its secret.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The client's id.
    pub client_id: ClientId,
    /// Its secret.
    pub secret: PresentedSecret,
}

/// A client as which a user's tokens are asked for: one on a person's device has no secret (RFC 6749 section 2.1).
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client's id.
    pub client_id: ClientId,
    /// Its secret, where it has one.
    pub secret: Option<PresentedSecret>,
}

impl Caller {
    /// The client with its secret, where it has one.
    #[must_use]
    pub fn credential(&self) -> Option<Credential> {
        let secret = self.secret.clone()?;
        Some(Credential { client_id: self.client_id.clone(), secret })
    }
}

impl Credential {
    /// The `authorization` value of RFC 6749 section 2.3.1: both halves form-encoded, then Basic. Marked sensitive, so that
    /// nothing prints it.
    ///
    /// # Errors
    /// Internal; base64 always fits a header.
    pub fn basic(&self) -> Result<MetadataValue<Ascii>, Problem> {
        let pair = Zeroizing::new(format!("{}:{}", form(self.client_id.as_str()), form(self.secret.expose())));
        sensitive(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
    }
}

/// A metadata value that nothing prints.
pub(crate) fn sensitive(text: &str) -> Result<MetadataValue<Ascii>, Problem> {
    let mut value: MetadataValue<Ascii> =
        text.parse().map_err(|_| Problem::usage("BAD_CREDENTIAL", "the credential does not fit a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `application/x-www-form-urlencoded`, one value.
pub(crate) fn form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            other => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                encoded.push('%');
                encoded.push(char::from(HEX[usize::from(other >> 4)]));
                encoded.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
    }
    encoded
}

/// Where a secret is read from.
#[derive(Args, Clone, Debug, Default)]
pub struct SecretArgs {
    /// Read the secret from stdin.
    #[arg(long, conflicts_with = "secret_file")]
    pub secret_stdin: bool,

    /// Read the secret from a file.
    #[arg(long, value_name = "PATH")]
    pub secret_file: Option<PathBuf>,
}

impl SecretArgs {
    /// Reads the secret, where one of the two was given.
    ///
    /// # Errors
    /// Usage, where it cannot be read, is empty, or is too long.
    pub fn read(&self, console: &mut Console) -> Result<Option<PresentedSecret>, Problem> {
        if self.secret_stdin {
            return accept(&console.read_input()?, "stdin").map(Some);
        }
        self.secret_file.as_deref().map(from_file).transpose()
    }
}

/// Reads a secret from a file.
///
/// # Errors
/// Usage, where it cannot be read, is empty, or is too long.
pub fn from_file(path: &Path) -> Result<PresentedSecret, Problem> {
    accept(&read_file("secret", path)?, &path.display().to_string())
}

/// Reads what stands in a file, without the line break it usually ends in.
///
/// # Errors
/// Usage, where it cannot be read.
pub(crate) fn read_file(what: &str, path: &Path) -> Result<Zeroizing<String>, Problem> {
    File::open(path).and_then(|mut file| read_short(&mut file)).map_err(|error| {
        Problem::usage("SECRET_FILE", format!("cannot read the {what} in {}: {error}", path.display()))
    })
}

/// Takes a text as a secret.
///
/// # Errors
/// Usage, where it is empty or too long.
pub fn accept(text: &str, origin: &str) -> Result<PresentedSecret, Problem> {
    accept_as("secret", text, origin)
}

/// As [`accept`], by another name.
pub(crate) fn accept_as(what: &str, text: &str, origin: &str) -> Result<PresentedSecret, Problem> {
    PresentedSecret::new(text.to_owned()).ok_or_else(|| {
        let most = PresentedSecret::MAX_LEN;
        Problem::usage("BAD_SECRET", format!("the {what} from {origin} is empty or longer than {most} bytes"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_form_encodes_both_halves() {
        let credential = Credential {
            client_id: "a:b%é".parse().expect("id"),
            secret: PresentedSecret::new("p w+:%".into()).expect("secret"),
        };
        let value = credential.basic().expect("fits");
        let encoded = value.to_str().expect("ascii").strip_prefix("Basic ").expect("scheme");
        let decoded = String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("utf-8");
        assert_eq!(decoded, "a%3Ab%25%C3%A9:p+w%2B%3A%25");
        assert!(value.is_sensitive());
        assert!(!format!("{credential:?}").contains("p w"));
    }

    #[test]
    fn a_secret_file_loses_its_line_break_and_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, " two words \r\n").expect("write");
        assert_eq!(from_file(&path).expect("read").expose(), " two words ");
        std::fs::write(&path, "\n").expect("write");
        assert_eq!(from_file(&path).expect_err("empty").reason, "BAD_SECRET");
        assert_eq!(from_file(&folder.path().join("none")).expect_err("absent").reason, "SECRET_FILE");
    }
}
