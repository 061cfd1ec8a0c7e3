//! Limits, and what happens at them.

use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;
use tessera_testkit::pair::{Backend, Options, Ports};
use tessera_testkit::process::{Service, binary, status};
use tessera_tests::{FORM, channel, check_on, eventually, post, request, world, world_with};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Many more connections than there are descriptors.
const MANY: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_the_others_go_on() -> Result<()> {
    let limits = "[limits]\nconnections = 4".to_owned();
    let options = Options { issuer: limits.clone(), introspector: limits, ..Options::default() };
    let Some(world) = world_with(Backend::Sqlite, options).await? else { return Ok(()) };
    let token = world.token().await?;
    for (service, address) in [
        (&world.pair.issuer, world.pair.ports.issuer_http),
        (&world.pair.introspector, world.pair.ports.introspector_http),
    ] {
        let mut idle = Vec::new();
        for _ in 0..4 {
            idle.push(TcpStream::connect(address).await?);
        }
        let mut fifth = TcpStream::connect(address).await?;
        assert_eq!(fifth.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed");
        let metrics = service.metrics().await?;
        for line in [
            "tessera_connections{listener=\"http\"} 4",
            "tessera_connections_refused_total{listener=\"http\",reason=\"limit\"} 1",
        ] {
            assert!(metrics.contains(line), "{line} is missing from\n{metrics}");
        }
        assert!(world.check(&token).await?.active, "gRPC has a limit of its own");
        drop(idle);
        eventually("there is room again", async || {
            let fields = [("token", token.as_str())];
            Ok(post(address, "/oauth2/introspect", Some(&world.resource), &fields).await.ok().map(|_| ()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_are_too_long_are_refused() -> Result<()> {
    let Some(world) = world(Backend::Sqlite).await? else { return Ok(()) };
    let token = world.token().await?;
    for address in [world.pair.ports.issuer_http, world.pair.ports.introspector_http] {
        let long = "x".repeat(80 * 1024);
        let answer = request(address, "POST", "/oauth2/introspect", &[FORM, ("x-long", &long)], "").await?;
        assert_eq!(answer.status, 431, "{answer:?}");
        let answer = request(address, "POST", "/oauth2/introspect", &[FORM], "x".repeat(1024 * 1024)).await?;
        assert!([400, 413].contains(&answer.status), "{answer:?}");
    }
    assert!(world.is_active(&token).await?);
    Ok(())
}

/// A service that may open 160 files, 128 of which are for what is no connection: sixteen for each listener.
#[tokio::test(flavor = "multi_thread")]
async fn where_few_files_may_be_open_connections_leave_some_for_the_rest() -> Result<()> {
    let (folder, ports) = (TempDir::new()?, Ports::free()?);
    let (http, grpc, ops) = (ports.introspector_http, ports.introspector_grpc, ports.introspector_ops);
    let file = folder.path().join("introspector.toml");
    let sync =
        format!("[sync]\nissuer_grpc = \"http://{}\"\nclient_id = \"a\"\nclient_secret = \"b\"\n", ports.issuer_grpc);
    let listen = format!("[listen]\nhttp = \"{http}\"\ngrpc = \"{grpc}\"\nops = \"{ops}\"\n");
    std::fs::write(&file, format!("issuer_url = \"http://127.0.0.1\"\n{listen}{sync}"))?;
    let limited = "ulimit -n 160 && exec \"$0\" --config \"$1\"".to_owned();
    let program = binary("tessera-introspector")?.display().to_string();
    let arguments = vec!["-c".to_owned(), limited, program, file.display().to_string()];
    let log = folder.path().join("log");
    let service = Service::start(PathBuf::from("/bin/sh"), arguments, log, ops).await?;
    let said = service.said()?;
    assert!(said.contains("fewer connections are taken") && said.contains("connections=16"), "{said}");
    let mut idle = Vec::new();
    for _ in 0..250 {
        idle.push(TcpStream::connect(http).await?);
    }
    eventually("those beyond the sixteen are closed", async || {
        let refused = "tessera_connections_refused_total{listener=\"http\",reason=\"limit\"} 234";
        Ok(service.metrics().await?.contains(refused).then_some(()))
    })
    .await?;
    assert_eq!(status(ops, "/livez").await?, 200);
    let metrics = service.metrics().await?;
    assert!(metrics.contains("refused_total{listener=\"http\",reason=\"descriptors\"} 0"), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn running_out_of_descriptors_is_survived() -> Result<()> {
    let Some(world) = world(Backend::Sqlite).await? else { return Ok(()) };
    let token = world.token().await?;
    let kept = channel(world.pair.ports.introspector_grpc).await?;
    assert!(check_on(kept.clone(), &world.resource, &token).await?.active);
    for (service, address) in [
        (&world.pair.issuer, world.pair.ports.issuer_http),
        (&world.pair.introspector, world.pair.ports.introspector_http),
    ] {
        let open = service.descriptors()?;
        service.limit_descriptors(u64::try_from(open)? + 8)?;
        let mut idle = Vec::new();
        for _ in 0..MANY {
            idle.push(TcpStream::connect(address).await?);
        }
        let complaint = "connections cannot be accepted";
        eventually("it runs out", async || Ok(service.said()?.contains(complaint).then_some(()))).await?;
        for _ in 0..20 {
            assert!(check_on(kept.clone(), &world.resource, &token).await?.active, "on the connection there is");
        }
        drop(idle);
        eventually("it answers again", async || {
            let fields = [("token", token.as_str())];
            let answer = post(address, "/oauth2/introspect", Some(&world.resource), &fields).await;
            Ok((answer.is_ok() && service.said()?.contains("connections are accepted again")).then_some(()))
        })
        .await?;
        // Twenty times a second it fails, and at most once in ten seconds it says so.
        let said = service.said()?;
        assert!(said.matches(complaint).count() <= 6, "{said}");
        let metrics = service.metrics().await?;
        assert!(!metrics.contains("refused_total{listener=\"http\",reason=\"descriptors\"} 0"), "{metrics}");
    }
    assert!(world.is_active(&token).await?);
    world.revoke_until_confirmed(&token).await?;
    assert!(!world.is_active(&token).await?);
    Ok(())
}
