use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;
use crate::clock::SystemClock;
use crate::random::SystemRandom;
use crate::serve::{Options, Server, Serving, Stop};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// The certificate and its key, in PEM.
fn certified(authority: &Authority, name: SanType) -> [String; 2] {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.subject_alt_names.push(name);
    [params.signed_by(&key, authority).expect("signed").pem(), key.serialize_pem()]
}

fn for_this_machine(authority: &Authority) -> [String; 2] {
    certified(authority, SanType::IpAddress(Ipv4Addr::LOCALHOST.into()))
}

fn orders(authority: &Authority) -> [String; 2] {
    certified(authority, SanType::URI("urn:test:orders".try_into().expect("a URI")))
}

/// A server whose files are in a folder.
struct Setting {
    folder: TempDir,
    servers: Authority,
    clients: Authority,
    tls: ServerTls,
    serving: Serving,
    stop: Stop,
}

fn write(folder: &Path, [certificate, key]: &[String; 2]) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(folder.join("tls.crt"), certificate).expect("written");
    std::fs::write(folder.join("tls.key"), key).expect("written");
    std::fs::set_permissions(folder.join("tls.key"), std::fs::Permissions::from_mode(0o600)).expect("changed");
}

impl Setting {
    fn start(role: Role, client_auth: ClientAuth) -> Self {
        let (folder, servers, clients) = (TempDir::new().expect("a folder"), authority(), authority());
        let at = |name| Some(folder.path().join(name));
        write(folder.path(), &for_this_machine(&servers));
        std::fs::write(folder.path().join("ca.crt"), clients.pem()).expect("written");
        let section = Tls {
            cert_file: at("tls.crt"),
            key_file: at("tls.key"),
            client_ca_file: at("ca.crt"),
            client_auth: Some(client_auth),
            ops: true,
            ..Tls::default()
        };
        let tls = ServerTls::load(&section, Arc::new(SystemClock)).expect("good").expect("there");
        let metrics = Metrics::new("test", "0");
        let name = |Extension(secured): Extension<Secured>| async move {
            let names = secured.certificate.map(|certificate| certificate.names().to_vec()).unwrap_or_default();
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let stop = Stop::new();
        let options = Options::new(stop.clone(), Arc::new(SystemRandom));
        let server = Server::http((Ipv4Addr::LOCALHOST, 0).into(), "http").expect("a free port");
        let server = server.secured(tls.acceptor(role, &metrics));
        let serving = server.serve_http(Router::new().route("/", get(name)), &options).expect("served");
        Self { folder, servers, clients, tls, serving, stop }
    }

    async fn connect(
        &self,
        own: Option<&[String; 2]>,
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.servers.der().clone()).expect("an authority");
        let builder =
            ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions).expect("versions");
        let builder = builder.with_root_certificates(roots);
        let mut config = match own {
            Some([certificate, key]) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.serving.addr()).await?;
        let name = ServerName::from(self.serving.addr().ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// What the server says of who asks.
    async fn ask(&self, own: Option<&[String; 2]>) -> std::io::Result<String> {
        let mut stream = self.connect(own, &[], rustls::DEFAULT_VERSIONS).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.split_once("\r\n\r\n").expect("an answer").1.to_owned())
    }

    async fn presented(&self) -> Vec<u8> {
        let stream = self.connect(None, &[], rustls::DEFAULT_VERSIONS).await.expect("a handshake");
        stream.get_ref().1.peer_certificates().expect("a chain")[0].to_vec()
    }
}

#[tokio::test]
async fn both_versions_and_protocols_are_spoken_and_grpc_is_http2_alone() {
    let http = Setting::start(Role::Http, ClientAuth::Off);
    for (version, expected) in
        [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        for protocol in ["h2", "http/1.1"] {
            let stream = http.connect(None, &[protocol], &[version]).await.expect("a handshake");
            assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        }
    }
    let grpc = Setting::start(Role::Grpc, ClientAuth::Off);
    assert!(grpc.connect(None, &["http/1.1"], rustls::DEFAULT_VERSIONS).await.is_err());
    assert!(grpc.connect(None, &["h2"], rustls::DEFAULT_VERSIONS).await.is_ok());
}

#[tokio::test]
async fn a_request_knows_the_names_of_its_certificate() {
    let setting = Setting::start(Role::Http, ClientAuth::Optional);
    assert_eq!(setting.ask(Some(&orders(&setting.clients))).await.expect("served"), "uri:urn:test:orders");
    assert_eq!(setting.ask(None).await.expect("served"), "");
    assert!(setting.ask(Some(&orders(&authority()))).await.is_err(), "optional is no leave for a bad one");
    let setting = Setting::start(Role::Http, ClientAuth::Required);
    assert!(setting.ask(None).await.is_err());
    assert!(setting.ask(Some(&orders(&setting.clients))).await.is_ok());
    let setting = Setting::start(Role::Ops, ClientAuth::Required);
    assert_eq!(setting.ask(None).await.expect("orchestrators have none"), "");
}

#[tokio::test]
async fn a_new_handshake_gets_the_new_certificate_and_what_is_connected_goes_on() {
    let setting = Setting::start(Role::Http, ClientAuth::Off);
    let former = setting.presented().await;
    let mut connected = setting.connect(None, &[], rustls::DEFAULT_VERSIONS).await.expect("a handshake");
    assert_eq!(setting.tls.renew().expect("good"), Renewal::Unchanged);

    let fresh = for_this_machine(&setting.servers);
    write(setting.folder.path(), &[fresh[0].clone(), for_this_machine(&setting.servers)[1].clone()]);
    assert!(matches!(setting.tls.renew(), Err(TlsError::Mismatch { .. })));
    assert_eq!(setting.presented().await, former, "half of a pair is none");

    write(setting.folder.path(), &fresh);
    assert_eq!(setting.tls.renew().expect("good"), Renewal::Renewed);
    assert_ne!(setting.presented().await, former);
    connected.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    connected.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_clients_authority_is_swapped_with_the_certificate() {
    let setting = Setting::start(Role::Http, ClientAuth::Required);
    let (former, later) = (orders(&setting.clients), authority());
    assert!(setting.ask(Some(&former)).await.is_ok());
    std::fs::write(setting.folder.path().join("ca.crt"), later.pem()).expect("written");
    assert_eq!(setting.tls.renew().expect("good"), Renewal::Renewed);
    assert!(setting.ask(Some(&former)).await.is_err());
    assert!(setting.ask(Some(&orders(&later))).await.is_ok());
}

/// One exchange on a connection that goes on.
async fn exchange(stream: &mut tokio_rustls::client::TlsStream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"urn:test:orders") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_connection_ends_when_nobody_vouches_for_its_certificate_any_more() {
    let setting = Setting::start(Role::Http, ClientAuth::Optional);
    let (former, later) = (&setting.clients, authority());
    let own = orders(former);
    let mut certified = setting.connect(Some(&own), &[], rustls::DEFAULT_VERSIONS).await.expect("a handshake");
    let mut nobody = setting.connect(None, &[], rustls::DEFAULT_VERSIONS).await.expect("a handshake");
    let answer = exchange(&mut certified).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let replace = |authorities: &str| {
        std::fs::write(setting.folder.path().join("ca.crt"), authorities).expect("written");
        assert_eq!(setting.tls.renew().expect("good"), Renewal::Renewed);
    };
    replace(&format!("{}{}", former.pem(), later.pem()));
    exchange(&mut certified).await.expect("its authority is one of the two");

    replace(&later.pem());
    assert_eq!(certified.read_to_end(&mut Vec::new()).await.expect("an end in order"), 0);
    nobody.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    nobody.read_to_string(&mut answer).await.expect("who has no certificate goes on");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A resumed session would take the client's certificate from memory (RFC 8446 section 2.2): after its end, or its authority's.
#[tokio::test]
async fn who_is_asked_for_a_certificate_presents_it_in_every_handshake() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let setting = Setting::start(Role::Http, ClientAuth::Optional);
        let [certificate, key] = orders(&setting.clients);
        let mut roots = RootCertStore::empty();
        roots.add(setting.servers.der().clone()).expect("an authority");
        let builder =
            ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).expect("versions");
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).expect("a pair");
        let connector = TlsConnector::from(Arc::new(config));
        for _ in 0..2 {
            let stream = TcpStream::connect(setting.serving.addr()).await.expect("connected");
            let name = ServerName::from(setting.serving.addr().ip());
            let mut stream = connector.connect(name, stream).await.expect("a handshake");
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("sent");
            stream.read_to_end(&mut Vec::new()).await.expect("an answer");
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn a_stop_ends_handshakes() {
    let mut setting = Setting::start(Role::Http, ClientAuth::Off);
    let mut silent = TcpStream::connect(setting.serving.addr()).await.expect("connected");
    silent.write_all(&[22]).await.expect("sent");
    // Served after it, so that the silent one is in its handshake.
    setting.ask(None).await.expect("served");
    let stop = setting.stop.clone();
    assert!(stop.within(Duration::from_secs(30), setting.serving.finished()).await);
}

#[tokio::test]
async fn a_stop_is_not_quiet_while_a_connection_is_in_its_handshake() {
    let setting = Setting::start(Role::Http, ClientAuth::Off);
    let mut silent = std::net::TcpStream::connect(setting.serving.addr()).expect("connected");
    std::io::Write::write_all(&mut silent, &[22]).expect("sent");
    silent.set_nonblocking(true).expect("set");
    // Served after it, so that the silent one is in its handshake.
    setting.ask(None).await.expect("served");
    setting.stop.drain();
    setting.stop.quiet().await;
    let read = std::io::Read::read(&mut silent, &mut [0]);
    assert_eq!(read.expect("a call could still have come on it"), 0, "it is closed");
}
