//! What is told before a service listens: every mistake ends it with 78 and says what to do.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tessera_testkit::process::{binary, clean_command, free_ports};
use tessera_tests::eventually;

use super::authority::{Authority, replace};
use super::setting::{connect, exchange};

fn run(program: &str, folder: &Path, configuration: &str) -> Result<Output> {
    let file = folder.join("service.toml");
    std::fs::write(&file, configuration)?;
    Ok(clean_command(&binary(program)?).env("HOME", folder).arg("--config").arg(file).output()?)
}

/// Runs it to its end, which must be that of a bad configuration; what it said.
fn refused(program: &str, folder: &Path, configuration: &str) -> Result<String> {
    let output = run(program, folder, configuration)?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(78), "{program} ended with {}: {said}", output.status);
    Ok(said)
}

#[test]
fn plain_text_that_others_can_reach_must_be_asked_for() -> Result<()> {
    let folder = TempDir::new()?;
    let listen = "[listen]\nhttp = \"0.0.0.0:0\"\ngrpc = \"127.0.0.1:0\"\nops = \"[::]:0\"\n";
    let sync = "[sync]\nclient_id = \"a\"\nclient_secret = \"b\"\n";
    for (program, more) in [("tessera-issuer", ""), ("tessera-introspector", sync)] {
        let said = refused(program, folder.path(), &format!("issuer_url = \"http://127.0.0.1\"\n{listen}{more}"))?;
        for expected in ["listen.http: would listen in plain text", "listen.ops: would listen", "plain_text = true"] {
            ensure!(said.contains(expected), "{program}: no {expected:?} in {said}");
        }
        ensure!(!said.contains("listen.grpc"), "{program}: loopback needs no leave: {said}");
    }
    Ok(())
}

/// Of an address that no machine has (RFC 5737): what is warned of is told before a port is taken.
#[test]
fn plain_text_that_is_allowed_is_warned_of() -> Result<()> {
    let folder = TempDir::new()?;
    let listen =
        "[listen]\nhttp = \"192.0.2.1:1\"\ngrpc = \"192.0.2.1:2\"\nops = \"127.0.0.1:0\"\n[tls]\nplain_text = true\n";
    let sync = "[sync]\nclient_id = \"a\"\nclient_secret = \"b\"\n";
    for (program, more) in [("tessera-issuer", ""), ("tessera-introspector", sync)] {
        let output = run(program, folder.path(), &format!("issuer_url = \"http://127.0.0.1\"\n{listen}{more}"))?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(said.contains("192.0.2.1"), "{program} does not say where it cannot listen: {said}");
        let warned = said.lines().find(|line| line.contains("WARN")).unwrap_or_default();
        for expected in ["plain text where others can reach it", "listeners=\"http, grpc\""] {
            ensure!(warned.contains(expected), "{program}: no {expected:?} in {said}");
        }
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_used_are_told_by_name() -> Result<()> {
    let folder = TempDir::new()?;
    let at = folder.path();
    let (authority, other) = (Authority::new("servers")?, Authority::new("servers")?);
    let files = authority.server()?.write(at, "tls")?;
    let tls = format!("[tls]\ncert_file = {:?}\nkey_file = {:?}\n", files.certificate, files.key);
    let issuer = format!(
        "data_dir = \"{}\"\n[listen]\nhttp = \"127.0.0.1:0\"\ngrpc = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n{tls}",
        at.display()
    );
    let introspector = format!(
        "issuer_url = \"http://127.0.0.1\"\n[listen]\nhttp = \"127.0.0.1:0\"\ngrpc = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n\
         [sync]\nclient_id = \"a\"\nclient_secret = \"b\"\n{tls}"
    );
    let expect = |expected: &str| -> Result<()> {
        for (program, configuration) in [("tessera-issuer", &issuer), ("tessera-introspector", &introspector)] {
            let said = refused(program, at, configuration)?;
            ensure!(said.contains(expected), "{program}: no {expected:?} in {said}");
        }
        Ok(())
    };
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o644))?;
    expect("tls.key may be used by others than its owner (mode 0644): chmod 600")?;
    replace(&files.key, &other.server()?.key)?;
    expect("tls.key is not the key of the first certificate in")?;
    replace(&files.key, "nothing")?;
    expect("tls.key does not hold a private key in PEM")?;
    std::fs::remove_file(&files.key)?;
    expect("tls.key cannot be read")?;
    Ok(())
}

/// A running process, ended with the test.
pub(super) struct Running(pub(super) std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn health_and_metrics_speak_tls_too_and_ask_for_no_certificate() -> Result<()> {
    let folder = TempDir::new()?;
    let at = folder.path();
    let authority = Authority::new("servers")?;
    let files = authority.server()?.write(at, "tls")?;
    std::fs::write(at.join("clients.crt"), Authority::new("clients")?.pem())?;
    let [http, grpc, ops] = free_ports()?.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
    let file = at.join("introspector.toml");
    std::fs::write(
        &file,
        format!(
            "issuer_url = \"http://127.0.0.1\"\n[listen]\nhttp = \"{http}\"\ngrpc = \"{grpc}\"\nops = \"{ops}\"\n\
             [sync]\nclient_id = \"a\"\nclient_secret = \"b\"\n\
             [tls]\ncert_file = {:?}\nkey_file = {:?}\nclient_ca_file = {:?}\nclient_auth = \"required\"\nops = true\n",
            files.certificate,
            files.key,
            at.join("clients.crt"),
        ),
    )?;
    let log = std::fs::File::create(at.join("log"))?;
    let mut command = clean_command(&binary("tessera-introspector")?);
    let _running = Running(command.arg("--config").arg(file).stdout(log.try_clone()?).stderr(log).spawn()?);
    let stream = eventually("it listens", async || Ok(connect(&authority, ops, None).await.ok())).await?;
    let get = "GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = exchange(stream, get).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    ensure!(
        connect(&authority, http, None).await.is_err() || {
            exchange(connect(&authority, http, None).await?, get).await.is_err()
        }
    );
    Ok(())
}
