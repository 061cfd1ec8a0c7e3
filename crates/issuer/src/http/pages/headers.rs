//! The headers that keep a page from being framed, fed with script, leaked or kept (security.md, items 10 and 19).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tessera_kit::http::error;

/// Everything a page may not do, up to the places its forms may lead to. Script and style come from files alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const POLICY_ALONE: HeaderValue = HeaderValue::from_static(POLICY);

const FIXED: [(HeaderName, HeaderValue); 4] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Puts the headers on an answer. `redirect` is the redirect URI of the transaction the page belongs to, if any.
pub fn secure(headers: &mut HeaderMap, redirect: Option<&str>) {
    error::no_store(headers);
    headers.extend(FIXED);
    headers.insert(header::CONTENT_SECURITY_POLICY, csp(redirect));
}

/// The content security policy. Chromium holds `form-action` against the redirect that follows a POST as well, so the pages of a
/// transaction list the client's own place beside `'self'`. A redirect URI that no source expression can stand for adds nothing.
#[must_use]
pub fn csp(redirect: Option<&str>) -> HeaderValue {
    let Some(source) = redirect.and_then(source) else { return POLICY_ALONE };
    HeaderValue::from_str(&format!("{POLICY} {source}")).unwrap_or(POLICY_ALONE)
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
    let host = if host == "[::1]" { "*" } else { Some(host).filter(|host| !host.is_empty() && only(host, b"-._"))? };
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

    fn form_action(redirect: &str) -> String {
        let policy = csp(Some(redirect));
        let policy = policy.to_str().expect("ASCII");
        policy.strip_prefix(POLICY).expect("the fixed part").to_owned()
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
        secure(&mut headers, None);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", POLICY),
        ] {
            assert_eq!(headers.get(name).and_then(|value| value.to_str().ok()), Some(value), "{name}");
        }
        assert!(headers.contains_key("permissions-policy"));
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(POLICY.contains(part), "{part}");
        }
        assert!(!POLICY.contains("unsafe"));
    }
}
