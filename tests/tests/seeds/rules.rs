//! The systems' other rules: lifetimes, who is disabled, whose tokens are whose, guessing, browsers.

use anyhow::{Context as _, Result};
use rstest::rstest;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{Client, FORM, check, create_client, form, post, request, world_with};

use crate::answers::{Told, access, assert_told, claims, granted, scopes};
use crate::cast::{PASSWORD, Seeds, System, client, post_form, post_json, seeds, user};

async fn ask(seeds: &Seeds, system: System, client: &Client) -> Result<tessera_tests::Answer> {
    let fields = [("grant_type", "client_credentials"), ("client_id", &*client.id), ("client_secret", &*client.secret)];
    seeds.ask(system, &fields).await
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_lifetime_is_its_tokens(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let id = format!("short-{system:?}").to_lowercase();
    let short = client(seeds.pair(), &id, &["--grant", "client_credentials", "--lifetime", "600s"])?;
    let body = granted(ask(seeds, system, &short).await?.json()?, 600)?;
    let claims = claims(&crate::answers::text(&body, "access_token")?)?;
    let span = claims["exp"].as_i64().context("exp")? - claims["iat"].as_i64().context("iat")?;
    assert!((600..=605).contains(&span), "iat is backdated by a few seconds: {span}");
    assert_eq!(claims["iat"], claims["nbf"]);
    Ok(())
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_client_is_refused_its_tokens_end_and_a_deleted_ones_too(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let id = format!("doomed-{system:?}").to_lowercase();
    let doomed = client(seeds.pair(), &id, &["--grant", "client_credentials"])?;
    let token = access(&ask(seeds, system, &doomed).await?)?;
    assert!(seeds.is_active(&token).await?);
    seeds.tessera(&["client", "disable", &id, "--yes"])?;
    assert!(!seeds.is_active(&token).await?);
    assert_told(&ask(seeds, system, &doomed).await?, system, &Told::client(), "disabled");
    seeds.tessera(&["client", "enable", &id])?;
    assert!(!seeds.is_active(&token).await?, "what is dead stays dead");
    let token = access(&ask(seeds, system, &doomed).await?)?;
    assert!(seeds.is_active(&token).await?);
    seeds.tessera(&["client", "delete", &id, "--yes"])?;
    assert!(!seeds.is_active(&token).await?);
    assert_told(&ask(seeds, system, &doomed).await?, system, &Told::client(), "deleted");
    Ok(())
}

/// "If you want to add one, you have to adjust the client", and "you can add new scopes to the API".
#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_registered_and_given_to_a_client_is_its_own_from_then_on() -> Result<()> {
    let seeds = seeds().await?;
    let growing = client(seeds.pair(), "growing", &["--grant", "client_credentials", "--scope", "read"])?;
    let own = [("grant_type", "client_credentials"), ("client_id", &*growing.id), ("client_secret", &*growing.secret)];
    let get = async || seeds.ask(System::PrestaShop, &[&own[..], &[("scope", "read product_read")]].concat()).await;
    assert_told(&get().await?, System::PrestaShop, &Told::scope("product_read"), "nobody knows it");
    seeds.tessera(&["scope", "create", "product_read", "--description", "Read products"])?;
    assert_told(&get().await?, System::PrestaShop, &Told::denied("product_read"), "it is not the client's");
    seeds.tessera(&["client", "update", "growing", "--add-scope", "product_read"])?;
    let token = access(&get().await?)?;
    assert_eq!(scopes(&token)?, ["is_authenticated", "read", "product_read"]);
    assert!(seeds.is_active(&token).await?);
    Ok(())
}

/// "Once the application is created, you are provided with a Client ID and a Client Secret", "displayed only once".
#[tokio::test(flavor = "multi_thread")]
async fn a_new_application_gets_an_id_and_a_secret_that_nothing_shows_again() -> Result<()> {
    let seeds = seeds().await?;
    let created =
        seeds.tessera(&["client", "create", "--name", "A new application", "--grant", "client_credentials"])?;
    let made = |member: &str| crate::answers::text(&created, member);
    let app = Client { id: made("client_id")?, secret: made("client_secret")? };
    for system in [System::PrestaShop, System::Shopware, System::Oro] {
        access(&ask(seeds, system, &app).await?)?;
    }
    for again in [&["client", "get", &*app.id][..], &["client", "list"], &["client", "secret", "list", &*app.id]] {
        let shown = seeds.tessera(again)?.to_string();
        assert!(shown.contains(&app.id) || again[1] == "secret", "{again:?}: {shown}");
        assert!(!shown.contains(&app.secret) && !shown.contains("client_secret"), "{again:?}");
    }
    Ok(())
}

/// The legacy tokens' `aud` is the client; which interface they are for is the client's audience.
#[tokio::test(flavor = "multi_thread")]
async fn backend_and_frontend_tokens_are_not_interchangeable() -> Result<()> {
    let seeds = seeds().await?;
    let pair = seeds.pair();
    let mut sides = Vec::new();
    for side in ["backend", "frontend"] {
        let legacy = ["--grant", "client_credentials", "--claims-profile", "legacy", "--audience", side];
        let client = create_client(pair, &format!("{side}-app"), &legacy)?;
        let resource = create_client(pair, &format!("{side}-api"), &["--resource", side])?;
        sides.push((access(&ask(seeds, System::Oro, &client).await?)?, resource));
    }
    let ports = pair.ports;
    for (token, at_home) in &sides {
        for (_, resource) in &sides {
            let expected = resource.id == at_home.id;
            assert_eq!(check(ports.introspector_grpc, resource, token).await?.active, expected, "{}", resource.id);
            let answer =
                post(ports.issuer_http, "/oauth2/introspect", Some(resource), &[("token", token.as_str())]).await?;
            assert_eq!(answer.json()?["active"], expected, "{}", resource.id);
        }
    }
    // One client of both is given tokens for either.
    let both = ["--grant", "client_credentials", "--claims-profile", "legacy", "--audience", "backend", "frontend"];
    let client = create_client(pair, "app-of-both-sides", &both)?;
    for side in ["backend", "frontend"] {
        let fields = [("grant_type", "client_credentials"), ("audience", side)];
        let issued = post(ports.issuer_http, "/oauth2/token", Some(&client), &fields).await?.json()?;
        let token = crate::answers::text(&issued, "access_token")?;
        for (_, resource) in &sides {
            let expected = resource.id == format!("{side}-api");
            assert_eq!(check(ports.introspector_grpc, resource, &token).await?.active, expected, "{side}");
        }
    }
    Ok(())
}

/// A token that opens our own services, which are resource servers too, opens nothing from their URL.
#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_in_a_url_opens_nothing() -> Result<()> {
    let seeds = seeds().await?;
    let token = access(&ask(seeds, System::Oro, &seeds.machine).await?)?;
    let may = ["--scope", "introspect", "--audience", "tessera-introspector", "--resource", "orders-api"];
    let gateway = create_client(seeds.pair(), "gateway", &[&["--grant", "client_credentials"], &may[..]].concat())?;
    let answer = seeds.world.token_with(&gateway, "introspect", "tessera-introspector").await?;
    let key = crate::answers::text(&answer.json()?, "access_token")?;
    let (ports, body) = (seeds.pair().ports, form(&[("token", &token)]));
    for at in [ports.issuer_http, ports.introspector_http] {
        let headers = [FORM, ("authorization", &*format!("Bearer {key}"))];
        let opened = request(at, "POST", "/oauth2/introspect", &headers, &body).await?;
        assert_eq!(
            (opened.status, &opened.json()?["active"]),
            (200, &true.into()),
            "in the header it opens: {opened:?}"
        );
        for name in ["access_token", "token", "bearer", "authorization"] {
            let path = format!("/oauth2/introspect?{name}={key}");
            let answer = request(at, "POST", &path, &[FORM], &body).await?;
            assert!(matches!(answer.status, 400 | 401), "{name}: {answer:?}");
            assert_eq!(request(at, "GET", &path, &[], "").await?.status, 405);
        }
    }
    Ok(())
}

/// What a resource server tells its own callers is for it to say: which of them lack a token (401) and which a scope (403), it learns
/// from `active` and `allowed`. An operation's scopes are alternatives, or all of them are asked for.
#[tokio::test(flavor = "multi_thread")]
async fn any_one_of_an_operations_scopes_suffices_or_all_are_needed() -> Result<()> {
    use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
    use tessera_api::introspection::v1::{IntrospectRequest, ScopeRequirement};
    let seeds = seeds().await?;
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", "your_client_id"),
        ("client_secret", "your_client_secret"),
        ("scope", "api_client_read"),
    ];
    let token = access(&seeds.ask(System::PrestaShop, &fields).await?)?;
    assert_eq!(scopes(&token)?, ["is_authenticated", "api_client_read"]);
    let channel = tessera_tests::channel(seeds.pair().ports.introspector_grpc).await?;
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (all_of, any_of, missing) in [
        (&[][..], &["api_client_write", "api_client_read"][..], &[][..]),
        (&[], &["api_client_write", "customer_group_read"], &["api_client_write", "customer_group_read"]),
        (&["api_client_read", "is_authenticated"], &[], &[]),
        (&["api_client_read", "api_client_write"], &[], &["api_client_write"]),
    ] {
        let required = ScopeRequirement { all_of: names(all_of), any_of: names(any_of) };
        let message =
            IntrospectRequest { token: token.clone(), required_scopes: Some(required), ..IntrospectRequest::default() };
        let message = tessera_tests::as_client(&seeds.world.resource, message)?;
        let answer = IntrospectionServiceClient::new(channel.clone()).introspect(message).await?.into_inner();
        assert!(answer.active, "{all_of:?} {any_of:?}");
        assert_eq!((answer.allowed, answer.missing_scopes), (missing.is_empty(), names(missing)));
    }
    Ok(())
}

/// What our own services, which are resource servers too, tell who comes without a token, and with one that lacks the scope.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_a_caller_is_challenged_and_without_the_scope_told_so() -> Result<()> {
    let seeds = seeds().await?;
    let lacking = create_client(
        seeds.pair(),
        "lacking",
        &["--grant", "client_credentials", "--audience", "tessera-introspector", "--resource", "orders-api"],
    )?;
    let world = &seeds.world;
    let answer = world.token_with(&lacking, "", "tessera-introspector").await?;
    let token = crate::answers::text(&answer.json()?, "access_token")?;
    let at = seeds.pair().ports.introspector_http;
    let body = form(&[("token", &token)]);
    let ask = async |authorization: &str| {
        request(at, "POST", "/oauth2/introspect", &[FORM, ("authorization", authorization)], &body).await
    };
    let bad = ask("Bearer garbage").await?;
    let challenge = bad.header("www-authenticate").context("a challenge")?;
    assert_eq!(bad.status, 401);
    assert!(challenge.starts_with("Bearer") && challenge.contains("invalid_token"), "{challenge}");
    let scopeless = ask(&format!("Bearer {token}")).await?;
    let challenge = scopeless.header("www-authenticate").context("a challenge")?;
    assert_eq!((scopeless.status, scopeless.error().as_str()), (403, "insufficient_scope"));
    assert!(challenge.starts_with("Bearer") && challenge.contains("insufficient_scope"), "{challenge}");
    Ok(())
}

/// After ten failures no password is looked at for a while, not even the right one. The waits after 15 and 20 are the throttle's own
/// test: it has a clock to move.
#[tokio::test(flavor = "multi_thread")]
async fn guessed_passwords_are_throttled_with_429() -> Result<()> {
    let seeds = seeds().await?;
    user(seeds.pair(), "guessed", PASSWORD)?;
    let login = async |password: &str| {
        let fields = [
            ("grant_type", "password"),
            ("client_id", "administration"),
            ("username", "guessed"),
            ("password", password),
        ];
        seeds.ask(System::Shopware, &fields).await
    };
    for attempt in 0..10 {
        let answer = login(&format!("guess {attempt}")).await?;
        assert_told(&answer, System::Shopware, &Told::credentials(), "a guess");
    }
    for password in ["another guess", PASSWORD] {
        let answer = login(password).await?;
        assert_eq!((answer.status, answer.error().as_str()), (429, "temporarily_unavailable"), "{answer:?}");
        let wait: u64 = answer.header("retry-after").context("Retry-After")?.parse()?;
        assert!((1..=10).contains(&wait), "{wait}");
        assert_eq!(answer.json()?["errors"][0]["status"], "429");
    }
    Ok(())
}

/// The administration is a public client: it has no secret, and who sends one is somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn shopwares_administration_comes_without_a_secret() -> Result<()> {
    let seeds = seeds().await?;
    let login = [
        ("grant_type", "password"),
        ("client_id", "administration"),
        ("username", "admin"),
        ("password", PASSWORD),
        ("client_secret", "any"),
    ];
    assert_eq!(seeds.ask(System::Shopware, &login[..4]).await?.status, 200);
    assert_told(&seeds.ask(System::Shopware, &login).await?, System::Shopware, &Told::client(), "with a secret");
    Ok(())
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn browsers_of_configured_origins_may_ask_and_no_others(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let at = seeds.pair().ports.issuer_http;
    for (origin, allowed) in [("https://admin.shop.test", true), ("https://evil.example", false), ("null", false)] {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        let answer = request(at, "OPTIONS", system.path(), &headers, "").await?;
        let may = |header: &str| answer.header(header).unwrap_or_default().to_ascii_lowercase();
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin), "{answer:?}");
        // Where the origin is not allowed, what else is said is nothing to the browser.
        assert!(may("access-control-allow-methods").contains("post"), "{answer:?}");
        for name in ["content-type", "authorization"] {
            assert!(may("access-control-allow-headers").contains(name), "{answer:?}");
        }
        // The answer itself, good or bad: a script that may not read a refusal cannot tell the person of it.
        for (secret, status) in [(crate::cast::PRESTASHOP_SECRET, 200), ("wrong", 401)] {
            let fields =
                [("grant_type", "client_credentials"), ("client_id", "your_client_id"), ("client_secret", secret)];
            let answer = request(at, "POST", system.path(), &[FORM, headers[0]], form(&fields)).await?;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin), "{answer:?}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "without cookies: {answer:?}");
        }
    }
    Ok(())
}

/// A form, a JSON object and Basic are one request.
#[tokio::test(flavor = "multi_thread")]
async fn oro_takes_forms_json_and_basic_alike() -> Result<()> {
    let seeds = seeds().await?;
    let machine = &seeds.machine;
    access(&ask(seeds, System::Oro, machine).await?)?;
    let body = serde_json::json!({
        "grant_type": "client_credentials", "client_id": machine.id, "client_secret": machine.secret,
    });
    access(&post_json(&seeds.world, System::Oro.path(), body.to_string()).await?)?;
    let headers = [("content-type", "application/json"), ("authorization", &*machine.basic())];
    let body = r#"{"grant_type":"client_credentials"}"#;
    access(&request(seeds.pair().ports.issuer_http, "POST", System::Oro.path(), &headers, body).await?)?;
    Ok(())
}

/// What is off for everybody is off here too, whatever the client was given.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_password_grant_is_off_no_system_runs_it() -> Result<()> {
    let issuer = "[dialects]\nshopware = true\noro = true\n".to_owned();
    let options = Options { issuer, ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    client(&world.pair, "administration", &["--public", "--grant", "password", "refresh_token"])?;
    user(&world.pair, "admin", PASSWORD)?;
    let login =
        [("grant_type", "password"), ("client_id", "administration"), ("username", "admin"), ("password", PASSWORD)];
    for system in [System::Shopware, System::Oro] {
        assert_told(&post_form(&world, system.path(), &login).await?, system, &Told::grant_type(), "it is off");
    }
    Ok(())
}
