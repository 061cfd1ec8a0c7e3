//! Refresh tokens and codes that are cut, extended, altered or forged (Zitadel CVE-2026-27840).

use anyhow::Result;
use tessera_testkit::SeededRandom;
use tessera_tests::doors::{BOTH, Grant};
use tessera_tests::people::{redemption, shared_people};
use tessera_types::{AuthorizationCode, GrantId, RefreshToken};

/// Every so many bytes one is changed; a step that divides neither length meets every part of them.
const STEP: usize = 7;

/// A text with something wrong with it.
fn mangled(text: &str) -> Vec<String> {
    let flipped = (0..text.len()).step_by(STEP).flat_map(|at| {
        let other = |byte: u8| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = byte;
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let byte = text.as_bytes()[at];
        // Another letter, and the other case of the same one.
        [other(if byte == b'A' { b'B' } else { b'A' }), other(byte ^ 0x20)]
    });
    let cut = (0..text.len()).step_by(STEP).flat_map(|at| [text[..at].to_owned(), text[at..].to_owned()]);
    let one_less = text[..text.len() - 1].to_owned();
    let extended = ["A", "=", ".", " ", "\n", "%00", "\u{e9}"].into_iter().map(|more| format!("{text}{more}"));
    let before = [" ", "A", "Bearer "].into_iter().map(|more| format!("{more}{text}"));
    let twice = format!("{text}{text}");
    let all = flipped.chain(cut).chain([one_less, twice]).chain(extended).chain(before);
    all.filter(|other| other != text && !other.is_empty()).collect()
}

/// Tokens that are well-formed and not the issuer's.
fn forged(token: &str) -> Result<Vec<String>> {
    let token: RefreshToken = token.parse()?;
    let changed = [
        RefreshToken { secret: [7; 32], ..token.clone() },
        RefreshToken { tag: [7; 16], ..token.clone() },
        RefreshToken { generation: token.generation + 1, ..token.clone() },
        RefreshToken { generation: u32::MAX, ..token.clone() },
        RefreshToken { grant: GrantId([7; 16]), ..token.clone() },
    ];
    Ok(changed.iter().map(|token| token.to_text().to_string()).collect())
}

#[tokio::test]
async fn mangled_and_forged_refresh_tokens_are_refused_and_revoke_nothing() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    let tokens = people.by_code().await?;
    let current = at.issue(BOTH[0], app, Grant::Refresh(tokens.refresh()?)).await?;
    // The spent one too: a forgery of it must not pass for a reuse.
    for token in [tokens.refresh()?, current.refresh()?] {
        for (number, wrong) in mangled(token).into_iter().chain(forged(token)?).enumerate() {
            let door = BOTH[number % 2];
            let refusal = at.ask(door, app, Grant::Refresh(&wrong), "").await?.expect_err(&wrong);
            assert_eq!(refusal.error, "invalid_grant", "{wrong:?} over {door:?}");
            if number % 5 == 0 {
                at.revoke(door, app, &wrong, "refresh_token").await?;
            }
        }
        for wrong in forged(token)? {
            at.revoke(BOTH[0], app, &wrong, "").await?;
        }
    }
    assert!(people.world.everybody_says_active(&current.access).await?);
    at.issue(BOTH[1], app, Grant::Refresh(current.refresh()?)).await?;
    Ok(())
}

#[tokio::test]
async fn mangled_and_forged_codes_are_refused_and_consume_nothing() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    let code = people.code(app, &people.ada, "").await?;
    let forged = AuthorizationCode::generate(&SeededRandom::new(7));
    for (number, wrong) in mangled(&code).into_iter().chain([forged.expose().to_owned()]).enumerate() {
        let door = BOTH[number % 2];
        let refusal = at.ask(door, app, redemption(&wrong), "").await?.expect_err(&wrong);
        assert_eq!(refusal.error, "invalid_grant", "{wrong:?} over {door:?}");
    }
    let tokens = at.issue(BOTH[0], app, redemption(&code)).await?;
    for wrong in mangled(&code).iter().step_by(3) {
        at.ask(BOTH[1], app, redemption(wrong), "").await?.expect_err(wrong);
    }
    assert!(people.world.everybody_says_active(&tokens.access).await?, "no such replay revokes anything");
    at.issue(BOTH[1], app, Grant::Refresh(tokens.refresh()?)).await?;
    Ok(())
}
