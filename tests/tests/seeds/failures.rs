//! The table of failures, row by row, for each system that has the row.

use anyhow::Result;
use rstest::rstest;
use tessera_store::{Database, DatabaseOptions, RefreshFamily};
use tessera_testkit::process::exchange_all;
use tessera_tests::shared::shared;
use tessera_tests::{Answer, Client, FORM, create_client, form, request};
use tessera_types::{RefreshToken, Timestamp};

use crate::answers::{Told, assert_told, text, tokens};
use crate::cast::{AUDIENCE, PASSWORD, Seeds, System, client, imported, post_json, seeds, user};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A client of a system, with this id.
fn a_client(seeds: &Seeds, id: &str) -> Result<Client> {
    client(seeds.pair(), id, &["--grant", "client_credentials", "--scope", "read"])
}

/// A request for a token by client credentials.
fn credentials<'a>(id: &'a str, secret: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)]
}

/// The same with the credentials in the header.
async fn by_header(seeds: &Seeds, system: System, client: &Client) -> Result<Answer> {
    let headers = [FORM, ("authorization", &*client.basic())];
    let body = form(&[("grant_type", "client_credentials")]);
    request(seeds.pair().ports.issuer_http, "POST", system.path(), &headers, body).await
}

fn id(system: System, what: &str) -> String {
    format!("{what}-{system:?}").to_lowercase()
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_not_who_it_says_is_challenged_only_where_it_used_the_header(
    #[case] system: System,
) -> Result<()> {
    let seeds = seeds().await?;
    let disabled = a_client(seeds, &id(system, "disabled"))?;
    seeds.tessera(&["client", "disable", &disabled.id, "--yes"])?;
    let wrong = Client { secret: "wrong".to_owned(), ..a_client(seeds, &id(system, "wrong"))? };
    let unknown = Client { id: id(system, "nobody"), secret: "wrong".to_owned() };
    for client in [&wrong, &unknown, &disabled] {
        let answer = seeds.ask(system, &credentials(&client.id, &client.secret)).await?;
        assert_told(&answer, system, &Told::client(), &client.id);
        assert_eq!(answer.header("www-authenticate"), None, "{}", client.id);
        let answer = by_header(seeds, system, client).await?;
        assert_told(&answer, system, &Told::client(), &client.id);
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"OAuth\""), "{}", client.id);
    }
    Ok(())
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_must_name_itself_and_a_confidential_one_show_its_secret(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let client = a_client(seeds, &id(system, "secretless"))?;
    for id in [&[][..], &[("client_id", "")]] {
        let answer = seeds.ask(system, &[&[("grant_type", "client_credentials")], id].concat()).await?;
        assert_told(&answer, system, &Told::parameter("client_id"), "no client_id");
    }
    for secret in [&[][..], &[("client_secret", "")]] {
        let named = &credentials(&client.id, "")[..2];
        let answer = seeds.ask(system, &[named, secret].concat()).await?;
        assert_told(&answer, system, &Told::client(), "no secret");
    }
    Ok(())
}

#[rstest]
#[case::prestashop(System::PrestaShop, &["password", "refresh_token", "authorization_code"])]
#[case::shopware(System::Shopware, &["authorization_code"])]
#[case::oro(System::Oro, &["implicit"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_type_that_is_missing_or_not_the_systems_is_unsupported(
    #[case] system: System,
    #[case] others: &[&str],
) -> Result<()> {
    let seeds = seeds().await?;
    let client = a_client(seeds, &id(system, "grantless"))?;
    let own = &credentials(&client.id, &client.secret)[1..];
    let missing = seeds.ask(system, own).await?;
    assert_told(&missing, system, &Told::grant_type(), "no grant_type");
    for grant in [&["", "nonsense", "urn:ietf:params:oauth:grant-type:device_code"], others].concat() {
        let answer = seeds.ask(system, &[&[("grant_type", grant)], own].concat()).await?;
        assert_told(&answer, system, &Told::grant_type(), grant);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_the_client_was_not_given_is_refused_as_a_wrong_secret_is() -> Result<()> {
    let seeds = seeds().await?;
    let (machine, front) = (&seeds.machine, &seeds.front);
    let answer = seeds.ask(System::Oro, &credentials(&front.id, &front.secret)).await?;
    assert_told(&answer, System::Oro, &Told::client(), "client credentials of a password client");
    let own = [("client_id", machine.id.as_str()), ("client_secret", &machine.secret)];
    let password = [("grant_type", "password"), ("username", "admin"), ("password", PASSWORD)];
    let answer = seeds.ask(System::Oro, &[&password[..], &own].concat()).await?;
    assert_told(&answer, System::Oro, &Told::client(), "password of a machine");
    let administration = [("grant_type", "client_credentials"), ("client_id", "administration")];
    let answer = seeds.ask(System::Shopware, &administration).await?;
    assert_told(&answer, System::Shopware, &Told::client(), "client credentials of a public client");
    Ok(())
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_scope_is_named_and_only_prestashop_denies_those_it_knows(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let client = a_client(seeds, &id(system, "scopes"))?;
    let ask = async |scope| {
        let fields = [&credentials(&client.id, &client.secret)[..], &[("scope", scope)]].concat();
        seeds.ask(system, &fields).await
    };
    assert_told(&ask("read nowhere").await?, system, &Told::scope("nowhere"), "an unknown scope");
    let known = if system == System::PrestaShop { Told::denied("write") } else { Told::scope("write") };
    assert_told(&ask("read write").await?, system, &known, "another client's scope");
    // What is no scope at all is not repeated.
    assert_told(&ask("<script>\u{1}").await?, system, &Told::scope(""), "no scope");
    assert_eq!(ask("read").await?.status, 200);
    Ok(())
}

/// A password request of a system's first-party client.
fn login<'a>(seeds: &'a Seeds, system: System, username: &'a str, password: &'a str) -> Vec<(&'a str, &'a str)> {
    let person = [("grant_type", "password"), ("username", username), ("password", password)];
    [&person[..], &first_party(seeds, system)].concat()
}

fn first_party(seeds: &Seeds, system: System) -> Vec<(&str, &str)> {
    match system {
        System::Oro => vec![("client_id", &seeds.front.id), ("client_secret", &seeds.front.secret)],
        _ => vec![("client_id", "administration")],
    }
}

#[rstest]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_are_told_alike_and_oro_tells_who_is_disabled(
    #[case] system: System,
) -> Result<()> {
    let seeds = seeds().await?;
    let ben = id(system, "ben");
    user(seeds.pair(), &ben, "correct horse")?;
    for (username, password) in [(&*ben, "wrong"), ("nobody-there", "correct horse")] {
        let answer = seeds.ask(system, &login(seeds, system, username, password)).await?;
        assert_told(&answer, system, &Told::credentials(), username);
    }
    assert_eq!(seeds.ask(system, &login(seeds, system, &ben, "correct horse")).await?.status, 200);
    seeds.tessera(&["user", "disable", &ben, "--yes"])?;
    let disabled = seeds.ask(system, &login(seeds, system, &ben, "correct horse")).await?;
    let told = Told::credentials();
    let told = if system == System::Oro { told.hinting("Account is disabled.") } else { told };
    assert_told(&disabled, system, &told, "a disabled user with the right password");
    let wrong = seeds.ask(system, &login(seeds, system, &ben, "wrong")).await?;
    assert_told(&wrong, system, &Told::credentials(), "and who does not have it learns nothing");
    Ok(())
}

#[rstest]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_parameter_of_a_grant_is_named(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    for (grant, missing) in [("password", "username"), ("password", "password"), ("refresh_token", "refresh_token")] {
        let given = [("grant_type", grant), ("username", "admin"), ("password", PASSWORD)];
        let mut fields: Vec<_> = given.into_iter().filter(|(name, _)| *name != missing).collect();
        fields.extend(first_party(seeds, system));
        assert_told(&seeds.ask(system, &fields).await?, system, &Told::parameter(missing), missing);
    }
    Ok(())
}

/// Lets a refresh token's time run out, in the database itself.
async fn expire(seeds: &Seeds, token: &str) -> Result<()> {
    let file = seeds.pair().folder().join("data/tessera.db");
    let url = format!("sqlite://{}?mode=rw", file.display());
    let database = Database::connect(&DatabaseOptions { max_connections: 1, ..DatabaseOptions::new(url) }).await?;
    let token: RefreshToken = token.parse().map_err(|_| anyhow::anyhow!("no refresh token"))?;
    let family = database.families().find(token.grant).await?.expect("its family");
    let spent = family.current;
    let tx = database.begin().await?;
    let over = RefreshFamily { expires: Timestamp(family.created.0 - 1), ..family };
    assert!(tx.families().rotate(spent, &over).await?);
    tx.commit().await?;
    database.close().await;
    Ok(())
}

#[rstest]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_a_refresh_token_is_bad_has_its_hint(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let refresh = async |token: &str, client: Vec<(&str, &str)>| {
        let fields = [&[("grant_type", "refresh_token"), ("refresh_token", token)], &client[..]].concat();
        seeds.ask(system, &fields).await
    };
    let ida = id(system, "ida");
    user(seeds.pair(), &ida, "correct horse")?;
    let first = async || -> Result<String> {
        let answer = seeds.ask(system, &login(seeds, system, &ida, "correct horse")).await?;
        text(&tokens(&answer)?, "refresh_token")
    };
    let garbage = refresh("def50200eae2708c", first_party(seeds, system)).await?;
    assert_told(&garbage, system, &Told::refresh("Cannot decrypt the refresh token"), "garbage");
    let expired = first().await?;
    expire(seeds, &expired).await?;
    let answer = refresh(&expired, first_party(seeds, system)).await?;
    assert_told(&answer, system, &Told::refresh("Token has expired"), "expired");
    let mine = first().await?;
    let thief = id(system, "thief");
    let shape = ["--grant", "password", "refresh_token", "--scope", "read"];
    let thief = client(seeds.pair(), &thief, &shape)?;
    let theirs = vec![("client_id", thief.id.as_str()), ("client_secret", &thief.secret)];
    let answer = refresh(&mine, theirs).await?;
    assert_told(&answer, system, &Told::refresh("Token is not linked to client"), "another client's");
    let spent = first().await?;
    assert_eq!(refresh(&spent, first_party(seeds, system)).await?.status, 200);
    let answer = refresh(&spent, first_party(seeds, system)).await?;
    assert_told(&answer, system, &Told::refresh("Token has been revoked"), "spent");
    seeds.tessera(&["user", "revoke", &ida, "--yes"])?;
    let answer = refresh(&mine, first_party(seeds, system)).await?;
    assert_told(&answer, system, &Told::refresh("Token has been revoked"), "revoked");
    Ok(())
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_malformed_and_other_methods_are_not_allowed(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let at = seeds.pair().ports.issuer_http;
    let post = async |headers: &[(&str, &str)], body: &str| request(at, "POST", system.path(), headers, body).await;
    for (headers, body) in [
        (&[JSON][..], "{\"grant_type\":"),
        (&[JSON], "[]"),
        (&[JSON], r#"{"grant_type":"client_credentials","grant_type":"password"}"#),
        (&[FORM], "grant_type=client_credentials&grant_type=password"),
        (&[FORM], "client_id=%zz"),
        (&[("content-type", "text/plain")], "grant_type=client_credentials"),
        (&[("content-type", "multipart/form-data; boundary=x")], "grant_type=client_credentials"),
        (&[], "grant_type=client_credentials"),
    ] {
        assert_told(&post(headers, body).await?, system, &Told::malformed(), body);
    }
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
        let answer = request(at, method, system.path(), &[], "").await?;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}: {answer:?}");
    }
    Ok(())
}

/// Postman sends what its collection has in the header, whatever stands in the body.
#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_body_need_nothing_of_a_header_that_was_left_behind(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let client = a_client(seeds, &id(system, "left-behind"))?;
    let at = seeds.pair().ports.issuer_http;
    let body = form(&credentials(&client.id, &client.secret));
    for left in ["Bearer of-yesterday", "Basic YTpi", "Basic !", "Digest username=\"a\"", ""] {
        let headers = [FORM, ("authorization", left)];
        let answer = request(at, "POST", system.path(), &headers, &body).await?;
        assert_eq!(answer.status, 200, "{left}: {answer:?}");
    }
    Ok(())
}

/// A public client has no secret, and what a header says of another client is none of it. Where the body says no more than the header's
/// name, the header's password is its own.
#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_headers_password_is_of_the_client_that_the_header_names_and_of_no_other(
    #[case] system: System,
) -> Result<()> {
    let seeds = seeds().await?;
    let client = a_client(seeds, &id(system, "by-header"))?;
    let public = id(system, "public");
    let shape = ["--public", "--grant", "password", "--scope", "read"];
    create_client(seeds.pair(), &public, &[&shape[..], &AUDIENCE].concat())?;
    let ask = async |authorization: &str, fields: &[(&str, &str)]| {
        let headers = [FORM, ("authorization", authorization)];
        request(seeds.pair().ports.issuer_http, "POST", system.path(), &headers, form(fields)).await
    };
    if system != System::PrestaShop {
        let person = [("grant_type", "password"), ("username", "admin"), ("password", PASSWORD)];
        let fields = [&person[..], &[("client_id", &*public)]].concat();
        let answer = ask("Basic YTpi", &fields).await?;
        assert_eq!(answer.status, 200, "a header that was left behind: {answer:?}");
        let own = Client { id: public.clone(), secret: "guessed".to_owned() };
        assert_told(&ask(&own.basic(), &fields).await?, system, &Told::client(), "a secret of its own");
    }
    let named = &credentials(&client.id, "")[..2];
    assert_eq!(ask(&client.basic(), named).await?.status, 200, "the same client");
    let another = Client { id: "another".to_owned(), secret: client.secret.clone() };
    assert_told(&ask(&another.basic(), named).await?, system, &Told::client(), "another client's password");
    Ok(())
}

/// `curl -X POST`, and nothing else: no body, no length and no type.
#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_no_body_at_all_lacks_its_grant_type(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let at = seeds.pair().ports.issuer_http;
    let bare = format!("POST {} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n", system.path());
    let (status, head, body) = exchange_all(at, bare).await?;
    assert_told(&Answer { status, head, body }, system, &Told::grant_type(), "no body");
    for headers in [&[][..], &[FORM]] {
        let empty = request(at, "POST", system.path(), headers, "").await?;
        assert_told(&empty, system, &Told::grant_type(), "an empty body");
    }
    // What says that it is JSON has to be.
    assert_told(&request(at, "POST", system.path(), &[JSON], "").await?, system, &Told::malformed(), "empty JSON");
    Ok(())
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_query_string_never_contributes(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let client = a_client(seeds, &id(system, "in-the-query"))?;
    let at = seeds.pair().ports.issuer_http;
    let all = credentials(&client.id, &client.secret);
    let ask = async |query: &[(&str, &str)], body: &[(&str, &str)]| {
        let target = format!("{}?{}", system.path(), form(query));
        request(at, "POST", &target, &[FORM], form(body)).await
    };
    assert_told(&ask(&all[2..], &all[..2]).await?, system, &Told::client(), "the secret");
    assert_told(&ask(&all[1..], &all[..1]).await?, system, &Told::parameter("client_id"), "the client");
    assert_told(&ask(&all, &[]).await?, system, &Told::grant_type(), "everything");
    let answer = ask(&[("scope", "write")], &all).await?;
    let body = tokens(&answer)?;
    assert!(!crate::answers::scopes(&text(&body, "access_token")?)?.contains(&"write".to_owned()), "{answer:?}");
    assert!(!seeds.pair().issuer.said()?.contains(&client.secret), "a query was logged");
    Ok(())
}

/// As by default; whatever is asked, a token request is not sent anywhere else.
#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_dialect_that_is_off_is_not_there_and_nothing_is_redirected(#[case] system: System) -> Result<()> {
    let off = shared().await?;
    for method in ["POST", "GET"] {
        let answer = request(off.pair.ports.issuer_http, method, system.path(), &[FORM], "").await?;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    let seeds = seeds().await?;
    for path in [format!("{}/", system.path()), format!("/{}", system.path()), system.path().to_uppercase()] {
        let answer = request(seeds.pair().ports.issuer_http, "POST", &path, &[FORM], "grant_type=x").await?;
        assert_eq!((answer.status, answer.header("location")), (404, None), "{path}: {answer:?}");
    }
    Ok(())
}

/// A secret that people chose is brought along, and counts as any other.
#[tokio::test(flavor = "multi_thread")]
async fn an_imported_secret_that_is_wrong_is_refused_in_every_form() -> Result<()> {
    let seeds = seeds().await?;
    imported(seeds.pair(), "brought", "chosen by somebody", &["--grant", "client_credentials"])?;
    let right = r#"{"grant_type":"client_credentials","client_id":"brought","client_secret":"chosen by somebody"}"#;
    for system in [System::PrestaShop, System::Shopware, System::Oro] {
        let world = &seeds.world;
        assert_eq!(post_json(world, system.path(), right).await?.status, 200);
        let wrong = post_json(world, system.path(), right.replace("somebody", "nobody")).await?;
        assert_told(&wrong, system, &Told::client(), "a wrong secret");
    }
    Ok(())
}
