//! An issuer's side of the contracts, in memory, that a test can make misbehave.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tessera_api::oauth::v1::token_service_server::{TokenService, TokenServiceServer};
use tessera_api::oauth::v1::{IssueTokenRequest, IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse};
use tessera_api::status::status;
use tessera_api::sync::v1::sync_service_server::{SyncService, SyncServiceServer};
use tessera_api::sync::v1::{AuthenticateClientRequest, AuthenticateClientResponse, WatchRequest, WatchResponse};
use tessera_introspector::callers::CallerError;
use tessera_kit::random::SystemRandom;
use tessera_kit::serve::{Options, Server, Serving, Stop};
use tessera_ledger::feed::{Decision, FeedError, decide};
use tessera_ledger::message::{Delta, Hello, PROTOCOL_VERSION, Request as Said, Response as Say, Welcome};
use tessera_ledger::wire::{encode_event, request_from_wire, response_to_wire, snapshot_chunks};
use tessera_ledger::{ChainHash, Entry, Event, Fact, Position, Snapshot, chain};
use tessera_types::Epoch;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::setting::unchanged;

/// The issuer's URL in tokens.
pub(crate) const URL: &str = "http://issuer.test";

const HEARTBEAT: Duration = Duration::from_millis(20);

/// The issuer. Clones are handles of the same one.
#[derive(Clone)]
pub(crate) struct Issuer(Arc<Inner>);

pub(crate) struct Inner {
    log: Mutex<Log>,
    head: watch::Sender<u64>,
    deltas: AtomicBool,
    refusing: AtomicBool,
    /// Whose change ends every stream.
    cut: watch::Sender<u64>,
    raw: broadcast::Sender<WatchResponse>,
    pub(crate) hellos: watch::Sender<Vec<Hello>>,
    pub(crate) acked: watch::Sender<u64>,
    pub(crate) refused: watch::Sender<usize>,
    pub(crate) snapshots: AtomicUsize,
    pub(crate) goodbyes: watch::Sender<usize>,
    pub(crate) head_requests: watch::Sender<usize>,
    /// One permit per answer to a head request.
    pub(crate) head_answers: Semaphore,
    secrets: Mutex<HashMap<String, String>>,
    pub(crate) authentications: AtomicUsize,
    /// One permit per answer to an authentication.
    pub(crate) authentication_answers: Semaphore,
    refusing_authentications: AtomicBool,
    /// A client that is changed whenever its credential is checked.
    restless: Mutex<Option<String>>,
    pub(crate) tokens_issued: AtomicUsize,
}

struct Log {
    epoch: Epoch,
    entries: Vec<Entry>,
}

const PLENTY: usize = 1 << 20;

impl Issuer {
    pub(crate) fn new(epoch: u64) -> Self {
        Self(Arc::new(Inner {
            log: Mutex::new(Log { epoch: Epoch(epoch), entries: Vec::new() }),
            head: watch::Sender::new(0),
            deltas: AtomicBool::new(true),
            refusing: AtomicBool::new(false),
            cut: watch::Sender::new(0),
            raw: broadcast::Sender::new(16),
            hellos: watch::Sender::default(),
            acked: watch::Sender::new(0),
            refused: watch::Sender::new(0),
            snapshots: AtomicUsize::new(0),
            goodbyes: watch::Sender::new(0),
            head_requests: watch::Sender::new(0),
            head_answers: Semaphore::new(PLENTY),
            secrets: Mutex::default(),
            authentications: AtomicUsize::new(0),
            authentication_answers: Semaphore::new(PLENTY),
            refusing_authentications: AtomicBool::new(false),
            restless: Mutex::default(),
            tokens_issued: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn serve(&self) -> (SocketAddr, Serving, Stop) {
        let routes =
            Routes::new(SyncServiceServer::new(self.clone())).add_service(TokenServiceServer::new(self.clone()));
        let options = Options::new(Stop::new(), Arc::new(SystemRandom));
        let server = Server::grpc(([127, 0, 0, 1], 0).into(), 0).expect("a free port");
        let serving = server.serve_grpc(routes, &options).expect("served");
        (serving.addr(), serving, options.stop)
    }

    /// Appends to the log; the revision of the event.
    pub(crate) fn append(&self, event: Event) -> u64 {
        let mut log = self.0.log.lock().expect("not poisoned");
        let before = log.entries.last().map_or(ChainHash::default(), |entry| entry.hash);
        let revision = log.entries.len() as u64 + 1;
        let hash = chain::next(&before, revision, &encode_event(&event));
        log.entries.push(Entry { revision, hash, event });
        self.0.head.send_replace(revision);
        revision
    }

    /// Appends and waits until the introspector has confirmed.
    pub(crate) async fn publish(&self, event: Event) -> u64 {
        let revision = self.append(event);
        self.confirmed(revision).await;
        revision
    }

    pub(crate) async fn confirmed(&self, revision: u64) {
        let mut acked = self.0.acked.subscribe();
        let waiting = tokio::time::timeout(Duration::from_secs(20), acked.wait_for(|acked| *acked >= revision));
        waiting.await.expect("it is confirmed in time").expect("the issuer lives");
    }

    pub(crate) fn head(&self) -> u64 {
        *self.0.head.borrow()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.0.log.lock().expect("not poisoned").epoch
    }

    /// Another log, as after a restore.
    pub(crate) fn restore(&self, epoch: u64, keep: usize) {
        let mut log = self.0.log.lock().expect("not poisoned");
        log.epoch = Epoch(epoch);
        log.entries.truncate(keep);
        self.0.head.send_replace(keep as u64);
        self.0.acked.send_replace(0);
    }

    /// The log as it would be without its last events, with others in their place.
    pub(crate) fn rewrite(&self, keep: usize, events: Vec<Event>) {
        self.0.log.lock().expect("not poisoned").entries.truncate(keep);
        for event in events {
            self.append(event);
        }
    }

    /// Whether new entries are sent.
    pub(crate) fn deltas(&self, on: bool) {
        self.0.deltas.store(on, Ordering::SeqCst);
        self.0.head.send_modify(|_| {});
    }

    pub(crate) fn refuse_streams(&self, on: bool) {
        self.0.refusing.store(on, Ordering::SeqCst);
    }

    /// Whether credentials are not looked at.
    pub(crate) fn refuse_authentications(&self, on: bool) {
        self.0.refusing_authentications.store(on, Ordering::SeqCst);
    }

    /// Changes this client from now on whenever its credential is checked.
    pub(crate) fn restless(&self, client: &str) {
        *self.0.restless.lock().expect("not poisoned") = Some(client.to_owned());
    }

    /// Ends every stream.
    pub(crate) fn cut(&self) {
        self.0.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Ends every stream and accepts no other; returns when the introspector has noticed, so that nothing it heard before is
    /// still on its way.
    pub(crate) async fn partition(&self) {
        self.refuse_streams(true);
        let mut refused = self.0.refused.subscribe();
        refused.mark_unchanged();
        self.cut();
        tokio::time::timeout(Duration::from_secs(20), refused.changed()).await.expect("in time").expect("it lives");
    }

    /// Sends something as it is.
    pub(crate) fn say(&self, message: WatchResponse) {
        self.0.raw.send(message).expect("a stream listens");
    }

    pub(crate) fn secret(&self, client: &str, secret: &str) {
        self.0.secrets.lock().expect("not poisoned").insert(client.to_owned(), secret.to_owned());
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    fn position(&self, at: usize) -> Position {
        let log = self.0.log.lock().expect("not poisoned");
        let hash = at.checked_sub(1).map_or(ChainHash::default(), |last| log.entries[last].hash);
        Position { epoch: log.epoch, revision: at as u64, hash }
    }

    /// The latest fact about each thing.
    fn snapshot(&self) -> Snapshot {
        let head = self.0.log.lock().expect("not poisoned").entries.len();
        let position = self.position(head);
        let log = self.0.log.lock().expect("not poisoned");
        let latest: BTreeMap<String, Fact> = log.entries[..head]
            .iter()
            .map(|e| (e.event.about(), Fact { revision: e.revision, event: e.event.clone() }))
            .collect();
        Snapshot { position, facts: latest.into_values().collect() }
    }

    /// Whether a replica may go on where it stands; what it is told where it may not follow at all.
    fn resumable(&self, hello: &Hello) -> Result<bool, FeedError> {
        let Some(own) = hello.position else { return Ok(false) };
        let head = self.position(usize::try_from(self.head()).expect("small"));
        let hash =
            (own.revision <= head.revision).then(|| self.position(usize::try_from(own.revision).expect("small")).hash);
        match decide(Some(&own), &head, hash) {
            Decision::Resume => Ok(true),
            Decision::Snapshot => Ok(false),
            Decision::Ahead => Err(FeedError::Ahead { replica: own.revision, head: head.revision }),
            Decision::Rewritten => Err(FeedError::Rewritten { replica: own.revision }),
        }
    }

    async fn drive(self, mut said: Streaming<WatchRequest>, say: mpsc::Sender<Result<WatchResponse, Status>>) {
        let mut cuts = self.0.cut.subscribe();
        let mut raw = self.0.raw.subscribe();
        let mut heads = self.0.head.subscribe();
        cuts.mark_unchanged();
        let send = async |message: Say| say.send(Ok(response_to_wire(&message))).await.is_ok();
        let Some(Ok(Said::Hello(hello))) = said.next().await.and_then(Result::ok).map(request_from_wire) else {
            return;
        };
        self.0.hellos.send_modify(|hellos| hellos.push(hello.clone()));
        let resumes = match self.resumable(&hello) {
            Ok(resumes) => resumes,
            Err(error) => {
                self.0.refused.send_modify(|count| *count += 1);
                let _ = say.send(Err(status(&error))).await;
                return;
            }
        };
        let welcome = Welcome {
            protocol_version: PROTOCOL_VERSION,
            issuer: URL.to_owned(),
            snapshot_follows: !resumes,
            heartbeat_interval: Duration::from_secs(1),
        };
        send(Say::Welcome(welcome)).await;
        let mut last = if let Some(own) = hello.position.filter(|_| resumes) {
            // Who stands there has it visible: as good as an ack.
            self.0.acked.send_replace(own.revision);
            own.revision
        } else {
            self.0.snapshots.fetch_add(1, Ordering::SeqCst);
            let snapshot = self.snapshot();
            for chunk in snapshot_chunks(&snapshot, 2) {
                send(Say::Snapshot(chunk)).await;
            }
            snapshot.position.revision
        };
        send(Say::Heartbeat { revision: self.head() }).await;
        let mut ticks = tokio::time::interval(HEARTBEAT);
        loop {
            if self.0.deltas.load(Ordering::SeqCst) {
                last = self.send_entries(last, &say).await;
            }
            tokio::select! {
                _ = cuts.changed() => {
                    let _ = say.send(Err(Status::unavailable("cut"))).await;
                    return;
                }
                Ok(message) = raw.recv() => drop(say.send(Ok(message)).await),
                _ = heads.changed() => {}
                _ = ticks.tick() => drop(send(Say::Heartbeat { revision: last }).await),
                message = said.next() => {
                    let Some(Ok(message)) = message else { return };
                    self.heard(message, &say);
                }
            }
        }
    }

    async fn send_entries(&self, sent: u64, say: &mpsc::Sender<Result<WatchResponse, Status>>) -> u64 {
        let known = usize::try_from(sent).expect("small");
        let entries: Vec<Entry> =
            self.0.log.lock().expect("not poisoned").entries.iter().skip(known).cloned().collect();
        let Some(last) = entries.last().map(|entry| entry.revision) else { return sent };
        let delta = Say::Delta(Delta { entries, age: Duration::ZERO });
        let _ = say.send(Ok(response_to_wire(&delta))).await;
        last
    }

    fn heard(&self, message: WatchRequest, say: &mpsc::Sender<Result<WatchResponse, Status>>) {
        match request_from_wire(message).expect("the introspector speaks the protocol") {
            Said::Ack(revision) => drop(self.0.acked.send_replace(revision)),
            Said::Goodbye => self.0.goodbyes.send_modify(|count| *count += 1),
            Said::Hello(_) => panic!("Hello is said once"),
            Said::HeadRequest { nonce } => {
                self.0.head_requests.send_modify(|count| *count += 1);
                let (issuer, say) = (self.clone(), say.clone());
                // Read when the request arrives, answered when the test allows.
                let revision = self.head();
                tokio::spawn(async move {
                    issuer.0.head_answers.acquire().await.expect("never closed").forget();
                    say.send(Ok(response_to_wire(&Say::Head { nonce, revision }))).await
                });
            }
        }
    }
}

#[async_trait]
impl SyncService for Issuer {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        if self.0.refusing.load(Ordering::SeqCst) {
            self.0.refused.send_modify(|count| *count += 1);
            return Err(Status::unavailable("refusing"));
        }
        let bearer = request.metadata().get("authorization").and_then(|v| v.to_str().ok());
        if !bearer.is_some_and(|bearer| bearer.starts_with("Bearer feed-")) {
            return Err(Status::unauthenticated("no token"));
        }
        let (say, told) = mpsc::channel(64);
        tokio::spawn(self.clone().drive(request.into_inner(), say));
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn authenticate_client(
        &self,
        request: Request<AuthenticateClientRequest>,
    ) -> Result<Response<AuthenticateClientResponse>, Status> {
        let revision = self.head();
        self.0.authentications.fetch_add(1, Ordering::SeqCst);
        self.0.authentication_answers.acquire().await.expect("never closed").forget();
        if self.0.refusing_authentications.load(Ordering::SeqCst) {
            return Err(Status::unavailable("refusing"));
        }
        let request = request.into_inner();
        let restless = self.0.restless.lock().expect("not poisoned").clone();
        if restless.is_some_and(|client| client == request.client_id) {
            self.publish(unchanged(&request.client_id)).await;
        }
        let right = self.0.secrets.lock().expect("not poisoned").get(&request.client_id).cloned();
        if right.is_none_or(|right| right != request.client_secret) {
            return Err(status(&CallerError::Refused));
        }
        Ok(Response::new(AuthenticateClientResponse { revision, expire_time: None }))
    }
}

#[async_trait]
impl TokenService for Issuer {
    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Result<Response<IssueTokenResponse>, Status> {
        let request = request.into_inner();
        if request.scopes != ["tessera.sync"] || request.audience != URL || request.client_secret != "feed-secret" {
            return Err(Status::unauthenticated("not the introspector"));
        }
        let issued = self.0.tokens_issued.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(IssueTokenResponse {
            access_token: format!("feed-{issued}"),
            token_type: "Bearer".to_owned(),
            expires_in: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
            refresh_token: String::new(),
            scope: "tessera.sync".to_owned(),
        }))
    }

    async fn revoke_token(&self, _: Request<RevokeTokenRequest>) -> Result<Response<RevokeTokenResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }
}
