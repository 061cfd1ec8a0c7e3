//! What a proxy in front says of a request: believed of the networks that are configured, and of nobody else (security.md, item 41).

use std::net::IpAddr;

use axum::http::{Extensions, HeaderMap, Request};
use tessera_kit::calls;
use tessera_kit::serve::Peer;
use tessera_kit::tls::Secured;

use crate::context::Context;

/// Whether the client spoke HTTPS: to us, or to a proxy of ours that says so.
pub(super) fn is_https<B>(cx: &Context, request: &Request<B>) -> bool {
    let said = last(request.headers(), "x-forwarded-proto").filter(|_| is_trusted(cx, peer(request.extensions())));
    match said {
        // Between it and us is another connection, whatever that is.
        Some(scheme) => scheme.eq_ignore_ascii_case("https"),
        None => request.extensions().get::<Secured>().is_some(),
    }
}

/// Where a request comes from: the connection's other end or, where that is a proxy of ours, whom it names; the nearest address that
/// is no proxy of ours.
pub(super) fn client<B>(cx: &Context, request: &Request<B>) -> Option<IpAddr> {
    let from = nearest(peer(request.extensions()), request.headers(), |address| is_trusted(cx, address));
    if let Some(from) = from {
        calls::remote(from);
    }
    from
}

fn nearest(peer: Option<IpAddr>, headers: &HeaderMap, is_trusted: impl Fn(Option<IpAddr>) -> bool) -> Option<IpAddr> {
    if !is_trusted(peer) {
        return peer;
    }
    let values = headers.get_all("x-forwarded-for").iter();
    let named: Vec<&str> = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    let mut nearest = peer;
    for text in named.into_iter().rev() {
        let Ok(address) = text.trim().parse::<IpAddr>() else { return nearest };
        // A proxy that listens on both families may name an IPv4 address as an IPv6 one.
        nearest = Some(address.to_canonical());
        if !is_trusted(nearest) {
            break;
        }
    }
    nearest
}

fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|peer| peer.addr().ip().to_canonical())
}

fn is_trusted(cx: &Context, address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| cx.policy.trusted_proxies.iter().any(|network| network.contains(&address)))
}

/// The value nearest to us: what a proxy of ours appended.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let proxies = |address: Option<IpAddr>| address.is_some_and(|a| a.to_string().starts_with("10."));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().expect("a header"));
        }
        let peer = Some(peer.parse().expect("an address"));
        nearest(peer, &headers, proxies).expect("known").to_string()
    }

    #[test]
    fn the_nearest_address_that_is_no_proxy_of_ours_is_the_client() {
        for (peer, forwarded, client) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
        ] {
            assert_eq!(client_of(peer, forwarded), client, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_proxy_of_ours_is_known_by_its_mapped_address_too() {
        assert_eq!(client_of("10.0.0.1", &["192.0.2.1, ::ffff:10.0.0.2"]), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &["::ffff:192.0.2.1"]), "192.0.2.1");
    }
}
