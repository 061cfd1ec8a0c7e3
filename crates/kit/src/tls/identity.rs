//! Who presents a client certificate: the names in its subject alternative name (RFC 5280 section 4.2.1.6), byte for byte.
//!
//! The common name is none of them (RFC 9525 section 2): authorities check it less, and it has no type. What a name may do stands in the
//! configuration (`[[tls.identities]]`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tessera_types::Timestamp;

use super::peer::PeerCertificate;

/// A name as it stands in a certificate: `uri:spiffe://example.org/orders` or `dns:orders.example.org`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityName(Box<str>);

/// What is no name of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be dns: and a host name in lower case, without a wildcard, or uri: and a URI, as in the certificate's subject alternative name"
)]
pub struct InvalidIdentity;

impl IdentityName {
    /// A DNS name of a certificate. Case does not tell them apart.
    pub(super) fn dns(name: &str) -> Self {
        Self(format!("dns:{}", name.to_ascii_lowercase()).into())
    }

    /// A URI of a certificate.
    pub(super) fn uri(uri: &str) -> Self {
        Self(format!("uri:{uri}").into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdentityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IdentityName {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let right = match text.split_once(':') {
            Some(("dns", name)) => {
                let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
                !name.is_empty() && name.bytes().all(good)
            }
            Some(("uri", uri)) => {
                uri.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
                    && uri.bytes().all(|b| b.is_ascii_graphic())
            }
            _ => false,
        };
        right.then(|| Self(text.into())).ok_or(InvalidIdentity)
    }
}

/// What each name may do, as configured.
#[derive(Clone, Debug)]
pub struct Identities<T>(BTreeMap<IdentityName, T>);

impl<T> Default for Identities<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> FromIterator<(IdentityName, T)> for Identities<T> {
    fn from_iter<I: IntoIterator<Item = (IdentityName, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T> Identities<T> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom a certificate is for, and what they may do. A certificate that has ended since its handshake is for nobody, and so is one with
    /// two names that are configured: which of the two is meant, nobody said.
    #[must_use]
    pub fn find<'a>(&'a self, certificate: &PeerCertificate, now: Timestamp) -> Option<(&'a IdentityName, &'a T)> {
        if !certificate.is_valid(now) {
            return None;
        }
        let mut known = certificate.names().iter().filter_map(|name| self.0.get_key_value(name));
        let found = known.next()?;
        known.next().is_none().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> IdentityName {
        text.parse().expect("a name")
    }

    #[test]
    fn a_name_has_a_kind_and_no_wildcard() {
        for good in ["dns:orders.example.org", "dns:localhost", "uri:spiffe://example.org/ns/a/sa/b", "uri:urn:x:1"] {
            assert_eq!(name(good).as_str(), good);
        }
        for bad in
            ["", "orders", "cn:orders", "dns:", "dns:*.example.org", "dns:A.example", "uri:", "uri:orders", "uri:a: b"]
        {
            assert_eq!(bad.parse::<IdentityName>(), Err(InvalidIdentity), "{bad}");
        }
    }

    #[test]
    fn a_certificate_is_for_the_one_name_that_is_configured() {
        let identities: Identities<u8> = [(name("dns:a.example"), 1), (name("uri:urn:b:1"), 2)].into_iter().collect();
        let now = Timestamp(1000);
        let found = |names: &[&str], ends: i64| {
            let names = names.iter().map(|text| name(text)).collect();
            identities.find(&PeerCertificate::new(names, Timestamp(ends)), now).map(|(_, right)| *right)
        };
        assert_eq!(found(&["dns:a.example"], 1000), Some(1));
        assert_eq!(found(&["dns:other.example", "uri:urn:b:1"], 1000), Some(2));
        assert_eq!(found(&["dns:a.example.org"], 1000), None, "no beginning of a name is the name");
        assert_eq!(found(&["dns:a.example", "uri:urn:b:1"], 1000), None, "nobody said which of the two is meant");
        assert_eq!(found(&["dns:a.example"], 999), None, "it has ended since the handshake");
        assert_eq!(found(&[], 1000), None);
    }
}
