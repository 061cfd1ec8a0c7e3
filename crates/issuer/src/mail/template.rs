//! The texts of mails: `Subject: …`, an empty line, and the body, with `{placeholders}`.

use std::path::{Path, PathBuf};

use tessera_types::UnknownWord;

/// A language of mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locale {
    /// English.
    En,
    /// French.
    Fr,
}

impl Locale {
    const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    const fn built_in(self) -> &'static str {
        match self {
            Self::En => include_str!("../../mails/application_created.en.txt"),
            Self::Fr => include_str!("../../mails/application_created.fr.txt"),
        }
    }
}

impl std::str::FromStr for Locale {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::En, Self::Fr].into_iter().find(|l| l.as_str() == text).ok_or(UnknownWord { what: "locale" })
    }
}

/// A mail's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    subject: String,
    body: String,
}

/// A mail's text, filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) subject: String,
    pub(super) body: String,
}

/// A template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTemplate {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not begin with a subject and an empty line.
    #[error("{path} does not begin with `Subject: …` and an empty line")]
    NoSubject {
        /// The file.
        path: PathBuf,
    },
}

impl Template {
    /// The operator's `application_created.LOCALE.txt` in a folder, where there is one; or ours.
    pub(super) fn read(folder: &Path, locale: Locale) -> Result<Self, InvalidTemplate> {
        let path = folder.join(format!("application_created.{}.txt", locale.as_str()));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) if !folder.as_os_str().is_empty() => text,
            Err(source) if !folder.as_os_str().is_empty() && source.kind() != std::io::ErrorKind::NotFound => {
                return Err(InvalidTemplate::Unreadable { path, source });
            }
            _ => locale.built_in().to_owned(),
        };
        Self::parse(&text).ok_or(InvalidTemplate::NoSubject { path })
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n")?;
        let subject = head.strip_prefix("Subject:")?.trim();
        let well_formed = !subject.is_empty() && !subject.chars().any(char::is_control);
        well_formed.then(|| Self { subject: subject.to_owned(), body: body.to_owned() })
    }

    /// Fills in. A placeholder that is none of these stays as it is.
    pub(super) fn fill(&self, values: &[(&str, &str)]) -> Filled {
        Filled { subject: fill(&self.subject, values), body: fill(&self.body, values) }
    }
}

/// What is filled in is not read again.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, after))
        });
        if let Some((value, after)) = value {
            filled.push_str(value);
            rest = after;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        assert_eq!(fill("{a} {b} {c} {", &[("a", "{b}"), ("b", "x")]), "{b} x {c} {");
    }

    #[test]
    fn an_operators_template_takes_the_place_of_ours_and_must_have_a_subject() {
        let folder = tempfile::tempdir().expect("a folder");
        let ours = Template::read(folder.path(), Locale::Fr).expect("ours");
        assert!(ours.subject.starts_with("Nouvelle application"));
        assert_eq!(ours, Template::read(Path::new(""), Locale::Fr).expect("ours"));
        std::fs::write(folder.path().join("application_created.fr.txt"), "Subject: Bonjour\r\n\r\n{name}\r\n")
            .expect("written");
        let theirs = Template::read(folder.path(), Locale::Fr).expect("theirs");
        assert_eq!(theirs.fill(&[("name", "x")]), Filled { subject: "Bonjour".into(), body: "x\n".into() });
        std::fs::write(folder.path().join("application_created.en.txt"), "Hello\n\nx").expect("written");
        let refused = Template::read(folder.path(), Locale::En);
        assert!(matches!(refused, Err(InvalidTemplate::NoSubject { .. })), "{refused:?}");
    }
}
