//! What a flood may and may not do.

use std::sync::atomic::Ordering;

use tessera_types::{Algorithm, TokenId};

use super::world::World;
use super::*;
use crate::AccessClaims;

fn nth(world: &World, number: u32) -> String {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    world.token(&AccessClaims { token: TokenId(id), ..world.claims() })
}

#[test]
fn a_remembered_token_costs_no_signature() {
    let world = World::new();
    let token = world.token(&world.claims());
    assert_eq!(world.source(&token), Source::Signature);
    for _ in 0..10 {
        assert_eq!(world.source(&token), Source::Memory);
    }
    assert_eq!(world.checker.signature_checks(), 1);
}

#[test]
fn what_does_not_verify_is_not_remembered() {
    let world = World::new();
    let token = world.token(&world.claims());
    let (input, _) = token.rsplit_once('.').expect("three parts");
    let forged = format!("{input}.{}", "A".repeat(86));
    for checks in 1..=3 {
        assert_eq!(world.source(&forged), Source::Signature);
        assert_eq!(world.checker.signature_checks(), checks);
    }
    assert_eq!(world.checker.remembered(), 0);
}

#[test]
fn over_the_budget_unknown_tokens_are_turned_away_and_known_ones_served() {
    let options = CheckerOptions { cores: 1, signature_percent: 10, ..CheckerOptions::default() };
    let world = World::with(Algorithm::EdDsa, options);
    let known = world.token(&world.claims());
    assert!(world.is_active(&known));
    let (input, _) = known.rsplit_once('.').expect("three parts");
    let forged = format!("{input}.{}", "A".repeat(86));
    // A signature that seems to take 100 ms is a second's share.
    world.clock.tick.store(100, Ordering::Relaxed);
    assert_eq!(world.source(&forged), Source::Signature);
    world.clock.tick.store(0, Ordering::Relaxed);
    for token in [&forged, &nth(&world, 1)] {
        assert_eq!(world.answer(token).map(|_| ()), Err(CannotTell::Busy), "neither active nor inactive");
    }
    assert_eq!(world.source(&known), Source::Memory);
    assert!(world.is_active(&known));
    world.pass(1000);
    assert!(world.is_active(&nth(&world, 1)), "once the flood is paid off");
}

#[test]
fn a_flood_of_fresh_tokens_does_not_evict_those_in_use() {
    let options = CheckerOptions { cache_capacity: 1000, ..CheckerOptions::default() };
    let world = World::with(Algorithm::EdDsa, options);
    let in_use: Vec<String> = (0..200).map(|number| nth(&world, number)).collect();
    for token in in_use.iter().chain(&in_use) {
        assert!(world.is_active(token));
    }
    for number in 1000..6000 {
        assert!(world.is_active(&nth(&world, number)));
    }
    assert!(world.checker.remembered() <= 1100, "{}", world.checker.remembered());
    let kept = in_use.iter().filter(|token| world.source(token) == Source::Memory).count();
    assert!(kept >= 195, "{kept} of 200");
}

#[test]
fn the_cache_is_bounded() {
    let options = CheckerOptions { cache_capacity: 64, ..CheckerOptions::default() };
    let world = World::with(Algorithm::EdDsa, options);
    for number in 0..500 {
        assert!(world.is_active(&nth(&world, number)));
        assert!(world.checker.remembered() <= 64);
    }
}
