//! `tessera` as a program: exit codes, what goes to which stream, and where secrets may stand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tessera_testkit::pair::{ADMINISTRATOR, Backend};
use tessera_testkit::process::{binary, clean_command, free_ports};
use tessera_tests::{Client, World, eventually, world};

/// A command line in an environment of its own.
struct Shell {
    variables: Vec<(String, String)>,
}

impl Shell {
    /// Somewhere without servers, contexts and credentials.
    fn bare(home: &std::path::Path) -> Self {
        Self { variables: vec![("HOME".to_owned(), home.display().to_string())] }
    }

    /// At a pair, as this client.
    fn at(world: &World, client: &Client) -> Self {
        Self::bare(world.pair.folder())
            .with("TESSERA_ENDPOINT", &format!("http://{}", world.pair.ports.issuer_grpc))
            .with("TESSERA_INTROSPECTOR_ENDPOINT", &format!("http://{}", world.pair.ports.introspector_grpc))
            .with("TESSERA_CLIENT_ID", &client.id)
            .with("TESSERA_CLIENT_SECRET", &client.secret)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.feed(arguments, "")
    }

    /// With this on its standard input.
    fn feed(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = clean_command(&binary("tessera")?);
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // Whoever does not read it may be gone before it is written.
        let _ = child.stdin.take().context("a pipe")?.write_all(input.as_bytes());
        Ok(child.wait_with_output()?)
    }
}

fn administrator(world: &World) -> Result<Client> {
    Ok(Client { id: ADMINISTRATOR.to_owned(), secret: world.pair.administrator_secret()? })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What went wrong, as programs read it.
fn problem(output: &Output) -> Result<Value> {
    ensure!(output.stdout.is_empty(), "data of a failure: {}", text(&output.stdout));
    let last = text(&output.stderr).lines().last().unwrap_or_default().to_owned();
    let problem: Value = serde_json::from_str(&last).with_context(|| format!("not JSON: {}", text(&output.stderr)))?;
    for member in ["code", "reason", "message", "hint", "request_id"] {
        ensure!(problem.get(member).is_some(), "no {member}: {problem}");
    }
    Ok(problem)
}

/// Every command there is, found by asking for help.
fn commands(shell: &Shell) -> Result<Vec<(Vec<String>, String)>> {
    let (mut found, mut unasked) = (Vec::new(), vec![Vec::<String>::new()]);
    while let Some(path) = unasked.pop() {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let output = shell.run(&arguments)?;
        ensure!(output.status.code() == Some(0) && output.stderr.is_empty(), "{arguments:?}: {output:?}");
        let help = text(&output.stdout);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        unasked.extend(names.map(|name| [&path[..], &[name.to_owned()]].concat()));
        found.push((path, help));
    }
    Ok(found)
}

#[test]
fn every_command_explains_itself_with_examples_and_takes_no_secret_as_a_flag() -> Result<()> {
    let home = tempfile::tempdir()?;
    let shell = Shell::bare(home.path());
    let commands = commands(&shell)?;
    assert!(commands.len() > 48, "only {} commands found", commands.len());
    for (path, help) in &commands {
        let (_, examples) = help.split_once("\nExamples:\n").with_context(|| format!("{path:?} has no examples"))?;
        let examples = examples.lines().take_while(|line| !line.is_empty());
        assert!(examples.filter(|line| line.contains("tessera ")).count() >= 2, "{path:?} has less than two examples");
        for flag in help.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
            let secret =
                ["secret", "password", "token", "credential"].iter().any(|word| flag.to_lowercase().contains(word));
            let takes_text = flag.split("  ").next().is_some_and(|flag| flag.contains('<') && !flag.contains("<PATH>"));
            assert!(!(secret && takes_text), "{path:?} takes a secret as a flag: {flag}");
        }
    }
    for flag in ["--secret", "--client-secret", "--password"] {
        let output =
            shell.run(&["token", "get", "client-credentials", "--client-id", "x", &format!("{flag}=hunter2")])?;
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(!text(&output.stderr).contains("hunter2"), "a secret is not repeated: {}", text(&output.stderr));
    }
    Ok(())
}

#[test]
fn what_is_mistyped_is_suggested() -> Result<()> {
    let home = tempfile::tempdir()?;
    let shell = Shell::bare(home.path());
    for (arguments, suggestion) in [
        (&["clint", "list"][..], "'client'"),
        (&["client", "crate"], "'create'"),
        (&["client", "create", "--nmae", "x"], "'--name'"),
        (&["introspect", "x", "--exit-satus"], "'--exit-status'"),
        (&["client", "create", "--name", "x", "--grant", "client_credential"], "'client_credentials'"),
    ] {
        let output = shell.run(arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(suggestion), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_happened(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let administrator = administrator(&world)?;
    let admin = Shell::at(&world, &administrator);
    let service = Shell::at(&world, &world.service);
    let stranger = Shell::at(&world, &Client { secret: "wrong".to_owned(), ..administrator });
    let [nobody] = free_ports()?;
    let alone = Shell::at(&world, &world.service).with("TESSERA_ENDPOINT", &format!("http://127.0.0.1:{nobody}"));
    let create = ["client", "create", "--name", "x", "--client-id", "service", "--resource", "orders-api"];
    let unknown_scope = ["client", "create", "--name", "x", "--resource", "a", "--scope", "no:such"];
    let cases: &[(&Shell, &[&str], i32, &str)] = &[
        (&admin, &["client", "list", "--no-such"], 2, "USAGE"),
        (&admin, &["client", "create"], 2, "USAGE"),
        (&admin, &["client", "delete", "service"], 2, "NOT_CONFIRMED"),
        (&admin, &["client", "update", "service"], 2, "NOTHING_TO_CHANGE"),
        (&admin, &unknown_scope, 2, "UNKNOWN_SCOPE"),
        (&stranger, &["client", "list"], 3, "CLIENT_AUTHENTICATION_FAILED"),
        (&service, &["client", "list"], 3, ""),
        (&admin, &["client", "get", "nobody"], 4, "CLIENT_NOT_FOUND"),
        (&admin, &["scope", "get", "no:such"], 4, "SCOPE_NOT_FOUND"),
        (&admin, &["--context", "nowhere", "client", "list"], 4, ""),
        (&admin, &create, 5, ""),
        (&admin, &["scope", "create", "orders:read"], 5, ""),
        (&admin, &["scope", "delete", "orders:read", "--yes"], 5, "SCOPE_IN_USE"),
        (&alone, &["client", "list"], 6, ""),
        (&alone, &["token", "get", "client-credentials"], 6, ""),
    ];
    for (shell, arguments, code, reason) in cases {
        let output = shell.run(&[arguments, &["-o", "json"][..]].concat())?;
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", text(&output.stderr));
        let problem = problem(&output)?;
        assert!(reason.is_empty() || problem["reason"] == *reason, "{arguments:?}: {problem}");
        assert!(!problem["message"].as_str().unwrap_or_default().is_empty());
    }
    let list = admin.run(&["client", "list", "-o", "json"])?;
    assert_eq!(list.status.code(), Some(0));
    let listed: Value = serde_json::from_slice(&list.stdout)?;
    assert_eq!(listed.as_array().map(Vec::len), Some(4));
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_no_is_an_exit_code_where_it_is_asked_for(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let resource = Shell::at(&world, &world.resource);
    let service = Shell::at(&world, &world.service);
    // The secret by stdin; the token alone on stdout.
    let issued = Shell::at(&world, &world.resource).feed(
        &["token", "get", "client-credentials", "--scope", "orders:read", "--client-id", "service", "--secret-stdin"],
        &format!("{}\n", world.service.secret),
    )?;
    assert_eq!(issued.status.code(), Some(0), "{}", text(&issued.stderr));
    let token = text(&issued.stdout);
    assert_eq!(token.trim().split('.').count(), 3);
    let ask = |arguments: &[&str]| resource.feed(&[&["introspect", "-", "-o", "json"], arguments].concat(), &token);

    let active = ask(&["--exit-status", "--scope", "orders:read"])?;
    assert_eq!(active.status.code(), Some(0), "{}", text(&active.stderr));
    let answer: Value = serde_json::from_slice(&active.stdout)?;
    assert_eq!((&answer["active"], &answer["client_id"]), (&Value::Bool(true), &"service".into()));
    let lacking = ask(&["--exit-status", "--scope", "orders:write"])?;
    assert_eq!(lacking.status.code(), Some(10), "active, but not allowed");
    let elsewhere = ask(&["--exit-status", "--audience", "billing-api"])?;
    assert_eq!(elsewhere.status.code(), Some(10));

    let revoked = service.feed(&["token", "revoke", "-", "-o", "json"], &token)?;
    assert_eq!(revoked.status.code(), Some(0), "{}", text(&revoked.stderr));
    let revision =
        serde_json::from_slice::<Value>(&revoked.stdout)?["revision"].as_str().context("a revision")?.to_owned();
    for (arguments, code) in [
        (&["--exit-status"][..], 10),
        (&["--exit-status", "--at-least", &revision], 10),
        (&["--exit-status", "--fully-consistent"], 10),
        (&[], 0),
    ] {
        let inactive = ask(arguments)?;
        assert_eq!(inactive.status.code(), Some(code), "{arguments:?}: {}", text(&inactive.stderr));
        assert_eq!(serde_json::from_slice::<Value>(&inactive.stdout)?, serde_json::json!({ "active": false }));
    }
    // That nobody can tell is not the answer no.
    let [nobody] = free_ports()?;
    let cut_off = Shell::at(&world, &world.resource)
        .with("TESSERA_INTROSPECTOR_ENDPOINT", &format!("http://127.0.0.1:{nobody}"))
        .feed(&["introspect", "-", "--exit-status"], &token)?;
    assert_eq!(cut_off.status.code(), Some(6));
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_never_again(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = Shell::at(&world, &administrator(&world)?);
    let created =
        admin.run(&["client", "create", "--name", "Once", "--client-id", "once", "--resource", "a", "-o", "json"])?;
    assert_eq!(created.status.code(), Some(0), "{}", text(&created.stderr));
    let answer: Value = serde_json::from_slice(&created.stdout)?;
    assert_eq!(answer["client_id"], "once");
    let secret = answer["client_secret"].as_str().context("the secret, this once")?.to_owned();
    assert!(secret.starts_with("tsk_") && !text(&created.stderr).contains(&secret));

    for form in ["json", "yaml", "table", "name"] {
        for arguments in [
            &["client", "get", "once"][..],
            &["client", "list"],
            &["client", "update", "once", "--description", form],
            &["client", "disable", "once", "--yes"],
            &["client", "enable", "once"],
            &["client", "secret", "list", "once"],
        ] {
            let output = admin.run(&[arguments, &["-o", form]].concat())?;
            assert_eq!(output.status.code(), Some(0), "{arguments:?} -o {form}: {}", text(&output.stderr));
            let shown = text(&output.stdout) + &text(&output.stderr);
            assert!(!shown.contains("client_secret") && !shown.contains("tsk_"), "{arguments:?} -o {form}: {shown}");
        }
    }
    // An imported one comes by stdin or from a file, and is not shown at all.
    let file = world.pair.folder().join("imported.secret");
    std::fs::write(&file, "correct horse battery staple\n")?;
    let path = file.display().to_string();
    let imported =
        admin.run(&["client", "create", "--name", "In", "--resource", "a", "--secret-file", &path, "-o", "json"])?;
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    assert!(!text(&imported.stdout).contains("horse") && !text(&imported.stdout).contains("client_secret"));
    // Where it could only be lost, nothing is made.
    let lost =
        admin.run(&["client", "create", "--name", "Lost", "--client-id", "lost", "--resource", "a", "-o", "name"])?;
    assert_eq!(lost.status.code(), Some(2));
    assert_eq!(admin.run(&["client", "get", "lost"])?.status.code(), Some(4));
    Ok(())
}

#[test]
fn a_walk_over_a_pair_of_its_own_exits_0_with_its_four_steps() -> Result<()> {
    let home = tempfile::tempdir()?;
    let output = Shell::bare(home.path()).run(&["try", "--own", "-o", "json"])?;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let walk: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(walk["passed"], true);
    let steps = walk["steps"].as_array().context("steps")?;
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["token", "introspect", "revoke", "introspect"]);
    assert!(steps.iter().all(|step| step["duration_us"].as_u64().is_some_and(|us| us > 0)), "measured: {walk}");
    // A pair that was named and is not there is no reason to start another.
    let [nobody] = free_ports()?;
    let elsewhere = Shell::bare(home.path()).run(&["try", "--endpoint", &format!("http://127.0.0.1:{nobody}")])?;
    assert_eq!(elsewhere.status.code(), Some(6), "{}", text(&elsewhere.stderr));
    Ok(())
}

#[test]
fn dev_says_which_port_is_taken_and_starts_nothing() -> Result<()> {
    let home = tempfile::tempdir()?;
    // Where somebody listens already, it is taken as well.
    let _held = TcpListener::bind(("127.0.0.1", 6400));
    let data = home.path().join("data");
    let output = Shell::bare(home.path()).run(&["dev", "-o", "json", "--data-dir", &data.display().to_string()])?;
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    let problem = problem(&output)?;
    assert_eq!(problem["reason"], "PORT_TAKEN");
    assert!(problem["message"].as_str().is_some_and(|message| message.contains("127.0.0.1:64")), "{problem}");
    assert!(!data.exists(), "nothing is written before the ports are had");
    Ok(())
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_prints_what_it_serves_and_ends_with_0() -> Result<()> {
    let home = tempfile::tempdir()?;
    let data = home.path().join("data").display().to_string();
    let mut command = clean_command(&binary("tessera")?);
    command.env("HOME", home.path()).args(["dev", "--free-ports", "-o", "json", "--data-dir", &data]);
    let mut dev = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let printed = BufReader::new(dev.0.stdout.take().context("its stdout")?);
    let mut served = String::new();
    for line in printed.lines() {
        served.push_str(&line?);
        if serde_json::from_str::<Value>(&served).is_ok() {
            break;
        }
    }
    let served: Value = serde_json::from_str(&served).with_context(|| format!("it ended: {served}"))?;
    let endpoint = |service: &str| served[service]["grpc"].as_str().map(|address| format!("http://{address}"));
    let (issuer, introspector) = (endpoint("issuer").context("an address")?, endpoint("introspector").context("one")?);
    assert!(
        issuer.starts_with("http://127.0.0.1:") && introspector.starts_with("http://127.0.0.1:"),
        "on loopback alone"
    );

    // The documented clients work there without any set-up.
    let shell = Shell::bare(home.path());
    let at = ["--endpoint", &issuer, "--introspector", &introspector];
    let walk = shell.run(&[&["try"][..], &at].concat())?;
    assert_eq!(walk.status.code(), Some(0), "{}", text(&walk.stderr));
    let clients = shell.run(&[&["client", "list", "-o", "name"][..], &at].concat())?;
    for client in ["demo-service", "demo-web", "demo-app", "demo-resource", "dev-admin"] {
        assert!(text(&clients.stdout).lines().any(|line| line == client), "{client}: {}", text(&clients.stdout));
    }
    let healthy = shell.run(&[&["health"][..], &at].concat())?;
    assert_eq!(healthy.status.code(), Some(0), "{}", text(&healthy.stderr));

    let pid = i32::try_from(dev.0.id()).ok().and_then(Pid::from_raw).context("a process id")?;
    kill_process(pid, Signal::TERM)?;
    let ended = eventually("it ends", async || Ok(dev.0.try_wait()?)).await?;
    assert_eq!(ended.code(), Some(0));
    Ok(())
}
