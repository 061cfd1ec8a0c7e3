//! Revocations written together: one transaction, and so one fsync, serves everybody who asked while the last one was running.

use tessera_ledger::Replica;
use tessera_ledger::event::Event;
use tessera_store::{Database, NewRecord, StoreError};
use tessera_types::Revision;
use tokio::sync::{mpsc, oneshot};

/// How many may be written at once.
const BATCH: usize = 512;

/// How many may wait to be written; more wait for a place.
const QUEUE: usize = 4096;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The revision of the event, or of the earlier event that already said so.
    pub revision: Revision,
}

struct Request {
    event: Event,
    record: NewRecord,
    reply: oneshot::Sender<Result<Recorded, StoreError>>,
}

/// Writes events to the log, many at once. Cheap to clone.
#[derive(Clone)]
pub struct Appender {
    queue: mpsc::Sender<Request>,
}

impl Appender {
    /// Starts the writer; it ends when the last handle is gone.
    #[must_use]
    pub fn start(store: Database, replica: Replica) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        tokio::spawn(run(Log { store, replica }, requests));
        Self { queue }
    }

    /// Writes an event that only ever grows (a revoked token or grant), unless the log says so already, and with it who did that.
    ///
    /// # Errors
    /// What kept it from being written. It may have been written all the same where that is `OutcomeUnknown`.
    pub async fn append(&self, event: Event, record: NewRecord) -> Result<Recorded, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { event, record, reply };
        self.queue.send(request).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

/// The writer is gone: the process stops, or it died.
fn closed() -> StoreError {
    StoreError::Unavailable("the log's writer has stopped".into())
}

/// The log, and what this process has applied of it.
#[derive(Clone)]
struct Log {
    store: Database,
    replica: Replica,
}

async fn run(log: Log, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::with_capacity(BATCH);
    while requests.recv_many(&mut batch, BATCH).await > 0 {
        let events = batch.iter().map(|r| (r.event.clone(), r.record.clone())).collect();
        // On its own task: a panic below costs this batch its answers, not every later one.
        let written = tokio::spawn(write(log.clone(), events)).await;
        let results = match written {
            Ok(Ok(recorded)) => recorded.into_iter().map(Ok).collect(),
            Ok(Err(error)) => one_by_one(&log, &batch, error).await,
            Err(_) => batch.iter().map(|_| Err(closed())).collect(),
        };
        for (request, result) in batch.drain(..).zip(results) {
            // Whoever hung up does not need to know.
            let _ = request.reply.send(result);
        }
    }
}

/// After a failed batch each gets its own try and its own error.
async fn one_by_one(log: &Log, batch: &[Request], first: StoreError) -> Vec<Result<Recorded, StoreError>> {
    if batch.len() == 1 {
        return vec![Err(first)];
    }
    tracing::warn!(error = %first, size = batch.len(), "a batch of revocations failed; writing them one by one");
    let mut results = Vec::with_capacity(batch.len());
    for request in batch {
        let result = write(log.clone(), vec![(request.event.clone(), request.record.clone())]).await;
        results.push(result.and_then(|mut r| r.pop().ok_or_else(closed)));
    }
    results
}

/// Writes those events the log does not say yet, and tells where each stands.
async fn write(log: Log, events: Vec<(Event, NewRecord)>) -> Result<Vec<Recorded>, StoreError> {
    let mut tx = log.store.begin().await?;
    let keys: Vec<String> = events.iter().map(|(event, _)| event.about()).collect();
    let known = tx.log().facts_about(&keys).await?;
    // Where each event stands: at a known revision, or at the index of what this transaction records.
    let mut recorded_at: hashbrown::HashMap<&str, usize> = hashbrown::HashMap::new();
    for (key, (event, record)) in keys.iter().zip(&events) {
        if !known.contains_key(key.as_str()) && !recorded_at.contains_key(key.as_str()) {
            recorded_at.insert(key, recorded_at.len());
            tx.record(event.clone());
            tx.audit(record.clone());
        }
    }
    let before = log.replica.position();
    let committed = tx.commit().await?;
    if let (Some(first), Some(before)) = (committed.first, before)
        && first <= before.revision
    {
        // The database is not the one this process has followed: everybody would seem to have confirmed it already.
        return Err(StoreError::OutcomeUnknown("the database holds another log than this process has applied".into()));
    }
    let epoch = committed.position.epoch;
    let place = |key: &str| match recorded_at.get(key) {
        Some(index) => committed.recorded.get(*index).copied(),
        None => known.get(key).map(|fact| fact.revision),
    };
    keys.iter()
        .map(|key| place(key).map(|number| Recorded { revision: Revision { epoch, number } }).ok_or_else(closed))
        .collect()
}
