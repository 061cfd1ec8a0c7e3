//! Whom the command line and the introspector trust, and the command line's own certificate.

use std::process::Output;

use anyhow::{Result, ensure};
use tessera_testkit::pair::{Backend, Ports};
use tessera_testkit::process::{binary, clean_command, status};
use tessera_tests::eventually;

use super::authority::Authority;
use super::setting::{ADMINISTRATOR, Setting};
use super::startup::Running;

/// What rustls-native-certs, as OpenSSL, takes for the system's authorities.
const SYSTEMS: &str = "SSL_CERT_FILE";

impl Setting {
    /// Runs `tessera` with nothing in its environment but a home, and this.
    fn bare(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Output> {
        let mut command = clean_command(&binary("tessera")?);
        Ok(command.env("HOME", self.folder()).envs(variables.iter().copied()).args(arguments).output()?)
    }

    fn at(&self, file: &str) -> String {
        self.folder().join(file).display().to_string()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn the_flags_and_a_context_give_the_command_line_its_certificate() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let endpoint = format!("https://{}", setting.ports.issuer_grpc);
    let (ca, certificate, key) =
        (setting.at("servers.crt"), setting.at("administrator.crt"), setting.at("administrator.key"));
    let flags = ["--endpoint", &endpoint, "--ca-file", &ca, "--cert-file", &certificate, "--key-file", &key];
    let list = ["client", "list", "-o", "name"];
    let listed = setting.bare(&[], &[&flags[..], &list].concat())?;
    ensure!(listed.status.success() && said(&listed).contains("service"), "{}", said(&listed));

    for left_out in [2, 4] {
        let mut fewer = flags.to_vec();
        fewer.drain(left_out..left_out + 2);
        let output = setting.bare(&[], &[&fewer[..], &list].concat())?;
        ensure!(!output.status.success(), "without {}: {}", flags[left_out], said(&output));
    }
    let half = setting.bare(&[], &[&flags[..6], &list].concat())?;
    ensure!(half.status.code() == Some(2) && said(&half).contains("--key-file"), "{}", said(&half));

    let added = setting.bare(&[], &[&["context", "add", "production", "--use"], &flags[..]].concat())?;
    ensure!(added.status.success(), "{}", said(&added));
    let listed = setting.bare(&[], &list)?;
    ensure!(listed.status.success() && said(&listed).contains("service"), "{}", said(&listed));
    // A flag goes over the context, and who is nobody there is refused.
    let stranger = setting.clients.client(super::setting::STRANGER)?.write(setting.folder(), "stranger")?;
    let own = [stranger.certificate.display().to_string(), stranger.key.display().to_string()];
    let refused = setting.bare(&[], &[&["--cert-file", &own[0], "--key-file", &own[1]], &list[..]].concat())?;
    ensure!(refused.status.code() == Some(3), "{}", said(&refused));
    ensure!(said(&refused).contains("CLIENT_CERTIFICATE_UNKNOWN"), "{}", said(&refused));
    Ok(())
}

#[tokio::test]
async fn without_a_file_the_command_line_trusts_whom_the_system_trusts() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let endpoint = format!("https://{}", setting.ports.issuer_grpc);
    let own = setting.clients.client(ADMINISTRATOR)?.write(setting.folder(), "own")?;
    let (certificate, key) = (own.certificate.display().to_string(), own.key.display().to_string());
    let list =
        ["--endpoint", &endpoint, "--cert-file", &certificate, "--key-file", &key, "client", "list", "-o", "name"];
    let ours = setting.at("servers.crt");
    let listed = setting.bare(&[(SYSTEMS, &ours)], &list)?;
    ensure!(listed.status.success(), "{}", said(&listed));
    std::fs::write(setting.folder().join("others.crt"), Authority::new("others")?.pem())?;
    let refused = setting.bare(&[(SYSTEMS, &setting.at("others.crt"))], &list)?;
    ensure!(refused.status.code() == Some(6), "{}", said(&refused));
    Ok(())
}

#[tokio::test]
async fn without_a_file_the_introspector_trusts_whom_the_system_trusts() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let ports = Ports::free()?;
    let named = format!("ca_file = \"{}\"\n", setting.at("servers.crt"));
    let text = std::fs::read_to_string(setting.folder().join("introspector-service.toml"))?;
    ensure!(text.contains(&named), "{text}");
    let text = text
        .replace(&named, "")
        .replace(&setting.ports.introspector_http.to_string(), &ports.introspector_http.to_string())
        .replace(&setting.ports.introspector_grpc.to_string(), &ports.introspector_grpc.to_string())
        .replace(&setting.ports.introspector_ops.to_string(), &ports.introspector_ops.to_string());
    let file = setting.folder().join("another.toml");
    std::fs::write(&file, text)?;
    let log = std::fs::File::create(setting.folder().join("another.log"))?;
    let start = |system: &str| -> Result<_> {
        let mut command = clean_command(&binary("tessera-introspector")?);
        command.arg("--config").arg(&file).env(SYSTEMS, system);
        Ok(command)
    };
    let empty = setting.at("nobody.crt");
    std::fs::write(&empty, "")?;
    let output = start(&empty)?.output()?;
    ensure!(output.status.code() == Some(78), "{}", said(&output));
    ensure!(said(&output).contains("name one with ca_file"), "{}", said(&output));
    let _running = Running(start(&setting.at("servers.crt"))?.stdout(log.try_clone()?).stderr(log).spawn()?);
    eventually("it follows the issuer", async || {
        Ok(status(ports.introspector_ops, "/readyz").await.is_ok_and(|status| status == 200).then_some(()))
    })
    .await
}
