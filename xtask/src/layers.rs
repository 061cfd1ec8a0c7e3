//! The dependency directions (ARCHITECTURE.md), checked over `cargo metadata`.

mod graph;
mod rules;
#[cfg(test)]
mod tests;

use anyhow::{Result, bail};

use crate::layers::graph::Graph;
use crate::run;
use crate::workspace::Workspace;

/// Fails, and says every arrow that points the wrong way.
pub(crate) fn layers(workspace: &Workspace) -> Result<()> {
    let json = run::output(&mut workspace.cargo(["metadata", "--format-version", "1"]))?;
    let graph = Graph::read(&json)?;
    let violations = rules::violations(&graph);
    for violation in &violations {
        eprintln!("layers: {violation}");
    }
    if !violations.is_empty() {
        bail!("{} dependencies point the wrong way; ARCHITECTURE.md says which directions there are", violations.len());
    }
    println!("layers: {} crates, every dependency points the right way", graph.members().len());
    Ok(())
}
