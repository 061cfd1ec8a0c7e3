//! Mail: a user is told once that an application was created for them.
//!
//! It is sent off the request path: a mail that fails is logged and tried again a few times, and never fails what it tells of. It
//! never holds a secret. Mails do not wait for each other, one that is refused for good is not tried again, and a stop waits a little for
//! those that are left; an issuer that is killed loses them. Threats: a name that forges a header (names have no control characters, and headers are encoded), and one
//! that stands for another placeholder (what is filled in is not read again).

mod template;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use tessera_kit::serve;
use tessera_store::{Client, User};
use tessera_types::error::chain;
use tessera_types::{Clock, Email};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::template::{InvalidTemplate, Locale, Template};
use self::transport::{Transport, Undelivered};
use crate::telemetry::Telemetry;

/// How many mails wait at most. What comes then is not sent.
const QUEUE: usize = 1000;

/// How many mails are sent at once: a server that hangs keeps so many others waiting, and no more.
const AT_ONCE: usize = 4;

/// How long a stop waits for the mails that are left.
const DRAIN: Duration = Duration::from_secs(3);

/// The rest is for telling which were not sent, and for closing the database.
const _: () = assert!(DRAIN.as_secs() < serve::CLOSING.as_secs());

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
    sender: Sender,
    notices: mpsc::Receiver<Notice>,
}

/// What sending one mail takes.
struct Sender {
    options: MailOptions,
    transport: Transport,
    issuer: String,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
    retries: &'static [Duration],
    /// How long a stop waits.
    drain: Duration,
    /// How many are sent at once.
    at_once: Semaphore,
    /// The clients whose mails are under way.
    under_way: Mutex<Vec<String>>,
}

/// A mail that is under way, until this is dropped; also one whose task is.
struct Waiting<'a>(&'a Sender, &'a str);

impl<'a> Waiting<'a> {
    fn new(sender: &'a Sender, client_id: &'a str) -> Self {
        sender.under_way.lock().unwrap_or_else(PoisonError::into_inner).push(client_id.to_owned());
        Self(sender, client_id)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = under_way.iter().position(|client_id| client_id == self.1) {
            under_way.swap_remove(at);
        }
    }
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
    pub fn new(
        options: MailOptions,
        issuer: String,
        clock: Arc<dyn Clock>,
        telemetry: Telemetry,
    ) -> Result<(Self, MailTask), MailError> {
        let transport = Transport::new(&options.by)?;
        let (queue, notices) = mpsc::channel(QUEUE);
        let sender = Sender {
            options,
            transport,
            issuer,
            clock,
            telemetry,
            retries: &RETRIES,
            drain: DRAIN,
            at_once: Semaphore::new(AT_ONCE),
            under_way: Mutex::default(),
        };
        Ok((Self(Some(queue)), MailTask { sender, notices }))
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
    /// Sends until told to stop, then what is left, for a while: what was not sent is told by its client.
    pub async fn run(self, stop: CancellationToken) {
        let Self { sender, mut notices } = self;
        let sender = Arc::new(sender);
        let mut sending = JoinSet::new();
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => drop(sending.spawn(Arc::clone(&sender).deliver(notice, stop.clone()))),
                    None => break,
                },
                Some(_) = sending.join_next() => {}
                () = stop.cancelled() => break,
            }
        }
        notices.close();
        while let Ok(notice) = notices.try_recv() {
            sending.spawn(Arc::clone(&sender).deliver(notice, stop.clone()));
        }
        let all = async { while sending.join_next().await.is_some() {} };
        // Without a stop there is nobody who waits.
        if stop.is_cancelled() {
            let _ = tokio::time::timeout(sender.drain, all).await;
        } else {
            all.await;
        }
        for client_id in sender.unsent() {
            sender.telemetry.mail("lost");
            tracing::error!(%client_id, "a mail was not sent before the stop, and will not be");
        }
    }
}

impl Sender {
    /// Sends one mail; the others do not wait for it. Told to stop, it is tried at once, and no more after that.
    async fn deliver(self: Arc<Self>, notice: Notice, stop: CancellationToken) {
        let message = match self.message(&notice) {
            Ok(Some(message)) => message,
            Ok(None) => {
                tracing::debug!(client_id = %notice.client_id, "the owner of a new application has no e-mail address");
                return;
            }
            Err(error) => return self.given_up(&notice, &error),
        };
        let waiting = Waiting::new(&self, &notice.client_id);
        let mut waits = self.retries.iter();
        loop {
            let last = stop.is_cancelled();
            let sent = match self.at_once.acquire().await {
                Ok(_permit) => self.transport.send(message.clone()).await,
                // Nobody closes it.
                Err(_) => return,
            };
            let Err(error) = sent else {
                drop(waiting);
                self.telemetry.mail("sent");
                tracing::info!(client_id = %notice.client_id, "the owner was told of the application");
                return;
            };
            // A server that refuses for good does so again (RFC 5321 section 4.2.1).
            let wait = waits.next().filter(|_| !error.is_permanent() && !last);
            let Some(wait) = wait else {
                drop(waiting);
                return self.given_up(&notice, &SendError::Undelivered(error));
            };
            tracing::warn!(client_id = %notice.client_id, error = %chain(&error), "a mail was not sent; it is tried again");
            stop.run_until_cancelled(tokio::time::sleep(*wait)).await;
        }
    }

    fn given_up(&self, notice: &Notice, error: &SendError) {
        self.telemetry.mail("failed");
        tracing::error!(client_id = %notice.client_id, error = %chain(error), "a mail was not sent, and will not be");
    }

    /// The clients whose mails are under way still.
    fn unsent(&self) -> Vec<String> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            // The same at each try: whoever gets it twice sees that it is one (RFC 5322 section 3.6.4).
            .message_id(Some(format!("<{}@{}>", Uuid::now_v7(), self.options.from.email.domain())))
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
