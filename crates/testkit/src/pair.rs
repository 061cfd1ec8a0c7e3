//! Issuer and introspector as two processes, set up as an operator would: `tessera init`, two configuration files, two binaries.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::postgres::Cluster;
use crate::process::{Service, binary, clean_command, free_ports};

/// Which database the issuer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A database of the shared private cluster.
    Postgres,
}

/// What a pair is configured with beyond the necessary.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the issuer calls itself, where that is not where it listens: as behind a proxy that ends TLS.
    pub issuer_url: Option<String>,
    /// The section `[stop]` of both, where it is not without a pause; empty leaves the section out, for releases without it.
    pub stop: Option<String>,
    /// More lines of the issuer's configuration.
    pub issuer: String,
    /// More lines of the introspector's configuration; its section `[sync]` is `introspector_sync`.
    pub introspector: String,
    /// More lines of the introspector's `[sync]`.
    pub introspector_sync: String,
}

/// A running pair.
pub struct Pair {
    /// The issuer's process.
    pub issuer: Service,
    /// The introspector's process.
    pub introspector: Service,
    /// Where it listens.
    pub ports: Ports,
    folder: TempDir,
    /// The database, where it is not a file.
    url: Option<String>,
}

/// Where a pair listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The issuer's HTTP.
    pub issuer_http: SocketAddr,
    /// The issuer's gRPC.
    pub issuer_grpc: SocketAddr,
    /// The issuer's ops.
    pub issuer_ops: SocketAddr,
    /// The introspector's HTTP.
    pub introspector_http: SocketAddr,
    /// The introspector's gRPC.
    pub introspector_grpc: SocketAddr,
    /// The introspector's ops.
    pub introspector_ops: SocketAddr,
}

impl Ports {
    /// Free ones.
    ///
    /// # Errors
    /// Where there are none.
    pub fn free() -> Result<Self> {
        let [issuer_http, issuer_grpc, issuer_ops, introspector_http, introspector_grpc, introspector_ops] =
            free_ports()?.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Ok(Self { issuer_http, issuer_grpc, issuer_ops, introspector_http, introspector_grpc, introspector_ops })
    }

    /// The issuer's URL.
    #[must_use]
    pub fn issuer_url(&self) -> String {
        format!("http://{}", self.issuer_http)
    }
}

/// The administrator that `tessera init` makes.
pub const ADMINISTRATOR: &str = "tessera-admin";

/// The files of a pair beside its database.
const KEPT: [&str; 3] = ["data/kek", "administrator.secret", "introspector.secret"];

impl Pair {
    /// Starts a pair and waits until both are ready; `None` where the backend is not installed (in CI that is an error).
    ///
    /// # Errors
    /// Where something does not start.
    pub async fn start(backend: Backend, options: &Options) -> Result<Option<Self>> {
        Self::start_on(backend, options, |folder, _| init(folder)).await
    }

    /// As [`start`](Self::start), on what [`keep`](Self::keep) kept of another pair.
    ///
    /// # Errors
    /// Where something does not start.
    pub async fn restore(backend: Backend, options: &Options, kept: &Path) -> Result<Option<Self>> {
        let restore = |folder: &Path, url: Option<&str>| {
            std::fs::create_dir(folder.join("data"))?;
            for file in KEPT {
                std::fs::copy(kept.join(file.rsplit('/').next().unwrap_or(file)), folder.join(file))?;
                std::fs::set_permissions(folder.join(file), Permissions::from_mode(0o600))?;
            }
            match url {
                None => std::fs::copy(kept.join("tessera.db"), folder.join("data/tessera.db")).map(drop)?,
                Some(url) => Cluster::shared()?.context("it was there")?.load(url, &kept.join("tessera.sql"))?,
            }
            Ok(())
        };
        Self::start_on(backend, options, restore).await
    }

    /// Keeps the database, the key-encryption key and the secrets of a pair whose processes have ended.
    ///
    /// # Errors
    /// Where they cannot be read or written.
    pub fn keep(&self, kept: &Path) -> Result<()> {
        std::fs::create_dir_all(kept)?;
        for file in KEPT {
            std::fs::copy(self.folder().join(file), kept.join(file.rsplit('/').next().unwrap_or(file)))?;
        }
        match &self.url {
            None => std::fs::copy(self.folder().join("data/tessera.db"), kept.join("tessera.db")).map(drop)?,
            Some(url) => {
                std::fs::write(kept.join("tessera.sql"), Cluster::shared()?.context("it was there")?.dump(url)?)?;
            }
        }
        Ok(())
    }

    async fn start_on(
        backend: Backend,
        options: &Options,
        prepare: impl FnOnce(&Path, Option<&str>) -> Result<()>,
    ) -> Result<Option<Self>> {
        let url = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => match Cluster::shared()? {
                Some(cluster) => Some(cluster.create_database()?),
                None => return Ok(None),
            },
        };
        let folder = TempDir::new()?;
        let ports = Ports::free()?;
        write_configuration(folder.path(), &ports, url.as_deref(), options)?;
        prepare(folder.path(), url.as_deref())?;
        let issuer = spawn("tessera-issuer", folder.path(), ports.issuer_ops).await?;
        let introspector = spawn("tessera-introspector", folder.path(), ports.introspector_ops).await?;
        let mut pair = Self { issuer, introspector, ports, folder, url };
        pair.issuer.ready().await?;
        pair.introspector.ready().await?;
        Ok(Some(pair))
    }

    /// Runs `tessera` against the pair as its administrator; secrets on stdin where there are any.
    ///
    /// # Errors
    /// Where it cannot be run; not where it fails.
    pub fn tessera(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = clean_command(&binary("tessera")?);
        command
            .env("HOME", self.folder.path())
            .env("TESSERA_ENDPOINT", format!("http://{}", self.ports.issuer_grpc))
            .env("TESSERA_INTROSPECTOR_ENDPOINT", format!("http://{}", self.ports.introspector_grpc))
            .env("TESSERA_CLIENT_ID", ADMINISTRATOR)
            .env("TESSERA_CLIENT_SECRET_FILE", self.administrator_secret_file());
        Ok(command.args(arguments).output()?)
    }

    /// As [`tessera`](Self::tessera), with `-o json`; what it prints.
    ///
    /// # Errors
    /// Where it fails.
    pub fn tessera_json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let output = self.tessera(&[arguments, &["-o", "json"]].concat())?;
        if !output.status.success() {
            bail!("tessera {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("tessera prints no JSON")
    }

    /// The administrator's secret.
    ///
    /// # Errors
    /// Where `tessera init` left none.
    pub fn administrator_secret(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.administrator_secret_file())?.trim().to_owned())
    }

    /// Starts one more introspector of the same configuration on free ports: its process, gRPC and HTTP.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn another_introspector(&self) -> Result<(Service, SocketAddr, SocketAddr)> {
        let (mut service, grpc, http) = self.joining_introspector().await?;
        service.ready().await?;
        Ok((service, grpc, http))
    }

    /// As [`another_introspector`](Self::another_introspector), returning while it still joins.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn joining_introspector(&self) -> Result<(Service, SocketAddr, SocketAddr)> {
        let ports = Ports::free()?;
        let text = std::fs::read_to_string(self.folder.path().join("tessera-introspector.toml"))?;
        let text = text
            .replace(&self.ports.introspector_http.to_string(), &ports.introspector_http.to_string())
            .replace(&self.ports.introspector_grpc.to_string(), &ports.introspector_grpc.to_string())
            .replace(&self.ports.introspector_ops.to_string(), &ports.introspector_ops.to_string());
        let name = format!("introspector-{}", ports.introspector_ops.port());
        let file = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&file, text)?;
        let arguments = vec!["--config".to_owned(), file.display().to_string()];
        let log = self.folder.path().join(format!("{name}.log"));
        let service = Service::start(binary("tessera-introspector")?, arguments, log, ports.introspector_ops).await?;
        Ok((service, ports.introspector_grpc, ports.introspector_http))
    }

    /// Starts one more issuer on the same database and under the same keys, on free ports: its process, gRPC and HTTP. Its
    /// issuer URL is the first one's, and the introspector does not know it. PostgreSQL alone: two processes never share a file.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn another_issuer(&self) -> Result<(Service, SocketAddr, SocketAddr)> {
        let ports = Ports::free()?;
        let mut text = std::fs::read_to_string(self.folder.path().join("tessera-issuer.toml"))?;
        for (key, ours, theirs) in [
            ("http", self.ports.issuer_http, ports.issuer_http),
            ("grpc", self.ports.issuer_grpc, ports.issuer_grpc),
            ("ops", self.ports.issuer_ops, ports.issuer_ops),
        ] {
            text = text.replace(&format!("{key} = \"{ours}\""), &format!("{key} = \"{theirs}\""));
        }
        let name = format!("issuer-{}", ports.issuer_ops.port());
        let file = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&file, text)?;
        let arguments = vec!["--config".to_owned(), file.display().to_string()];
        let log = self.folder.path().join(format!("{name}.log"));
        let mut service = Service::start(binary("tessera-issuer")?, arguments, log, ports.issuer_ops).await?;
        service.ready().await?;
        Ok((service, ports.issuer_grpc, ports.issuer_http))
    }

    /// Where the pair's files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn administrator_secret_file(&self) -> PathBuf {
        self.folder.path().join("administrator.secret")
    }
}

fn write_configuration(folder: &Path, ports: &Ports, url: Option<&str>, options: &Options) -> Result<()> {
    let issuer_url = options.issuer_url.clone().unwrap_or_else(|| ports.issuer_url());
    // Nobody stands in front of a test's pair and would have to learn that it stops.
    let stop = options.stop.as_deref().unwrap_or("pause = 0");
    let stop = if stop.is_empty() { String::new() } else { format!("[stop]\n{stop}\n") };
    let mut issuer = format!(
        "issuer_url = \"{issuer_url}\"\ndata_dir = \"{}\"\n{}\n{stop}[listen]\nhttp = \"{}\"\ngrpc = \"{}\"\nops = \"{}\"\n",
        folder.join("data").display(),
        options.issuer,
        ports.issuer_http,
        ports.issuer_grpc,
        ports.issuer_ops,
    );
    if let Some(url) = url {
        writeln!(issuer, "[database]\nurl = \"{url}\"")?;
    }
    std::fs::write(folder.join("tessera-issuer.toml"), issuer)?;
    let introspector = format!(
        "issuer_url = \"{issuer_url}\"\n{}\n{stop}[listen]\nhttp = \"{}\"\ngrpc = \"{}\"\nops = \"{}\"\n[sync]\nissuer_grpc = \"http://{}\"\n\
         client_id = \"tessera-introspector\"\nclient_secret_file = \"{}\"\n{}\n",
        options.introspector,
        ports.introspector_http,
        ports.introspector_grpc,
        ports.introspector_ops,
        ports.issuer_grpc,
        folder.join("introspector.secret").display(),
        options.introspector_sync,
    );
    std::fs::write(folder.join("tessera-introspector.toml"), introspector)?;
    Ok(())
}

fn init(folder: &Path) -> Result<()> {
    let output = clean_command(&binary("tessera")?)
        .env("HOME", folder)
        .arg("init")
        .arg("--config")
        .arg(folder.join("tessera-issuer.toml"))
        .arg("--admin-secret-out")
        .arg(folder.join("administrator.secret"))
        .arg("--introspector-secret-out")
        .arg(folder.join("introspector.secret"))
        .output()?;
    if !output.status.success() {
        bail!("tessera init: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

async fn spawn(name: &str, folder: &Path, ops: SocketAddr) -> Result<Service> {
    let arguments = vec!["--config".to_owned(), folder.join(format!("{name}.toml")).display().to_string()];
    Service::start(binary(name)?, arguments, folder.join(format!("{name}.log")), ops).await
}
