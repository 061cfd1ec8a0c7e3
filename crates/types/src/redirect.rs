//! Redirect URIs (RFC 6749 section 3.1.2, RFC 9700 section 4.1.3).

use std::fmt;
use std::str::FromStr;

/// A redirect URI as registered: absolute, printable ASCII, at most 2048 bytes; without fragment and userinfo, and of a scheme
/// that no browser executes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedirectUri(Box<str>);

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

    /// The URI as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_uris_are_kept_byte_by_byte() {
        for good in
            ["https://app.example/cb", "http://127.0.0.1/callback", "http://[::1]:8080/cb?x=1", "com.example.app:/cb"]
        {
            assert_eq!(good.parse::<RedirectUri>().map(|u| u.to_string()), Ok(good.to_owned()));
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
}
