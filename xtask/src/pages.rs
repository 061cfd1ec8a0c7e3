//! `cargo xtask pages`: the pages in a real browser, and pictures of every state to look at.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{run, tools};

/// Runs the tests in the browser alone. Returns whether they passed.
pub(crate) fn pages(workspace: &Workspace) -> Result<bool> {
    let (Some(browser), Some(node)) = (tools::browser(workspace)?, tools::node(workspace)?) else {
        println!(
            "tessera: LEFT OUT: the pages in a real browser: there is no Chromium with its driver, or no Node for axe-core \
             (Debian: apt-get install chromium chromium-driver nodejs npm)"
        );
        return Ok(true);
    };
    // As `cargo xtask test` does, so that neither builds what the other has built.
    run::run(&mut workspace.cargo(["build", "--workspace", "--lib", "--bins", "--tests"]))?;
    let mut cargo = workspace.cargo(["test", "--workspace", "--test", "browser"]);
    cargo.env("TEST_TESSERA_BIN_DIR", workspace.target.join("debug"));
    cargo.env("TEST_TESSERA_CHROMIUM", browser.chromium).env("TEST_TESSERA_CHROMEDRIVER", browser.driver);
    cargo.env("TEST_TESSERA_AXE", node.axe);
    let succeeded = run::lines(&mut cargo, |_| {})?;
    println!("tessera: pictures of every page are in {}", workspace.target.join("pages").display());
    Ok(succeeded)
}
