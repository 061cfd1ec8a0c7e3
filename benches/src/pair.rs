//! The issuer and the introspector as processes, with a token to ask about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::admin::v1::{Client, ClientType, CreateClientRequest};
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tonic::metadata::AsciiMetadataValue;

use crate::call::{Call, connect};
use crate::process::{LOAD_CORE, Process, SERVER_CORE, free_ports};

const SERVICE: &str = "demo-service";
const RESOURCE: &str = "demo-resource";
const APP: &str = "demo-app";
/// How long a server may take to start.
const START: Duration = Duration::from_secs(30);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(20);

/// A running pair.
pub struct RunningPair {
    /// The introspector, alone on its core.
    pub introspector: Process,
    /// The issuer, which only feeds the introspector meanwhile.
    pub issuer: Process,
    /// The introspector's gRPC port.
    pub port: u16,
    /// The call to make: a resource server asks about an active token.
    pub call: Call,
}

impl RunningPair {
    /// Starts both from their binaries, over SQLite in a folder.
    pub async fn start(programs: &Path, folder: &Path) -> Result<Self> {
        let files = Files::write(folder)?;
        let administrator = files.init(programs)?;
        let log = folder.join("issuer.log");
        let config = ["--config".into(), files.issuer.clone()];
        let mut issuer = Process::start(LOAD_CORE, &programs.join("tessera-issuer"), &config, &log)?;
        wait_until_open(&mut issuer, files.issuer_grpc, &log).await?;
        let (token, resource_secret) = prepare(files.issuer_grpc, &administrator).await?;

        let log = folder.join("introspector.log");
        let config = ["--config".into(), files.introspector.clone()];
        let program = programs.join("tessera-introspector");
        let mut introspector = Process::start(SERVER_CORE, &program, &config, &log)?;
        wait_until_open(&mut introspector, files.introspector_grpc, &log).await?;
        let call = Call::new(token, RESOURCE, &resource_secret);
        wait_until_active(&call, files.introspector_grpc).await?;
        Ok(Self { introspector, issuer, port: files.introspector_grpc, call })
    }
}

/// An issuer alone on the servers' core, with a client for itself and one that signs users in.
pub struct RunningIssuer {
    /// Its process.
    pub process: Process,
    /// Its gRPC port.
    pub grpc: u16,
    /// The id and secret of a client that gets tokens for itself.
    pub service: (String, String),
    /// The id and secret of a client that may use the password grant.
    pub app: (String, String),
}

impl RunningIssuer {
    /// Starts it from its binary, over SQLite in a folder.
    pub async fn start(programs: &Path, folder: &Path) -> Result<Self> {
        let files = Files::write(folder)?;
        let administrator = files.init(programs)?;
        let log = folder.join("issuer.log");
        let config = ["--config".into(), files.issuer.clone()];
        let mut process = Process::start(SERVER_CORE, &programs.join("tessera-issuer"), &config, &log)?;
        wait_until_open(&mut process, files.issuer_grpc, &log).await?;
        let [service, _, app] = create_clients(files.issuer_grpc, &administrator).await?;
        Ok(Self { process, grpc: files.issuer_grpc, service, app })
    }
}

/// The configuration files, and what stands in them.
struct Files {
    folder: PathBuf,
    issuer: PathBuf,
    introspector: PathBuf,
    issuer_grpc: u16,
    introspector_grpc: u16,
}

impl Files {
    fn write(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let [issuer_http, issuer_grpc, issuer_ops, http, introspector_grpc, ops] = free_ports()?;
        let files = Self {
            folder: folder.to_owned(),
            issuer: folder.join("issuer.toml"),
            introspector: folder.join("introspector.toml"),
            issuer_grpc,
            introspector_grpc,
        };
        let issuer_url = format!("http://127.0.0.1:{issuer_http}");
        let data = folder.join("data");
        let issuer = format!(
            "issuer_url = {issuer_url:?}\ndata_dir = '{}'\n[tokens]\npassword_grant = true\n{}",
            data.display(),
            listen(issuer_http, issuer_grpc, issuer_ops)
        );
        let secret = files.introspector_secret();
        let introspector = format!(
            "issuer_url = {issuer_url:?}\n{}\n[sync]\nissuer_grpc = \"http://127.0.0.1:{issuer_grpc}\"\n\
             client_id = \"tessera-introspector\"\nclient_secret_file = '{}'\n",
            listen(http, introspector_grpc, ops),
            secret.display()
        );
        fs::write(&files.issuer, issuer)?;
        fs::write(&files.introspector, introspector)?;
        Ok(files)
    }

    fn introspector_secret(&self) -> PathBuf {
        self.folder.join("introspector.secret")
    }

    /// Makes the database, the keys, the administrator and the introspector's client. Returns the administrator's secret.
    fn init(&self, programs: &Path) -> Result<String> {
        let file = self.folder.join("administrator.secret");
        let mut init = Command::new(programs.join("tessera"));
        init.arg("init").arg("--config").arg(&self.issuer).arg("--admin-secret-out").arg(&file);
        init.arg("--introspector-secret-out").arg(self.introspector_secret());
        let output = init.output().context("cannot run tessera init")?;
        ensure!(output.status.success(), "tessera init failed: {}", String::from_utf8_lossy(&output.stderr));
        let secret = fs::read_to_string(&file).with_context(|| format!("no secret in {}", file.display()))?;
        Ok(secret.trim().to_owned())
    }
}

fn listen(http: u16, grpc: u16, ops: u16) -> String {
    format!("[listen]\nhttp = \"127.0.0.1:{http}\"\ngrpc = \"127.0.0.1:{grpc}\"\nops = \"127.0.0.1:{ops}\"\n")
}

/// Makes the clients. Returns a token of the service and the secret of the resource server.
async fn prepare(port: u16, administrator: &str) -> Result<(String, String)> {
    let [(service, secret), (_, resource_secret), _] = create_clients(port, administrator).await?;
    Ok((issue(port, &service, &secret).await?, resource_secret))
}

async fn issue(port: u16, client_id: &str, client_secret: &str) -> Result<String> {
    let grant = Grant::ClientCredentials(ClientCredentialsGrant {});
    let (client_id, client_secret) = (client_id.to_owned(), client_secret.to_owned());
    let request = IssueTokenRequest { client_id, client_secret, grant: Some(grant), ..IssueTokenRequest::default() };
    Ok(TokenServiceClient::new(connect(port).await?).issue_token(request).await?.into_inner().access_token)
}

/// Makes the clients: one that gets tokens for itself, one that introspects them, and one that signs users in. Returns their ids and
/// secrets.
async fn create_clients(port: u16, administrator: &str) -> Result<[(String, String); 3]> {
    let token = issue(port, "tessera-admin", administrator).await?;
    let bearer = AsciiMetadataValue::try_from(format!("Bearer {token}"))?;
    let mut clients = ClientServiceClient::new(connect(port).await?);
    let mut create = async |id: &str, grant: &str, resources: &[&str]| -> Result<(String, String)> {
        let client = Client {
            client_id: id.to_owned(),
            name: id.to_owned(),
            r#type: ClientType::Confidential.into(),
            enabled: true,
            grant_types: vec![grant.to_owned()],
            audiences: vec![RESOURCE.to_owned()],
            resources: resources.iter().map(|&resource| resource.to_owned()).collect(),
            ..Client::default()
        };
        let request = CreateClientRequest { client: Some(client), ..CreateClientRequest::default() };
        let mut request = tonic::Request::new(request);
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok((id.to_owned(), clients.create_client(request).await?.into_inner().client_secret))
    };
    Ok([
        create(SERVICE, "client_credentials", &[]).await?,
        create(RESOURCE, "client_credentials", &[RESOURCE]).await?,
        create(APP, "password", &[]).await?,
    ])
}

/// Waits until a server listens.
pub async fn wait_until_open(process: &mut Process, port: u16, log: &Path) -> Result<()> {
    let open = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            process.check().with_context(|| fs::read_to_string(log).unwrap_or_default())?;
            sleep(PAUSE).await;
        }
        Ok(())
    };
    match timeout(START, open).await {
        Ok(done) => done,
        Err(_) => bail!("nothing listens on port {port}; see {}", log.display()),
    }
}

/// Waits until the introspector has followed the issuer.
async fn wait_until_active(call: &Call, port: u16) -> Result<()> {
    let active = async {
        while call.make_once(port).await.is_err() {
            sleep(PAUSE).await;
        }
    };
    if timeout(START, active).await.is_err() {
        call.make_once(port).await.context("the introspector does not say active")?;
    }
    Ok(())
}
