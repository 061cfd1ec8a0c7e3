//! A pair that speaks nothing but TLS, and asks its clients for certificates.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tempfile::TempDir;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{IntrospectRequest, IntrospectResponse};
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest};
use tessera_testkit::pair::{Backend, Ports};
use tessera_testkit::postgres::Cluster;
use tessera_testkit::process::{Service, binary, clean_command};
use tessera_tests::{Client, as_client, eventually, revoke_on};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};

use super::authority::{Authority, Files, Pem};

pub(super) const ADMINISTRATOR: &str = "uri:urn:test:administrator";
pub(super) const AUDITOR: &str = "dns:auditor.test";
pub(super) const INTROSPECTOR: &str = "uri:urn:test:introspector";
pub(super) const ORDERS: &str = "uri:spiffe://test/orders";
/// Of the clients' authority, and nobody's.
pub(super) const STRANGER: &str = "uri:urn:test:stranger";

/// The pair.
pub(crate) struct Setting {
    pub(crate) issuer: Service,
    pub(crate) introspector: Service,
    pub(super) ports: Ports,
    /// Signs the servers' certificates.
    pub(super) servers: Authority,
    /// Signs the clients'.
    pub(super) clients: Authority,
    pub(super) service: Client,
    folder: TempDir,
}

impl Setting {
    /// Starts it and waits until both are ready; `None` where the backend is not installed.
    pub(crate) async fn start(backend: Backend) -> Result<Option<Self>> {
        let database = match backend {
            Backend::Sqlite => String::new(),
            Backend::Postgres => match Cluster::shared()? {
                Some(cluster) => format!("[database]\nurl = \"{}\"\n", cluster.create_database()?),
                None => return Ok(None),
            },
        };
        let (servers, clients) = (Authority::new("servers")?, Authority::new("clients")?);
        let (folder, ports) = (TempDir::new()?, Ports::free()?);
        let at = folder.path();
        std::fs::write(at.join("servers.crt"), servers.pem())?;
        std::fs::write(at.join("clients.crt"), clients.pem())?;
        servers.server()?.write(&at.join("v1"), "tls")?;
        symlink("v1", at.join("live"))?;
        clients.client(INTROSPECTOR)?.write(at, "introspector")?;
        clients.client(ADMINISTRATOR)?.write(at, "administrator")?;
        std::fs::write(at.join("issuer.toml"), issuer(at, &ports, &database))?;
        std::fs::write(at.join("introspector-service.toml"), introspector(at, &ports))?;
        let initialized = clean_command(&binary("tessera")?)
            .env("HOME", at)
            .args(["init", "--config"])
            .arg(at.join("issuer.toml"))
            .output()?;
        ensure!(initialized.status.success(), "tessera init: {}", String::from_utf8_lossy(&initialized.stderr));
        let issuer = spawn("tessera-issuer", at, "issuer.toml", ports.issuer_ops).await?;
        let introspector =
            spawn("tessera-introspector", at, "introspector-service.toml", ports.introspector_ops).await?;
        let service = Client { id: "service".to_owned(), secret: String::new() };
        let mut setting = Self { issuer, introspector, ports, servers, clients, service, folder };
        setting.issuer.ready().await?;
        setting.introspector.ready().await?;
        setting.make_clients()?;
        // Nobody waits for introspectors with what is new: only with what is taken away.
        let channel = setting.as_holder(ports.introspector_grpc, ORDERS).await?;
        eventually("the introspector knows the new client", async || match introspect(channel.clone(), "x").await {
            Ok(_) => Ok(Some(())),
            Err(status) if status.code() == Code::Unauthenticated => Ok(None),
            Err(status) => Err(status.into()),
        })
        .await?;
        Ok(Some(setting))
    }

    fn make_clients(&mut self) -> Result<()> {
        self.tessera_json(&["scope", "create", "orders:read"])?;
        let service = ["client", "create", "--client-id", "service", "--name", "service", "--grant"];
        let rest = ["client_credentials", "--scope", "orders:read", "--audience", "orders-api"];
        let made = self.tessera_json(&[&service[..], &rest].concat())?;
        made["client_secret"].as_str().context("no secret")?.clone_into(&mut self.service.secret);
        let resource = ["client", "create", "--client-id", "resource", "--name", "resource"];
        self.tessera_json(&[&resource[..], &["--resource", "orders-api"]].concat())?;
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `tessera` with the administrator's certificate and no client at all.
    pub(super) fn tessera(&self, arguments: &[&str]) -> Result<Output> {
        let at = self.folder();
        let mut command = clean_command(&binary("tessera")?);
        command
            .env("HOME", at)
            .env("TESSERA_ENDPOINT", format!("https://{}", self.ports.issuer_grpc))
            .env("TESSERA_INTROSPECTOR_ENDPOINT", format!("https://{}", self.ports.introspector_grpc))
            .env("TESSERA_CA_FILE", at.join("servers.crt"))
            .env("TESSERA_CERT_FILE", at.join("administrator.crt"))
            .env("TESSERA_KEY_FILE", at.join("administrator.key"));
        Ok(command.args(arguments).output()?)
    }

    pub(super) fn tessera_json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.tessera(&[arguments, &["-o", "json"]].concat())?;
        if !output.status.success() {
            bail!("tessera {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("tessera prints no JSON")
    }

    /// A channel that presents a certificate, or none.
    pub(super) async fn channel(&self, address: SocketAddr, own: Option<&Pem>) -> Result<Channel> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.servers.pem()));
        let tls = match own {
            Some(own) => tls.identity(Identity::from_pem(&own.certificate, &own.key)),
            None => tls,
        };
        Ok(Channel::from_shared(format!("https://{address}"))?.tls_config(tls)?.connect().await?)
    }

    /// A channel of somebody whom the clients' authority has certified.
    pub(super) async fn as_holder(&self, address: SocketAddr, name: &str) -> Result<Channel> {
        self.channel(address, Some(&self.clients.client(name)?)).await
    }

    /// A token for `orders-api`, by the service's secret.
    pub(super) async fn token(&self) -> Result<String> {
        let grant = Some(Grant::ClientCredentials(ClientCredentialsGrant {}));
        let message = IssueTokenRequest { grant, ..IssueTokenRequest::default() };
        let channel = self.as_holder(self.ports.issuer_grpc, STRANGER).await?;
        let answer = TokenServiceClient::new(channel).issue_token(as_client(&self.service, message)?).await?;
        Ok(answer.into_inner().access_token)
    }

    /// Asks the introspector with the orders' certificate and nothing else.
    pub(super) async fn check(&self, token: &str) -> Result<IntrospectResponse> {
        let channel = self.as_holder(self.ports.introspector_grpc, ORDERS).await?;
        Ok(introspect(channel, token).await?)
    }

    pub(super) async fn revoke(&self, token: &str) -> Result<String> {
        let channel = self.as_holder(self.ports.issuer_grpc, STRANGER).await?;
        Ok(revoke_on(channel, &self.service, token).await?)
    }

    /// A TLS connection as a client without HTTP makes it.
    pub(super) async fn connect(&self, address: SocketAddr, own: Option<&Pem>) -> Result<TlsStream<TcpStream>> {
        connect(&self.servers, address, own).await
    }

    /// The certificate that a server presents to who connects now.
    pub(super) async fn presented(&self, address: SocketAddr) -> Result<Vec<u8>> {
        let stream = self.connect(address, Some(&self.clients.client(STRANGER)?)).await?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().context("no certificate")?;
        Ok(chain.first().context("no certificate")?.to_vec())
    }

    /// One HTTP/1 exchange.
    pub(super) async fn http(&self, address: SocketAddr, own: Option<&Pem>, request: &str) -> Result<String> {
        exchange(self.connect(address, own).await?, request).await
    }
}

/// One introspection without any `authorization`.
pub(super) async fn introspect(channel: Channel, token: &str) -> Result<IntrospectResponse, Status> {
    let message = IntrospectRequest { token: token.to_owned(), ..IntrospectRequest::default() };
    IntrospectionServiceClient::new(channel).introspect(message).await.map(tonic::Response::into_inner)
}

pub(super) async fn connect(
    servers: &Authority,
    address: SocketAddr,
    own: Option<&Pem>,
) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(servers.pem().as_bytes())?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let config = match own {
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes())?];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(own.key.as_bytes())?)?
        }
        None => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

/// Sends a request and reads to the end.
pub(super) async fn exchange(mut stream: TlsStream<TcpStream>, request: &str) -> Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // How the connection ends is not the question.
    let _ = stream.read_to_end(&mut answer).await;
    ensure!(!answer.is_empty(), "no answer");
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn spawn(program: &str, folder: &Path, file: &str, ops: SocketAddr) -> Result<Service> {
    let arguments = vec!["--config".to_owned(), folder.join(file).display().to_string()];
    Service::start(binary(program)?, arguments, folder.join(format!("{program}.log")), ops).await
}

fn tls(folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    format!(
        "[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\nclient_ca_file = \"{}\"\nclient_auth = \"required\"\nhttp_client_auth = \"optional\"\n",
        file("live/tls.crt"),
        file("live/tls.key"),
        file("clients.crt"),
    )
}

pub(super) fn identity(name: &str, right: &str) -> String {
    format!("[[tls.identities]]\nname = \"{name}\"\n{right}\n")
}

fn issuer(folder: &Path, ports: &Ports, database: &str) -> String {
    let listen = format!(
        "[listen]\nhttp = \"{}\"\ngrpc = \"{}\"\nops = \"{}\"\n",
        ports.issuer_http, ports.issuer_grpc, ports.issuer_ops
    );
    [
        format!("issuer_url = \"https://{}\"\ndata_dir = \"{}\"\n", ports.issuer_http, folder.join("data").display()),
        listen,
        database.to_owned(),
        "[dialects]\nprestashop = true\n".to_owned(),
        tls(folder),
        identity(ADMINISTRATOR, "scopes = [\"tessera.admin\"]"),
        identity(AUDITOR, "scopes = [\"tessera.admin.read\"]"),
        identity(INTROSPECTOR, "scopes = [\"tessera.sync\"]"),
        identity(ORDERS, "client_id = \"resource\""),
    ]
    .concat()
}

fn introspector(folder: &Path, ports: &Ports) -> String {
    let listen = format!(
        "[listen]\nhttp = \"{}\"\ngrpc = \"{}\"\nops = \"{}\"\n",
        ports.introspector_http, ports.introspector_grpc, ports.introspector_ops
    );
    let own = Files { certificate: folder.join("introspector.crt"), key: folder.join("introspector.key") };
    let sync = format!(
        "[sync]\nissuer_grpc = \"https://{}\"\nca_file = \"{}\"\nclient_cert_file = \"{}\"\nclient_key_file = \"{}\"\n",
        ports.issuer_grpc,
        folder.join("servers.crt").display(),
        own.certificate.display(),
        own.key.display(),
    );
    let head = format!("issuer_url = \"https://{}\"\n", ports.issuer_http);
    [head, listen, sync, tls(folder), identity(ORDERS, "client_id = \"resource\"")].concat()
}
