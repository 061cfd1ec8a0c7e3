//! Mail: a user is told once that an application was created for them.
//!
//! It is sent off the request path: a mail that fails is logged and tried again a few times, and never fails what it tells of. It
//! never holds a secret. Threats: a name that forges a header (names have no control characters, and headers are encoded), and one
//! that stands for another placeholder (what is filled in is not read again).

mod template;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use tessera_store::{Client, User};
use tessera_types::error::chain;
use tessera_types::{Clock, Email};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::template::{InvalidTemplate, Locale, Template};
use self::transport::{Transport, Undelivered};

/// How many mails wait at most. What comes then is not sent.
const QUEUE: usize = 1000;

/// How long to wait before each further try.
const RETRIES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(15), Duration::from_secs(60)];

/// How mail is sent.
#[derive(Clone)]
pub struct MailOptions {
    /// By what.
    pub by: By,
    /// Whom it is from.
    pub from: Mailbox,
    /// Who gets it instead of the owner.
    pub recipient: Option<Mailbox>,
    /// Its template.
    pub template: Template,
}

/// By what mail is sent.
#[derive(Clone)]
pub enum By {
    /// A server (RFC 5321), by its URL with user and password.
    Smtp(String),
    /// A folder, a file for each.
    Folder(PathBuf),
}

/// Mail could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The URL of the server cannot be read.
    #[error("mail.smtp_url: not a URL of an SMTP server, as smtps://user:password@mail.example.com")]
    Url(#[source] lettre::transport::smtp::Error),
}

/// Takes mails. Cheap to clone.
#[derive(Clone, Default)]
pub struct Mailer(Option<mpsc::Sender<Notice>>);

/// What an owner is told.
pub(crate) struct Notice {
    owner: String,
    to: Option<Email>,
    name: String,
    client_id: String,
    organization: String,
}

/// The task that sends.
pub struct MailTask {
    options: MailOptions,
    transport: Transport,
    issuer: String,
    clock: Arc<dyn Clock>,
    notices: mpsc::Receiver<Notice>,
    retries: &'static [Duration],
}

/// Why one mail was not sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the owner's address, or the mail, is not well-formed")]
    Message(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
}

impl Mailer {
    /// A mailer, and the task that sends what it is given.
    ///
    /// # Errors
    /// `Url`.
    pub fn new(options: MailOptions, issuer: String, clock: Arc<dyn Clock>) -> Result<(Self, MailTask), MailError> {
        let transport = Transport::new(&options.by)?;
        let (sender, notices) = mpsc::channel(QUEUE);
        Ok((Self(Some(sender)), MailTask { options, transport, issuer, clock, notices, retries: &RETRIES }))
    }

    /// Tells an owner that a client was created for them.
    pub(crate) fn application_created(&self, client: &Client, owner: &User, organization: Option<String>) {
        let Some(sender) = &self.0 else { return };
        let name = if owner.name.is_empty() { owner.username.to_string() } else { owner.name.clone() };
        let notice = Notice {
            owner: name,
            to: owner.email.clone(),
            name: client.name.clone(),
            client_id: client.id.to_string(),
            organization: organization.unwrap_or_else(|| "-".to_owned()),
        };
        if sender.try_send(notice).is_err() {
            tracing::warn!(client_id = %client.id, "too many mails wait; the owner is not told of the application");
        }
    }
}

impl MailTask {
    /// Sends until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(notice)) = stop.run_until_cancelled(self.notices.recv()).await {
            if stop.run_until_cancelled(self.deliver(&notice)).await.is_none() {
                tracing::warn!(client_id = %notice.client_id, "a mail was not sent before the stop");
            }
        }
    }

    async fn deliver(&self, notice: &Notice) {
        let message = match self.message(notice) {
            Ok(Some(message)) => message,
            Ok(None) => {
                tracing::debug!(client_id = %notice.client_id, "the owner of a new application has no e-mail address");
                return;
            }
            Err(error) => {
                tracing::warn!(client_id = %notice.client_id, error = %chain(&error), "a mail cannot be written");
                return;
            }
        };
        let mut waits = self.retries.iter();
        loop {
            let Err(error) = self.transport.send(message.clone()).await else {
                tracing::info!(client_id = %notice.client_id, "the owner was told of the application");
                return;
            };
            let Some(wait) = waits.next() else {
                tracing::error!(client_id = %notice.client_id, error = %chain(&error), "a mail was not sent, and will not be");
                return;
            };
            tracing::warn!(client_id = %notice.client_id, error = %chain(&error), "a mail was not sent; it is tried again");
            tokio::time::sleep(*wait).await;
        }
    }

    /// The mail; none where there is nobody to send it to.
    fn message(&self, notice: &Notice) -> Result<Option<Message>, SendError> {
        let boxed = |error| SendError::Message(error);
        let to = match (&self.options.recipient, &notice.to) {
            (Some(recipient), _) => recipient.clone(),
            (None, Some(email)) => {
                let address = email.as_str().parse().map_err(|error| boxed(Box::new(error)))?;
                Mailbox::new(Some(notice.owner.clone()), address)
            }
            (None, None) => return Ok(None),
        };
        let filled = self.options.template.fill(&[
            ("owner", &notice.owner),
            ("name", &notice.name),
            ("client_id", &notice.client_id),
            ("organization", &notice.organization),
            ("issuer", &self.issuer),
        ]);
        let now = u64::try_from(self.clock.now().0).unwrap_or_default();
        let message = Message::builder()
            .from(self.options.from.clone())
            .to(to)
            .subject(filled.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(now))
            .header(ContentType::TEXT_PLAIN)
            .body(filled.body)
            .map_err(|error| boxed(Box::new(error)))?;
        Ok(Some(message))
    }
}

/// Reads the template for a locale: the operator's where there is one, or ours.
///
/// # Errors
/// Where the operator's cannot be read or has no subject.
pub fn template(folder: &Path, locale: Locale) -> Result<Template, InvalidTemplate> {
    Template::read(folder, locale)
}

#[cfg(test)]
mod tests;
