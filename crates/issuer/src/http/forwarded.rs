//! What a proxy in front says of a request: believed of the networks that are configured, and of nobody else (security.md, item 41).

use std::net::IpAddr;

use axum::http::{Extensions, HeaderMap, Request};
use tessera_kit::serve::Peer;

use crate::context::Context;

/// Whether the client spoke HTTPS: to us, or to a proxy of ours that says so.
pub(super) fn is_https<B>(cx: &Context, request: &Request<B>) -> bool {
    // This process's own listeners speak plain HTTP.
    let said = last(request.headers(), "x-forwarded-proto");
    is_trusted(cx, peer(request.extensions())) && said.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// Where a request comes from: the connection's other end or, where that is a proxy of ours, whom it names; the nearest address that
/// is no proxy of ours.
pub(super) fn client<B>(cx: &Context, request: &Request<B>) -> Option<IpAddr> {
    let peer = peer(request.extensions());
    if !is_trusted(cx, peer) {
        return peer;
    }
    let values = request.headers().get_all("x-forwarded-for").iter();
    let named: Vec<&str> = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    let mut nearest = peer;
    for text in named.into_iter().rev() {
        let Ok(address) = text.trim().parse() else { return nearest };
        nearest = Some(address);
        if !is_trusted(cx, nearest) {
            break;
        }
    }
    nearest
}

fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical())
}

fn is_trusted(cx: &Context, address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| cx.policy.trusted_proxies.iter().any(|network| network.contains(&address)))
}

/// The value nearest to us: what a proxy of ours appended.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}
