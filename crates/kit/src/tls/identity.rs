//! Who presents a client certificate: the names in its subject alternative name (RFC 5280 section 4.2.1.6), byte for byte.
//!
//! The common name is none of them (RFC 9525 section 2): authorities check it less, and it has no type. What a name may do stands in the
//! configuration (`[[tls.identities]]`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tessera_types::{ClientId, ErrorCode, Failure, Timestamp};

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

/// What may say that the holder of a certificate is a client.
pub trait NamesClient {
    /// The client, where it is one.
    fn client(&self) -> Option<&ClientId>;
}

impl NamesClient for ClientId {
    fn client(&self) -> Option<&ClientId> {
        Some(self)
    }
}

/// Why a certificate alone does not say which client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTheirs {
    /// It is for no client here.
    #[error("the client certificate is nobody's here")]
    Unknown,
    /// The request names a client, and the certificate is not for that one.
    #[error("the client certificate is not for the client that is named")]
    Another,
}

impl Failure for NotTheirs {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidClient
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "CLIENT_CERTIFICATE_UNKNOWN",
            Self::Another => "CLIENT_AUTHENTICATION_FAILED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Unknown => {
                "The certificate is good, but [[tls.identities]] does not say which client it is for. Map one of its names, or send authorization too."
            }
            Self::Another => "The client certificate is not for the client that client_id names.",
        }
    }
}

impl<T: NamesClient> Identities<T> {
    /// The client that asks with nothing but its certificate, at either service. A `client_id` beside it must be that client's (RFC 8705
    /// section 2).
    ///
    /// # Errors
    /// [`NotTheirs`].
    pub fn client(
        &self,
        certificate: &PeerCertificate,
        named: Option<&str>,
        now: Timestamp,
    ) -> Result<&ClientId, NotTheirs> {
        let client = self.find(certificate, now).and_then(|(_, right)| right.client());
        match named {
            Some(named) => client.filter(|client| client.as_str() == named).ok_or(NotTheirs::Another),
            None => client.ok_or(NotTheirs::Unknown),
        }
    }
}

/// Identities that a reload replaces. Clones are handles of the same ones.
#[derive(Debug)]
pub struct LiveIdentities<T>(Arc<ArcSwap<Identities<T>>>);

impl<T> Clone for LiveIdentities<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> From<Identities<T>> for LiveIdentities<T> {
    fn from(identities: Identities<T>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(identities)))
    }
}

impl<T> LiveIdentities<T> {
    /// The ones of now. Whoever goes on for longer than a call asks again.
    #[must_use]
    pub fn now(&self) -> Arc<Identities<T>> {
        self.0.load_full()
    }

    /// Takes others in their place, from the next look on.
    pub fn replace(&self, identities: Identities<T>) {
        self.0.store(Arc::new(identities));
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

    #[test]
    fn a_client_that_is_named_beside_a_certificate_must_be_the_one_it_is_for() {
        let client = |id: &str| id.parse::<ClientId>().expect("an id");
        let identities: Identities<ClientId> = [(name("dns:a.example"), client("a"))].into_iter().collect();
        let certificate = |text: &str| PeerCertificate::new(vec![name(text)], Timestamp(1000));
        let now = Timestamp(1000);
        let (theirs, nobodys) = (certificate("dns:a.example"), certificate("dns:b.example"));
        assert_eq!(identities.client(&theirs, None, now), Ok(&client("a")));
        assert_eq!(identities.client(&theirs, Some("a"), now), Ok(&client("a")));
        assert_eq!(identities.client(&theirs, Some("b"), now), Err(NotTheirs::Another));
        assert_eq!(identities.client(&nobodys, None, now), Err(NotTheirs::Unknown));
        assert_eq!(identities.client(&nobodys, Some("a"), now), Err(NotTheirs::Another));
        assert_eq!(identities.client(&theirs, None, Timestamp(1001)), Err(NotTheirs::Unknown), "it has ended");
    }

    #[test]
    fn a_certificate_that_was_withdrawn_is_nobodys() {
        let identities: Identities<u8> = [(name("dns:a.example"), 1)].into_iter().collect();
        let certificate = PeerCertificate::new(vec![name("dns:a.example")], Timestamp(1000));
        assert!(identities.find(&certificate, Timestamp(0)).is_some());
        certificate.withdraw();
        assert!(identities.find(&certificate, Timestamp(0)).is_none());
    }
}
