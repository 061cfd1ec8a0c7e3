//! The client that a page speaks of.

use super::frame::Site;
use super::headers::{self, Places, split_port};

/// A client, as a person is told of it.
#[derive(Clone, Debug)]
pub struct ClientView {
    /// Its name: whatever its owner chose.
    pub name: String,
    /// The redirect URI of this transaction, held against the registered ones before. The place shown and the policy on the page
    /// both come from it.
    pub redirect: String,
    /// Where it is told of errors, if that is elsewhere.
    pub failure: Option<String>,
    /// Its site: an http or https URL that its owner chose freely.
    pub site: Option<String>,
    /// Its logo, likewise.
    pub logo: Option<Logo>,
}

/// A logo that a page may show: the one picture that is loaded from elsewhere, and only from there.
#[derive(Clone, Debug)]
pub struct Logo {
    url: String,
    source: String,
}

/// Where a client's redirect URI leads, in words. Unlike the name, its owner could not choose it freely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A site: its host, with the port where one is written. A redirect URI is ASCII, so look-alike letters show as `xn--`.
    Host(String),
    /// A program on the person's own device, listening on the loopback address.
    Device,
    /// An application on the device, by its scheme.
    App(String),
}

impl Place {
    /// The place of a redirect URI.
    #[must_use]
    pub fn of(redirect: &str) -> Self {
        let (scheme, rest) = redirect.split_once(':').unwrap_or((redirect, ""));
        let Some(rest) = rest.strip_prefix("//").filter(|_| scheme == "https" || scheme == "http") else {
            return Self::App(scheme.to_owned());
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match split_port(authority).0 {
            "127.0.0.1" | "[::1]" | "localhost" => Self::Device,
            _ => Self::Host(authority.to_ascii_lowercase()),
        }
    }
}

impl Logo {
    /// The logo at a URL; `None` where a page of this site cannot show it.
    #[must_use]
    pub fn of(url: &str, site: &Site) -> Option<Self> {
        let source = headers::picture(url, site.is_https())?;
        Some(Self { url: url.to_owned(), source })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What stands for it in a policy.
    pub(super) fn source(&self) -> &str {
        &self.source
    }
}

impl ClientView {
    /// Where the answer to its transaction may be sent.
    pub(super) fn places(&self) -> Places<'_> {
        Places { redirect: &self.redirect, failure: self.failure.as_deref() }
    }

    pub(super) fn place(&self) -> Place {
        Place::of(&self.redirect)
    }

    /// A letter to stand where a logo would.
    pub(super) fn initial(&self) -> String {
        initial(&self.name)
    }
}

pub(super) fn initial(name: &str) -> String {
    name.chars().find(|c| c.is_alphanumeric()).map_or_else(|| "·".to_owned(), |c| c.to_uppercase().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_redirect_uris() {
        for (redirect, place) in [
            ("https://App.Example/cb", Place::Host("app.example".to_owned())),
            ("https://app.example:8443?x=https://other.example/", Place::Host("app.example:8443".to_owned())),
            ("http://127.0.0.1:49152/cb", Place::Device),
            ("http://[::1]:8080/cb", Place::Device),
            ("https://127.0.0.1.evil.example/cb", Place::Host("127.0.0.1.evil.example".to_owned())),
            ("com.example.app:/cb", Place::App("com.example.app".to_owned())),
            ("com.example.app://app.example/cb", Place::App("com.example.app".to_owned())),
        ] {
            assert_eq!(Place::of(redirect), place, "{redirect}");
        }
    }

    #[test]
    fn any_name_has_an_initial() {
        for (name, letter) in [("photo", "P"), ("<b>", "B"), ("  ", "·"), ("ßa", "SS"), ("éa", "É"), ("", "·")] {
            assert_eq!(initial(name), letter, "{name:?}");
        }
    }
}
