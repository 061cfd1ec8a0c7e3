//! Applications: organizations and owners on the command line, clients from a file, and mail to owners.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use serde_json::Value;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{Client, World, create_client, eventually, post, world, world_with};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const CREDENTIALS: &[(&str, &str)] = &[("grant_type", "client_credentials")];

/// Arguments that a line of words stands for.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn run(world: &World, line: &str) -> Result<Value> {
    world.pair.tessera_json(&words(line))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn token(world: &World, client: &Client) -> Result<String> {
    let answer = post(world.pair.ports.issuer_http, "/oauth2/token", Some(client), CREDENTIALS).await?;
    answer.json()?["access_token"].as_str().map(str::to_owned).with_context(|| answer.body.clone())
}

/// An organization `Acme` with `ada`, and an application of hers; with her id.
fn shop(world: &World) -> Result<(Client, String)> {
    run(world, "org create Acme")?;
    let ada = run(world, "user create --username ada --email ada@example.test --no-password")?;
    run(world, "org member add Acme ada")?;
    let shape = "--grant client_credentials --scope orders:read --default-scope orders:read --audience orders-api \
                 --organization Acme --owner ada --site-url https://shop.example/ --logo-url https://shop.example/l.png \
                 --failure-uri https://shop.example/failed --claims-profile auto";
    let app = create_client(&world.pair, "app", &words(shape))?;
    Ok((app, ada["user_id"].as_str().context("an id")?.to_owned()))
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_application_acts_for_its_owner_and_stops_with_its_organization(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let (app, ada) = shop(&world)?;
    let first = token(&world, &app).await?;
    let told = world.check(&first).await?;
    assert_eq!((told.active, &told.sub), (true, &ada), "the introspector names the owner");
    let at_issuer = world.check_at_issuer(&first).await?.json()?;
    assert_eq!(at_issuer["sub"].as_str(), Some(ada.as_str()), "and so does the issuer");

    let shown = run(&world, "client get app")?;
    assert_eq!((&shown["owner_id"], &shown["claims_profile"]), (&Value::from(ada.clone()), &Value::from("auto")));
    assert_eq!(shown["failure_uri"], "https://shop.example/failed");
    for (filter, expected) in
        [("--organization Acme", 1), ("--owner ada@example.test", 1), ("--owner ada --disabled", 0)]
    {
        let listed = run(&world, &format!("client list {filter}"))?;
        assert_eq!(listed.as_array().map(Vec::len), Some(expected), "{filter}");
    }

    for (off, on) in [("org disable Acme --yes", "org enable Acme"), ("user disable ada --yes", "user enable ada")] {
        let before = token(&world, &app).await?;
        assert!(world.is_active(&before).await?);
        run(&world, off)?;
        assert!(!world.is_active(&before).await?, "{off}");
        let refused = post(world.pair.ports.issuer_http, "/oauth2/token", Some(&app), CREDENTIALS).await?;
        assert_eq!((refused.status, refused.error().as_str()), (401, "invalid_client"), "{off}");
        run(&world, on)?;
        assert!(!world.is_active(&before).await?, "{on} revives nothing");
        assert!(world.is_active(&token(&world, &app).await?).await?);
    }
    let last = token(&world, &app).await?;
    run(&world, "org delete Acme --yes")?;
    assert!(!world.is_active(&last).await?);
    assert_eq!(run(&world, "client get app")?["enabled"], false);
    assert_eq!(run(&world, "org list")?.as_array().map(Vec::len), Some(0));
    Ok(())
}

fn apply(world: &World, file: &str, flags: &[&str]) -> Result<Output> {
    let path = world.pair.folder().join("clients.toml");
    std::fs::write(&path, file)?;
    let path = path.display().to_string();
    world.pair.tessera(&[&["client", "apply", "-f", &path, "-o", "json"], flags].concat())
}

/// What was done, or would be: action and client.
fn steps(output: &Output) -> Result<Vec<(String, String)>> {
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let steps: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let part = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    Ok(steps.iter().map(|step| (part(step, "action"), part(step, "client_id"))).collect())
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(action, id)| ((*action).to_owned(), (*id).to_owned())).collect()
}

const FILE: &str = r#"
[[client]]
client_id = "billing"
grants = ["client_credentials"]
scopes = ["orders:read", "orders:write"]
default_scopes = ["orders:read"]
audiences = ["orders-api"]
lifetime = "15m"
claims_profile = "legacy"
organization = "Acme"
owner = "ada"
secret_file = "billing.secret"

[[client]]
client_id = "spa"
name = "The shop"
type = "public"
grants = ["authorization_code", "refresh_token"]
scopes = ["orders:read"]
redirect_uris = ["http://127.0.0.1/callback"]
audiences = []
enabled = false
"#;

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn clients_become_what_a_file_says_once(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    shop(&world)?;
    std::fs::write(world.pair.folder().join("billing.secret"), "brought along\n")?;
    let both = pairs(&[("create", "billing"), ("create", "spa")]);
    assert_eq!(steps(&apply(&world, FILE, &["--dry-run"])?)?, both);
    assert_eq!(steps(&apply(&world, FILE, &["--dry-run"])?)?, both, "nothing was done");
    assert_eq!(steps(&apply(&world, FILE, &[])?)?, both);
    assert_eq!(steps(&apply(&world, FILE, &[])?)?, [], "and now there is nothing to do");

    let billing = Client { id: "billing".to_owned(), secret: "brought along".to_owned() };
    assert!(world.is_active(&token(&world, &billing).await?).await?, "with the secret of the file");
    let spa = run(&world, "client get spa")?;
    assert_eq!((&spa["enabled"], &spa["name"]), (&Value::from(false), &Value::from("The shop")));

    let narrower = FILE.replace("\"orders:read\", \"orders:write\"", "\"orders:read\"").replace("enabled = false", "");
    let unasked = apply(&world, &narrower, &[])?;
    assert_eq!(unasked.status.code(), Some(2), "taking away is asked about: {}", text(&unasked.stderr));
    let changed = apply(&world, &narrower, &["--yes"])?;
    assert_eq!(steps(&changed)?, pairs(&[("update", "billing"), ("update", "spa")]));
    assert!(text(&changed.stdout).contains("\"from\": \"orders:read orders:write\""), "{}", text(&changed.stdout));
    assert_eq!(steps(&apply(&world, &narrower, &[])?)?, []);

    let (kept, _) = FILE.split_once("\n[[client]]\nclient_id = \"spa\"").context("two clients")?;
    let pruned = apply(&world, kept, &["--prune", "--yes"])?;
    let gone = [("delete", "app"), ("delete", "resource"), ("delete", "service"), ("delete", "spa")];
    // The resource server has a reserved scope where it gets tokens to introspect with.
    let gone: Vec<_> = pairs(&gone).into_iter().chain(pairs(&[("update", "billing")])).collect();
    assert_eq!(steps(&pruned)?, gone);
    let left = run(&world, "client list")?;
    let left: Vec<_> =
        left.as_array().context("a list")?.iter().filter_map(|client| client["client_id"].as_str()).collect();
    assert_eq!(left, ["billing", "tessera-admin", "tessera-introspector"], "never an administrator or introspector");
    Ok(())
}

/// Two clients exchange their names, a third takes one that is given up, and a fourth is new under another.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn clients_exchange_their_names(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let file = |names: &[(&str, &str)]| -> String {
        let entry = |(id, name): &(&str, &str)| {
            format!("[[client]]\nclient_id = \"{id}\"\nname = \"{name}\"\ngrants = [\"client_credentials\"]\n\n")
        };
        names.iter().map(entry).collect()
    };
    let names = |ids: &[&str]| -> Result<Vec<Value>> {
        ids.iter().map(|id| Ok(run(&world, &format!("client get {id}"))?["name"].clone())).collect()
    };
    steps(&apply(&world, &file(&[("a", "One"), ("b", "Two"), ("c", "Three")]), &[])?)?;
    let after = file(&[("c", "Other"), ("a", "Two"), ("b", "One"), ("d", "Three")]);
    let planned = steps(&apply(&world, &after, &["--dry-run"])?)?;
    assert_eq!(planned.len(), 5, "one steps aside: {planned:?}");
    assert_eq!(steps(&apply(&world, &after, &[])?)?, planned);
    assert_eq!(names(&["a", "b", "c", "d"])?, ["Two", "One", "Other", "Three"]);
    assert_eq!(steps(&apply(&world, &after, &[])?)?, []);

    // A name that somebody keeps is a mistake, and nothing is changed.
    for (taken, whose) in [(&[("d", "Four"), ("a", "service")][..], "service"), (&[("a", "Five"), ("b", "Five")], "a")]
    {
        let refused = apply(&world, &file(taken), &["--yes"])?;
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(told.contains(":6: `") && told.contains(&format!("is the client `{whose}`'s")), "{told}");
    }
    assert_eq!(names(&["a", "b", "d"])?, ["Two", "One", "Three"]);
    Ok(())
}

/// The first run makes the change, and cannot say that it is confirmed. Nothing is left to do for the second: it waits all the same.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_applied_unconfirmed_is_confirmed_by_applying_it_again(#[case] backend: Backend) -> Result<()> {
    let options = Options { issuer: "[sync]\nconfirm_within = \"1s\"".to_owned(), ..Options::default() };
    let Some(world) = world_with(backend, options).await? else { return Ok(()) };
    let both = "[[client]]\nclient_id = \"job\"\ngrants = [\"client_credentials\"]\n\
                scopes = [\"orders:read\", \"orders:write\"]\naudiences = [\"orders-api\"]\nsecret_file = \"job.secret\"\n";
    std::fs::write(world.pair.folder().join("job.secret"), "brought along\n")?;
    steps(&apply(&world, both, &[])?)?;
    let job = Client { id: "job".to_owned(), secret: "brought along".to_owned() };
    let before = token(&world, &job).await?;
    assert!(world.is_active(&before).await?);
    let one = both.replace(", \"orders:write\"", "");
    world.pair.introspector.pause()?;
    for attempt in ["the first", "the second, which has nothing left to do", "and one that would only make a client"] {
        let new = "\n[[client]]\nclient_id = \"new\"\ngrants = [\"client_credentials\"]\n";
        let file = if attempt.starts_with("and") { format!("{one}{new}") } else { one.clone() };
        let output = apply(&world, &file, &["--yes"])?;
        let problem: Value = serde_json::from_slice(&output.stderr).with_context(|| text(&output.stderr))?;
        assert_eq!(
            (output.status.code(), problem["reason"].as_str()),
            (Some(6), Some("REVOCATION_UNCONFIRMED")),
            "{attempt}: {problem}"
        );
    }
    world.pair.introspector.resume()?;
    eventually("the change is confirmed", async || {
        let output = apply(&world, &one, &["--yes"])?;
        ensure!(matches!(output.status.code(), Some(0 | 6)), "{output:?}");
        Ok(output.status.success().then_some(()))
    })
    .await?;
    assert!(!world.check(&before).await?.active, "in the next call after OK");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_mistake_changes_nothing_and_every_mistake_is_told_with_its_line() -> Result<()> {
    let Some(world) = world(Backend::Sqlite).await? else { return Ok(()) };
    let before = run(&world, "client list")?;
    let cases: &[(&str, &[&str])] = &[
        ("[[client]]\nclient_id = \"a\"\nflavour = 1\n", &[":3: unknown field `flavour`"]),
        ("[[client]]\nclient_id = \"a\"\nscopes = [\"x\",\n", &[":3"]),
        (
            "[[client]]\nclient_id = \"good\"\ngrants = [\"client_credentials\"]\n\n[[client]]\nclient_id = \"a b\"\n\
             grants = [\"implicit\"]\nlifetime = \"soon\"\nsecret_file = \"nowhere\"\n\n[[client]]\nclient_id = \"good\"\n",
            &[":6: `a b`", ":7: `implicit`", ":8: expected whole seconds", ":9: cannot read", ":11: the client `good`"],
        ),
        (
            "[[client]]\nclient_id = \"new\"\ngrants = [\"client_credentials\"]\nscopes = [\n  \"orders:read\",\n  \"nobodys\",\n]\n\
             organization = \"Nowhere\"\nowner = \"nobody\"\n",
            &[":6: the scope `nobodys`", ":8: there is no organization `Nowhere`", ":9: there is no user `nobody`"],
        ),
        (
            "[[client]]\nclient_id = \"new\"\ngrants = [\"client_credentials\"]\n\
             organization = \"org_AAAAAAAAAAAAAAAAAAAAAA\"\nowner = \"usr_AAAAAAAAAAAAAAAAAAAAAA\"\n",
            &[":4: there is no organization `org_AAAA", ":5: there is no user `usr_AAAA"],
        ),
        ("[[client]]\nclient_id = \"service\"\ntype = \"public\"\nresources = [\"x\"]\n", &[":1: `service`: the type"]),
    ];
    for (file, expected) in cases {
        let refused = apply(&world, file, &["--yes"])?;
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{file}: {told}");
        for part in *expected {
            assert!(told.contains(&format!("clients.toml{part}")), "{part} in {told}");
        }
    }
    assert_eq!(run(&world, "client list")?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_mailed_once_and_never_the_secret() -> Result<()> {
    let issuer = "[mail]\ntransport = \"file\"\nfrom = \"Tessera <no-reply@example.test>\"\nlocale = \"fr\"".to_owned();
    let Some(world) = world_with(Backend::Sqlite, Options { issuer, ..Options::default() }).await? else {
        return Ok(());
    };
    let (app, _) = shop(&world)?;
    run(&world, "client update app --description changed")?;
    create_client(&world.pair, "nobodys", &["--grant", "client_credentials"])?;
    let mails = || -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![world.pair.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "eml") {
                    found.push(std::fs::read_to_string(path)?);
                }
            }
        }
        Ok(found)
    };
    let mail = eventually("the mail is written", async || Ok(mails()?.pop())).await?;
    assert!(mail.contains("ada@example.test") && mail.contains("Nouvelle application"), "{mail}");
    assert!(mail.contains("app") && mail.contains("Acme") && !mail.contains(&app.secret), "{mail}");
    assert_eq!(mails()?.len(), 1, "once, and for nobody nobody");
    Ok(())
}

/// A mail server that takes every mail, and answers the end of the first never; the mails' `Message-ID`s as they come.
async fn mail_server() -> Result<(std::net::SocketAddr, mpsc::UnboundedReceiver<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, (told, ids)) = (listener.local_addr()?, mpsc::unbounded_channel());
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            writer.write_all(b"220 test\r\n").await?;
            while let Some(line) = lines.next_line().await.unwrap_or_default() {
                let answer: &[u8] = match line.as_str() {
                    "DATA" => b"354 go on\r\n",
                    "." if std::mem::take(&mut first) => continue,
                    line if line == "."
                        || ["EHLO", "MAIL", "RCPT", "QUIT"].iter().any(|word| line.starts_with(word)) =>
                    {
                        b"250 ok\r\n"
                    }
                    line => {
                        if let Some(id) = line.strip_prefix("Message-ID: ") {
                            told.send(id.to_owned())?;
                        }
                        continue;
                    }
                };
                if writer.write_all(answer).await.is_err() {
                    break;
                }
            }
        }
        anyhow::Ok(())
    });
    Ok((address, ids))
}

/// It is killed after it has said all of the mail, and before it knows that it was taken.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_a_kill_interrupts_is_sent_at_the_next_start_as_the_same_mail(
    #[case] backend: Backend,
) -> Result<()> {
    let (server, mut ids) = mail_server().await?;
    let from = "Tessera <no-reply@example.test>";
    let issuer = format!("[mail]\ntransport = \"smtp\"\nsmtp_url = \"smtp://{server}\"\nfrom = \"{from}\"");
    let Some(mut world) = world_with(backend, Options { issuer, ..Options::default() }).await? else { return Ok(()) };
    shop(&world)?;
    let first = ids.recv().await.context("a mail")?;
    world.pair.issuer.kill()?;
    world.pair.issuer.restart().await?;
    assert_eq!(ids.recv().await.context("the mail again")?, first);
    eventually("the mail is sent", async || {
        let metrics = world.pair.issuer.metrics().await?;
        Ok(metrics.contains("tessera_mails_total{outcome=\"sent\"} 1").then_some(()))
    })
    .await
}
