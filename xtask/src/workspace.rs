//! Where things are.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::run;

/// The workspace this tool was built from.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// The folder of the top `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo, since the target folder may be set by an environment variable or a configuration file.
    pub(crate) fn find() -> Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            workspace_root: PathBuf,
            target_directory: PathBuf,
        }
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--format-version", "1", "--no-deps"]);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        let json = run::output(&mut cargo)?;
        let metadata: Metadata = serde_json::from_str(&json).context("cargo metadata answered something unexpected")?;
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory })
    }

    /// A cargo command at the root.
    pub(crate) fn cargo<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        self.command("cargo", arguments)
    }

    /// A command at the root.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Where tools are kept that we build ourselves; survives `cargo clean -p`, and CI may cache it.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }
}
