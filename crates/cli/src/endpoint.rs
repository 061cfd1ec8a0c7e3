//! Where a server is, and whether a secret may be sent there.

use std::fmt;
use std::net::IpAddr;

use tonic::transport::Uri;

use crate::problem::Problem;

/// The address of a gRPC server: `http://` or `https://`, a host, and nothing but an optional port after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    loopback: bool,
}

impl Endpoint {
    /// Parses an endpoint.
    ///
    /// # Errors
    /// Usage, where it is no such address.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bad = |why: &str| {
            Problem::usage("BAD_ENDPOINT", format!("`{text}` is no endpoint: {why}"))
                .hint("write it as http://127.0.0.1:6401 or https://issuer.example:6401")
        };
        let uri: Uri = text.parse().map_err(|_| bad("it is not a URI"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad("it needs http:// or https://"));
        }
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        // `http://127.0.0.1@evil.example` reads like loopback and is not.
        if authority.as_str().contains('@') {
            return Err(bad("it must not carry user information"));
        }
        if uri.path() != "/" || uri.query().is_some() || authority.host().is_empty() {
            return Err(bad("it has a host and a port, and no path"));
        }
        let loopback = is_loopback(authority.host());
        Ok(Self { uri, loopback })
    }

    /// The address as a URI.
    #[must_use]
    pub fn uri(&self) -> Uri {
        self.uri.clone()
    }

    /// Whether it never leaves this machine: `localhost`, 127.0.0.0/8 or `::1`, read as an address and not as text.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether what is sent is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Refuses to talk in plain text to another machine, unless a context says `insecure = true` of this endpoint.
    ///
    /// # Errors
    /// Usage, where it would.
    pub fn permit(self, insecure: bool) -> Result<Self, Problem> {
        if self.is_encrypted() || self.loopback || insecure {
            return Ok(self);
        }
        Err(Problem::usage("PLAINTEXT_REFUSED", format!("{self} would send credentials and tokens unencrypted")).hint(
            "use https://, or a context with `insecure = true` (tessera context add --insecure) on a network you trust",
        ))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

/// Whether a host, as it stands in a URI, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        // RFC 6761 section 6.3: the name is loopback everywhere.
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_read_as_an_address() {
        for near in [
            "http://127.0.0.1:6401",
            "http://127.9.9.9",
            "http://[::1]:6401/",
            "http://LOCALHOST:1",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(Endpoint::parse(near).expect(near).is_loopback(), "{near}");
        }
        for far in [
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://2130706433",
            "http://0.0.0.0:6401",
            "http://[::]:6401",
            "http://10.0.0.1",
            "https://issuer.example",
        ] {
            assert!(!Endpoint::parse(far).expect(far).is_loopback(), "{far}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for bad in [
            "",
            "127.0.0.1:6401",
            "issuer",
            "ftp://127.0.0.1",
            "http://",
            "http://127.0.0.1@evil.example",
            "http://a:b@127.0.0.1",
            "http://127.0.0.1/path",
            "http://127.0.0.1/?q",
            "unix:///run/tessera",
        ] {
            let problem = Endpoint::parse(bad).expect_err(bad);
            assert_eq!(problem.reason, "BAD_ENDPOINT", "{bad}");
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        let permitted = |text: &str, insecure| Endpoint::parse(text).expect(text).permit(insecure).is_ok();
        assert!(permitted("http://127.0.0.1:6401", false));
        assert!(permitted("https://issuer.example", false));
        assert!(!permitted("http://issuer.example", false));
        assert!(permitted("http://issuer.example", true));
    }
}
