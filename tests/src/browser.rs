//! A real Chromium, without a window, driven by its chromedriver: in the protocol that the W3C calls `WebDriver` and, for what a person's
//! system decides, in the one of its developer tools.
//!
//! `TEST_TESSERA_CHROMIUM` and `TEST_TESSERA_CHROMEDRIVER` name the programs; `cargo xtask test` sets them.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tessera_testkit::process::{self, free_ports};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::eventually;

/// What a session's elements are called in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Nothing that asks elsewhere, and no sandbox, which root cannot have.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Chromium.
    pub chromium: PathBuf,
    /// Its driver.
    pub driver: PathBuf,
}

impl Programs {
    /// Where they are; none where the tests in a browser are to be left out.
    pub fn find() -> Result<Option<Self>> {
        let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
        if let (Some(chromium), Some(driver)) = (named("TEST_TESSERA_CHROMIUM"), named("TEST_TESSERA_CHROMEDRIVER")) {
            return Ok(Some(Self { chromium, driver }));
        }
        ensure!(std::env::var("CI").as_deref() != Ok("true"), "no browser is named, and CI leaves nothing out");
        #[allow(clippy::print_stdout, reason = "a test that was not run says so")]
        {
            println!("left out: TEST_TESSERA_CHROMIUM and TEST_TESSERA_CHROMEDRIVER are not set");
        }
        Ok(None)
    }
}

/// A browser with one window and a profile of its own. Killed when dropped.
pub struct Browser {
    driver: Child,
    at: SocketAddr,
    session: String,
    profile: TempDir,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The window's width in CSS pixels.
    pub width: u32,
    /// Whether the person's system is dark.
    pub dark: bool,
}

impl Browser {
    /// Starts one, for a person who reads these languages.
    pub async fn start(programs: &Programs, languages: &str) -> Result<Self> {
        let profile = TempDir::new()?;
        let [port] = free_ports()?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let driver = process::clean_command(&programs.driver)
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Chromium is many processes; all of them go with the group.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} does not start", programs.driver.display()))?;
        let mut browser = Self { driver, at, session: String::new(), profile };
        eventually("chromedriver is ready", async || Ok(browser.tell("GET", "/status", &Value::Null).await.ok()))
            .await?;
        let data = format!("--user-data-dir={}", browser.profile.path().join("profile").display());
        let languages = format!("--accept-lang={languages}");
        let flags: Vec<&str> = FLAGS.iter().copied().chain([data.as_str(), &languages]).collect();
        let options = json!({ "binary": programs.chromium, "args": flags });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = browser.tell("POST", "/session", &wanted).await?;
        session["sessionId"].as_str().context("a session")?.clone_into(&mut browser.session);
        Ok(browser)
    }

    /// Opens a URL, as if it were typed.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.command("url", &json!({ "url": url })).await.map(drop)
    }

    /// Where it is.
    pub async fn url(&self) -> Result<String> {
        let url = self.tell("GET", &format!("/session/{}/url", self.session), &Value::Null).await?;
        url.as_str().map(str::to_owned).context("a URL")
    }

    /// Clicks on what a CSS selector finds first.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector).await?;
        self.command(&format!("element/{element}/click"), &json!({})).await.map(drop)
    }

    /// As [`click`](Self::click), on what leads to another page; waits until it is there.
    pub async fn follow(&self, selector: &str) -> Result<()> {
        self.leave(self.click(selector)).await
    }

    /// Waits until another page is there than before something was done.
    pub async fn leave(&self, act: impl Future<Output = Result<()>>) -> Result<()> {
        self.script("window.isOld = true", &[]).await?;
        act.await?;
        let there = "return window.isOld !== true && document.readyState === 'complete'";
        eventually("another page", async || {
            // Between two pages there is nothing that could be asked.
            Ok(self.script(there, &[]).await.ok().filter(|there| there == true).map(drop))
        })
        .await
    }

    /// Types into a field, in place of what stands there.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector).await?;
        self.command(&format!("element/{element}/clear"), &json!({})).await?;
        self.command(&format!("element/{element}/value"), &json!({ "text": text })).await.map(drop)
    }

    /// Types where the focus is; `\u{e004}` is the tabulator, `\u{e007}` the enter key.
    pub async fn type_keys(&self, keys: &str) -> Result<()> {
        let keys: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": keys }] });
        self.command("actions", &actions).await.map(drop)
    }

    /// What a script returns. It runs beside the page's own policy, as developer tools do.
    pub async fn script(&self, body: &str, arguments: &[Value]) -> Result<Value> {
        self.command("execute/sync", &json!({ "script": body, "args": arguments })).await
    }

    /// As [`script`](Self::script), of one that calls its last argument when it is done.
    pub async fn script_later(&self, body: &str, arguments: &[Value]) -> Result<Value> {
        self.command("execute/async", &json!({ "script": body, "args": arguments })).await
    }

    /// The text of what a CSS selector finds first, as a person sees it: with plain spaces.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let element = self.element(selector).await?;
        let path = format!("/session/{}/element/{element}/text", self.session);
        self.tell("GET", &path, &Value::Null).await?.as_str().map(str::to_owned).context("a text")
    }

    /// Whether a CSS selector finds anything.
    pub async fn sees(&self, selector: &str) -> Result<bool> {
        let found = self.command("elements", &json!({ "using": "css selector", "value": selector })).await?;
        Ok(found.as_array().is_some_and(|found| !found.is_empty()))
    }

    /// From now on pages run no script of theirs.
    pub async fn without_script(&self) -> Result<()> {
        self.tools("Emulation.setScriptExecutionDisabled", &json!({ "value": true })).await.map(drop)
    }

    /// From now on pages are looked at so.
    pub async fn look(&self, look: Look) -> Result<()> {
        let size = json!({ "width": look.width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.tools("Emulation.setDeviceMetricsOverride", &size).await?;
        let scheme = if look.dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.tools("Emulation.setEmulatedMedia", &json!({ "features": features })).await.map(drop)
    }

    /// A picture of the whole page, as PNG.
    pub async fn picture(&self) -> Result<Vec<u8>> {
        let size = self.tools("Page.getLayoutMetrics", &json!({})).await?["cssContentSize"].clone();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.tools("Page.captureScreenshot", &options).await?;
        Ok(STANDARD.decode(picture["data"].as_str().context("a picture")?)?)
    }

    async fn tools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    async fn element(&self, selector: &str) -> Result<String> {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector })).await?;
        found[ELEMENT].as_str().map(str::to_owned).with_context(|| format!("no element {selector}"))
    }

    async fn command(&self, name: &str, parameters: &Value) -> Result<Value> {
        self.tell("POST", &format!("/session/{}/{name}", self.session), parameters).await
    }

    async fn tell(&self, method: &str, path: &str, parameters: &Value) -> Result<Value> {
        let body = if parameters.is_null() { String::new() } else { parameters.to_string() };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n", self.at, body.len());
        let (good, said) = exchange(self.at, &format!("{head}content-type: application/json\r\n\r\n{body}")).await?;
        let mut said: Value = serde_json::from_slice(&said)?;
        let told = || said["value"]["message"].as_str().unwrap_or_default().lines().next().map(str::to_owned);
        ensure!(good, "{path}: {}", told().unwrap_or_default());
        Ok(said["value"].take())
    }
}

/// Sends a request and reads its answer: whether it is good, and its body. Chromedriver never closes a connection, whatever it says.
async fn exchange(at: SocketAddr, request: &str) -> Result<(bool, Vec<u8>)> {
    let mut stream = BufReader::new(TcpStream::connect(at).await?);
    stream.write_all(request.as_bytes()).await?;
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        ensure!(stream.read_line(&mut head).await? > 0, "chromedriver hangs up");
        let line = head[start..].trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((head.starts_with("HTTP/1.1 200 "), body))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw) {
            // It may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}
