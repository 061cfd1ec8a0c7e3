//! Redirect URIs (RFC 6749 section 3.1.2, RFC 9700 section 4.1.3).

use std::fmt;
use std::str::FromStr;

/// A redirect URI as registered: absolute, printable ASCII, at most 2048 bytes; without fragment and userinfo, and of a scheme
/// that no browser executes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedirectUri(Box<str>);

/// An address that people may be shown or sent to: as a [`RedirectUri`], and of the scheme https or http.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebUrl(RedirectUri);

/// Why a text is not a redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// Longer than 2048 bytes, empty, or with a character outside printable ASCII.
    #[error("a redirect URI has 1 to 2048 printable ASCII characters")]
    Characters,
    /// No scheme.
    #[error("a redirect URI is absolute")]
    Relative,
    /// `#` present, even with nothing after it.
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// `user@host`.
    #[error("a redirect URI has no user information")]
    UserInfo,
    /// A scheme that a browser would execute, or without a host where one is needed.
    #[error(
        "a redirect URI has the scheme https, http or an application's own with a dot in it, and a host for the first two"
    )]
    Scheme,
}

impl RedirectUri {
    /// The longest URI, in bytes.
    pub const MAX_LEN: usize = 2048;

    /// The host the browser is sent to, with its port where it has one; none for an application's own scheme.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let (scheme, rest) = self.0.split_once("://")?;
        let web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        web.then(|| rest.split(['/', '?']).next().unwrap_or(rest))
    }

    /// The URI as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a presented URI is this one, byte by byte. Only the port of `http://127.0.0.1` and `http://[::1]` may vary: an
    /// application on a person's machine listens where the system lets it (RFC 8252 section 7.3, RFC 9700 section 4.1.3).
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        *self.0 == *presented || without_port(&self.0).is_some_and(|ours| without_port(presented) == Some(ours))
    }
}

/// The scheme and host of a URI on the loopback interface, and what follows its port. `localhost` is a name, which may stand
/// for something else (RFC 8252 section 8.3).
fn without_port(uri: &str) -> Option<(&'static str, &str)> {
    ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|origin| {
        let mut rest = uri.strip_prefix(origin)?;
        if let Some(port_on) = rest.strip_prefix(':') {
            let end = port_on.find(|c: char| !c.is_ascii_digit()).unwrap_or(port_on.len());
            let (port, after) = port_on.split_at(end);
            if port.starts_with('0') || port.parse::<u16>().is_err() {
                return None;
            }
            rest = after;
        }
        (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((origin, rest))
    })
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        use InvalidRedirectUri as Bad;
        let printable = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
        if text.is_empty() || text.len() > Self::MAX_LEN || !printable {
            return Err(Bad::Characters);
        }
        if text.contains('#') {
            return Err(Bad::Fragment);
        }
        let (scheme, rest) = text.split_once(':').ok_or(Bad::Relative)?;
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !scheme_ok {
            return Err(Bad::Relative);
        }
        if let Some(authority_on) = rest.strip_prefix("//") {
            let authority = authority_on.split(['/', '?']).next().unwrap_or_default();
            if authority.contains('@') {
                return Err(Bad::UserInfo);
            }
            if (scheme == "https" || scheme == "http") && (authority.is_empty() || authority.starts_with(':')) {
                return Err(Bad::Scheme);
            }
        }
        // RFC 8252 section 7.1: an application's own scheme is a reversed domain name.
        let own = scheme.contains('.') && scheme == scheme.to_ascii_lowercase();
        let web = (scheme == "https" || scheme == "http") && rest.starts_with("//");
        if own || web { Ok(Self(text.into())) } else { Err(Bad::Scheme) }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl WebUrl {
    /// The URL as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for WebUrl {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        let uri: RedirectUri = text.parse()?;
        if uri.host().is_some() { Ok(Self(uri)) } else { Err(InvalidRedirectUri::Scheme) }
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uri(text: &str) -> RedirectUri {
        text.parse().expect("a redirect URI")
    }

    #[test]
    fn good_uris_are_kept_byte_by_byte() {
        for good in
            ["https://app.example/cb", "http://127.0.0.1/callback", "http://[::1]:8080/cb?x=1", "com.example.app:/cb"]
        {
            assert_eq!(good.parse::<RedirectUri>().map(|u| u.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn a_web_url_is_no_application_s_own_scheme() {
        assert!("https://shop.example/logo.png".parse::<WebUrl>().is_ok());
        for bad in ["com.example.app:/cb", "com.example.app://host/x", "javascript:alert(1)", "https://u@a.example/"] {
            assert!(bad.parse::<WebUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn registration_refuses_what_could_redirect_elsewhere_or_execute() {
        use InvalidRedirectUri as Bad;
        for (bad, why) in [
            ("", Bad::Characters),
            ("https://a.example/é", Bad::Characters),
            ("https://a.example/\n", Bad::Characters),
            ("https://a.example\\@evil", Bad::Characters),
            ("/cb", Bad::Relative),
            ("https://a.example/cb#", Bad::Fragment),
            ("https://a.example/cb#x", Bad::Fragment),
            ("https://ok@evil.example/", Bad::UserInfo),
            ("javascript:alert(1)", Bad::Scheme),
            ("JaVaScRiPt://a/%0aalert(1)", Bad::Scheme),
            ("data:text/html,x", Bad::Scheme),
            ("https:///cb", Bad::Scheme),
            ("https:cb", Bad::Scheme),
        ] {
            assert_eq!(bad.parse::<RedirectUri>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn only_the_port_of_a_loopback_address_may_vary() {
        for (registered, presented) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65535/cb"),
            ("http://127.0.0.1:8080/cb", "http://127.0.0.1:49152/cb"),
            ("http://127.0.0.1:8080/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1", "http://127.0.0.1:80"),
            ("http://127.0.0.1?a=b:1/", "http://127.0.0.1:80?a=b:1/"),
            ("http://[::1]/cb?x=1", "http://[::1]:8080/cb?x=1"),
            ("http://127.0.0.1:0/cb", "http://127.0.0.1:0/cb"),
        ] {
            assert!(uri(registered).matches(presented), "{registered} {presented}");
        }
    }

    #[test]
    fn nothing_else_on_the_loopback_interface_may_vary() {
        let registered = uri("http://127.0.0.1:8080/cb?x=1");
        for bad in [
            "",
            "http://127.0.0.1",
            "http://127.0.0.1:8080/cb",
            "http://127.0.0.1:8080/cb?x=1&y",
            "http://127.0.0.1:8080/cb?x=1#",
            "http://127.0.0.1:8080/cb?x=1#f",
            "http://127.0.0.1:8080/CB?x=1",
            "http://127.0.0.1:8080/cb/?x=1",
            "http://127.0.0.1:8080//cb?x=1",
            "http://127.0.0.1:8080/./cb?x=1",
            "http://127.0.0.1:8080/%63b?x=1",
            "http://127.0.0.1:8080\\cb?x=1",
            "http://127.0.0.1:8080\t/cb?x=1",
            "http://127.0.0.1:8080/cb?x=1\n",
            " http://127.0.0.1:8080/cb?x=1",
            "HTTP://127.0.0.1:8080/cb?x=1",
            "https://127.0.0.1:8080/cb?x=1",
            "http:/127.0.0.1:8080/cb?x=1",
            "//127.0.0.1:8080/cb?x=1",
            "http://127.0.0.1:/cb?x=1",
            "http://127.0.0.1:0/cb?x=1",
            "http://127.0.0.1:080/cb?x=1",
            "http://127.0.0.1:65536/cb?x=1",
            "http://127.0.0.1:123456/cb?x=1",
            "http://127.0.0.1:+80/cb?x=1",
            "http://127.0.0.1:-1/cb?x=1",
            "http://127.0.0.1:8o/cb?x=1",
            "http://127.0.0.1:８０/cb?x=1",
            "http://127.0.0.1::80/cb?x=1",
            "http://127.0.0.1:80:80/cb?x=1",
            "http://127.0.0.1:80@evil.example/cb?x=1",
            "http://127.0.0.1@evil.example/cb?x=1",
            "http://a@127.0.0.1:8080/cb?x=1",
            "http://127.0.0.1.evil.example/cb?x=1",
            "http://127.0.0.1./cb?x=1",
            "http://127.0.0.12/cb?x=1",
            "http://127.0.0.2/cb?x=1",
            "http://127.1/cb?x=1",
            "http://2130706433/cb?x=1",
            "http://0177.0.0.1/cb?x=1",
            "http://0.0.0.0:8080/cb?x=1",
            "http://localhost:8080/cb?x=1",
            "http://[::1]:8080/cb?x=1",
            "http://[::ffff:127.0.0.1]:8080/cb?x=1",
        ] {
            assert!(!registered.matches(bad), "{bad:?}");
        }
        for bad in [
            "http://[0:0:0:0:0:0:0:1]/cb",
            "http://[::01]/cb",
            "http://[::1%25lo]/cb",
            "http://[::1]x/cb",
            "http://::1/cb",
        ] {
            assert!(!uri("http://[::1]/cb").matches(bad), "{bad:?}");
        }
        assert!(!uri("http://localhost/cb").matches("http://localhost:8080/cb"));
        assert!(!uri("http://127.0.0.1:0/cb").matches("http://127.0.0.1:80/cb"));
        assert!(!uri("https://127.0.0.1/cb").matches("https://127.0.0.1:80/cb"));
    }

    #[test]
    fn anywhere_else_a_uri_is_matched_byte_by_byte() {
        let registered = uri("https://app.example/cb");
        assert!(registered.matches("https://app.example/cb"));
        for bad in [
            "https://app.example/cb?",
            "https://app.example/cb/",
            "https://app.example/cb#",
            "https://app.example/c",
            "https://app.example:443/cb",
            "https://app.example./cb",
            "https://App.example/cb",
            "HTTPS://app.example/cb",
            "http://app.example/cb",
            "https://ok@app.example/cb",
            "https://app.example@evil.example/cb",
            "https://app.example.evil.example/cb",
            "https://app.example%2f@evil.example/cb",
            "https://app.example\\@evil.example/cb",
            "https://app.example/cb/../evil",
            "https://app.example/cb%00",
            "https://evil.example/?https://app.example/cb",
        ] {
            assert!(!registered.matches(bad), "{bad:?}");
        }
    }

    /// What lies between the scheme and the path, without a port.
    fn host(uri: &str) -> &str {
        let authority = uri.split_once("://").map_or("", |(_, on)| on.split(['/', '?']).next().unwrap_or_default());
        authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |(host, _)| host)
    }

    proptest! {
        #[test]
        fn what_is_registered_matches_itself(
            text in "(https?://(app\\.example|127\\.0\\.0\\.1|\\[::1\\])|com\\.app:)(:[0-9]{0,6})?(/[!-~]{0,9})?"
        ) {
            if let Ok(registered) = text.parse::<RedirectUri>() {
                prop_assert!(registered.matches(&text));
            }
        }

        #[test]
        fn matching_never_changes_the_host_or_what_follows_it(
            host_presented in "(127\\.0\\.0\\.1|\\[::1\\]|localhost)[.@a-b]{0,2}",
            port in "(:[0-9]{1,6})?",
            path in "/[a-c]",
            on_six in any::<bool>(),
        ) {
            let registered = uri(if on_six { "http://[::1]:1/a" } else { "http://127.0.0.1/a" });
            let presented = format!("http://{host_presented}{port}{path}");
            if registered.matches(&presented) {
                prop_assert_eq!(host(&presented), host(registered.as_str()));
                prop_assert_eq!(path, "/a");
            }
        }
    }
}
