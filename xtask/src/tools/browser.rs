//! A real browser for the pages, and the program that drives it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{apt_install, find, is_ci};
use crate::workspace::Workspace;

/// Chromium and its driver, of one version.
pub(crate) struct Browser {
    pub(crate) chromium: PathBuf,
    pub(crate) driver: PathBuf,
}

/// Chromium with its driver, if both are there.
pub(crate) fn browser(workspace: &Workspace) -> Result<Option<Browser>> {
    if let Some(found) = find_browser() {
        return Ok(Some(found));
    }
    if !is_ci() {
        return Ok(None);
    }
    // Both at once: a driver drives the Chromium of its own version.
    apt_install(workspace, &["chromium", "chromium-driver"])?;
    find_browser().map(Some).context("chromium was installed, and still it or its driver is not there")
}

fn find_browser() -> Option<Browser> {
    Some(Browser { chromium: find("chromium")?, driver: find("chromedriver")? })
}
