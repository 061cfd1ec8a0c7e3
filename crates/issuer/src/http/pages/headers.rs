//! The headers that keep a page from being framed, fed with script, leaked or kept (security.md, items 10 and 19).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tessera_kit::http::error;

/// Everything a page may not do, up to the pictures it shows and the places its forms may lead to. Script and style come from files
/// alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    img-src 'self' data:";

/// What follows the pictures.
const FORMS: &str = "; form-action 'self'";

const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'");

const FIXED: [(HeaderName, HeaderValue); 4] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Where the answers of a transaction may be sent: places of the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places<'a> {
    /// The transaction's redirect URI.
    pub redirect: &'a str,
    /// Where the client wants to be told of errors, a denial among them, if that is elsewhere.
    pub failure: Option<&'a str>,
}

/// Puts the headers on an answer. `places` are those of the transaction it belongs to, if any; `logo` is the source expression of the one
/// picture on it that is not ours, if any.
pub fn secure(headers: &mut HeaderMap, places: Option<Places<'_>>, logo: Option<&str>) {
    error::no_store(headers);
    headers.extend(FIXED);
    headers.insert(header::CONTENT_SECURITY_POLICY, csp(places, logo));
}

/// The content security policy. Chromium holds `form-action` against the redirect that follows a POST as well, so the pages of a
/// transaction list the client's own places beside `'self'`. A URI that no source expression can stand for adds nothing.
#[must_use]
pub fn csp(places: Option<Places<'_>>, logo: Option<&str>) -> HeaderValue {
    let redirect = places.and_then(|places| source(places.redirect));
    let failure =
        places.and_then(|places| source(places.failure?)).filter(|failure| redirect.as_ref() != Some(failure));
    let list = |directive: &str, sources: &[Option<&str>]| {
        let sources = sources.iter().flatten().copied();
        std::iter::once(directive).chain(sources).collect::<Vec<_>>().join(" ")
    };
    let policy = list(POLICY, &[logo]) + &list(FORMS, &[redirect.as_deref(), failure.as_deref()]);
    // Sources are ASCII; a page whose policy could not be written would be shown with nothing.
    HeaderValue::from_str(&policy).unwrap_or(NOTHING)
}

/// The source expression for one picture of somebody else's: its URL to the letter, but for the query, which a source expression does not
/// have. `None` for one that is not shown. A page that came over HTTPS shows none over plain HTTP, where anybody on the way could put
/// another in its place.
pub(super) fn picture(url: &str, over_https: bool) -> Option<String> {
    let origin = source(url).filter(|source| source.starts_with("https://") || !over_https)?;
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split('?').next()?;
    // A path that ends with `/` would stand for all below it.
    let path = rest.find('/').map(|at| &rest[at..]).filter(|path| !path.ends_with('/') && only(path, b"/-._~%"))?;
    Some(format!("{origin}{path}"))
}

/// The source expression for a redirect URI: scheme, host and port, or the scheme alone of an application's own. It is put together
/// from parts that hold letters, digits and a few marks only, so nothing in the URI can end the directive or start another.
fn source(redirect: &str) -> Option<String> {
    let (scheme, rest) = redirect.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "https" && scheme != "http" {
        let own = scheme.contains('.') && scheme.starts_with(|c: char| c.is_ascii_lowercase());
        return (own && only(&scheme, b"+-.")).then(|| format!("{scheme}:"));
    }
    let authority = rest.strip_prefix("//")?.split(['/', '?', '#']).next()?;
    let (host, port) = split_port(authority);
    // A source expression has no form for an IPv6 address; the loopback one is listed by its port.
    // It has no certificate of anybody's: with https, any site would be meant.
    let host = if host == "[::1]" && scheme == "http" {
        "*"
    } else {
        Some(host).filter(|host| !host.is_empty() && only(host, b"-._"))?
    };
    match port {
        None | Some("") => Some(format!("{scheme}://{host}")),
        Some(port) => {
            port.parse::<u16>().ok().filter(|_| only(port, b"")).map(|port| format!("{scheme}://{host}:{port}"))
        }
    }
    .filter(|source| source != "http://*" && source != "https://*")
}

/// Host and port of an authority without user information.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    let end_of_address = authority.rfind(']').unwrap_or(0);
    match authority[end_of_address..].find(':') {
        Some(at) => (&authority[..end_of_address + at], Some(&authority[end_of_address + at + 1..])),
        None => (authority, None),
    }
}

fn only(text: &str, marks: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(redirect: &str, failure: Option<&str>, logo: Option<&str>) -> String {
        csp(Some(Places { redirect, failure }), logo).to_str().expect("ASCII").to_owned()
    }

    fn form_action(redirect: &str) -> String {
        let policy = policy(redirect, None, None);
        policy.strip_prefix(&format!("{POLICY}{FORMS}")).expect("the fixed part").to_owned()
    }

    #[test]
    fn a_transactions_pages_may_lead_to_the_client() {
        for (redirect, added) in [
            ("https://app.example/cb?x=1", " https://app.example"),
            ("https://app.example", " https://app.example"),
            ("HTTPS://App.Example:8443/cb", " https://App.Example:8443"),
            ("https://app.example:/cb", " https://app.example"),
            ("https://app.example?x=1", " https://app.example"),
            ("http://127.0.0.1:49152/cb", " http://127.0.0.1:49152"),
            ("http://[::1]:8080/cb", " http://*:8080"),
            ("com.example.app:/cb", " com.example.app:"),
        ] {
            assert_eq!(form_action(redirect), added, "{redirect}");
        }
    }

    #[test]
    fn and_to_where_it_is_told_of_errors() {
        for (failure, added) in [
            (Some("https://errors.example/failed?x=1"), " https://app.example https://errors.example"),
            (Some("https://app.example:8443/failed"), " https://app.example https://app.example:8443"),
            (Some("https://app.example/failed"), " https://app.example"),
            (Some("https://a;script-src */"), " https://app.example"),
            (None, " https://app.example"),
        ] {
            let policy = policy("https://app.example/cb", failure, None);
            assert_eq!(policy.strip_prefix(&format!("{POLICY}{FORMS}")), Some(added), "{failure:?}");
        }
    }

    #[test]
    fn a_logo_is_one_picture_and_nothing_beside_it() {
        for (logo, over_https, source) in [
            ("https://shop.example/logo.png", true, Some("https://shop.example/logo.png")),
            ("https://shop.example:8443/a/b~c-%20_d.svg?v=2", true, Some("https://shop.example:8443/a/b~c-%20_d.svg")),
            ("http://127.0.0.1:8080/logo.png", false, Some("http://127.0.0.1:8080/logo.png")),
            ("http://shop.example/logo.png", true, None),
            ("https://shop.example", true, None),
            ("https://shop.example/", true, None),
            ("https://shop.example/logos/", true, None),
            ("https://shop.example/?logo", true, None),
            ("https://shop.example/logo.png;script-src", true, None),
            ("https://shop.example/logo,png", true, None),
            ("https://shop.example/a b", true, None),
            ("https://shop.example/'self'", true, None),
            ("https://*.example/logo.png", true, None),
            ("com.example.app:/logo.png", true, None),
            ("data:image/png,x", false, None),
        ] {
            let found = picture(logo, over_https);
            assert_eq!(found.as_deref(), source, "{logo}");
            let added = source.map(|source| format!(" {source}")).unwrap_or_default();
            let policy = policy("", None, found.as_deref());
            assert_eq!(policy, format!("{POLICY}{added}{FORMS}"), "{logo}");
        }
    }

    #[test]
    fn nothing_can_be_smuggled_into_the_policy() {
        for redirect in [
            "",
            "x",
            "https:",
            "https://",
            "https:///cb",
            "https://*/cb",
            "https://*.example/cb",
            "https://a;script-src */cb",
            "https://a;script-src%20*",
            "https://a,b/",
            "https://a b/",
            "https://a'unsafe-inline'/",
            "https://a\r\nSet-Cookie:x=y/",
            "https://user@evil.example/",
            "https://a:1;script-src/",
            "https://a:*/",
            "https://a:+1/",
            "https://a:99999/",
            "https://[::1;]/",
            "http://[::1]/cb",
            "https://[2001:db8::1]/",
            "https://é.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "*:",
            "a.b;c:/",
            "a.b c:/",
            "<script>:x",
        ] {
            assert_eq!(form_action(redirect), "", "{redirect:?}");
        }
    }

    #[test]
    fn every_header_is_set() {
        let mut headers = HeaderMap::new();
        secure(&mut headers, None, None);
        let policy = format!("{POLICY}{FORMS}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", &*policy),
        ] {
            assert_eq!(headers.get(name).and_then(|value| value.to_str().ok()), Some(value), "{name}");
        }
        assert!(headers.contains_key("permissions-policy"));
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{part}");
        }
        assert!(!policy.contains("unsafe"));
    }
}
