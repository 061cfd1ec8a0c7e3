//! The shop systems' token endpoints: paths, parameters, errors and claims as their clients expect them, in front of the same grants.
//!
//! The three wrap one PHP library, called *league* here, and so does what they share ([`league`]). Each has a file that says in what it
//! differs; a fifth system is one more.

mod answer;
mod body;
mod league;
mod oro;
mod prestashop;
mod shopware;

use axum::Router;
use axum::routing::post;

use crate::config::Dialects;
use crate::context::Context;
use league::{League, Quirk};

/// The routes of the dialects that are on.
pub(super) fn routes(dialects: &Dialects) -> Router<Context> {
    let systems = [
        (League::of(&prestashop::SYSTEM, &dialects.prestashop), &dialects.prestashop),
        (League::of(&shopware::SYSTEM, &dialects.shopware), &dialects.shopware),
        (League::of(&oro::SYSTEM, &dialects.oro), &dialects.oro),
    ];
    let on = systems.into_iter().filter(|(_, configured)| configured.enabled).map(|(league, _)| league);
    on.fold(Router::new(), |router, league| {
        if league.system.does(Quirk::RequiresHttps) && !league.requires_https {
            tracing::warn!(
                path = league.system.path,
                "this endpoint takes client secrets over plain HTTP too, as configured"
            );
        }
        let path = league.system.path;
        router.route(path, post(move |state, request| league::handle(league, state, request)))
    })
}
