//! `[mail]`: telling owners of their new applications.

use std::path::{Path, PathBuf};

use lettre::SmtpTransport;
use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tessera_types::error::chain;

use super::check::Mistakes;
use crate::mail::{self, By, Locale, MailOptions};

/// `[mail]`: to the owners of new applications. Its `Debug` shows no password.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Mail {
    /// `off`, `smtp`, or `file`, which writes each mail to `folder`.
    pub transport: String,
    /// The server, as `smtps://user:password@mail.example.com`; `smtp://…?tls=required` for STARTTLS.
    pub smtp_url: String,
    /// Whom mails are from: `Name <address>`.
    pub from: String,
    /// Where `file` writes them; empty means `mails` in `data_dir`.
    pub folder: PathBuf,
    /// Who gets them instead of the owner; empty means the owner.
    pub recipient: String,
    /// The language: `en` or `fr`.
    pub locale: String,
    /// Where `application_created.en.txt` and `….fr.txt` may be, instead of the built-in texts; empty means nowhere.
    pub template_dir: PathBuf,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("transport", &self.transport).field("from", &self.from).finish_non_exhaustive()
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            transport: "off".to_owned(),
            smtp_url: String::new(),
            from: String::new(),
            folder: PathBuf::new(),
            recipient: String::new(),
            locale: "en".to_owned(),
            template_dir: PathBuf::new(),
        }
    }
}

impl Mail {
    /// How mail is sent; none where it is off. Every mistake is told.
    pub(super) fn check(&self, data_dir: &Path, wrong: &mut Mistakes) -> Option<MailOptions> {
        let by = match self.transport.as_str() {
            "off" => return None,
            "smtp" if SmtpTransport::from_url(&self.smtp_url).is_ok() => Some(By::Smtp(self.smtp_url.clone())),
            "smtp" => {
                wrong.unless(false, "mail.smtp_url", "a URL, for instance smtps://user:password@mail.example.com");
                None
            }
            "file" if self.folder.as_os_str().is_empty() => Some(By::Folder(data_dir.join("mails"))),
            "file" => Some(By::Folder(self.folder.clone())),
            _ => {
                wrong.unless(false, "mail.transport", "off, smtp or file");
                None
            }
        };
        let from = self.from.parse::<Mailbox>().map_err(|_| wrong.unless(false, "mail.from", "Name <address>")).ok();
        let recipient = Some(self.recipient.as_str()).filter(|text| !text.is_empty());
        let recipient = recipient.map(str::parse::<Mailbox>).transpose();
        let recipient =
            recipient.map_err(|_| wrong.unless(false, "mail.recipient", "an e-mail address, or empty")).ok();
        let locale = self.locale.parse::<Locale>().map_err(|_| wrong.unless(false, "mail.locale", "en or fr")).ok();
        let template = mail::template(&self.template_dir, locale?)
            .map_err(|error| wrong.told("mail.template_dir", chain(&error)))
            .ok();
        Some(MailOptions { by: by?, from: from?, recipient: recipient?, template: template? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(mail: &Mail) -> Vec<String> {
        let mut wrong = Mistakes::default();
        assert_eq!(mail.check(Path::new("/data"), &mut wrong).is_some(), wrong.0.is_empty() && mail.transport != "off");
        wrong.0.into_iter().map(|error| error.key).collect()
    }

    #[test]
    fn mail_is_off_by_default_and_what_it_needs_is_told_at_once() {
        assert!(keys(&Mail::default()).is_empty());
        let bad = Mail {
            transport: "smtp".to_owned(),
            smtp_url: "mail.example.test".to_owned(),
            recipient: "nobody".to_owned(),
            locale: "de".to_owned(),
            ..Mail::default()
        };
        assert_eq!(keys(&bad), ["mail.smtp_url", "mail.from", "mail.recipient", "mail.locale"]);
        assert_eq!(keys(&Mail { transport: "pigeon".to_owned(), ..Mail::default() })[0], "mail.transport");
        let from = "Tessera <no-reply@example.test>".to_owned();
        let good = Mail { transport: "file".to_owned(), from: from.clone(), ..Mail::default() };
        assert!(keys(&good).is_empty());
        let smtp_url = "smtps://u:hunter2@mail.example.test".to_owned();
        let good = Mail { transport: "smtp".to_owned(), from, smtp_url, ..Mail::default() };
        assert!(keys(&good).is_empty() && !format!("{good:?}").contains("hunter2"));
    }
}
