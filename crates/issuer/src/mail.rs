//! Mail: a user is told once that an application was created for them.
//!
//! It is written with what it tells of, in one transaction, and deleted once it is sent: what a stop leaves behind, or a kill, the next
//! start sends. One that was sent, but not deleted any more, is sent twice, under one Message-ID. It is sent off the request path: a
//! mail that fails is logged and tried again for a day, and never fails what it tells of. It never holds a secret. Mails do not wait for
//! each other, and one that is refused for good is not tried again. Threats: a name that forges a header (names have no control
//! characters, and headers are encoded), and one that stands for another placeholder (what is filled in is not read again).

mod template;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use tessera_store::{Client, Database, MailRecord, StoreError, Transaction, User};
use tessera_types::error::chain;
use tessera_types::random;
use tessera_types::{Clock, Timestamp};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::template::{InvalidTemplate, Locale, Template};
use self::transport::{Transport, Undelivered};
use crate::context::Context;
use crate::telemetry::Telemetry;

/// How many mails wait in memory at most. What comes then waits in the database alone.
const QUEUE: usize = 1000;

/// How many mails are sent at once: a server that hangs keeps so many others waiting, and no more.
const AT_ONCE: usize = 4;

/// How long a stop waits for the mails that are left.
const DRAIN: Duration = Duration::from_secs(5);

/// For how long nobody else sends a mail that an issuer has taken: longer than its tries.
const TAKEN: Duration = Duration::from_mins(10);

/// How often is looked for mails that nobody sends.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How many are taken at a look.
const BATCH: u64 = 200;

/// How old a mail becomes that cannot be sent.
const KEPT: Duration = Duration::from_hours(24);

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
pub struct Mailer(Option<mpsc::Sender<MailRecord>>);

/// A mail that stands in the database, until it is handed over once that is committed.
#[must_use = "it waits for minutes where nobody sends it"]
pub(crate) struct Written(MailRecord);

/// The task that sends.
pub struct MailTask {
    sender: Sender,
    notices: mpsc::Receiver<MailRecord>,
    /// What the process before left.
    left: Vec<MailRecord>,
}

/// What sending one mail takes.
struct Sender {
    options: MailOptions,
    transport: Transport,
    store: Database,
    issuer: String,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
    retries: &'static [Duration],
    /// How long a stop waits.
    drain: Duration,
    /// How many are sent at once.
    at_once: Semaphore,
    /// The mails that are under way.
    under_way: Mutex<Vec<Uuid>>,
}

/// A mail that is under way, until this is dropped; also one whose task is.
struct Waiting<'a>(&'a Sender, Uuid);

impl<'a> Waiting<'a> {
    /// None where it is under way already.
    fn new(sender: &'a Sender, id: Uuid) -> Option<Self> {
        let mut under_way = sender.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.contains(&id) {
            return None;
        }
        under_way.push(id);
        Some(Self(sender, id))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = under_way.iter().position(|id| *id == self.1) {
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
        store: Database,
        issuer: String,
        clock: Arc<dyn Clock>,
        telemetry: Telemetry,
    ) -> Result<(Self, MailTask), MailError> {
        let transport = Transport::new(&options.by)?;
        let (queue, notices) = mpsc::channel(QUEUE);
        let sender = Sender {
            options,
            transport,
            store,
            issuer,
            clock,
            telemetry,
            retries: &RETRIES,
            drain: DRAIN,
            at_once: Semaphore::new(AT_ONCE),
            under_way: Mutex::default(),
        };
        Ok((Self(Some(queue)), MailTask { sender, notices, left: Vec::new() }))
    }

    /// Writes into the transaction that creates a client what its owner is told; none where no mail is sent.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn application_created(
        &self,
        cx: &Context,
        tx: &Transaction,
        client: &Client,
        (owner, organization): (User, Option<String>),
    ) -> Result<Option<Written>, StoreError> {
        if self.0.is_none() {
            return Ok(None);
        }
        let now = cx.clock.now();
        let record = MailRecord {
            id: Uuid::from_bytes(random::bytes(&*cx.random)),
            created: now,
            owner: if owner.name.is_empty() { owner.username.to_string() } else { owner.name },
            address: owner.email.map(|email| email.to_string()),
            name: client.name.clone(),
            client_id: client.id.to_string(),
            organization: organization.unwrap_or_else(|| "-".to_owned()),
        };
        tx.mails().insert(&record, now.plus(TAKEN)).await?;
        Ok(Some(Written(record)))
    }

    /// Sends what is committed.
    pub(crate) fn send(&self, Written(record): Written) {
        if self.0.as_ref().is_some_and(|sender| sender.try_send(record).is_err()) {
            tracing::warn!("many mails wait; the owner of a new application is told of it later");
        }
    }
}

impl MailTask {
    /// Takes over what the process before left, whoever had taken it: to be called before anything is written. Another issuer on the same
    /// database, which may be sending some of it now, makes that twice.
    ///
    /// # Errors
    /// What the database says.
    pub async fn recall(&mut self) -> Result<(), StoreError> {
        self.left = self.sender.take(Timestamp(i64::MAX)).await?;
        Ok(())
    }

    /// Sends until told to stop, then what is left, for a while: what is not sent then, the next start sends.
    pub async fn run(self, stop: CancellationToken) {
        let Self { sender, mut notices, left } = self;
        let sender = Arc::new(sender);
        let mut sending = JoinSet::new();
        for notice in left {
            sending.spawn(Arc::clone(&sender).deliver(notice, stop.clone()));
        }
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => drop(sending.spawn(Arc::clone(&sender).deliver(notice, stop.clone()))),
                    None => break,
                },
                Some(_) = sending.join_next() => {}
                _ = looks.tick() => for notice in sender.look().await {
                    sending.spawn(Arc::clone(&sender).deliver(notice, stop.clone()));
                },
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
        let left = sender.unsent();
        if left > 0 {
            tracing::warn!(mails = left, "mails were not sent before the stop; the next start sends them");
        }
    }
}

impl Sender {
    /// Takes mails that nobody has taken for longer than up to this moment.
    async fn take(&self, free: Timestamp) -> Result<Vec<MailRecord>, StoreError> {
        self.store.mails().take(free, self.clock.now().plus(TAKEN), BATCH).await
    }

    /// Takes mails that nobody sends any more: those of an issuer that is gone, and those that could not be sent a while ago.
    async fn look(&self) -> Vec<MailRecord> {
        self.take(self.clock.now()).await.unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "nobody can tell whether mails wait; the next look is in a minute");
            Vec::new()
        })
    }

    /// Sends one mail; the others do not wait for it. Told to stop, it is tried at once, and no more after that.
    async fn deliver(self: Arc<Self>, notice: MailRecord, stop: CancellationToken) {
        let Some(_waiting) = Waiting::new(&self, notice.id) else { return };
        let message = match self.message(&notice) {
            Ok(Some(message)) => message,
            Ok(None) => {
                tracing::debug!(client_id = %notice.client_id, "the owner of a new application has no e-mail address");
                return self.done(&notice).await;
            }
            Err(error) => return self.given_up(&notice, &error).await,
        };
        let mut waits = self.retries.iter();
        loop {
            let last = stop.is_cancelled();
            let sent = match self.at_once.acquire().await {
                Ok(_permit) => self.transport.send(message.clone()).await,
                // Nobody closes it.
                Err(_) => return,
            };
            let Err(error) = sent else {
                self.telemetry.mail("sent");
                tracing::info!(client_id = %notice.client_id, "the owner was told of the application");
                return self.done(&notice).await;
            };
            // A server that refuses for good does so again (RFC 5321 section 4.2.1).
            let too_old = notice.created.until(self.clock.now()) >= KEPT;
            let Some(wait) = waits.next().filter(|_| !error.is_permanent() && !last) else {
                if error.is_permanent() || too_old {
                    return self.given_up(&notice, &SendError::Undelivered(error)).await;
                }
                tracing::warn!(client_id = %notice.client_id, error = %chain(&error), "a mail was not sent; it is kept, and tried again later");
                return;
            };
            tracing::warn!(client_id = %notice.client_id, error = %chain(&error), "a mail was not sent; it is tried again");
            stop.run_until_cancelled(tokio::time::sleep(*wait)).await;
        }
    }

    async fn given_up(&self, notice: &MailRecord, error: &SendError) {
        self.telemetry.mail("failed");
        tracing::error!(client_id = %notice.client_id, error = %chain(error), "a mail was not sent, and will not be");
        self.done(notice).await;
    }

    /// Forgets one that needs no further try.
    async fn done(&self, notice: &MailRecord) {
        if let Err(error) = self.store.mails().delete(notice.id).await {
            tracing::warn!(client_id = %notice.client_id, error = %chain(&error), "a mail that was seen to is still kept; it may be sent twice");
        }
    }

    /// How many mails are under way still.
    fn unsent(&self) -> usize {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The mail; none where there is nobody to send it to.
    fn message(&self, notice: &MailRecord) -> Result<Option<Message>, SendError> {
        let boxed = |error| SendError::Message(error);
        let to = match (&self.options.recipient, &notice.address) {
            (Some(recipient), _) => recipient.clone(),
            (None, Some(email)) => {
                let address = email.parse().map_err(|error| boxed(Box::new(error)))?;
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
        let written = u64::try_from(notice.created.0).unwrap_or_default();
        let message = Message::builder()
            .from(self.options.from.clone())
            .to(to)
            // The same at each try: whoever gets it twice sees that it is one (RFC 5322 section 3.6.4).
            .message_id(Some(format!("<{}@{}>", notice.id, self.options.from.email.domain())))
            .subject(filled.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(written))
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
