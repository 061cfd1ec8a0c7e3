//! Looking at a page in every way there is: what axe-core finds, what does not fit, and a picture.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tessera_tests::browser::{Browser, Look};

const LOOKS: [Look; 4] = [
    Look { width: 1280, dark: false },
    Look { width: 1280, dark: true },
    Look { width: 360, dark: false },
    Look { width: 360, dark: true },
];

/// Everything that WCAG 2.2 asks at AA, and what its authors call good practice beside it.
const AXE: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, { runOnly: { type: 'tag', values: tags } }).then(
        (found) => done(found.violations.map((rule) => rule.id + ': ' + rule.help + ': '
            + rule.nodes.map((node) => node.target + ' ' + node.failureSummary).join('; '))),
        (error) => done(['axe-core failed: ' + error]));";

/// What is wider than the window, which a person would have to scroll to, and what is too small for a finger (WCAG 2.2, 2.5.8).
const MISFITS: &str = "
    const wide = document.documentElement.scrollWidth > innerWidth ? ['the page is wider than the window'] : [];
    const small = [...document.querySelectorAll('a, button, input:not([type=hidden])')]
        .filter((element) => { const box = element.getBoundingClientRect();
            return !element.hidden && (box.height < 24 || box.width < 24); })
        .map((element) => 'too small a target: ' + element.outerHTML);
    return wide.concat(small);";

/// Where pictures go, and what looks for faults.
pub(crate) struct Gallery {
    axe: String,
    folder: PathBuf,
    faults: Vec<String>,
}

impl Gallery {
    /// `None` where there is no axe-core.
    pub(crate) fn open() -> Result<Option<Self>> {
        let Some(axe) = std::env::var_os("TEST_TESSERA_AXE") else {
            ensure!(
                std::env::var("CI").as_deref() != Ok("true"),
                "TEST_TESSERA_AXE is not set, and CI leaves nothing out"
            );
            #[allow(clippy::print_stdout, reason = "a test that was not run says so")]
            {
                println!("left out: TEST_TESSERA_AXE is not set");
            }
            return Ok(None);
        };
        let axe = std::fs::read_to_string(&axe).with_context(|| format!("{}", Path::new(&axe).display()))?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("pages");
        std::fs::create_dir_all(&folder)?;
        Ok(Some(Self { axe, folder, faults: Vec::new() }))
    }

    /// Looks at the page that a browser shows in every way, and keeps pictures.
    pub(crate) async fn see(&mut self, browser: &Browser, name: &str) -> Result<()> {
        for look in LOOKS {
            let scheme = if look.dark { "dark" } else { "light" };
            let name = format!("{name}-{scheme}-{}", look.width);
            self.examine(browser, &name, look).await?;
            std::fs::write(self.folder.join(format!("{name}.png")), browser.picture().await?)?;
        }
        Ok(())
    }

    /// Looks for faults.
    pub(crate) async fn examine(&mut self, browser: &Browser, name: &str, look: Look) -> Result<()> {
        browser.look(look).await?;
        browser.script(&self.axe, &[]).await?;
        for found in [browser.script_later(AXE, &[]).await?, browser.script(MISFITS, &[]).await?] {
            let found = found.as_array().into_iter().flatten().filter_map(Value::as_str);
            self.faults.extend(found.map(|fault| format!("{name}: {fault}")));
        }
        Ok(())
    }

    /// Everything that was found so far.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Fails where anything was found on any page.
    pub(crate) fn close(self) -> Result<()> {
        ensure!(self.faults.is_empty(), "{} faults:\n{}", self.faults.len(), self.faults.join("\n"));
        Ok(())
    }
}
