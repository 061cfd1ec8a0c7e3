//! What a release leaves to the next one to be tested against.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::run;
use crate::workspace::Workspace;

/// The recorders, each an ignored test: its package, the target it is in, and its name.
const RECORDERS: [(&str, &[&str], &str); 3] = [
    ("tessera-store", &["--test", "store"], "previous::record"),
    ("tessera-ledger", &["--lib"], "wire::previous::record"),
    ("tessera-tests", &["--test", "operations"], "upgrades::record"),
];

/// Records the schema, the feed's messages and a database of each kind, with the binaries of a folder, which are of this source.
pub(crate) fn record(workspace: &Workspace, binaries: &Path) -> Result<()> {
    for name in ["tessera", "tessera-issuer", "tessera-introspector"] {
        ensure!(binaries.join(name).is_file(), "{} has no {name}: cargo build --workspace --bins", binaries.display());
    }
    for (package, target, test) in RECORDERS {
        let mut arguments: Vec<OsString> = ["test", "-p", package].map(OsString::from).into();
        arguments.extend(target.iter().map(OsString::from));
        arguments.extend(["--", "--ignored", test].map(OsString::from));
        let mut cargo = workspace.command("cargo", arguments);
        run::run(cargo.env("TEST_TESSERA_BIN_DIR", binaries.canonicalize()?))?;
    }
    Ok(())
}
