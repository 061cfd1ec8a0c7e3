//! A Python that has what `tests/python` takes from its registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{apt_install, emptied, find, is_ci, is_filled, mark_filled, or_left_out};
use crate::run;
use crate::workspace::Workspace;

/// Succeeds where a Python is new enough for the packages, which Debian 12's is, and can make environments, for which Debian has a
/// package of its own.
const FIT: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";

/// The Python of an environment with the packages, if there is a Python to make it with.
pub(crate) fn python(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let folder = workspace.tools().join("python");
    let ours = folder.join("bin/python");
    let wanted = fs::read_to_string(requirements(workspace)).context("tests/python has no requirements.txt")?;
    // The system's own Python may have gone from under it.
    if is_filled(&folder, &wanted) && is_fit(&ours) {
        return Ok(Some(ours));
    }
    let python = match find_python() {
        Some(found) => found,
        None if !is_ci() => return Ok(None),
        None => {
            apt_install(workspace, &["python3", "python3-venv"])?;
            find_python().context("python3 was installed, and still there is none of the right age with venv")?
        }
    };
    or_left_out("Python's packages cannot be installed", fill(workspace, &python, &folder, &wanted).map(|()| ours))
}

fn requirements(workspace: &Workspace) -> PathBuf {
    workspace.root.join("tests/python/requirements.txt")
}

/// On the search path, or the system's own behind one that does not fit.
fn find_python() -> Option<PathBuf> {
    find("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]).find(|python| is_fit(python))
}

fn is_fit(python: &Path) -> bool {
    Command::new(python).args(["-c", FIT]).output().is_ok_and(|output| output.status.success())
}

fn fill(workspace: &Workspace, python: &Path, folder: &Path, wanted: &str) -> Result<()> {
    emptied(folder)?;
    let mut venv = workspace.command(&python.to_string_lossy(), ["-m", "venv"]);
    run::run(venv.arg(folder))?;
    let pip = folder.join("bin/pip");
    // Every package is there as a wheel; building one would need what is not asked for.
    let options = ["install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement"];
    run::run(workspace.command(&pip.to_string_lossy(), options).arg(requirements(workspace)))?;
    mark_filled(folder, wanted)
}
