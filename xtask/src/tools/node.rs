//! Node, and what `tests/node` takes from npm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{apt_install, emptied, find, is_ci, is_filled, mark_filled, or_left_out};
use crate::run;
use crate::workspace::Workspace;

/// The oldest Node with `fetch`, which Debian 12 has.
const OLDEST: u32 = 18;

/// Node and its packages.
pub(crate) struct Node {
    pub(crate) program: PathBuf,
    /// The folder `node_modules`.
    pub(crate) modules: PathBuf,
    /// The script of axe-core, which looks for what keeps people from using a page.
    pub(crate) axe: PathBuf,
}

/// Node with the packages of `tests/node`, if there is one or it can be installed.
pub(crate) fn node(workspace: &Workspace) -> Result<Option<Node>> {
    let found = match find_node() {
        Some(found) => found,
        None if !is_ci() => return Ok(None),
        None => {
            apt_install(workspace, &["nodejs", "npm"])?;
            find_node().context("nodejs was installed, and still there is no Node of the right age with npm")?
        }
    };
    let folder = workspace.tools().join("node");
    let packages = or_left_out("npm's packages cannot be installed", fill(workspace, &folder))?;
    Ok(packages.map(|()| {
        let modules = folder.join("node_modules");
        Node { program: found, axe: modules.join("axe-core/axe.min.js"), modules }
    }))
}

fn find_node() -> Option<PathBuf> {
    find("npm")?;
    let program = find("node")?;
    let version = run::output(Command::new(&program).arg("--version")).ok()?;
    (major(&version)? >= OLDEST).then_some(program)
}

/// The first number of `v20.1.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs exactly what the lock file says, outside of the source tree, unless that was done.
fn fill(workspace: &Workspace, folder: &Path) -> Result<()> {
    let source = workspace.root.join("tests/node");
    let lock = fs::read_to_string(source.join("package-lock.json")).context("tests/node has no lock file")?;
    if is_filled(folder, &lock) {
        return Ok(());
    }
    emptied(folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    // Packages run no scripts of theirs here: what is wanted of them is plain JavaScript.
    let mut npm = workspace.command("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    run::run(npm.current_dir(folder))?;
    mark_filled(folder, &lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_node_is_its_first_number() {
        assert_eq!(major("v18.19.0\n"), Some(18));
        assert_eq!(major("v9.0.0"), Some(9));
        assert_eq!(major("node"), None);
    }
}
