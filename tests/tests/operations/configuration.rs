//! Configuration: every mistake at once and at its place, values in files, and what SIGHUP changes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tessera_testkit::pair::{Backend, Options, Pair};
use tessera_testkit::process::{Service, binary, clean_command};
use tessera_tests::eventually;

const SERVICES: [&str; 2] = ["issuer", "introspector"];

/// A folder with a configuration file.
struct Setting {
    folder: TempDir,
}

impl Setting {
    fn new(text: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("tessera.toml"), text)?;
        Ok(Self { folder })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tessera.toml")
    }

    /// Starts a service, which is expected to end by itself.
    fn start(&self, service: &str, variables: &[(&str, &str)]) -> Result<Output> {
        self.run(&format!("tessera-{service}"), &["--config"], variables)
    }

    fn config(&self, verb: &str, service: &str, form: &str, variables: &[(&str, &str)]) -> Result<Output> {
        self.run("tessera", &["config", verb, "--service", service, "-o", form, "--config"], variables)
    }

    fn run(&self, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
        let mut command = clean_command(&binary(program)?);
        command.env("HOME", self.folder.path()).envs(variables.iter().copied());
        Ok(command.args(arguments).arg(self.file()).output()?)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A mistake of each sort: of the syntax of a value, of its type, of its bounds, a misspelt key, a misspelt section.
const MISTAKES: &str = "\
issuer_url = \"ftp://id.example.com\"
issuer_ur = \"http://127.0.0.1:6400\"
[listen]
http = \"nowhere\"
[log]
levle = \"info\"
[sync]
client_id = \"tessera-introspector\"
client_secret_file = \"/run/secret\"
max_staleness = \"2h\"
confirm_within = \"2h\"
";

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_what_to_write() -> Result<()> {
    let setting = Setting::new(MISTAKES)?;
    for service in SERVICES {
        let output = setting.start(service, &[("TESSERA_LISTEN__GRPC", "127.0.0.1")])?;
        let text = said(&output);
        ensure!(output.status.code() == Some(78), "{service}: {:?}\n{text}", output.status);
        for told in [
            "tessera.toml:1: issuer_url: ",
            "tessera.toml:2: issuer_ur: there is no such key; did you mean issuer_url?",
            "tessera.toml:4: listen.http: ",
            "environment variable TESSERA_LISTEN__GRPC: listen.grpc: ",
            "tessera.toml:6: log.levle: there is no such key; did you mean level?",
        ] {
            ensure!(text.contains(told), "{service} does not say {told}:\n{text}");
        }
        let bound = if service == "issuer" {
            "tessera.toml:11: sync.confirm_within: "
        } else {
            "tessera.toml:10: sync.max_staleness: "
        };
        ensure!(text.contains(bound), "{service} does not say {bound}:\n{text}");
    }
    Ok(())
}

#[test]
fn config_check_tells_what_the_service_would_and_starts_nothing() -> Result<()> {
    let setting = Setting::new(MISTAKES)?;
    for service in SERVICES {
        let output = setting.config("check", service, "json", &[])?;
        ensure!(output.status.code() == Some(2), "{service}: {:?}", output.status);
        ensure!(said(&output).contains("tessera.toml:4: listen.http"), "{}", said(&output));
    }
    std::fs::write(setting.file(), "issuer_url = \"https://id.example.com\"\n")?;
    let output = setting.config("check", "issuer", "json", &[])?;
    ensure!(output.status.success(), "{}", said(&output));
    ensure!(std::fs::read_dir(setting.folder.path())?.count() == 1, "something was made");
    Ok(())
}

#[test]
fn a_value_may_be_in_a_file_and_not_in_two_places() -> Result<()> {
    let setting = Setting::new("issuer_url = \"https://id.example.com\"\n")?;
    let file = setting.folder.path().join("url");
    std::fs::write(&file, "postgres://tessera:hunter2@db.example/tessera\n")?;
    let path = file.display().to_string();
    let output = setting.config("dump", "issuer", "json", &[("TESSERA_DATABASE__URL_FILE", &path)])?;
    ensure!(output.status.success(), "{}", said(&output));
    let line = line(&output, "database.url")?;
    ensure!(line["value"] == "\"postgres://tessera:…@db.example/tessera\"", "{line}");
    ensure!(line["origin"].as_str().is_some_and(|origin| origin.contains(&path)), "{line}");

    let both = [("TESSERA_DATABASE__URL_FILE", path.as_str()), ("TESSERA_DATABASE__URL", "sqlite::memory:")];
    let output = setting.start("issuer", &both)?;
    ensure!(output.status.code() == Some(78) && said(&output).contains("are both set"), "{}", said(&output));
    let output = setting.start("issuer", &[("TESSERA_DATABASE__URL_FILE", "/nowhere/url")])?;
    ensure!(
        output.status.code() == Some(78) && said(&output).contains("/nowhere/url cannot be read"),
        "{}",
        said(&output)
    );
    Ok(())
}

fn line(output: &Output, key: &str) -> Result<Value> {
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    lines.into_iter().find(|line| line["key"] == key).with_context(|| format!("no {key}"))
}

#[test]
fn a_dump_says_where_each_value_is_from_and_shows_no_secret() -> Result<()> {
    let setting = Setting::new(
        "issuer_url = \"https://id.example.com\"\n[sync]\nclient_id = \"a\"\nclient_secret = \"canary-hunter2\"\n",
    )?;
    for form in ["table", "json", "yaml", "name"] {
        let output = setting.config("dump", "introspector", form, &[("TESSERA_LOG__LEVEL", "debug")])?;
        ensure!(output.status.success(), "{}", said(&output));
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(!text.contains("hunter2") && text.contains("sync.client_secret"), "{text}");
    }
    let output = setting.config("dump", "introspector", "json", &[("TESSERA_LOG__LEVEL", "debug")])?;
    ensure!(line(&output, "log.level")?["origin"] == "environment variable TESSERA_LOG__LEVEL");
    ensure!(line(&output, "log.format")?["origin"] == "default");
    ensure!(line(&output, "sync.client_id")?["origin"].as_str().is_some_and(|o| o.ends_with("tessera.toml:3")));
    Ok(())
}

#[test]
fn what_config_init_writes_is_a_configuration_and_its_schema_knows_its_keys() -> Result<()> {
    let setting = Setting::new("")?;
    for service in SERVICES {
        let fresh = setting.folder.path().join(format!("{service}.toml"));
        let path = fresh.display().to_string();
        let init = ["config", "init", "--service", service, "--out", &path];
        let tessera = |arguments: &[&str]| -> Result<Output> {
            Ok(clean_command(&binary("tessera")?).env("HOME", setting.folder.path()).args(arguments).output()?)
        };
        let output = tessera(&init)?;
        ensure!(output.status.success(), "{}", said(&output));
        let again = tessera(&init)?;
        ensure!(
            again.status.code() == Some(5) && said(&again).contains("--out"),
            "it goes over a file: {}",
            said(&again)
        );

        let text = std::fs::read_to_string(&fresh)?;
        let text = text.replace("issuer_url = \"\"", "issuer_url = \"https://id.example.com\"");
        let text = text.replace("#client_id = \"\"", "client_id = \"tessera-introspector\"");
        let text = text.replace("#client_secret_file = \"\"", "client_secret_file = \"/run/secret\"");
        std::fs::write(&fresh, text)?;
        let output = tessera(&["config", "check", "--service", service, "--config", &path])?;
        ensure!(output.status.success(), "{}", said(&output));

        let schema: Value = serde_json::from_slice(&tessera(&["config", "schema", "--service", service])?.stdout)?;
        let dump = tessera(&["config", "dump", "--service", service, "--config", &path, "-o", "name"])?;
        for key in String::from_utf8(dump.stdout)?.lines() {
            let pointer = format!("/properties/{}", key.replace('.', "/properties/"));
            let dialect = key.starts_with("dialects.");
            ensure!(dialect || schema.pointer(&pointer).is_some(), "{service}: the schema has no {key}");
        }
        ensure!(schema["additionalProperties"] == false, "the schema takes any key");
    }
    Ok(())
}

/// Changes a service's configuration file, and tells the service.
fn change(pair: &Pair, service: &Service, name: &str, edit: impl FnOnce(String) -> String) -> Result<()> {
    let path = file(pair.folder(), name);
    std::fs::write(&path, edit(std::fs::read_to_string(&path)?))?;
    service.hangup()
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.toml"))
}

async fn says(service: &Service, text: &str) -> Result<()> {
    eventually(text, async || Ok(service.said()?.contains(text).then_some(()))).await
}

async fn shows(service: &Service, metric: &str) -> Result<()> {
    eventually(metric, async || Ok(service.metrics().await?.lines().any(|line| line == metric).then_some(()))).await
}

#[test]
fn what_cannot_be_at_any_start_ends_it_with_78_and_a_place() -> Result<()> {
    let setting = Setting::new("issuer_url = \"http://127.0.0.1:1\"\n")?;
    let own = [("TESSERA_SYNC__CLIENT_ID", "a"), ("TESSERA_SYNC__CLIENT_SECRET", "b")];
    for (service, variable, value, told) in [
        ("issuer", "TESSERA_DATABASE__URL", "mysql://u:hunter2@db/t", "database.url: the database URL must start with"),
        ("issuer", "TESSERA_DATABASE__URL", "sqlite::memory:", "database.url: a database in memory would lose"),
        ("introspector", "TESSERA_SYNC__ISSUER_GRPC", "https://", "sync.issuer_grpc: must be https://host:port"),
        ("issuer", "TESSERA_LOG__LEVEL", "warning", "log.level: not a log level"),
        ("introspector", "TESSERA_LOG__LEVEL", "loud=very", "log.level: not a log level"),
    ] {
        let mut set = vec![(variable, value)];
        set.extend(own.iter().filter(|_| service == "introspector"));
        let started = setting.start(service, &set)?;
        let text = said(&started);
        ensure!(started.status.code() == Some(78), "{service} {value}: {:?}\n{text}", started.status);
        ensure!(text.contains(&format!("environment variable {variable}: {told}")), "{text}");
        ensure!(!text.contains("hunter2"), "{text}");
        let checked = setting.config("check", service, "json", &set)?;
        ensure!(checked.status.code() == Some(2), "config check takes {value}");
    }
    let folder = setting.folder.path().join("data").display().to_string();
    let missing = setting.start(
        "issuer",
        &[
            ("TESSERA_DATA_DIR", &folder),
            ("TESSERA_LISTEN__HTTP", "127.0.0.1:0"),
            ("TESSERA_LISTEN__GRPC", "127.0.0.1:0"),
            ("TESSERA_LISTEN__OPS", "127.0.0.1:0"),
            ("TESSERA_SECRETS__KEK_FILE", "/nowhere/kek"),
        ],
    )?;
    ensure!(missing.status.code() == Some(78) && said(&missing).contains("/nowhere/kek"), "{}", said(&missing));
    Ok(())
}

/// The configuration is a pipe: once it is open, the process is about to read it, and goes no further before it is written.
#[test]
fn sighup_ends_no_process_that_is_just_starting() -> Result<()> {
    for service in SERVICES {
        let folder = TempDir::new()?;
        let pipe = folder.path().join("tessera.toml");
        ensure!(clean_command("mkfifo".as_ref()).arg(&pipe).status()?.success());
        let mut command = clean_command(&binary(&format!("tessera-{service}"))?);
        let mut child = command.arg("--config").arg(&pipe).stderr(Stdio::null()).spawn()?;
        let mut writing = std::fs::OpenOptions::new().write(true).open(&pipe)?;
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process")?;
        kill_process(id, Signal::HUP)?;
        writing.write_all(MISTAKES.as_bytes())?;
        drop(writing);
        let ended = child.wait()?;
        ensure!(ended.code() == Some(78), "{service} did not come as far as its configuration: {ended}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reload_takes_what_it_can_and_a_bad_one_changes_nothing() -> Result<()> {
    let Some(pair) = Pair::start(Backend::Sqlite, &Options::default()).await? else { return Ok(()) };
    for (service, name) in [(&pair.issuer, "tessera-issuer"), (&pair.introspector, "tessera-introspector")] {
        shows(service, "tessera_config_last_reload_successful 1").await?;
        let before = std::fs::read_to_string(file(pair.folder(), name))?;
        change(&pair, service, name, |text| text + "\n[lgo]\nlevel = \"debug\"\n")?;
        says(service, "did you mean log?").await?;
        shows(service, "tessera_config_last_reload_successful 0").await?;
        ensure!(service.is_ready().await, "{name} is not ready after a bad reload");

        // The level takes effect; what needs a restart is named.
        change(&pair, service, name, |_| format!("{before}\n[log]\nlevel = \"off\"\nformat = \"json\"\n"))?;
        shows(service, "tessera_config_last_reload_successful 1").await?;
        let length = service.said()?.len();
        change(&pair, service, name, |text| text.replace("\"off\"", "\"warn\""))?;
        says(service, "these keys differ and need a restart").await?;
        let since = service.said()?.split_off(length);
        ensure!(since.contains("log.format") && !since.contains("log.level"), "{since}");
        ensure!(service.is_ready().await, "{name} is not ready after a reload");
    }
    Ok(())
}
