//! A fresh clone, as somebody who has just found the project has it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;
use crate::{images, run};

/// A clone of HEAD in a temporary folder that goes away with it.
#[derive(Debug)]
pub(crate) struct FreshClone {
    folder: PathBuf,
    target: PathBuf,
}

impl FreshClone {
    /// Clones HEAD. What is not committed is not in it, and that is said.
    pub(crate) fn make(workspace: &Workspace) -> Result<Self> {
        let changes = run::output(&mut workspace.command("git", ["status", "--porcelain"]))?;
        if !changes.is_empty() {
            println!("warning: {} uncommitted changes are not in the fresh clone", changes.lines().count());
        }
        let folder = env::temp_dir().join(format!("tessera-fresh-{}", process::id()));
        // Fails if the folder is there: somebody else may have put it there.
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Beside our own build, so that a second run has its dependencies built.
        let clone = Self { folder, target: workspace.target.join("fresh") };
        let mut git = workspace.command("git", ["clone", "--quiet", "--no-local", "."]);
        run::run(git.arg(&clone.folder))?;
        let head = run::output(&mut workspace.command("git", ["rev-parse", "HEAD"]))?;
        if run::output(clone.command("git").args(["rev-parse", "HEAD"]))? != head {
            bail!("the clone is not at HEAD");
        }
        Ok(clone)
    }

    /// The two commands README begins with: the one that tries, and the one that tests.
    pub(crate) fn commands(&self) -> Result<[Command; 2]> {
        let readme = fs::read_to_string(self.folder.join("README.md")).context("the clone has no README.md")?;
        let [first, second] = readme_commands(&readme)?;
        Ok([self.parse(&first)?, self.parse(&second)?])
    }

    /// What running the commands left behind in the clone: new files, a changed lock file.
    pub(crate) fn changes(&self) -> Result<String> {
        run::output(self.command("git").args(["status", "--porcelain"]))
    }

    /// Checks the clone's Dockerfile and runs what it runs: after the first command most of that is built.
    pub(crate) fn images(&self) -> Result<()> {
        images::images_of(&self.folder, &self.target)
    }

    fn parse(&self, line: &str) -> Result<Command> {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().context("an empty command")?);
        command.args(words);
        Ok(command)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

impl Drop for FreshClone {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("warning: {} could not be removed: {error}", folder.display());
    }
}

/// The commands of README's first code block, without comments. There are two, or README has lost its beginning.
fn readme_commands(readme: &str) -> Result<[String; 2]> {
    let block = readme.lines().skip_while(|line| !line.starts_with("```")).skip(1);
    let commands: Vec<String> = block
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    <[String; 2]>::try_from(commands).map_err(|found| {
        anyhow::anyhow!("README.md begins with two commands; its first code block has {}: {found:?}", found.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_begins_with_the_two_commands() {
        let readme = include_str!("../../README.md");
        let commands = readme_commands(readme).expect("the first block has two commands");
        assert_eq!(commands, ["cargo run --release -- try", "cargo xtask test"]);
        assert!(readme.lines().take(20).any(|line| line.contains(&commands[1])), "they are not at the beginning");
    }

    #[test]
    fn comments_in_the_block_are_no_commands() {
        let readme = "# T\n\nText.\n\n```sh\n# First:\na b   # tries\n\nc\n```\n```sh\nd\n```\n";
        assert_eq!(readme_commands(readme).expect("two commands"), ["a b", "c"]);
    }

    #[test]
    fn a_readme_with_more_or_fewer_commands_is_refused() {
        for readme in ["", "```sh\na\n```", "```sh\na\nb\nc\n```"] {
            assert!(readme_commands(readme).is_err(), "{readme:?}");
        }
    }
}
