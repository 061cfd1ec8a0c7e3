//! `cargo xtask test`: every test there is, and a closing line that says how it went.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{layers, run, tools};

/// Runs the tests. Returns whether all of them passed.
pub(crate) fn test(workspace: &Workspace, arguments: &[OsString]) -> Result<bool> {
    println!("tessera: looking for what the tests need");
    let tools = Tools::find(workspace)?;
    layers::layers(workspace)?;
    // The black-box tests start these as processes. Building them with the tests keeps one set of features for both.
    run::run(&mut workspace.cargo(["build", "--workspace", "--lib", "--bins", "--tests"]))?;

    let mut cargo = workspace.cargo(["test", "--no-fail-fast"]);
    if !names_packages(arguments) {
        cargo.arg("--workspace");
    }
    cargo.args(arguments);
    cargo.env("TEST_TESSERA_BIN_DIR", workspace.target.join("debug"));
    cargo.envs(tools.found.iter().map(|(variable, path)| (variable, path)));
    let mut tally = Tally::default();
    let (succeeded, took) = run::timed(|| {
        run::lines(&mut cargo, |line| {
            if let Some(more) = Tally::of_result_line(line) {
                tally += more;
            }
        })
    });
    let succeeded = succeeded?;
    if !succeeded && tally.failed == 0 {
        // A test binary that did not build or did not reach its end has no result line.
        tally.failed = 1;
    }
    println!("tessera: tests took {}", run::human(took));
    tools.report();
    println!("{tally}");
    Ok(succeeded && tally.failed == 0)
}

/// Whether the arguments say themselves which packages to test.
fn names_packages(arguments: &[OsString]) -> bool {
    let words = arguments.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    words.into_iter().any(|word| word.starts_with("-p") || word.starts_with("--package"))
}

/// What was found.
#[derive(Default)]
struct Tools {
    /// By the variables that tell the tests.
    found: Vec<(&'static str, PathBuf)>,
    left_out: Vec<&'static str>,
}

impl Tools {
    fn find(workspace: &Workspace) -> Result<Self> {
        let mut tools = Self::default();
        match tools::postgres(workspace)? {
            Some(folder) => println!("tessera: PostgreSQL: {}", folder.display()),
            None => tools
                .left_out
                .push("everything that needs PostgreSQL: there is no initdb (Debian: apt-get install postgresql)"),
        }
        match tools::grpcurl(workspace)? {
            Some(program) => tools.has("grpcurl", "TEST_TESSERA_GRPCURL", program),
            None => tools
                .left_out
                .push("the calls README shows with grpcurl: there is neither grpcurl nor a Go to build it"),
        }
        match tools::curl(workspace)? {
            Some(program) => tools.has("curl", "TEST_TESSERA_CURL", program),
            None => tools.left_out.push("a shop's request with curl: there is none (Debian: apt-get install curl)"),
        }
        match tools::docker_compose(workspace)? {
            Some(program) => tools.has("docker-compose", "TEST_TESSERA_DOCKER_COMPOSE", program),
            None => tools
                .left_out
                .push("docker-compose.yml by docker-compose: there is none (Debian: apt-get install docker-compose)"),
        }
        tools.find_client_libraries(workspace)?;
        tools.find_browser(workspace)?;
        tools.report();
        Ok(tools)
    }

    fn find_client_libraries(&mut self, workspace: &Workspace) -> Result<()> {
        match tools::node(workspace)? {
            Some(node) => {
                self.has("Node", "TEST_TESSERA_NODE", node.program);
                self.has("npm packages", "TEST_TESSERA_NODE_MODULES", node.modules);
                self.has("axe-core", "TEST_TESSERA_AXE", node.axe);
            }
            None => self.left_out.push(
                "the grants with Node's oauth4webapi, and axe-core on the pages: there is no Node 18 with npm \
                 (Debian: apt-get install nodejs npm), or npm's registry cannot be reached",
            ),
        }
        match tools::python(workspace)? {
            Some(program) => self.has("Python", "TEST_TESSERA_PYTHON", program),
            None => self.left_out.push(
                "the grants with Python's Authlib: there is no Python 3.11 with venv \
                 (Debian: apt-get install python3 python3-venv), or PyPI cannot be reached",
            ),
        }
        Ok(())
    }

    fn find_browser(&mut self, workspace: &Workspace) -> Result<()> {
        match tools::browser(workspace)? {
            Some(browser) => {
                self.has("Chromium", "TEST_TESSERA_CHROMIUM", browser.chromium);
                self.has("ChromeDriver", "TEST_TESSERA_CHROMEDRIVER", browser.driver);
            }
            None => self.left_out.push(
                "the pages in a real browser: there is no Chromium with its driver \
                 (Debian: apt-get install chromium chromium-driver)",
            ),
        }
        Ok(())
    }

    fn has(&mut self, name: &str, variable: &'static str, path: PathBuf) {
        println!("tessera: {name}: {}", path.display());
        self.found.push((variable, path));
    }

    /// Says what is not tested on this machine.
    fn report(&self) {
        for part in &self.left_out {
            println!("tessera: LEFT OUT: {part}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_workspace_is_tested_unless_packages_are_named() {
        let names = |words: &[&str]| names_packages(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(!names(&[]));
        assert!(!names(&["a_part_of_a_name", "--", "-p"]));
        assert!(names(&["-p", "tessera-types"]));
        assert!(names(&["--package=tessera-types", "name"]));
    }
}
