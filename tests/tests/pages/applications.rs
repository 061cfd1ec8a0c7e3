//! An owner manages their own applications: "owners manage their own applications", and nobody else does.

use anyhow::{Context as _, Result, ensure};
use tessera_tests::person::Person;
use tessera_tests::shared::shared;
use tessera_tests::{Client, World, post, request};

use tessera_tests::cast::{cookie, send, signed_in, user};

const LIST: &str = "/account/applications";
const NEW: &str = "/account/applications/new";
const CHANGE: &str = "/account/applications/change";
const SWITCH: &str = "/account/applications/switch";
const SECRET: &str = "/account/applications/secret";
const DELETE: &str = "/account/applications/delete";

/// Somebody who is signed in, a member of an organization of their own; its identifier.
async fn owner(world: &World, name: &str) -> Result<(Person, String)> {
    user(world, name)?;
    let organization = format!("{name}-organization");
    let made = world.pair.tessera_json(&["org", "create", &organization])?;
    world.pair.tessera_json(&["org", "member", "add", &organization, name])?;
    let id = made["organization_id"].as_str().context("an id")?.to_owned();
    Ok((signed_in(world, name).await?, id))
}

/// What stands between two texts, the first time.
fn between<'a>(body: &'a str, before: &str, after: &str) -> Option<&'a str> {
    body.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(text, _)| text)
}

/// The credentials on the page that shows them this once.
fn shown(person: &Person) -> Result<Client> {
    let body = &person.page()?.answer.body;
    let id = between(body, "<code id=\"client-id\">", "<").with_context(|| body.clone())?.to_owned();
    let secret = between(body, "<code id=\"client-secret\">", "<").unwrap_or_default().to_owned();
    Ok(Client { id, secret })
}

/// Makes a machine's application with the one scope that owners may give.
async fn make(person: &mut Person, name: &str, organization: &str) -> Result<Client> {
    person.open(NEW).await?;
    let fields = [
        ("name", name),
        ("kind", "service"),
        ("organization", organization),
        ("scope", "orders:read"),
        ("enabled", "yes"),
    ];
    person.submit(NEW, &fields).await?;
    ensure!(person.page()?.answer.status == 200, "{:?}", person.page()?);
    shown(person)
}

async fn open(person: &mut Person, client: &Client) -> Result<String> {
    person.open(&format!("{LIST}/application?client_id={}", client.id)).await?;
    Ok(person.page()?.answer.body.clone())
}

/// Gives it the audience of the tests' resource server: that is not its owner's to choose.
fn aim(world: &World, client: &Client) -> Result<()> {
    world.pair.tessera_json(&["client", "update", &client.id, "--audience", "orders-api", "--yes"]).map(drop)
}

async fn token(world: &World, client: &Client) -> Result<tessera_tests::Answer> {
    let fields = [("grant_type", "client_credentials"), ("scope", "orders:read")];
    post(world.pair.ports.issuer_http, "/oauth2/token", Some(client), &fields).await
}

#[tokio::test]
async fn an_owner_makes_an_application_and_sees_its_secret_this_once() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "maker").await?;
    let app = make(&mut person, "Night job", &organization).await?;
    assert!(app.secret.starts_with("tsk_"), "{app:?}");
    assert_eq!(person.page()?.answer.header("cache-control"), Some("no-store"));
    aim(world, &app)?;
    let answer = token(world, &app).await?;
    assert_eq!((answer.status, answer.json()?["scope"].as_str()), (200, Some("orders:read")), "{answer:?}");
    let access = answer.json()?["access_token"].as_str().context("a token")?.to_owned();
    let told = world.pair.tessera_json(&["user", "get", "maker"])?;
    let answer = world.check_at_issuer(&access).await?.json()?;
    assert_eq!(answer["sub"], told["user_id"], "it acts for its owner: {answer}");

    let body = open(&mut person, &app).await?;
    assert!(body.contains("Night job") && body.contains(&app.id) && !body.contains(&app.secret), "{body}");
    person.open(LIST).await?;
    let body = &person.page()?.answer.body;
    assert!(body.contains("Night job") && body.contains("maker-organization") && !body.contains(&app.secret), "{body}");
    Ok(())
}

#[tokio::test]
async fn an_owner_changes_switches_renews_and_deletes() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "changer").await?;
    let app = make(&mut person, "Changed", &organization).await?;
    let at = world.pair.ports.issuer_http;
    aim(world, &app)?;

    open(&mut person, &app).await?;
    let change = person.page()?.form(CHANGE)?;
    let fields = [("name", "Renamed"), ("description", "At <night>"), ("site_url", "https://shop.example/")];
    person.send(&change, &fields).await?;
    let body = person.page()?.answer.body.clone();
    assert!(
        body.contains("role=\"status\"") && body.contains("Renamed") && body.contains("At &#60;night&#62;"),
        "{body}"
    );
    let got = world.pair.tessera_json(&["client", "get", &app.id])?;
    assert_eq!((got["name"].as_str(), got["scopes"].as_array().map(Vec::len)), (Some("Renamed"), Some(0)), "{got}");
    // The same form again is of a version that is gone.
    person.send(&change, &[("name", "Older")]).await?;
    assert_eq!(person.page()?.answer.status, 409);
    assert!(person.page()?.answer.body.contains("value=\"Renamed\""), "what it is now is shown");

    open(&mut person, &app).await?;
    person.submit(CHANGE, &[("name", "Renamed"), ("scope", "orders:read")]).await?;
    let before = token(world, &app).await?.json()?["access_token"].as_str().context("a token")?.to_owned();
    person.submit(SWITCH, &[("enabled", "no")]).await?;
    assert!(!world.everybody_says_active(&before).await?);
    assert_eq!(token(world, &app).await?.error(), "invalid_client");
    person.submit(SWITCH, &[("enabled", "yes")]).await?;
    assert_eq!(token(world, &app).await?.status, 200);

    let renew = person.page()?.form(SECRET)?;
    person.send(&renew, &[("at_once", "yes")]).await?;
    let renewed = shown(&person)?;
    assert_ne!(renewed.secret, app.secret);
    assert_eq!(token(world, &app).await?.error(), "invalid_client", "ended at once");
    assert_eq!(token(world, &renewed).await?.status, 200);
    // Sent again, as by a reload: no further secret.
    person.send(&renew, &[("at_once", "yes")]).await?;
    assert_eq!(person.page()?.answer.status, 409);
    assert_eq!(token(world, &renewed).await?.status, 200);

    let live = token(world, &renewed).await?.json()?["access_token"].as_str().context("a token")?.to_owned();
    person.open(&format!("{DELETE}?client_id={}", app.id)).await?;
    person.submit(DELETE, &[]).await?;
    assert!(person.page()?.url.path() == LIST && !person.page()?.answer.body.contains("Renamed"));
    assert!(!world.everybody_says_active(&live).await?);
    let gone = request(
        at,
        "GET",
        &format!("{LIST}/application?client_id={}", app.id),
        &[("cookie", &*cookie(&mut person))],
        "",
    )
    .await?;
    assert_eq!(gone.status, 404);
    Ok(())
}

/// The browser shows the answer to the second form alone: the secret that the application uses goes on, whatever its owner does then.
#[tokio::test]
async fn a_renewal_that_was_clicked_twice_leaves_the_secret_in_use_alive() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "doubler").await?;
    let app = make(&mut person, "Doubled", &organization).await?;
    aim(world, &app)?;
    assert_eq!(token(world, &app).await?.status, 200, "it is in use");
    open(&mut person, &app).await?;
    let renew = person.page()?.form(SECRET)?;
    person.send(&renew, &[]).await?;
    let lost = shown(&person)?;
    person.send(&renew, &[]).await?;
    let answer = person.page()?.answer.clone();
    assert!(answer.status == 409 && answer.body.contains("A new secret was made"), "{answer:?}");
    person.submit(SECRET, &[]).await?;
    let (kept, body) = (shown(&person)?, person.page()?.answer.body.clone());
    assert!(body.contains("goes on working until <time class=\"moment\""), "{body}");
    for (client, status) in [(&app, 200), (&kept, 200), (&lost, 401)] {
        assert_eq!(token(world, client).await?.status, status, "{client:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_form_that_is_wrong_says_where_and_changes_nothing() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "mistaken").await?;
    make(&mut person, "Taken", &organization).await?;
    let usual = [("name", "x"), ("kind", "service"), ("organization", &*organization)];
    let cases: [(&[(&str, &str)], &str); 10] = [
        (&[("name", " ")], "#name"),
        (&[("name", "Taken")], "#name"),
        (&[("kind", "password")], "#kind"),
        (&[("kind", "web")], "#redirect_uris"),
        (&[("kind", "web"), ("redirect_uris", "https://app.example/cb#x")], "#redirect_uris"),
        (&[("failure_uri", "javascript:alert(1)")], "#failure_uri"),
        (&[("site_url", "ftp://x")], "#site_url"),
        (&[("scope", "orders:write")], "#scopes"),
        (&[("scope", "tessera.admin")], "#scopes"),
        (&[("organization", "org_AAAAAAAAAAAAAAAAAAAAAA")], "#organization"),
    ];
    person.open(NEW).await?;
    let form = person.page()?.form(NEW)?;
    for (changes, place) in cases {
        let kept = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let fields: Vec<(&str, &str)> = kept.chain(changes).copied().collect();
        person.send(&form, &fields).await?;
        let (status, body) = (person.page()?.answer.status, &person.page()?.answer.body);
        assert_eq!(status, 422, "{changes:?}: {body}");
        assert!(body.contains(&format!("<a href=\"{place}\"")), "{changes:?}: {body}");
        assert!(body.contains("autofocus") && body.contains("role=\"alert\""), "{changes:?}");
    }
    person.open(LIST).await?;
    assert_eq!(person.page()?.answer.body.matches("<li>\n<div class=\"what\">").count(), 1, "only the first was made");
    Ok(())
}

/// Security.md, items 18 and 44.
#[tokio::test]
async fn nobody_manages_an_application_of_somebody_elses_or_without_a_session_and_its_form() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    let (mut person, organization) = owner(world, "robbed").await?;
    let app = make(&mut person, "Robbed", &organization).await?;
    let (mut thief, _) = owner(world, "thief").await?;
    thief.open(LIST).await?;
    assert!(!thief.page()?.answer.body.contains("Robbed"));
    thief.open(NEW).await?;
    let csrf = tessera_tests::cast::hidden(thief.page()?, NEW, "csrf")?;
    person.open(NEW).await?;
    let own = tessera_tests::cast::hidden(person.page()?, NEW, "csrf")?;
    for path in ["application", "delete"] {
        let answer =
            request(at, "GET", &format!("{LIST}/{path}?client_id={}", app.id), &[("cookie", &*cookie(&mut thief))], "")
                .await?;
        assert_eq!(answer.status, 404, "{path}");
        let answer = request(at, "GET", &format!("{LIST}/{path}?client_id={}", app.id), &[], "").await?;
        assert_eq!((answer.status, answer.header("location").is_some_and(|to| to.ends_with("/login"))), (303, true));
    }
    let fields = |csrf: &str| -> Vec<(String, String)> {
        [("csrf", csrf), ("client_id", &*app.id), ("version", "1"), ("name", "Stolen"), ("enabled", "no")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    };
    for path in [CHANGE, SWITCH, SECRET, DELETE] {
        let theirs = fields(&csrf);
        let theirs: Vec<(&str, &str)> = theirs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let answer = send(world, &mut thief, path, &theirs).await?;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        // The owner's own session, with the form of another's session, none, or a broken one.
        for forged in [&*csrf, "", "x"] {
            let sent = fields(forged);
            let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(send(world, &mut person, path, &sent).await?.status, 403, "{path} {forged}");
        }
        // A token of a person's opens nothing here.
        let sent = fields(&own);
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
        let bearer =
            format!("Bearer {}", token(world, &app).await?.json()?["access_token"].as_str().unwrap_or_default());
        let headers = [tessera_tests::FORM, ("authorization", &*bearer)];
        let answer = request(at, "POST", path, &headers, tessera_tests::form(&sent)).await?;
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
    }
    let got = world.pair.tessera_json(&["client", "get", &app.id])?;
    assert_eq!((got["name"].as_str(), got["enabled"].as_bool()), (Some("Robbed"), Some(true)), "{got}");
    assert_eq!(token(world, &app).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_administrators_keep_to_themselves_is_shown_and_refused() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "kept").await?;
    let url = world.pair.ports.issuer_url();
    let given = ["--organization", "kept-organization", "--owner", "kept", "--grant", "client_credentials"];
    let robot = tessera_tests::create_client(
        &world.pair,
        "kept-robot",
        &[&given[..], &["--scope", "tessera.admin.read", "--audience", &url]].concat(),
    )?;
    let body = open(&mut person, &robot).await?;
    assert!(body.contains("Administrators manage this application"), "{body}");
    for path in [CHANGE, SWITCH, SECRET, DELETE] {
        assert!(person.page()?.form(path).is_err(), "{path}");
    }
    let app = make(&mut person, "Suspended", &organization).await?;
    open(&mut person, &app).await?;
    let switch = person.page()?.form(SWITCH)?;
    let renew = person.page()?.form(SECRET)?;
    for path in [SWITCH, SECRET, DELETE] {
        let forged = switch.clone().with("client_id", &robot.id);
        let csrf = forged.value("csrf").unwrap_or_default().to_owned();
        let newest = renew.value("secret").unwrap_or_default().to_owned();
        let fields = [("csrf", &*csrf), ("client_id", &*robot.id), ("enabled", "no"), ("secret", &*newest)];
        assert_eq!(send(world, &mut person, path, &fields).await?.status, 422, "{path}");
    }
    world.pair.tessera_json(&["client", "disable", &app.id, "--yes"])?;
    let body = open(&mut person, &app).await?;
    assert!(body.contains("Only one of them can activate or delete it"), "{body}");
    assert!(person.page()?.form(SWITCH).is_err() && !body.contains(DELETE), "{body}");
    person.open(&format!("{DELETE}?client_id={}", app.id)).await?;
    person.submit(DELETE, &[]).await?;
    assert_eq!(person.page()?.answer.status, 422, "it is kept to be looked at");
    person.send(&switch, &[("enabled", "yes")]).await?;
    assert_eq!(person.page()?.answer.status, 422);
    assert_eq!(token(world, &app).await?.error(), "invalid_client");
    Ok(())
}

/// Security.md, item 43.
#[tokio::test]
async fn what_an_owner_does_is_recorded_with_whom_and_where_from() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "recorded").await?;
    let app = make(&mut person, "Recorded", &organization).await?;
    open(&mut person, &app).await?;
    person.submit(CHANGE, &[("name", "Renamed")]).await?;
    person.submit(SWITCH, &[("enabled", "no")]).await?;
    person.submit(SWITCH, &[("enabled", "yes")]).await?;
    person.submit(SECRET, &[]).await?;
    person.open(&format!("{DELETE}?client_id={}", app.id)).await?;
    person.submit(DELETE, &[]).await?;
    let told = world.pair.tessera_json(&["user", "get", "recorded"])?;
    let records = world.pair.tessera_json(&["audit", "list", "--target", &app.id])?;
    let records = records.as_array().context("a list")?;
    let actions: Vec<&str> = records.iter().rev().filter_map(|record| record["action"].as_str()).collect();
    let all = ["create", "update", "disable", "enable", "secret.rotate", "delete"].map(|word| format!("client.{word}"));
    assert_eq!(actions, all);
    for record in records {
        assert_eq!((&record["actor"]["kind"], &record["actor"]["id"]), (&"user".into(), &told["user_id"]), "{record}");
        assert_eq!(record["address"], "127.0.0.1", "{record}");
    }
    Ok(())
}

#[tokio::test]
async fn the_list_is_narrowed_by_name_organization_and_status_and_goes_on() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "lister").await?;
    world.pair.tessera_json(&["org", "create", "lister-second"])?;
    world.pair.tessera_json(&["org", "member", "add", "lister-second", "lister"])?;
    let first = make(&mut person, "First 100%", &organization).await?;
    make(&mut person, "Second_one", &organization).await?;
    open(&mut person, &first).await?;
    person.submit(SWITCH, &[("enabled", "no")]).await?;
    let names = async |person: &mut Person, query: &str| -> Result<[bool; 2]> {
        person.open(&format!("{LIST}?{query}")).await?;
        let body = &person.page()?.answer.body;
        Ok([body.contains("<bdi>First 100%</bdi>"), body.contains("<bdi>Second_one</bdi>")])
    };
    for (query, expected) in [
        (String::new(), [true, true]),
        ("name=FIRST".to_owned(), [true, false]),
        ("name=100%25".to_owned(), [true, false]),
        ("name=d_o".to_owned(), [false, true]),
        ("name=%00".to_owned(), [true, true]),
        ("status=disabled".to_owned(), [true, false]),
        ("status=enabled".to_owned(), [false, true]),
        (format!("organization={organization}"), [true, true]),
        ("organization=org_AAAAAAAAAAAAAAAAAAAAAA".to_owned(), [false, false]),
        (format!("after={}", "g".repeat(10)), [false, false]),
    ] {
        assert_eq!(names(&mut person, &query).await?, expected, "{query}");
    }
    user(world, "lister-outside")?;
    let mut outside = signed_in(world, "lister-outside").await?;
    outside.open(LIST).await?;
    let body = &outside.page()?.answer.body;
    assert!(body.contains("must be a member of an organization") && !body.contains("Create an application"), "{body}");
    Ok(())
}

#[tokio::test]
async fn the_pages_of_applications_are_in_french_too() -> Result<()> {
    let world = shared().await?;
    let (mut person, organization) = owner(world, "francaise").await?;
    let app = make(&mut person, "Boutique", &organization).await?;
    let application = format!("{LIST}/application?client_id={}", app.id);
    for (path, text) in [
        (LIST, "Vos applications"),
        (NEW, "Une machine"),
        (&*application, "Créer un nouveau secret"),
        (LIST, "Boutique"),
    ] {
        let separator = if path.contains('?') { '&' } else { '?' };
        person.open(&format!("{path}{separator}lang=fr")).await?;
        let answer = &person.page()?.answer;
        assert_eq!(answer.header("content-language"), Some("fr"), "{path}");
        assert!(answer.body.contains(text), "{path}: {}", answer.body);
    }
    Ok(())
}
