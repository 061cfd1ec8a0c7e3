//! `cargo xtask bench`: Introspect against an empty handler, built as it ships.

use std::ffi::OsString;

use anyhow::Result;

use crate::run;
use crate::workspace::Workspace;

/// What is measured, what it is measured against, and what measures.
const PROGRAMS: &[&str] = &["tessera-issuer", "tessera-introspector", "tessera", "empty-handler", "load"];

/// Builds with the profile `dist` and runs the harness.
pub(crate) fn bench(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let mut build = workspace.cargo(["build", "--profile", "dist", "--workspace"]);
    for program in PROGRAMS {
        build.args(["--bin", program]);
    }
    run::run(&mut build)?;
    let folder = workspace.target.join("dist");
    let mut load = workspace.command(&folder.join("load").to_string_lossy(), arguments);
    load.arg("--programs").arg(&folder).arg("--results").arg(workspace.target.join("bench"));
    run::run(&mut load)
}
