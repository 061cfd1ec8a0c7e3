//! Measures Introspect against an empty handler; `cargo xtask bench` builds everything and runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its caller")]

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use tessera_benches::call::Call;
use tessera_benches::flood;
use tessera_benches::generator::{self, Load};
use tessera_benches::harness::{self, AUTHORIZATION, Options};
use tessera_benches::process::{LOAD_CORE, has_taskset, pinned};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Introspect against an empty handler.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures whether a flood of wrong logins takes anything from token issuing.
    Logins(Logins),
    /// Makes calls to one server and prints how long they took: what the benchmark starts on a core of its own.
    #[command(hide = true)]
    Generate(Generate),
}

#[derive(Debug, Args)]
struct Measure {
    /// The folder of the built programs.
    #[arg(long, default_value = "target/dist")]
    programs: PathBuf,
    /// The folder for the results.
    #[arg(long, default_value = "target/bench")]
    results: PathBuf,
    /// How many pairs of runs; 5 or more say something.
    #[arg(long, default_value = "5")]
    pairs: NonZero<u32>,
    /// About how many seconds each run takes.
    #[arg(long, default_value = "4")]
    seconds: u64,
    /// Makes the load with our own client although h2load is here.
    #[arg(long)]
    own_generator: bool,
    /// Fails if the ratio is below this.
    #[arg(long)]
    at_least: Option<f64>,
}

#[derive(Debug, Args)]
struct Logins {
    /// The folder of the built programs.
    #[arg(long, default_value = "target/dist")]
    programs: PathBuf,
    /// The folder for the results.
    #[arg(long, default_value = "target/bench")]
    results: PathBuf,
    /// How many pairs of runs; 5 or more say something.
    #[arg(long, default_value = "5")]
    pairs: NonZero<u32>,
    /// How many seconds each run takes.
    #[arg(long, default_value = "5")]
    seconds: u64,
    /// Fails if the p99 under the flood is more than this many times that in peace.
    #[arg(long)]
    at_most: Option<f64>,
    /// The load has a core to itself already.
    #[arg(long, hide = true)]
    pinned: bool,
}

#[derive(Debug, Args)]
struct Generate {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    connections: NonZero<u32>,
    #[arg(long)]
    streams: NonZero<u32>,
    #[arg(long)]
    requests: u32,
    #[arg(long)]
    message: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // One core is all that either role has.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            Some(Command::Generate(generate)) => generate.run().await,
            Some(Command::Logins(logins)) => logins.run().await,
            None => arguments.measure.run().await,
        }
    })
}

impl Measure {
    async fn run(self) -> Result<()> {
        let run = Duration::from_secs(self.seconds.max(1));
        let options = Options { programs: self.programs, pairs: self.pairs, run, own_generator: self.own_generator };
        let report = harness::measure(&options).await?;
        report.write(&self.results)?;
        println!("{report}");
        if let Some(goal) = self.at_least {
            anyhow::ensure!(report.verdict.ratio >= goal, "{:.2} is below {goal}", report.verdict.ratio);
        }
        Ok(())
    }
}

impl Logins {
    async fn run(self) -> Result<()> {
        if !self.pinned && has_taskset() {
            // Once more, on the load's own core.
            let mut again = pinned(LOAD_CORE, &std::env::current_exe()?);
            let status = again.args(std::env::args_os().skip(1)).arg("--pinned").status()?;
            anyhow::ensure!(status.success(), "the measurement failed");
            return Ok(());
        }
        let run = Duration::from_secs(self.seconds.max(1));
        let options = flood::Options { programs: self.programs, pairs: self.pairs.get(), run };
        let report = flood::measure(&options).await?;
        report.write(&self.results)?;
        println!("{report}");
        if let Some(goal) = self.at_most {
            let ratio = report.p99_ratio();
            anyhow::ensure!(ratio <= goal, "a p99 of {ratio:.2} times that in peace is more than {goal}");
        }
        Ok(())
    }
}

impl Generate {
    async fn run(self) -> Result<()> {
        let authorization = std::env::var(AUTHORIZATION).with_context(|| format!("{AUTHORIZATION} is not set"))?;
        let call = Call::read(&self.message, authorization)?;
        let load =
            Load { port: self.port, connections: self.connections, streams: self.streams, requests: self.requests };
        println!("{}", serde_json::to_string(&generator::run(load, &call).await?)?);
        Ok(())
    }
}
