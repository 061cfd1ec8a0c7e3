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
            "smtp" if SmtpTransport::from_url(&self.smtp_url).is_ok() => {
                let advice = "smtps://, or smtp://…?tls=required: a password does not cross the network in the clear";
                let shown = shows_password(&self.smtp_url);
                wrong.unless(!shown, "mail.smtp_url", advice);
                (!shown).then(|| By::Smtp(self.smtp_url.clone()))
            }
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

/// Whether a URL has a password that goes to another machine without TLS, or without where TLS is not to be had.
fn shows_password(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("smtp://") else { return false };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    let Some((_, host)) = authority.rsplit_once('@') else { return false };
    let required = query.split('&').any(|pair| pair == "tls=required");
    let name = if let Some(address) = host.strip_prefix('[') {
        address.split(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    let here = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !required && !here
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
        for (url, shown) in [
            ("smtp://u:p@mail.example.test", true),
            ("smtp://u:p@mail.example.test:587?tls=opportunistic", true),
            ("smtp://u:p@192.0.2.1/", true),
            ("smtp://u:p@mail.example.test?tls=required", false),
            ("smtp://mail.example.test", false),
            ("smtp://u:p@127.0.0.1:25", false),
            ("smtp://u:p@[::1]:25", false),
            ("smtps://u:p@mail.example.test", false),
        ] {
            let smtp =
                Mail { transport: "smtp".to_owned(), from: from.clone(), smtp_url: url.to_owned(), ..Mail::default() };
            assert_eq!(keys(&smtp), if shown { vec!["mail.smtp_url"] } else { vec![] }, "{url}");
        }
        let smtp_url = "smtps://u:hunter2@mail.example.test".to_owned();
        let good = Mail { transport: "smtp".to_owned(), from, smtp_url, ..Mail::default() };
        assert!(keys(&good).is_empty() && !format!("{good:?}").contains("hunter2"));
    }
}
