//! `cargo xtask fuzz`: the fuzz targets, for longer than a test run gives them.

use std::fs;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::run;
use crate::workspace::Workspace;

/// How long each target is searched where nobody says otherwise.
pub(crate) const SECONDS: u64 = 60;

/// How many targets run at once.
const AT_ONCE: usize = 2;

/// Searches one target, or all of them.
pub(crate) fn fuzz(workspace: &Workspace, target: Option<&str>, seconds: u64) -> Result<()> {
    let mut targets = targets(workspace)?;
    if let Some(name) = target {
        ensure!(targets.iter().any(|target| target == name), "no target {name}; there are {}", targets.join(", "));
        targets = vec![name.to_owned()];
    }
    run::run(&mut workspace.cargo(["test", "--quiet", "--package", "tessera-fuzz", "--test", "targets", "--no-run"]))?;
    println!("tessera: fuzzing {} for {seconds} s each, {AT_ONCE} at a time", targets.join(", "));

    let waiting = Mutex::new(targets.iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = next() {
                    if let Err(error) = search(workspace, target, seconds) {
                        eprintln!("error: {target}: {error:#}");
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(target.as_str());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failed.is_empty(), "broken promises: {}", failed.join(", "));
    Ok(())
}

/// The targets are the folders of seeds; each is the module of the same name.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/corpus");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut targets =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<String>>>()?;
    targets.sort();
    Ok(targets)
}

fn search(workspace: &Workspace, target: &str, seconds: u64) -> Result<()> {
    println!("tessera: {target}: searching");
    let mut command = command(workspace, target, seconds);
    let (output, took) = run::timed(|| command.output());
    let output = output.with_context(|| format!("cannot run {}", run::words(&command)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tried = text.lines().find(|line| line.starts_with("tried "));
    match tried {
        Some(tried) if output.status.success() => println!("tessera: {target}: ok, {}, {tried}", run::human(took)),
        _ => bail!("it failed ({})\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
    Ok(())
}

fn command(workspace: &Workspace, target: &str, seconds: u64) -> Command {
    let mut command = workspace.cargo(["test", "--quiet", "--package", "tessera-fuzz", "--test", "targets"]);
    command.args(["--", "--nocapture", &format!("{target}::")]);
    // Time is the only bound; a seed in the environment would be tried first, which is how a failure is repeated.
    command.env("BOLERO_RANDOM_TEST_TIME_MS", seconds.saturating_mul(1000).to_string());
    command.env("BOLERO_RANDOM_ITERATIONS", usize::MAX.to_string());
    // The input says all there is to say.
    command.env("RUST_BACKTRACE", "0");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_of_seeds_has_a_module_and_each_module_seeds() {
        let workspace = Workspace::find().expect("the workspace");
        let targets = targets(&workspace).expect("folders");
        let main = fs::read_to_string(workspace.root.join("fuzz/tests/targets/main.rs")).expect("the modules");
        let modules = main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        let modules: Vec<&str> = modules.filter(|module| *module != "rewritten").collect();
        assert_eq!(modules, targets);
    }
}
