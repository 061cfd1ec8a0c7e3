//! Load by a client of our own, for machines without h2load and for latencies.

use std::num::NonZero;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::call::{Call, connect};

/// How much load, and how.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server's port.
    pub port: u16,
    /// Connections.
    pub connections: NonZero<u32>,
    /// Calls at a time on each connection.
    pub streams: NonZero<u32>,
    /// Calls altogether, at least.
    pub requests: u32,
}

/// What a run measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Calls answered.
    pub requests: u32,
    /// How long all of them took, in microseconds.
    pub micros: u64,
    /// The median time of a call, in microseconds.
    pub p50: f64,
    /// What 99 of 100 calls stay below, in microseconds.
    pub p99: f64,
}

impl Run {
    /// How long all of the calls took.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.micros)
    }
}

/// Makes the calls. Each must be answered `active`.
pub async fn run(load: Load, call: &Call) -> Result<Run> {
    let workers = load.connections.get() * load.streams.get();
    let each = load.requests.div_ceil(workers);
    let mut clients = Vec::new();
    for _ in 0..load.connections.get() {
        clients.push(IntrospectionServiceClient::new(connect(load.port).await?));
    }
    let start = now();
    let mut running = JoinSet::new();
    for client in clients {
        for _ in 0..load.streams.get() {
            running.spawn(worker(client.clone(), call.clone(), each));
        }
    }
    let mut times = Histogram::<u64>::new(3)?;
    while let Some(done) = running.join_next().await {
        times.add(done??)?;
    }
    let micros = u64::try_from(start.elapsed().as_micros())?;
    Ok(Run { requests: each * workers, micros, p50: micros_at(&times, 0.5), p99: micros_at(&times, 0.99) })
}

async fn worker(mut client: IntrospectionServiceClient<Channel>, call: Call, calls: u32) -> Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    for _ in 0..calls {
        let request = call.to_request()?;
        let start = now();
        let response = client.introspect(request).await?;
        times.record(u64::try_from(start.elapsed().as_nanos())?)?;
        ensure!(response.get_ref().active, "a token that was active is no longer");
    }
    Ok(times)
}

fn micros_at(times: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_nanos(times.value_at_quantile(quantile)).as_secs_f64() * 1e6
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
