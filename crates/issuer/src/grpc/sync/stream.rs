//! One stream: the feed's state machine with the network, the log and the clock around it.

use std::collections::VecDeque;
use std::time::Duration;

use tessera_api::sync::v1::{EventTrace, WatchRequest, WatchResponse, watch_response};
use tessera_kit::serve::Stop;
use tessera_ledger::feed::{Feed, FeedError, Output, Terms};
use tessera_ledger::message::Response;
use tessera_ledger::wire::{self, WireError};
use tessera_store::{HolderRecord, StoreError, Tail};
use tessera_types::{ErrorCode, Failure};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::context::Context;
use crate::grpc::access;
use crate::log::Holder;
use crate::operations::access::Caller;

/// How often an introspector hears from the issuer when nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long the first message may take.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// How long an introspector may leave messages unread.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// How many facts go into one part of a snapshot.
const FACTS_PER_CHUNK: usize = 4096;

/// How many entries are read at once.
const ENTRIES: usize = 1024;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the stream broke off, or carried what is no message")]
    Broken,
    #[error("the introspector reads too slowly")]
    Slow,
    #[error("the introspector's credential was revoked")]
    Revoked,
    #[error("the log cannot be read")]
    OutOfTouch,
    #[error("the issuer stops")]
    Stopping,
}

impl Failure for StreamError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Feed(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Wire(_) | Self::Broken => ErrorCode::InvalidRequest,
            Self::Slow => ErrorCode::Throttled,
            Self::Revoked => ErrorCode::InvalidToken,
            Self::OutOfTouch | Self::Stopping => ErrorCode::TemporarilyUnavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Feed(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Wire(_) | Self::Broken => "SYNC_MESSAGE_INVALID",
            Self::Slow => "SYNC_TOO_SLOW",
            Self::Revoked => "BEARER_TOKEN_INVALID",
            Self::OutOfTouch => "STORE_UNAVAILABLE",
            Self::Stopping => "STOPPING",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Feed(error) => error.advice(),
            Self::Store(error) => error.advice(),
            Self::Wire(_) | Self::Broken => "The message is malformed, or of a newer protocol than this issuer speaks.",
            Self::Slow => "The introspector left messages unread for too long. It may reconnect.",
            Self::Revoked => "The credential of this feed is no longer good. Get a new one.",
            Self::OutOfTouch => "The issuer cannot read its log. Reconnect.",
            Self::Stopping => "The issuer stops. Reconnect.",
        }
    }

    fn is_internal(&self) -> bool {
        match self {
            Self::Store(error) => error.is_internal(),
            _ => false,
        }
    }
}

/// The driver of one stream.
pub(super) struct Driver {
    cx: Context,
    caller: Caller,
    sender: mpsc::Sender<Result<WatchResponse, Status>>,
    feed: Feed,
    /// Its place in the barrier, and how long it may go on answering.
    holder: Option<(Holder, Duration)>,
    name: String,
}

impl Driver {
    pub(super) fn new(cx: Context, caller: Caller, sender: mpsc::Sender<Result<WatchResponse, Status>>) -> Self {
        let terms =
            Terms { issuer: cx.policy.issuer_url.clone(), heartbeat_interval: HEARTBEAT, hello_timeout: HELLO_WITHIN };
        let feed = Feed::new(terms, cx.clock.monotonic());
        Self { cx, caller, sender, feed, holder: None, name: String::new() }
    }

    /// Runs the stream to its end. A holder that did not say goodbye counts on for as long as it may answer.
    pub(super) async fn run(mut self, incoming: Streaming<WatchRequest>, stop: Stop) {
        let result = self.drive(incoming, stop).await;
        if let Some((holder, max_staleness)) = self.holder.take() {
            self.cx.publication.lost(holder, max_staleness);
        }
        match result {
            Ok(()) => tracing::info!(introspector = %self.name, "feed closed"),
            Err(error) => {
                if let StreamError::Feed(FeedError::Ahead { .. } | FeedError::Rewritten { .. }) = error {
                    self.set_back(&error);
                } else {
                    tracing::info!(introspector = %self.name, error = %error, "feed ended");
                }
                // Where the introspector is gone already, nobody reads this.
                let _ = self.sender.try_send(Err(access::refused(&error)));
            }
        }
    }

    /// An introspector has applied what is not in the database. It is a holder that never confirms, so no revocation is called done
    /// as long as it keeps coming; beyond that its word alone stops nothing (ADR 16).
    fn set_back(&self, error: &StreamError) {
        self.cx.publication.contradicted(self.cx.clock.monotonic());
        self.cx.telemetry.log_rewritten.set(1.0);
        tracing::error!(
            introspector = %self.name,
            error = %error,
            "the database lacks what this introspector has applied: it was restored, or failed over to a standby that lacked commits; stop the issuer, run tessera db restored, and start it again"
        );
    }

    async fn drive(&mut self, mut incoming: Streaming<WatchRequest>, stop: Stop) -> Result<(), StreamError> {
        let mut position = self.cx.replica.subscribe();
        loop {
            let outputs = tokio::select! {
                message = incoming.message() => match message {
                    Ok(Some(message)) => self.feed.receive(wire::request_from_wire(message)?)?,
                    // Hung up: the holder is lost, unless it said goodbye before.
                    Ok(None) => return Ok(()),
                    Err(_) => return Err(StreamError::Broken),
                },
                changed = position.changed() => {
                    let head = position.borrow_and_update().map(|position| position.revision);
                    match (changed, head) {
                        (Ok(()), Some(head)) => self.feed.advanced(head),
                        _ => return Err(StreamError::Stopping),
                    }
                }
                () = tokio::time::sleep(self.until_tick()) => self.tick()?,
                // Not before the last call: a revocation that is waiting for this introspector would not be confirmed.
                () = stop.quiet() => return Err(StreamError::Stopping),
            };
            if !self.perform(outputs).await? {
                return Ok(());
            }
        }
    }

    fn until_tick(&self) -> Duration {
        let now = self.cx.clock.monotonic();
        let due = self.feed.next_timeout().map_or(HEARTBEAT, |at| at.saturating_sub(now));
        due.max(Duration::from_millis(1))
    }

    /// A heartbeat says that nothing was revoked meanwhile; an issuer that cannot read its log must not say so.
    fn tick(&mut self) -> Result<Vec<Output>, StreamError> {
        let now = self.cx.clock.monotonic();
        if !self.cx.publication.in_touch(now) {
            return Err(StreamError::OutOfTouch);
        }
        if !self.caller.is_still_good(&self.cx) {
            return Err(StreamError::Revoked);
        }
        Ok(self.feed.tick(now)?)
    }

    /// Does what the feed asks for, in order; false where the introspector took its leave.
    async fn perform(&mut self, outputs: Vec<Output>) -> Result<bool, StreamError> {
        let mut queue = VecDeque::from(outputs);
        while let Some(output) = queue.pop_front() {
            let more = match output {
                Output::Join { replica, name, max_staleness } => {
                    tracing::info!(introspector = %name, %replica, "feed opened");
                    self.name.clone_from(&name);
                    let joined = self.cx.clock.now();
                    let record = HolderRecord { replica, name, max_staleness, joined };
                    self.holder = Some((self.cx.publication.join(&record).await?, max_staleness));
                    Vec::new()
                }
                Output::Look { at } => self.look(at).await?,
                Output::Acked(revision) => {
                    if let Some((holder, _)) = &self.holder {
                        holder.ack(revision);
                    }
                    Vec::new()
                }
                Output::Send(response) => {
                    self.send(&response).await?;
                    Vec::new()
                }
                Output::SendSnapshot { at_least } => self.send_snapshot(at_least).await?,
                Output::LoadEntries { after } => self.load(after).await?,
                Output::ReadHead { nonce } => {
                    let head = self.cx.store.log().head().await?;
                    self.feed.head_read(nonce, head.revision)
                }
                Output::Leave => {
                    if let Some((holder, _)) = self.holder.take() {
                        self.cx.publication.goodbye(holder).await?;
                    }
                    return Ok(false);
                }
            };
            queue.extend(more);
        }
        Ok(true)
    }

    async fn look(&mut self, at: Option<u64>) -> Result<Vec<Output>, StreamError> {
        let log = self.cx.store.log();
        let head = log.head().await?;
        let hash = match at {
            Some(revision) if revision <= head.revision => log.hash_at(revision).await?,
            _ => None,
        };
        Ok(self.feed.looked(head, hash, self.cx.clock.monotonic())?)
    }

    async fn send_snapshot(&mut self, at_least: u64) -> Result<Vec<Output>, StreamError> {
        let snapshot = self.cx.publication.snapshot(at_least).await?;
        for chunk in wire::snapshot_chunks(&snapshot, FACTS_PER_CHUNK) {
            self.send(&Response::Snapshot(chunk)).await?;
        }
        Ok(self.feed.snapshot_sent(&snapshot.position)?)
    }

    async fn load(&mut self, after: u64) -> Result<Vec<Output>, StreamError> {
        match self.cx.publication.after(after, ENTRIES).await? {
            Tail::Entries(entries) => Ok(self.feed.entries(&entries, Duration::ZERO)),
            Tail::Compacted => Err(self.feed.compacted().into()),
        }
    }

    /// The message, with the traces of those whose changes it carries.
    fn traced(&self, response: &Response) -> WatchResponse {
        let mut message = wire::response_to_wire(response);
        if let (Response::Delta(delta), Some(watch_response::Message::Delta(sent))) = (response, &mut message.message) {
            let traces = self.cx.publication.traces_among(&delta.entries).into_iter();
            let told = traces.map(|(revision, parent)| EventTrace { revision, traceparent: parent.to_string() });
            sent.traces = told.collect();
        }
        message
    }

    async fn send(&self, response: &Response) -> Result<(), StreamError> {
        let message = self.traced(response);
        match tokio::time::timeout(SEND_WITHIN, self.sender.send(Ok(message))).await {
            // Where the introspector hung up, the incoming side says so in a moment.
            Ok(_) => Ok(()),
            Err(_) => Err(StreamError::Slow),
        }
    }
}
