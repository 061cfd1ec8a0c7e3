//! The measurement: two servers, one load at a time, in interleaved pairs.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use tessera_api::introspection::v1::IntrospectResponse;

use crate::call::Call;
use crate::pair::RunningPair;
use crate::process::{LOAD_CORE, Process, SERVER_CORE, free_ports, has_taskset, pinned};
use crate::report::{Latency, Report};
use crate::sample::{Pair, Sample, Verdict};
use crate::{generator, h2load};

/// The environment variable in which a generator process gets the caller's credential.
pub const AUTHORIZATION: &str = "TESSERA_BENCH_AUTHORIZATION";
/// Calls that are made before anything is measured.
const WARM_UP: u32 = 20_000;
/// Calls whose time is measured one by one.
const SINGLE_CALLS: u32 = 5_000;

/// What to measure, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the built programs.
    pub programs: PathBuf,
    /// How many pairs.
    pub pairs: NonZero<u32>,
    /// About how long each run takes.
    pub run: Duration,
    /// Whether to use our own load generator although h2load is here.
    pub own_generator: bool,
}

/// Starts the servers and measures them.
pub async fn measure(options: &Options) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let pair = RunningPair::start(&options.programs, &folder.path().join("pair")).await?;
    let answer = pair.call.make_once(pair.port).await.context("the introspector does not answer")?;
    let bench = Bench::prepare(options, folder.path(), &pair, &answer)?;
    let mut empty = Server::start_empty(&options.programs, folder.path(), &answer).await?;
    let mut real = Server { process: pair.introspector, port: pair.port };

    let rate = bench.warm_up(&empty)?.min(bench.warm_up(&real)?);
    let requests = calls_for(rate, options.run);
    let mut pairs = Vec::new();
    for number in 0..options.pairs.get() {
        // Who goes first alternates, so that a drift of the machine favours neither.
        let sample = |server: &Server| bench.sample(server, requests);
        let measured = if number % 2 == 0 {
            let empty = sample(&empty)?;
            Pair { empty, real: sample(&real)? }
        } else {
            let real = sample(&real)?;
            Pair { empty: sample(&empty)?, real }
        };
        eprintln!("pair {}: {:.2} of the empty handler's throughput", number + 1, measured.throughput_ratio());
        pairs.push(measured);
    }
    let latency = Latency { empty: bench.one_at_a_time(&empty)?, real: bench.one_at_a_time(&real)? };
    empty.process.check()?;
    real.process.check()?;
    let verdict = Verdict::of(&pairs);
    Ok(Report {
        generator: bench.generator_name().to_owned(),
        pinned: has_taskset(),
        request_bytes: bench.call.request.encoded_len(),
        response_bytes: bench.response,
        requests_per_run: requests,
        pairs,
        latency,
        verdict,
    })
}

/// As many calls as fit into the time, in whole thousands.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn calls_for(per_second: f64, run: Duration) -> u32 {
    let thousands = (per_second * run.as_secs_f64() / 1_000.0).ceil();
    thousands.clamp(1.0, 100_000.0) as u32 * 1_000
}

/// A server under load.
struct Server {
    process: Process,
    port: u16,
}

impl Server {
    async fn start_empty(programs: &Path, folder: &Path, answer: &IntrospectResponse) -> Result<Self> {
        let file = folder.join("answer");
        fs::write(&file, answer.encode_to_vec())?;
        let [port] = free_ports()?;
        let arguments = ["--port".into(), port.to_string(), "--response".into(), file.to_string_lossy().into_owned()];
        let log = folder.join("empty-handler.log");
        let process = Process::start(SERVER_CORE, &programs.join("empty-handler"), &arguments, &log)?;
        let mut server = Self { process, port };
        crate::pair::wait_until_open(&mut server.process, port, &log).await?;
        Ok(server)
    }
}

/// What every run has in common.
struct Bench {
    call: Call,
    /// The call's message as gRPC frames it, for h2load.
    framed: PathBuf,
    /// The call's message, for our own generator.
    message: PathBuf,
    response: usize,
    h2load: bool,
    programs: PathBuf,
}

impl Bench {
    fn prepare(options: &Options, folder: &Path, pair: &RunningPair, answer: &IntrospectResponse) -> Result<Self> {
        let framed = folder.join("framed");
        let message = folder.join("message");
        fs::write(&framed, pair.call.framed())?;
        pair.call.write(&message)?;
        let h2load = h2load::is_here() && !options.own_generator;
        let programs = options.programs.clone();
        Ok(Self { call: pair.call.clone(), framed, message, response: answer.encoded_len(), h2load, programs })
    }

    fn generator_name(&self) -> &'static str {
        if self.h2load { "h2load" } else { "tonic client" }
    }

    /// Returns the calls answered in a second.
    fn warm_up(&self, server: &Server) -> Result<f64> {
        self.load(server.port, WARM_UP)?;
        let (requests, took) = self.load(server.port, WARM_UP)?;
        Ok(f64::from(requests) / took.as_secs_f64())
    }

    fn sample(&self, server: &Server, requests: u32) -> Result<Sample> {
        let before = server.process.cpu()?;
        let (requests, took) = self.load(server.port, requests)?;
        Ok(Sample::new(requests, took, server.process.cpu()?.saturating_sub(before)))
    }

    fn load(&self, port: u16, requests: u32) -> Result<(u32, Duration)> {
        if self.h2load {
            let run = h2load::run(port, &self.call, &self.framed, self.response, requests)?;
            return Ok((run.requests, run.took));
        }
        let run = self.own(port, 4, 64, requests)?;
        Ok((run.requests, run.took()))
    }

    fn one_at_a_time(&self, server: &Server) -> Result<generator::Run> {
        self.own(server.port, 1, 1, SINGLE_CALLS)
    }

    /// Runs our own generator as a process, so that it has a core to itself.
    fn own(&self, port: u16, connections: u32, streams: u32, requests: u32) -> Result<generator::Run> {
        let mut load = pinned(LOAD_CORE, &self.programs.join("load"));
        load.arg("generate").arg("--message").arg(&self.message).env(AUTHORIZATION, &self.call.authorization);
        for (name, value) in [("--port", u32::from(port)), ("--connections", connections), ("--streams", streams)] {
            load.arg(name).arg(value.to_string());
        }
        let output = load.arg("--requests").arg(requests.to_string()).output().context("cannot run the generator")?;
        ensure!(output.status.success(), "the generator failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("the generator said something unexpected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_whole_thousands_of_calls_within_bounds() {
        assert_eq!(calls_for(80_123.0, Duration::from_secs(2)), 161_000);
        assert_eq!(calls_for(1.0, Duration::from_secs(1)), 1_000);
        assert_eq!(calls_for(1e12, Duration::from_secs(5)), 100_000_000);
    }
}
