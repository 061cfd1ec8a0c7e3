//! `tessera-introspector --config FILE`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tessera_introspector::{Config, Deps, StartError, config, start};
use tessera_kit::config::EXIT_CODE;
use tessera_kit::config::reload::{Hangups, LIVE, Reloads};
use tessera_kit::logs::{self, Logs};
use tessera_kit::serve;
use tessera_kit::trace::{self, Tracing};
use tessera_types::error::chain;

/// Requests are short and many: this allocator serves them a tenth faster than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tells resource servers whether a token is active, from memory.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration, a TOML file; environment variables (`TESSERA_SYNC__CLIENT_ID` and so on) come over it.
    #[arg(long, env = "TESSERA_CONFIG")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    serve::process(introspector())
}

async fn introspector() -> ExitCode {
    // Before anything else: until it is listened for, SIGHUP ends a process.
    let hangups = match Hangups::listen() {
        Ok(hangups) => hangups,
        Err(error) => return complain(&error, 1),
    };
    let arguments = Arguments::parse();
    let config = match config::load(arguments.config.clone()) {
        Ok(config) => config,
        Err(errors) => return complain(&errors, EXIT_CODE),
    };
    let tracing = match Tracing::open(&config.telemetry, "tessera-introspector", env!("CARGO_PKG_VERSION")) {
        Ok(tracing) => tracing,
        Err(error) => return complain(&error, EXIT_CODE),
    };
    let logs = match logs::init_traced(config.log.format, &config.log.level, tracing.as_ref()) {
        Ok(logs) => logs,
        Err(error) => return complain(&error, EXIT_CODE),
    };
    let ended = run(&config, arguments.config.as_ref(), &logs, tracing.as_ref(), hangups).await;
    if let Some(tracing) = tracing {
        tracing.flush().await;
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&*error), "the introspector cannot run");
            match error.downcast_ref() {
                Some(StartError::Config(_) | StartError::Tls(_) | StartError::IssuerAddress(_)) => {
                    ExitCode::from(EXIT_CODE)
                }
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn run(
    config: &Config,
    file: Option<&PathBuf>,
    logs: &Logs,
    tracing: Option<&Tracing>,
    mut hangups: Hangups,
) -> anyhow::Result<()> {
    let mut signals = serve::Signals::listen()?;
    let running = tokio::select! {
        running = start(config.clone(), Deps::system()) => running?,
        () = signals.next() => {
            tracing::info!("told to stop before it had started");
            return Ok(());
        }
    };
    tracing::info!(http = %running.http_addr, grpc = %running.grpc_addr, ops = %running.ops_addr, "the introspector listens");
    trace::count_drops(tracing, running.metrics());
    let reloads = Reloads::new(running.metrics());
    loop {
        tokio::select! {
            () = signals.next() => {
                running.shutdown_unless(signals.next()).await;
                tracing::info!("the introspector has stopped");
                return Ok(());
            }
            () = hangups.next() => {
                let apply = |new: &Config| logs.set_level(&new.log.level).inspect(|()| running.take_up(new));
                reloads.reload(config, || config::load(file.cloned()), apply, LIVE);
            }
        }
    }
}

#[allow(clippy::print_stderr, reason = "there are no logs before the configuration is read")]
fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("tessera-introspector: {error}");
    ExitCode::from(code)
}
