//! The real grpcurl against the pair: what README shows, word for word, and what else people do with it.
//!
//! `TEST_TESSERA_GRPCURL` names the program; `cargo xtask test` sets it. Where it is not set these tests say so and pass, except
//! in CI.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tessera_tests::shared::shared;
use tessera_tests::{World, create_client, tool};

/// Where grpcurl is; none where it is to be left out.
fn grpcurl() -> Result<Option<PathBuf>> {
    tool("TEST_TESSERA_GRPCURL")
}

/// Runs it without TLS; what it printed, and whether it succeeded.
fn run(grpcurl: &Path, arguments: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(grpcurl).arg("-plaintext").args(arguments).output()?;
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), printed))
}

/// As [`run`], where nothing else than success is expected.
fn succeed(grpcurl: &Path, arguments: &[&str]) -> Result<String> {
    let (succeeded, printed) = run(grpcurl, arguments)?;
    ensure!(succeeded, "grpcurl {arguments:?}: {printed}");
    Ok(printed)
}

fn json(grpcurl: &Path, arguments: &[&str]) -> Result<Value> {
    let printed = succeed(grpcurl, arguments)?;
    serde_json::from_str(&printed).with_context(|| printed)
}

/// The shell code of a section of README.
fn shown(section: &str) -> Result<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"))?;
    let start = readme.find(section).with_context(|| format!("README has no section {section}"))?;
    let rest = &readme[start + section.len()..];
    let section = &rest[..rest.find("\n#").unwrap_or(rest.len())];
    let blocks: Vec<&str> = section.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    ensure!(!blocks.is_empty(), "the section shows no commands");
    Ok(blocks.concat())
}

/// Makes the clients that `tessera dev` has, as far as README names them.
fn documented_clients(world: &World) -> Result<()> {
    let secret = world.pair.folder().join("dev-secret");
    std::fs::write(&secret, "dev-secret")?;
    let secret = ["--secret-file", &secret.display().to_string()];
    let service =
        ["--grant", "client_credentials", "--scope", "orders:read", "orders:write", "--audience", "demo-resource"];
    create_client(&world.pair, "demo-service", &[&service[..], &secret].concat())?;
    create_client(&world.pair, "demo-resource", &[&["--resource", "demo-resource"][..], &secret].concat())?;
    Ok(())
}

#[tokio::test]
async fn what_the_readme_shows_works() -> Result<()> {
    let Some(grpcurl) = grpcurl()? else { return Ok(()) };
    let world = shared().await?;
    documented_clients(world)?;
    let ports = world.pair.ports;
    let script = shown("### With grpcurl")?;
    for part in
        ["grpcurl -plaintext localhost:6501 list", " describe ", "IssueToken", "IntrospectionService/Introspect"]
    {
        ensure!(script.contains(part), "README shows no `{part}`:\n{script}");
    }
    let script = script
        .replace("localhost:6501", &ports.introspector_grpc.to_string())
        .replace("localhost:6401", &ports.issuer_grpc.to_string());
    ensure!(!script.contains("localhost:"), "an endpoint is left over:\n{script}");

    let folder = world.pair.folder().join("path");
    std::fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(std::path::absolute(&grpcurl)?, folder.join("grpcurl"))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)))?;
    let output = Command::new("/bin/sh").args(["-eu", "-c", &script]).env("PATH", path).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{script}\n\n{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    for expected in [
        "tessera.introspection.v1.IntrospectionService\n",
        "grpc.health.v1.Health\n",
        "tessera.introspection.v1.IntrospectionService is a service:",
        "rpc Introspect ( .tessera.introspection.v1.IntrospectRequest ) returns",
        "\"active\": true",
        "\"allowed\": true",
        "\"scope\": \"orders:read\"",
        "\"clientId\": \"demo-service\"",
    ] {
        assert!(printed.contains(expected), "no {expected:?} in:\n{printed}");
    }
    Ok(())
}

#[tokio::test]
async fn every_service_and_its_messages_are_listed_and_described() -> Result<()> {
    let Some(grpcurl) = grpcurl()? else { return Ok(()) };
    let ports = shared().await?.pair.ports;
    let common =
        ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    let issuer = [
        "tessera.admin.v1.AuditService",
        "tessera.admin.v1.ClientService",
        "tessera.admin.v1.KeyService",
        "tessera.admin.v1.OrganizationService",
        "tessera.admin.v1.ScopeService",
        "tessera.admin.v1.UserService",
        "tessera.oauth.v1.AuthorizationService",
        "tessera.oauth.v1.TokenService",
        "tessera.sync.v1.SyncService",
    ];
    for (at, own) in [
        (ports.issuer_grpc, &issuer[..]),
        (ports.introspector_grpc, &["tessera.introspection.v1.IntrospectionService"]),
    ] {
        let at = at.to_string();
        let listed = succeed(&grpcurl, &[&at, "list"])?;
        assert_eq!(listed.lines().collect::<Vec<_>>(), [&common[..], own].concat());
        for service in common {
            let described = succeed(&grpcurl, &[&at, "describe", service])?;
            assert!(described.contains(&format!("{service} is a service:")), "{described}");
        }
        for service in own {
            let methods = succeed(&grpcurl, &[&at, "list", service])?;
            for method in methods.lines() {
                let described = succeed(&grpcurl, &[&at, "describe", method])?;
                assert!(described.contains(&format!("{method} is a method:")), "{described}");
                assert!(described.contains("//"), "with its comment: {described}");
            }
        }
        let all = succeed(&grpcurl, &[&at, "describe"])?;
        assert_eq!(all.matches(" is a service:").count(), common.len() + own.len(), "{all}");
        // Errors carry these, and grpcurl can only show what it can look up.
        for detail in ["ErrorInfo", "RetryInfo", "BadRequest"] {
            let described = succeed(&grpcurl, &[&at, "describe", &format!("google.rpc.{detail}")])?;
            assert!(described.contains(&format!("google.rpc.{detail} is a message:")), "{described}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn both_versions_of_reflection_answer() -> Result<()> {
    let Some(grpcurl) = grpcurl()? else { return Ok(()) };
    let ports = shared().await?.pair.ports;
    for at in [ports.issuer_grpc, ports.introspector_grpc] {
        for version in ["v1", "v1alpha"] {
            let method = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let answer = json(&grpcurl, &["-d", r#"{"list_services": "*"}"#, &at.to_string(), &method])?;
            let services = answer["listServicesResponse"]["service"].as_array().context("services")?;
            assert!(services.iter().any(|service| service["name"] == "grpc.health.v1.Health"), "{answer}");
            let symbol = r#"{"file_containing_symbol": "google.rpc.ErrorInfo"}"#;
            let answer = json(&grpcurl, &["-d", symbol, &at.to_string(), &method])?;
            assert!(answer["fileDescriptorResponse"]["fileDescriptorProto"][0].is_string(), "{answer}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn health_is_serving_as_a_whole_and_for_each_service() -> Result<()> {
    let Some(grpcurl) = grpcurl()? else { return Ok(()) };
    let ports = shared().await?.pair.ports;
    for (at, service) in [
        (ports.issuer_grpc, "tessera.oauth.v1.TokenService"),
        (ports.introspector_grpc, "tessera.introspection.v1.IntrospectionService"),
    ] {
        let at = at.to_string();
        for request in ["{}", &format!(r#"{{"service": "{service}"}}"#)] {
            let answer = json(&grpcurl, &["-d", request, &at, "grpc.health.v1.Health/Check"])?;
            assert_eq!(answer["status"], "SERVING", "{request}");
        }
        let unknown = r#"{"service": "tessera.unheard.v1.Of"}"#;
        let (succeeded, printed) = run(&grpcurl, &["-d", unknown, &at, "grpc.health.v1.Health/Check"])?;
        assert!(!succeeded && printed.contains("Code: NotFound"), "{printed}");
    }
    Ok(())
}

#[tokio::test]
async fn errors_are_shown_with_their_reason() -> Result<()> {
    let Some(grpcurl) = grpcurl()? else { return Ok(()) };
    let world = shared().await?;
    let at = world.pair.ports.introspector_grpc.to_string();
    let method = "tessera.introspection.v1.IntrospectionService/Introspect";
    let (succeeded, printed) = run(&grpcurl, &["-d", r#"{"token": "x"}"#, &at, method])?;
    assert!(!succeeded, "{printed}");
    for expected in ["Code: Unauthenticated", "google.rpc.ErrorInfo", "CLIENT_AUTHENTICATION_MISSING"] {
        assert!(printed.contains(expected), "no {expected:?} in:\n{printed}");
    }
    let basic = format!("authorization: {}", world.resource.basic());
    let (succeeded, printed) = run(&grpcurl, &["-H", &basic, "-d", "{}", &at, method])?;
    assert!(!succeeded, "{printed}");
    for expected in ["Code: InvalidArgument", "TOKEN_MISSING", "google.rpc.BadRequest"] {
        assert!(printed.contains(expected), "no {expected:?} in:\n{printed}");
    }
    let inactive = json(&grpcurl, &["-H", &basic, "-d", r#"{"token": "garbage"}"#, &at, method])?;
    assert_eq!(inactive, serde_json::json!({}), "inactive says nothing else");
    Ok(())
}
