//! Images and compose. No engine runs here, so what the containers would run is run as processes: the environment and the commands are read
//! from docker-compose.yml and the Dockerfile, and what is a host's name or a mounted folder there is put in its place.

mod compose;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tessera_testkit::pair::Ports;
use tessera_testkit::postgres::Cluster;
use tessera_testkit::process::{Service, binary, clean_command};
use tessera_tests::{Client, check, eventually, token, tool};
use tonic::Code;

/// The folder of the sources.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in the workspace")
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| file.to_owned())
}

/// A place where the containers' processes run without containers.
struct Stage {
    folder: tempfile::TempDir,
    ports: Ports,
    file: Value,
    dockerfile: String,
}

impl Stage {
    /// `None` where PostgreSQL is not installed.
    fn new() -> Result<Option<Self>> {
        let Some(cluster) = Cluster::shared()? else { return Ok(None) };
        let stage = Self {
            folder: tempfile::tempdir()?,
            ports: Ports::free()?,
            file: compose::parse(&read("docker-compose.yml")?)?,
            dockerfile: read("Dockerfile")?,
        };
        for folder in ["lib/tessera", "secrets"] {
            fs::create_dir_all(stage.path(folder))?;
        }
        let made = Command::new(root().join("deploy/make-secrets")).arg(stage.path("run")).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // The database that the file names is another one here.
        fs::write(stage.path("run/database-url"), cluster.create_database()?)?;
        Ok(Some(stage))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What stands in the file, as it is meant here.
    fn here(&self, text: &str) -> String {
        let ports = &self.ports;
        let folder = |name| self.path(name).display().to_string();
        let mut text = text.to_owned();
        // `${NAME:-default}`: nothing is set.
        while let Some((before, rest)) = text.split_once("${") {
            let (variable, after) = rest.split_once('}').expect("it ends");
            let default = variable.split_once(":-").map_or("", |(_, default)| default);
            text = format!("{before}{default}{after}");
        }
        for (there, here) in [
            ("http://127.0.0.1:6400", format!("http://{}", ports.issuer_http)),
            ("0.0.0.0:6400", ports.issuer_http.to_string()),
            ("0.0.0.0:6401", ports.issuer_grpc.to_string()),
            ("0.0.0.0:6409", ports.issuer_ops.to_string()),
            ("0.0.0.0:6500", ports.introspector_http.to_string()),
            ("0.0.0.0:6501", ports.introspector_grpc.to_string()),
            ("0.0.0.0:6509", ports.introspector_ops.to_string()),
            ("http://issuer:6401", format!("http://{}", ports.issuer_grpc)),
            ("/run/secrets/", folder("run") + "/"),
            ("/secrets/", folder("secrets") + "/"),
        ] {
            text = text.replace(there, &here);
        }
        text
    }

    fn environment(&self, service: &str) -> Result<Vec<(String, String)>> {
        let environment = self.file["services"][service]["environment"].as_object().context("an environment")?;
        let mut variables: Vec<_> = environment
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.here(value.as_str().context("a text")?))))
            .collect::<Result<_>>()?;
        // The image's.
        variables.push(("XDG_DATA_HOME".to_owned(), self.path("lib").display().to_string()));
        Ok(variables)
    }

    /// A command of the image's or the file's, in the container's environment.
    fn command(&self, service: &str, words: &[String]) -> Result<Command> {
        let (program, arguments) = words.split_first().context("an empty command")?;
        let mut command = clean_command(&binary(program)?);
        command.current_dir(self.path("lib/tessera")).envs(self.environment(service)?);
        command.args(arguments.iter().map(|word| self.here(word)));
        Ok(command)
    }

    /// The last instruction of a kind in a stage of the Dockerfile, and the JSON it ends in.
    fn instruction(&self, stage: &str, keyword: &str) -> Result<Vec<String>> {
        let begin = format!("FROM runtime AS {stage}");
        let lines = self.dockerfile.lines().skip_while(|line| *line != begin).skip(1);
        let mut lines = lines.take_while(|line| !line.starts_with("FROM "));
        let line = lines.find(|line| line.starts_with(keyword)).with_context(|| format!("{stage} has no {keyword}"))?;
        Ok(serde_json::from_str(&line[line.find('[').context("JSON")?..])?)
    }

    /// Starts a service as its image does.
    async fn start(&self, service: &str, ops: std::net::SocketAddr) -> Result<Service> {
        let target = self.file["services"][service]["build"]["target"].as_str().context("a target")?;
        let words = self.instruction(target, "CMD")?;
        let (program, arguments) = words.split_first().context("an empty command")?;
        // Started through `env`, since what starts services here gives them no environment of their own.
        let mut all = vec!["-i".to_owned()];
        all.extend(self.environment(service)?.into_iter().map(|(name, value)| format!("{name}={value}")));
        all.push(binary(program)?.display().to_string());
        all.extend(arguments.iter().cloned());
        Service::start("/usr/bin/env".into(), all, self.path(service), ops).await
    }

    /// Asks as the image's health check does; the variables stand for the container's loopback.
    fn health(&self, service: &str) -> Result<Output> {
        let words = self.instruction(service, "HEALTHCHECK")?;
        let mut command = clean_command(&binary(&words[0])?);
        command
            .env("HOME", self.folder.path())
            .env("TESSERA_ENDPOINT", format!("http://{}", self.ports.issuer_grpc))
            .env("TESSERA_INTROSPECTOR_ENDPOINT", format!("http://{}", self.ports.introspector_grpc));
        Ok(command.args(&words[1..]).output()?)
    }

    async fn healthy(&self, service: &str) -> Result<()> {
        eventually("its health check passes", async || Ok(self.health(service)?.status.success().then_some(()))).await
    }
}

fn words(value: &Value) -> Result<Vec<String>> {
    Ok(serde_json::from_value(value.clone())?)
}

fn secret(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compose_runs_comes_up_and_its_health_checks_pass() -> Result<()> {
    let Some(stage) = Stage::new()? else { return Ok(()) };
    let init = words(&stage.file["services"]["init"]["command"])?;
    let first = stage.command("init", &init)?.output()?;
    ensure!(first.status.success(), "init: {}", String::from_utf8_lossy(&first.stderr));
    let kept = stage.path("secrets/tessera-introspector.secret");
    let before = secret(&kept)?;

    assert!(!stage.health("issuer")?.status.success(), "nothing runs yet");
    let mut issuer = stage.start("issuer", stage.ports.issuer_ops).await?;
    stage.healthy("issuer").await?;
    let mut introspector = stage.start("introspector", stage.ports.introspector_ops).await?;
    stage.healthy("introspector").await?;
    let administrator =
        Client { id: "tessera-admin".to_owned(), secret: secret(&stage.path("lib/tessera/tessera-admin.secret"))? };
    let token = token(stage.ports.issuer_grpc, &administrator).await?;
    let refused = check(stage.ports.introspector_grpc, &administrator, &token).await.expect_err("no resource server");
    assert_eq!(refused.code(), Code::PermissionDenied, "the introspector follows, and knows who asks: {refused:?}");

    // Again, as at every `docker compose up`.
    let again = stage.command("init", &init)?.output()?;
    ensure!(again.status.success(), "init again: {}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(secret(&kept)?, before, "nothing was replaced");
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing was done"));
    let refused = stage.command("init", &["tessera".to_owned(), "init".to_owned()])?.output()?;
    assert_eq!(refused.status.code(), Some(5), "without the flag it is refused, as ever");

    assert_eq!(introspector.terminate().await?, Some(0));
    assert!(!stage.health("introspector")?.status.success(), "and it says when it is gone");
    assert!(stage.health("issuer")?.status.success(), "each for itself");
    assert_eq!(issuer.terminate().await?, Some(0));
    Ok(())
}

#[test]
fn what_ships_is_nobody_who_can_write_to_its_image_and_listens_on_the_loopback_alone() -> Result<()> {
    let file = compose::parse(&read("docker-compose.yml")?)?;
    for name in ["init", "issuer", "introspector"] {
        let service = &file["services"][name];
        assert_eq!(service["read_only"].as_str(), Some("true"), "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert!(service.get("user").is_none(), "{name}: the image's");
        let grace = service["stop_grace_period"].as_str().and_then(|grace| grace.strip_suffix('s')?.parse().ok());
        // The defaults of [stop], and what follows: docs/operations/stopping.md.
        assert!(grace.is_some_and(|seconds: u64| seconds > 5 + 20 + 12), "{name} would be killed while it drains");
    }
    for (name, service) in file["services"].as_object().context("services")? {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:")), "{name}: {port}");
        }
        let image = service["image"].as_str().context("an image")?;
        let pinned =
            image.split_once(':').is_some_and(|(_, tag)| tag.starts_with(|c: char| c.is_ascii_digit() || c == 'v'));
        assert!(pinned || service.get("build").is_some(), "{name}: {image} is not pinned");
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let is_secret =
                ["PASSWORD", "SECRET"].iter().any(|word| variable.contains(word)) || variable.contains("DATABASE");
            assert!(!is_secret || variable.ends_with("_FILE"), "{name}: {variable} is {value} for everybody to read");
        }
    }
    Ok(())
}

#[test]
fn every_secret_is_made_once_and_its_folder_is_its_owners_alone() -> Result<()> {
    let file = compose::parse(&read("docker-compose.yml")?)?;
    let folder = tempfile::tempdir()?;
    let secrets = folder.path().join("secrets");
    let run = || Command::new(root().join("deploy/make-secrets")).arg(&secrets).status();
    ensure!(run()?.success());
    let mut made = Vec::new();
    for (name, secret) in file["secrets"].as_object().context("secrets")? {
        assert_eq!(secret["file"].as_str(), Some(format!("./secrets/{name}").as_str()));
        made.push((name.clone(), fs::read_to_string(secrets.join(name))?));
    }
    assert_eq!(fs::metadata(&secrets)?.permissions().mode() & 0o777, 0o700);
    let of = |name: &str| made.iter().find(|(made, _)| made == name).map(|(_, text)| text.clone()).unwrap_or_default();
    assert_eq!(of("postgres-password").len(), 48);
    assert!(of("database-url").contains(&of("postgres-password")));
    ensure!(run()?.success());
    for (name, text) in made {
        assert_eq!(fs::read_to_string(secrets.join(name))?, text, "a second run changes nothing");
    }
    Ok(())
}

#[test]
fn docker_compose_accepts_the_file() -> Result<()> {
    let Some(program) = tool("TEST_TESSERA_DOCKER_COMPOSE")? else { return Ok(()) };
    let output = Command::new(program).args(["--file", "docker-compose.yml", "config"]).current_dir(root()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let resolved = String::from_utf8_lossy(&output.stdout);
    assert!(resolved.contains("condition: service_completed_successfully"), "{resolved}");
    Ok(())
}
