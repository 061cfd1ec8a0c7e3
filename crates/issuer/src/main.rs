//! The issuer's process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tessera_issuer::{Deps, StartError, StartOptions, config};
use tessera_kit::clock::SystemClock;
use tessera_kit::config::reload::{Hangups, LIVE, Reloads};
use tessera_kit::logs::{self, Logs};
use tessera_kit::random::SystemRandom;
use tessera_kit::serve;
use tessera_kit::trace::{self, Tracing};
use tessera_types::error::chain;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The issuer of Tessera: OAuth 2.0 tokens over gRPC and HTTP.
#[derive(Parser)]
#[command(
    name = "tessera-issuer",
    version,
    after_help = "Examples:\n  tessera-issuer --config /etc/tessera/issuer.toml\n  TESSERA_LISTEN__HTTP=127.0.0.1:7400 tessera-issuer"
)]
struct Arguments {
    /// The configuration file (TOML); environment variables TESSERA_… go over it.
    #[arg(long, value_name = "FILE", env = "TESSERA_CONFIG")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    serve::process(issuer())
}

async fn issuer() -> ExitCode {
    // Before anything else: until it is listened for, SIGHUP ends a process.
    let hangups = match Hangups::listen() {
        Ok(hangups) => hangups,
        Err(error) => return fail(&error, 1),
    };
    let arguments = Arguments::parse();
    let config = match config::load(arguments.config.clone()) {
        Ok(config) => config,
        Err(errors) => return fail(&errors, tessera_kit::config::EXIT_CODE),
    };
    let tracing = match Tracing::open(&config.telemetry, "tessera-issuer", env!("CARGO_PKG_VERSION")) {
        Ok(tracing) => tracing,
        Err(error) => return fail(&error, tessera_kit::config::EXIT_CODE),
    };
    let logs = match logs::init_traced(config.log.format, &config.log.level, tracing.as_ref()) {
        Ok(logs) => logs,
        Err(error) => return fail(&error, tessera_kit::config::EXIT_CODE),
    };
    let ended = Box::pin(run(config, arguments.config, &logs, tracing.as_ref(), hangups)).await;
    if let Some(tracing) = tracing {
        tracing.flush().await;
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_configuration() => fail(&error, tessera_kit::config::EXIT_CODE),
        Err(error) => fail(&error, 1),
    }
}

async fn run(
    config: config::Config,
    file: Option<PathBuf>,
    logs: &Logs,
    tracing: Option<&Tracing>,
    mut hangups: Hangups,
) -> Result<(), StartError> {
    let deps = Deps { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
    let mut signals = serve::Signals::listen()?;
    let running = tokio::select! {
        running = tessera_issuer::start(config.clone(), deps, StartOptions::default()) => running?,
        // A database may keep a start waiting for as long as it likes.
        () = signals.next() => {
            tracing::info!("told to stop before it had started");
            return Ok(());
        }
    };
    trace::count_drops(tracing, running.metrics());
    let reloads = Reloads::new(running.metrics());
    loop {
        tokio::select! {
            () = signals.next() => {
                running.shutdown_unless(signals.next()).await;
                return Ok(());
            }
            () = hangups.next() => {
                let apply = |new: &config::Config| logs.set_level(&new.log.level).inspect(|()| running.take_up(new));
                reloads.reload(&config, || config::load(file.clone()), apply, LIVE);
            }
        }
    }
}

#[allow(clippy::print_stderr, reason = "there may be no log yet")]
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("tessera-issuer: {}", chain(error));
    ExitCode::from(code)
}
