//! `cargo xtask ci`: what CI runs, and what to run before pushing.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::fresh::FreshClone;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{fuzz, layers, run, tools};

/// Runs every step, also after one has failed. Returns whether all succeeded.
pub(crate) fn ci(workspace: &Workspace) -> bool {
    let mut steps = Steps::default();
    steps.run("fmt", || run::run(&mut workspace.cargo(["fmt", "--all", "--check"])));
    steps.run("layers", || layers::layers(workspace));
    steps.run("rules", || rules(workspace));
    steps.run("clippy", || run::run(&mut clippy(workspace)));
    steps.run("doc", || run::run(&mut doc(workspace)));
    steps.run("deny", || deny(workspace));
    steps.run("fuzz", || fuzz::fuzz(workspace, None, fuzz::SECONDS));
    let tests = fresh(workspace, &mut steps);

    println!("\n{}", steps.table());
    println!("{}", steps.closing_line(tests));
    steps.succeeded()
}

fn clippy(workspace: &Workspace) -> Command {
    workspace.cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}

fn doc(workspace: &Workspace) -> Command {
    let mut doc = workspace.cargo(["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    doc
}

/// The alert rules, with the configuration that loads them, as Prometheus reads them.
fn rules(workspace: &Workspace) -> Result<()> {
    let Some(program) = tools::promtool() else {
        println!("left out: there is no promtool (Debian: apt-get install prometheus)");
        return Ok(());
    };
    run::run(
        &mut workspace.command(&program.to_string_lossy(), ["check", "config", "deploy/prometheus/prometheus.yml"]),
    )
}

/// Everything but the advisories, whose database is not reachable from every machine (`cargo deny check advisories`).
fn deny(workspace: &Workspace) -> Result<()> {
    let program = tools::cargo_deny(workspace)?;
    let arguments = ["--log-level", "error", "check", "bans", "licenses", "sources"];
    run::run(&mut workspace.command(&program.to_string_lossy(), arguments))
}

/// README's two commands in a fresh clone. Its second one is the test run of CI: what is tested is what a clone has.
fn fresh(workspace: &Workspace, steps: &mut Steps) -> Tally {
    let mut tests = Tally::default();
    let Some((clone, [mut first, mut second])) = steps.run("clone", || {
        let clone = FreshClone::make(workspace)?;
        let commands = clone.commands()?;
        Ok((clone, commands))
    }) else {
        return tests;
    };
    steps.run("README 1: try", || run::run(&mut first));
    steps.run("images", || clone.images());
    steps.run("README 2: test", || {
        tests = run_tests(&mut second)?;
        ensure!(tests.failed == 0, "{tests}");
        Ok(())
    });
    steps.run("clone unchanged", || {
        let changes = clone.changes()?;
        ensure!(changes.is_empty(), "README's commands changed the clone:\n{changes}");
        Ok(())
    });
    tests
}

fn run_tests(command: &mut Command) -> Result<Tally> {
    let mut last = String::new();
    let succeeded = run::lines(command, |line| line.clone_into(&mut last))?;
    let tests = Tally::of_closing_line(&last).context("the tests ended without their closing line")?;
    if !succeeded && tests.failed == 0 {
        bail!("the tests failed although their closing line says {tests}");
    }
    Ok(tests)
}

/// The steps so far.
#[derive(Debug, Default)]
struct Steps(Vec<Step>);

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    failed: bool,
}

impl Steps {
    fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("\n== {name}");
        let (result, took) = run::timed(work);
        self.0.push(Step { name, took, failed: result.is_err() });
        match result {
            Ok(value) => {
                println!("== {name}: ok, {}", run::human(took));
                Some(value)
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                println!("== {name}: FAILED, {}", run::human(took));
                None
            }
        }
    }

    fn succeeded(&self) -> bool {
        self.0.iter().all(|step| !step.failed)
    }

    fn table(&self) -> String {
        let width = self.0.iter().map(|step| step.name.len()).max().unwrap_or_default();
        let row = |name: &str, outcome: &str, took| format!("{name:width$}  {outcome:6}  {}\n", run::human(took));
        let mut table: String =
            self.0.iter().map(|step| row(step.name, if step.failed { "FAILED" } else { "ok" }, step.took)).collect();
        let outcome = if self.succeeded() { "ok" } else { "FAILED" };
        table += &row("all", outcome, self.0.iter().map(|step| step.took).sum());
        table
    }

    /// The tests' counts. Where no test failed and a step did, that is one failure: the line must not look like success.
    fn closing_line(&self, mut tests: Tally) -> Tally {
        if !self.succeeded() && tests.failed == 0 {
            tests.failed = 1;
        }
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(outcomes: &[bool]) -> Steps {
        let mut steps = Steps::default();
        for succeeds in outcomes {
            steps.run("step", || if *succeeds { Ok(()) } else { bail!("it does not") });
        }
        steps
    }

    #[test]
    fn steps_after_a_failed_one_still_run_and_the_whole_has_failed() {
        let steps = steps(&[true, false, true]);
        assert_eq!(steps.0.iter().map(|step| step.failed).collect::<Vec<_>>(), [false, true, false]);
        assert!(!steps.succeeded());
        let table = steps.table();
        assert_eq!(table.lines().filter(|line| line.contains("FAILED")).count(), 2, "{table}");
    }

    #[test]
    fn a_failed_step_shows_in_the_closing_line() {
        let tests = Tally { passed: 3, failed: 0, skipped: 0 };
        assert_eq!(steps(&[true]).closing_line(tests).to_string(), "3 passed, 0 failed");
        assert_eq!(steps(&[true, false]).closing_line(tests).to_string(), "3 passed, 1 failed");
    }

    #[test]
    fn the_closing_line_of_a_test_run_is_its_last_line() {
        let run = |script: &str| run_tests(Command::new("sh").args(["-c", script]));
        let tally = run("echo noise; echo '2 passed, 0 failed'").expect("the line is there");
        assert_eq!(tally, Tally { passed: 2, failed: 0, skipped: 0 });
        assert!(run("echo '2 passed, 0 failed'; echo more").is_err());
        assert!(run("echo '2 passed, 0 failed'; exit 1").is_err());
        let failed = run("echo '2 passed, 1 failed'; exit 1").expect("the line is there");
        assert_eq!(failed.failed, 1);
    }
}
