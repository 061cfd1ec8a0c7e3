//! Tokens that are nearly ours.

use anyhow::{Context as _, Result};
use tessera_tests::asking::INACTIVE;
use tessera_tests::shared::shared;
use tessera_tests::{FORM, World, channel, check_on, form_encode, request};
use tonic::Code;

/// Whether somebody says that a token is active; where too many unknown ones are being checked, asked again.
async fn active(world: &World, at: std::net::SocketAddr, token: &str) -> Result<bool> {
    loop {
        let basic = world.resource.basic();
        let body = format!("token={}", form_encode(token));
        let answer = request(at, "POST", "/oauth2/introspect", &[FORM, ("authorization", &basic)], body).await?;
        match answer.status {
            200 if answer.body == INACTIVE => return Ok(false),
            200 => return answer.json()?["active"].as_bool().context("no `active`"),
            429 => tokio::task::yield_now().await,
            _ => anyhow::bail!("{token}: {answer:?}"),
        }
    }
}

async fn active_by_rpc(world: &World, channel: &tonic::transport::Channel, token: &str) -> Result<bool> {
    loop {
        match check_on(channel.clone(), &world.resource, token).await {
            Ok(response) => return Ok(response.active),
            Err(status) if status.code() == Code::ResourceExhausted => tokio::task::yield_now().await,
            Err(status) => return Err(status.into()),
        }
    }
}

/// The alphabet of tokens.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The character that differs in the last bit: at a part's end that bit may mean nothing, and must be right all the same.
fn other(byte: u8) -> u8 {
    ALPHABET.iter().position(|b| *b == byte).map_or(b'_', |index| ALPHABET[index ^ 1])
}

#[tokio::test]
async fn a_token_with_any_byte_changed_is_inactive_and_revoking_it_revokes_nothing() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let token = world.token().await?;
    assert!(world.everybody_says_active(&token).await?);
    let introspector = channel(ports.introspector_grpc).await?;
    let issuer = channel(ports.issuer_grpc).await?;
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = other(bytes[at]);
        let changed = String::from_utf8(bytes)?;
        assert!(!active_by_rpc(world, &introspector, &changed).await?, "byte {at}");
        tessera_tests::revoke_on(issuer.clone(), &world.service, &changed).await?;
        // The issuer decides by the same code as the introspector: every place by RPC, some by HTTP too.
        if at % 16 == 0 || token.as_bytes()[at] == b'.' {
            for http in [ports.issuer_http, ports.introspector_http] {
                assert!(!active(world, http, &changed).await?, "byte {at} at {http}");
            }
        }
    }
    assert!(world.everybody_says_active(&token).await?, "none of these was this token");
    world.is_unharmed().await
}

#[tokio::test]
async fn truncated_extended_and_rearranged_tokens_are_inactive_and_revoking_them_revokes_nothing() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let (token, second) = (world.token().await?, world.token().await?);
    let three: Vec<&str> = token.split('.').collect();
    let foreign: Vec<&str> = second.split('.').collect();
    let [header, claims, signature] = three[..] else { anyhow::bail!("not three parts") };
    let mut bad: Vec<String> = (0..token.len()).step_by(23).map(|length| token[..length].to_owned()).collect();
    bad.extend((1..=4).map(|less| token[..token.len() - less].to_owned()));
    bad.retain(|token| !token.is_empty());
    bad.extend([
        format!("{token}A"),
        format!("{token}="),
        format!("{token}=="),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!(".{token}"),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}\0"),
        format!("Bearer {token}"),
        token.to_uppercase(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{claims}.{header}.{signature}"),
        format!("{header}.{claims}.{}", foreign[2]),
        format!("{header}.{}.{signature}", foreign[1]),
        format!("{header}.{claims}.{signature}").replace('.', "%2E"),
        format!("{token}{}", "A".repeat(20_000)),
        "A".repeat(20_000),
        ".".repeat(1000),
        "..".to_owned(),
        "é.é.é".to_owned(),
    ]);
    let introspector = channel(ports.introspector_grpc).await?;
    let issuer = channel(ports.issuer_grpc).await?;
    for token in &bad {
        for http in [ports.issuer_http, ports.introspector_http] {
            assert!(!active(world, http, token).await?, "{token:?} at {http}");
        }
        assert!(!active_by_rpc(world, &introspector, token).await?, "{token:?}");
        tessera_tests::revoke_on(issuer.clone(), &world.service, token).await?;
        let body = format!("token={}", form_encode(token));
        let headers = [FORM, ("authorization", &*world.service.basic())];
        let revoked = request(ports.issuer_http, "POST", "/oauth2/revoke", &headers, body).await?;
        assert_eq!((revoked.status, revoked.body.as_str()), (200, ""), "{token:?}: RFC 7009 section 2.2");
    }
    for token in [token, second] {
        assert!(world.everybody_says_active(&token).await?, "none of these was this token");
    }
    world.is_unharmed().await
}
