//! The real grpcurl with certificates: the commands of `docs/operations/tls.md`.
//!
//! `TEST_TESSERA_GRPCURL` names the program; `cargo xtask test` sets it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use serde_json::Value;
use tessera_testkit::pair::Backend;
use tessera_tests::tool;

use super::setting::{ORDERS, Setting};

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test]
async fn grpcurl_checks_a_token_with_certificates(#[case] backend: Backend) -> Result<()> {
    let Some(grpcurl) = tool("TEST_TESSERA_GRPCURL")? else { return Ok(()) };
    let Some(setting) = Setting::start(backend).await? else { return Ok(()) };
    let orders = setting.clients.client(ORDERS)?.write(setting.folder(), "orders")?;
    let token = setting.token().await?;
    let ca = setting.folder().join("servers.crt");
    let at = setting.ports.introspector_grpc.to_string();
    let ask = |certificate: bool, message: &str, method: &str| -> Result<(bool, String)> {
        let mut command = Command::new(&grpcurl);
        command.arg("-cacert").arg(&ca).args(["-max-time", "30"]);
        if certificate {
            command.arg("-cert").arg(&orders.certificate).arg("-key").arg(&orders.key);
        }
        let output = command.args(["-d", message, &at, method]).output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), said))
    };
    let method = "tessera.introspection.v1.IntrospectionService/Introspect";
    let message = serde_json::json!({ "token": token }).to_string();
    let active = |said: &str| -> Result<Value> {
        let answer: Value = serde_json::from_str(said).with_context(|| said.to_owned())?;
        Ok(answer["active"].clone())
    };
    let (succeeded, said) = ask(true, &message, method)?;
    ensure!(succeeded && active(&said)? == Value::Bool(true), "{said}");
    setting.revoke(&token).await?;
    let (succeeded, said) = ask(true, &message, method)?;
    ensure!(succeeded && active(&said)? != Value::Bool(true), "{said}");
    let (succeeded, said) = ask(false, &message, method)?;
    ensure!(!succeeded, "without a certificate: {said}");
    Ok(())
}
