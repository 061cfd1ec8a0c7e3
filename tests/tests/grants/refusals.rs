//! Which error each mistake is (item 9), and where the password grant is off (item 28).

use anyhow::{Context as _, Result};
use tessera_tests::doors::{At, BOTH, Grant, post_as};
use tessera_tests::people::{PASSWORD, REDIRECT, VERIFIER, redemption, shared_people};
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{create_client, request};

/// Item 9: what is wrong with what is presented is `invalid_grant`, a grant the client may not use `unauthorized_client`, a
/// scope beyond it `invalid_scope`, a missing parameter `invalid_request`.
#[tokio::test]
async fn each_mistake_in_a_grant_of_a_person_has_its_code() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    let (mallory, tokens) = (people.person("mallory").await?, people.by_code().await?);
    let code = people.code(app, &people.ada, "").await?;
    let machine = create_client(&people.world.pair, "machine", &["--grant", "client_credentials"])?;
    let good = [Grant::Refresh(tokens.refresh()?), redemption(&code), Grant::Password(&mallory.name, PASSWORD)];
    let bad = [
        Grant::Refresh("garbage"),
        Grant::Refresh("tsk_rt_garbage"),
        Grant::Code { code: "garbage", redirect: REDIRECT, verifier: VERIFIER },
        Grant::Password(&mallory.name, "wrong"),
        Grant::Password("nobody-at-all", PASSWORD),
        Grant::Password("\u{0}\u{fffd} @@", PASSWORD),
    ];
    let missing = [
        Grant::Refresh(""),
        Grant::Code { code: "", redirect: REDIRECT, verifier: VERIFIER },
        Grant::Password("", PASSWORD),
        Grant::Password(&mallory.name, ""),
    ];
    for grant in bad {
        at.refuses(app, grant, "", "invalid_grant").await?;
    }
    for grant in missing {
        at.refuses(app, grant, "", "invalid_request").await?;
    }
    for grant in good {
        at.refuses(&machine, grant, "", "unauthorized_client").await?;
        for scope in ["tessera.admin", "unheard:of", "orders:read unheard:of", "with\"quotes"] {
            at.refuses(app, grant, scope, "invalid_scope").await.with_context(|| scope.to_owned())?;
        }
        let nobody = tessera_tests::Client { secret: "wrong".to_owned(), ..app.clone() };
        at.refuses(&nobody, grant, "", "invalid_client").await?;
        at.issue(BOTH[0], app, grant).await.context("being refused has consumed nothing")?;
    }
    Ok(())
}

/// Item 9, what HTTP alone can say: no grant type, one there is not, and audiences that are not the grant's.
#[tokio::test]
async fn unknown_grant_types_and_foreign_audiences_are_refused_over_http() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    let (tokens, code) = (people.by_code().await?, people.code(app, &people.ada, "").await?);
    let refresh = ("grant_type", "refresh_token");
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let token = ("refresh_token", tokens.refresh()?);
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[token], "invalid_request"),
        (&[("grant_type", "implicit"), token], "unsupported_grant_type"),
        (&[("grant_type", "Refresh_Token"), token], "unsupported_grant_type"),
        (&[("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), token], "unsupported_grant_type"),
        (&[refresh, token, ("audience", "another-api")], "invalid_target"),
        (&[refresh, token, token], "invalid_request"),
        (&[&redeem[..], &[("audience", "another-api")]].concat(), "invalid_target"),
    ];
    for (fields, error) in cases {
        let answer = post_as(at.http, "/oauth2/token", app, fields).await?;
        assert_refused(&answer, 400, error, &format!("{fields:?}"));
    }
    at.issue(BOTH[0], app, Grant::Refresh(tokens.refresh()?)).await?;
    at.issue(BOTH[1], app, redemption(&code)).await?;
    Ok(())
}

async fn grant_types(at: At) -> Result<Vec<String>> {
    let answer = request(at.http, "GET", "/.well-known/oauth-authorization-server", &[], "").await?;
    let json = answer.json()?;
    let listed = json["grant_types_supported"].as_array().context("no grant types")?;
    Ok(listed.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Item 28: off, the password grant is no grant of this server, in its metadata neither, whoever asks; on, it is for the clients
/// that were given it.
#[tokio::test]
async fn the_password_grant_is_off_unless_turned_on_and_given() -> Result<()> {
    let off = shared().await?;
    let given = create_client(&off.pair, "would-take-passwords", &["--grant", "password", "client_credentials"])?;
    let at = At::of(&off.pair);
    // Also where something is missing: what is off has no parameters.
    for grant in [Grant::Password("ada", PASSWORD), Grant::Password("", "")] {
        for client in [&given, &off.service] {
            at.refuses(client, grant, "", "unsupported_grant_type").await?;
        }
    }
    assert!(!grant_types(at).await?.contains(&"password".to_owned()));

    let on = shared_people().await?;
    assert!(grant_types(on.at()).await?.contains(&"password".to_owned()));
    on.at().refuses(&on.world.service, Grant::Password(&on.ada.name, PASSWORD), "", "unauthorized_client").await?;
    for door in BOTH {
        let tokens = on.at().issue(door, &on.app, Grant::Password(&on.ada.name, PASSWORD)).await?;
        assert!(on.world.everybody_says_active(&tokens.access).await?);
    }
    Ok(())
}
