//! Tools that are not cargo's: looked for, installed where the machine is CI's, and otherwise named as left out.

mod browser;
mod node;
mod python;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use self::browser::browser;
pub(crate) use self::node::node;
pub(crate) use self::python::python;

use anyhow::{Context as _, Result, bail};

use crate::run;
use crate::workspace::Workspace;

/// The newest grpcurl that the Go of Debian 12 can build. It speaks reflection v1 and v1alpha.
const GRPCURL: &str = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.1";
/// The cargo-deny that `deny.toml` was written for.
const CARGO_DENY: &str = "0.20.2";

/// The file that tells what a folder of other people's packages was filled from.
const FILLED: &str = "filled-from.txt";

/// Whether this is CI: what is missing is installed, or the run fails. Nothing is left out there.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| matches!(value.as_str(), "true" | "1"))
}

/// Where PostgreSQL's server programs are, if anywhere.
pub(crate) fn postgres(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(found) = find_postgres() {
        return Ok(Some(found));
    }
    if !is_ci() {
        return Ok(None);
    }
    apt_install(workspace, &["postgresql"])?;
    find_postgres().map(Some).context("postgresql was installed, and still there is no initdb")
}

/// A grpcurl, if there is one or Go can build it.
pub(crate) fn grpcurl(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let ours = workspace.tools().join("bin/grpcurl");
    if ours.is_file() {
        return Ok(Some(ours));
    }
    if !is_ci()
        && let Some(found) = find("grpcurl")
    {
        return Ok(Some(found));
    }
    if find("go").is_none() {
        if !is_ci() {
            return Ok(None);
        }
        apt_install(workspace, &["golang-go"])?;
    }
    or_left_out("grpcurl cannot be built", go_install(workspace, GRPCURL).map(|()| ours))
}

/// A curl, if there is one.
pub(crate) fn curl(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if find("curl").is_none() && is_ci() {
        apt_install(workspace, &["curl"])?;
    }
    Ok(find("curl"))
}

/// A docker-compose that reads a file without an engine, if there is one.
pub(crate) fn docker_compose(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if find("docker-compose").is_none() && is_ci() {
        apt_install(workspace, &["docker-compose"])?;
    }
    Ok(find("docker-compose"))
}

/// What checks alert rules as Prometheus reads them, if there is one.
pub(crate) fn promtool() -> Option<PathBuf> {
    find("promtool")
}

/// The cargo-deny of the right version, built if it is not there yet.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let program = workspace.tools().join("bin/cargo-deny");
    let wanted = format!("cargo-deny {CARGO_DENY}");
    let is_there = program.is_file() && run::output(Command::new(&program).arg("--version"))?.trim() == wanted;
    if !is_there {
        // Unoptimised: it builds in a third of the time and then runs for three seconds.
        let mut install =
            workspace.cargo(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--debug", "--force"]);
        run::run(install.arg("--root").arg(workspace.tools()))?;
    }
    Ok(program)
}

/// What a step makes, or nothing with a warning where it fails and something may be left out.
fn or_left_out<T>(what: &str, made: Result<T>) -> Result<Option<T>> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(error) if is_ci() => Err(error.context(what.to_owned())),
        Err(error) => {
            eprintln!("warning: {what}: {error:#}");
            Ok(None)
        }
    }
}

/// Whether a folder was filled from this text, as [`mark_filled`] says.
fn is_filled(folder: &Path, from: &str) -> bool {
    fs::read_to_string(folder.join(FILLED)).is_ok_and(|text| text == from)
}

/// Says what a folder was filled from. Last of all: a run that was broken off before must do it again.
fn mark_filled(folder: &Path, from: &str) -> Result<()> {
    fs::write(folder.join(FILLED), from).with_context(|| format!("cannot write into {}", folder.display()))
}

/// An empty folder, whatever was there before.
fn emptied(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
    .with_context(|| format!("cannot empty {}", folder.display()))
}

/// A program on the search path.
fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| is_program(path))
}

/// `initdb` and `postgres` side by side: on the search path, or where Debian keeps them; of several versions the newest.
fn find_postgres() -> Option<PathBuf> {
    let on_path = env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    on_path.chain(debian_postgres(Path::new("/usr/lib/postgresql"))).find(|folder| is_postgres(folder))
}

fn debian_postgres(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn is_postgres(folder: &Path) -> bool {
    // A distribution may put a link to one program on the search path: what counts is where the program really is.
    let Ok(initdb) = fs::canonicalize(folder.join("initdb")) else { return false };
    is_program(&initdb) && is_program(&initdb.with_file_name("postgres"))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn go_install(workspace: &Workspace, package: &str) -> Result<()> {
    let mut go = workspace.command("go", ["install", package]);
    // A Go that is too old must say so, not fetch another one.
    go.env("GOTOOLCHAIN", "local").env("GOBIN", workspace.tools().join("bin")).env_remove("GOFLAGS");
    run::run(&mut go)
}

fn apt_install(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    if find("apt-get").is_none() {
        bail!("{} is missing and there is no apt-get to install it with", packages.join(" "));
    }
    run::run(&mut as_root(workspace, &["apt-get", "update", "--quiet"])?)?;
    let install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends"];
    run::run(&mut as_root(workspace, &[&install, packages].concat())?)
}

fn as_root(workspace: &Workspace, words: &[&str]) -> Result<Command> {
    let mut full: Vec<OsString> = Vec::new();
    if fs::metadata("/proc/self")?.uid() != 0 {
        if find("sudo").is_none() {
            bail!("`{}` needs root, and there is no sudo", words.join(" "));
        }
        full.extend(["sudo", "--non-interactive"].map(OsString::from));
    }
    full.extend(["env", "DEBIAN_FRONTEND=noninteractive"].map(OsString::from));
    full.extend(words.iter().map(OsString::from));
    let program = full.remove(0).to_string_lossy().into_owned();
    Ok(workspace.command(&program, full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, "").expect("the file can be written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
    }

    #[test]
    fn a_folder_is_filled_once_for_each_text() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join("packages");
        emptied(&folder).expect("it can be made");
        assert!(!is_filled(&folder, "one"), "nothing is there yet");
        mark_filled(&folder, "one").expect("it can be written");
        assert!(is_filled(&folder, "one"));
        assert!(!is_filled(&folder, "two"), "what is wanted has changed");
        emptied(&folder).expect("it can be emptied");
        assert!(!is_filled(&folder, "one"));
    }

    #[test]
    fn the_newest_postgres_comes_first() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for version in ["9", "15", "17", "not-a-version"] {
            fs::create_dir(root.path().join(version)).expect("the folder can be made");
        }
        let found = debian_postgres(root.path());
        assert_eq!(found, ["17", "15", "9"].map(|version| root.path().join(version).join("bin")));
    }

    #[test]
    fn a_postgres_without_its_server_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(!is_postgres(folder.path()));
        program(&folder.path().join("initdb"), 0o755);
        assert!(!is_postgres(folder.path()));
        program(&folder.path().join("postgres"), 0o644);
        assert!(!is_postgres(folder.path()), "a file nobody may run is no program");
        program(&folder.path().join("postgres"), 0o755);
        assert!(is_postgres(folder.path()));
    }

    #[test]
    fn a_link_to_initdb_stands_for_the_folder_it_points_to() {
        let real = tempfile::tempdir().expect("a temporary folder");
        let links = tempfile::tempdir().expect("a temporary folder");
        program(&real.path().join("initdb"), 0o755);
        program(&real.path().join("postgres"), 0o755);
        std::os::unix::fs::symlink(real.path().join("initdb"), links.path().join("initdb")).expect("a link");
        assert!(is_postgres(links.path()));
    }
}
