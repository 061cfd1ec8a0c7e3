//! `tessera-introspector --config FILE`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tessera_introspector::{Config, Deps, start};
use tessera_kit::config::{self, Sources};
use tessera_kit::{logs, serve};
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
    let arguments = Arguments::parse();
    let sources = arguments.config.into_iter().fold(Sources::new().environment(), Sources::file);
    let config: Config = match config::load(&sources).and_then(Config::checked) {
        Ok(config) => config,
        Err(errors) => return complain(&errors, config::EXIT_CODE),
    };
    if let Err(error) = logs::init(config.log.format, &config.log.level) {
        return complain(&error, config::EXIT_CODE);
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&*error), "the introspector cannot run");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    let running = start(config, Deps::system()).await?;
    tracing::info!(http = %running.http_addr, grpc = %running.grpc_addr, ops = %running.ops_addr, "the introspector listens");
    serve::terminated().await?;
    tracing::info!("stopping");
    running.shutdown().await;
    Ok(())
}

#[allow(clippy::print_stderr, reason = "there are no logs before the configuration is read")]
fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("tessera-introspector: {error}");
    ExitCode::from(code)
}
