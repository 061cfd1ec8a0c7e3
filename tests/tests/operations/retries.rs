//! What clients over gRPC may repeat by themselves.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tessera_tests::rpcs;

/// What is only read: asked twice, it is answered twice, and nothing has happened.
fn reads(method: &rpcs::Method) -> bool {
    match &*method.package {
        "tessera.introspection.v1" => true,
        "tessera.admin.v1" => ["Get", "List"].iter().any(|verb| method.name().starts_with(verb)),
        _ => false,
    }
}

#[test]
fn the_service_config_repeats_what_is_only_read_and_nothing_else() -> Result<()> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/grpc/service-config.json");
    let config: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let [method_config] = &config["methodConfig"].as_array().context("methodConfig")?[..] else {
        anyhow::bail!("one policy: {config}");
    };
    let names = method_config["name"].as_array().context("name")?;
    let path = |name: &Value| Some(format!("/{}/{}", name["service"].as_str()?, name["method"].as_str()?));
    // A name without a method would mean all of its service.
    let listed: Vec<_> = names.iter().map(|name| path(name).context("service and method")).collect::<Result<_>>()?;
    let right: BTreeSet<_> = rpcs::methods()?.into_iter().filter(reads).map(|method| method.path).collect();
    ensure!(listed.len() == right.len() && listed.into_iter().collect::<BTreeSet<_>>() == right, "{right:#?}");

    let policy = &method_config["retryPolicy"];
    ensure!(policy["retryableStatusCodes"] == serde_json::json!(["UNAVAILABLE"]), "{policy}");
    // Clients refuse the whole config otherwise (gRFC A6).
    ensure!(policy["maxAttempts"].as_u64().is_some_and(|attempts| (2..=5).contains(&attempts)), "{policy}");
    for span in ["initialBackoff", "maxBackoff"] {
        let seconds = policy[span].as_str().and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
        ensure!(seconds.is_some_and(|seconds| seconds > 0.0), "{policy}");
    }
    ensure!(policy["backoffMultiplier"].as_f64().is_some_and(|factor| factor > 0.0), "{policy}");
    Ok(())
}
