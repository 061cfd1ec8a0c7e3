//! `cargo xtask images`: what can be said of the Dockerfile on a machine where nothing builds images.
//!
//! Its instructions are held against the rules of hadolint (<https://github.com/hadolint/hadolint>) that a file like ours could break; each
//! finding names the rule. And what its build stage runs is run here, word for word but for three substitutions that are printed:
//! the profile, so that CI does not optimise everything for ten minutes a second time, and the two folders.

mod dockerfile;
mod rules;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use self::dockerfile::Dockerfile;
use crate::run;
use crate::workspace::Workspace;

/// The programs that the images need.
const PROGRAMS: [&str; 3] = ["tessera", "tessera-issuer", "tessera-introspector"];

/// Checks the Dockerfile, and runs what its build stage runs.
pub(crate) fn images(workspace: &Workspace) -> Result<()> {
    images_of(&workspace.root, &workspace.target)
}

/// The same for any copy of the sources, with the target folder that it is built in.
pub(crate) fn images_of(root: &Path, target: &Path) -> Result<()> {
    let file = read(root)?;
    let findings = rules::check(&file);
    ensure!(findings.is_empty(), "Dockerfile:\n{}", findings.join("\n"));
    println!("images: {} instructions of the Dockerfile keep to the rules", file.instructions.len());
    build(root, target, &file)
}

fn read(root: &Path) -> Result<Dockerfile> {
    let text = fs::read_to_string(root.join("Dockerfile")).context("there is no Dockerfile")?;
    Dockerfile::parse(&text)
}

/// Runs the build stage's commands.
fn build(root: &Path, target: &Path, file: &Dockerfile) -> Result<()> {
    let out = target.join("images");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    for command in file.runs() {
        let command = substituted(command, target, &out);
        println!("images: a RUN, with the profile release for dist and its folders below target: {command}");
        let mut shell = Command::new("sh");
        run::run(shell.args(["-e", "-c", &command]).current_dir(root).env("CARGO_TARGET_DIR", target))?;
    }
    for program in PROGRAMS {
        run::run(Command::new(out.join("bin").join(program)).arg("--version"))?;
    }
    Ok(())
}

fn substituted(command: &str, target: &Path, out: &Path) -> String {
    command
        .replace("--profile dist", "--profile release")
        .replace("target/dist/", &format!("{}/", target.join("release").display()))
        .replace("/out/", &format!("{}/", out.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Dockerfile {
        read(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace")).expect("it parses")
    }

    #[test]
    fn our_dockerfile_keeps_to_the_rules() {
        assert_eq!(rules::check(&ours()), Vec::<String>::new());
    }

    #[test]
    fn what_ships_has_no_shell_to_run_anything_with() {
        let file = ours();
        for stage in file.stages().iter().filter(|stage| stage.name.as_deref() != Some("build")) {
            let runs = stage.instructions.iter().any(|instruction| instruction.keyword == "RUN");
            assert!(!runs, "{:?} has a RUN, which only a shell can run", stage.name);
        }
        let bases: Vec<_> = file.stages().iter().map(|stage| stage.base.clone()).collect();
        assert_eq!(bases[1..], ["gcr.io/distroless/cc-debian12:nonroot", "runtime", "runtime"]);
    }

    #[test]
    fn what_the_build_stage_runs_is_substituted_and_nothing_else() {
        let file = ours();
        let runs = file.runs();
        assert_eq!(runs.len(), 1);
        let command = substituted(runs[0], Path::new("/t"), Path::new("/o"));
        assert!(command.starts_with("cargo build --locked --profile release --package tessera-cli"), "{command}");
        assert!(command.ends_with("/t/release/tessera-introspector /o/bin/"), "{command}");
        assert!(!command.contains("dist") && !command.contains("/out"), "{command}");
    }
}
