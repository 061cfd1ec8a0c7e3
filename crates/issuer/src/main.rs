//! The issuer's process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tessera_issuer::{Deps, StartError, StartOptions, config};
use tessera_kit::clock::SystemClock;
use tessera_kit::random::SystemRandom;
use tessera_kit::{logs, serve};
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

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match config::load(arguments.config) {
        Ok(config) => config,
        Err(errors) => return fail(&errors, tessera_kit::config::EXIT_CODE),
    };
    if let Err(error) = logs::init(config.log.format, &config.log.level) {
        return fail(&error, tessera_kit::config::EXIT_CODE);
    }
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ StartError::Config(_)) => fail(&error, tessera_kit::config::EXIT_CODE),
        Err(error) => fail(&error, 1),
    }
}

async fn run(config: config::Config) -> Result<(), StartError> {
    let deps = Deps { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
    let running = tessera_issuer::start(config, deps, StartOptions::default()).await?;
    serve::terminated().await?;
    running.shutdown().await;
    Ok(())
}

#[allow(clippy::print_stderr, reason = "there may be no log yet")]
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("tessera-issuer: {}", chain(error));
    ExitCode::from(code)
}
