//! The driver of the feed: one stream after another, for as long as the process lives.
//!
//! What to say and to do is the [`Follower`]'s; here are the socket, the clock, and patience.

use std::sync::Arc;
use std::time::Duration;

use tessera_api::sync::v1::sync_service_client::SyncServiceClient;
use tessera_api::sync::v1::{WatchRequest, WatchResponse, watch_response};
use tessera_kit::serve::Stop;
use tessera_kit::token_source::TokenError;
use tessera_kit::trace::{self, TraceParent};
use tessera_ledger::feed::{SYNC_LOG_REWRITTEN, SYNC_REPLICA_AHEAD};
use tessera_ledger::follower::{FollowError, Follower};
use tessera_ledger::message::{self, Welcome};
use tessera_ledger::replica::InstallError;
use tessera_ledger::wire::request_to_wire;
use tessera_ledger::{Freshness, Replica};
use tessera_types::error::chain;
use tessera_types::{Clock, Randomness, Revision, random};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::consistency::heads::Heads;
use crate::grpc::credential::Credential;
use crate::measure::Measures;

/// How long the issuer may take to accept a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream on which nothing came for so many heartbeats is dead, whatever the transport thinks.
const SILENT_HEARTBEATS: u32 = 3;
const LEAST_SILENCE: Duration = Duration::from_secs(3);

/// How many messages may wait to be sent. More means that the issuer does not read.
const OUTGOING: usize = 1024;

/// How long a parting word may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a trace calls it that a change has become visible to every reader here.
const APPLIED: &str = "apply";

/// How many traces of one message are joined.
const MOST_TRACES: usize = 16;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The driver.
pub(crate) struct Feed {
    pub(crate) follower: Follower,
    pub(crate) replica: Replica,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) heads: Arc<Heads>,
    pub(crate) channel: Channel,
    pub(crate) credential: Credential,
    pub(crate) issuer_url: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
    pub(crate) measures: Arc<Measures>,
    /// Told whenever the issuer was heard or lost.
    pub(crate) published: Arc<Notify>,
    pub(crate) stop: Stop,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("there is no token for the feed")]
    Token(#[from] TokenError),
    #[error("the issuer ended the stream: {}: {}", .0.code(), .0.message())]
    Status(#[from] Box<Status>),
    #[error("the issuer closed the stream")]
    Closed,
    #[error("nothing was heard of the issuer for {0:?}")]
    Silent(Duration),
    #[error("the issuer does not read what it is sent")]
    Stuck,
    #[error("the issuer is {found}, but issuer_url says {expected}: correct the configuration")]
    OtherIssuer { expected: String, found: String },
    #[error("the feed cannot be followed")]
    Protocol(#[from] FollowError),
}

impl Lost {
    /// Whether the issuer's log is not the one that was applied here, though it goes by the same epoch.
    fn is_set_back(&self) -> bool {
        match self {
            Self::Status(status) => status
                .get_details_error_info()
                .is_some_and(|info| [SYNC_REPLICA_AHEAD, SYNC_LOG_REWRITTEN].contains(&info.reason.as_str())),
            Self::Protocol(FollowError::Install(InstallError::Below { .. } | InstallError::Rewritten { .. })) => true,
            _ => false,
        }
    }
}

impl Feed {
    /// Follows until the process stops.
    pub(crate) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.stop.is_draining() {
            let Err(lost) = self.follow().await else { return };
            let followed = self.follower.is_caught_up();
            if followed {
                pause = FIRST_PAUSE;
            }
            self.follower.disconnected();
            self.heads.disconnected();
            self.publish();
            let wait = jittered(pause, &*self.random);
            let (error, retry_in_ms) = (chain(&lost), wait.as_millis());
            if lost.is_set_back() {
                self.measures.rewritten(true);
                tracing::error!(
                    error,
                    retry_in_ms,
                    "the issuer's database lacks what was applied here: it was restored, or failed over to a standby that lacked commits; calls are answered UNAVAILABLE until tessera db restored has been run beside the issuer"
                );
            // A stream lives no longer than its connection: one that worked and ended is begun anew and nobody notices.
            } else if followed {
                tracing::info!(error, retry_in_ms, "the feed broke off");
            } else {
                tracing::warn!(error, retry_in_ms, "the feed cannot be followed");
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.draining() => {}
            }
        }
    }

    /// One stream; ends well only where the process stops.
    async fn follow(&mut self) -> Result<(), Lost> {
        let stop = self.stop.clone();
        let (outgoing, mut incoming) = tokio::select! {
            opened = self.open() => opened?,
            () = stop.draining() => return Ok(()),
        };
        let mut heard = Instant::now();
        loop {
            let patience = self.patience();
            tokio::select! {
                message = incoming.message() => {
                    heard = Instant::now();
                    let message = message.map_err(Box::new)?.ok_or(Lost::Closed)?;
                    self.receive(message, &outgoing)?;
                }
                () = self.heads.wanted() => {}
                () = tokio::time::sleep_until(heard + patience) => return Err(Lost::Silent(patience)),
                () = stop.draining() => {
                    self.part(outgoing, incoming).await;
                    return Ok(());
                }
            }
            self.ask_for_the_head(&outgoing)?;
        }
    }

    async fn open(&mut self) -> Result<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>), Lost> {
        let (outgoing, requests) = mpsc::channel(OUTGOING);
        let mut request = Request::new(ReceiverStream::new(requests));
        self.credential.authorize(&mut request).await?;
        let hello = self.follower.connect(self.replica.position());
        send(&outgoing, &hello)?;
        let mut client = SyncServiceClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let opening = tokio::time::timeout(OPEN_TIMEOUT, client.watch(request));
        match opening.await.map_err(|_| Lost::Silent(OPEN_TIMEOUT))? {
            Ok(response) => Ok((outgoing, response.into_inner())),
            Err(status) => {
                if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) {
                    self.credential.forget().await;
                }
                Err(Box::new(status).into())
            }
        }
    }

    fn receive(&mut self, message: WatchResponse, outgoing: &mpsc::Sender<WatchRequest>) -> Result<(), Lost> {
        let traces = traces(&message);
        let absorbed = self.follower.absorb(&self.replica, message, self.clock.monotonic());
        // Also where the message was refused: then the issuer counts as not heard, at once.
        self.publish();
        let absorbed = absorbed?;
        if let Some(welcome) = &absorbed.welcome {
            self.welcomed(welcome)?;
        }
        if self.follower.is_caught_up() {
            self.measures.rewritten(false);
        }
        if absorbed.installed {
            self.measures.resynced();
            let revision = self.replica.position().map(|position| position.revision);
            tracing::info!(revision, "a snapshot was installed");
        }
        // Only now: what is acknowledged is visible to every reader.
        if let Some(reply) = &absorbed.reply {
            send(outgoing, reply)?;
        }
        for parent in &traces {
            trace::done(APPLIED, parent);
        }
        if let (Some((nonce, number)), Some(position)) = (absorbed.head, self.replica.position()) {
            self.heads.answered(nonce, Revision { epoch: position.epoch, number });
        }
        Ok(())
    }

    fn welcomed(&self, welcome: &Welcome) -> Result<(), Lost> {
        if welcome.issuer == self.issuer_url {
            return Ok(());
        }
        Err(Lost::OtherIssuer { expected: self.issuer_url.clone(), found: welcome.issuer.clone() })
    }

    /// Only on a stream whose log is known for sure: the answer is a revision of it.
    fn ask_for_the_head(&self, outgoing: &mpsc::Sender<WatchRequest>) -> Result<(), Lost> {
        if self.follower.is_caught_up()
            && let Some(nonce) = self.heads.begin()
        {
            send(outgoing, &message::Request::HeadRequest { nonce })?;
        }
        Ok(())
    }

    /// The process answers no more checks by now; what is in memory counts as out of touch from here on.
    async fn part(&mut self, outgoing: mpsc::Sender<WatchRequest>, mut incoming: Streaming<WatchResponse>) {
        let goodbye = self.follower.goodbye();
        self.publish();
        if let Some(goodbye) = goodbye {
            // Whether it arrives is not ours to see: the issuer also notices the end.
            let _ = send(&outgoing, &goodbye);
        }
        drop(outgoing);
        let end = async { while let Ok(Some(_)) = incoming.message().await {} };
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, end).await;
    }

    fn publish(&self) {
        self.freshness.set(self.follower.last_heard());
        self.published.notify_one();
    }

    fn patience(&self) -> Duration {
        let heartbeat = self.follower.heartbeat_interval();
        heartbeat.map_or(OPEN_TIMEOUT, |heartbeat| (heartbeat * SILENT_HEARTBEATS).max(LEAST_SILENCE))
    }
}

/// The traces of those whose changes a message carries: within bounds, whatever it says, and none in most.
fn traces(message: &WatchResponse) -> Vec<TraceParent> {
    let Some(watch_response::Message::Delta(delta)) = &message.message else { return Vec::new() };
    let told = delta.traces.iter().take(MOST_TRACES);
    told.filter_map(|told| TraceParent::parse(told.traceparent.as_bytes())).collect()
}

fn send(outgoing: &mpsc::Sender<WatchRequest>, request: &message::Request) -> Result<(), Lost> {
    outgoing.try_send(request_to_wire(request)).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Lost::Stuck,
        mpsc::error::TrySendError::Closed(_) => Lost::Closed,
    })
}

/// Between half and the whole of a pause, so that introspectors do not come back all at once.
fn jittered(pause: Duration, random: &dyn Randomness) -> Duration {
    let [draw] = random::bytes::<1>(random);
    pause.mul_f64(0.5 + f64::from(draw) / 510.0)
}

#[cfg(test)]
mod tests {
    use tessera_testkit::random::SeededRandom;

    use super::*;

    #[test]
    fn pauses_are_spread() {
        let random = SeededRandom::new(1);
        let pauses: Vec<_> = (0..64).map(|_| jittered(FIRST_PAUSE, &random)).collect();
        assert!(pauses.iter().all(|p| (FIRST_PAUSE / 2..=FIRST_PAUSE).contains(p)));
        assert!(pauses.iter().any(|p| *p != pauses[0]));
    }
}
