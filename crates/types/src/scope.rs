//! Scopes (RFC 6749 section 3.3).

use std::fmt;
use std::str::FromStr;

/// One scope: a `scope-token` of RFC 6749 section 3.3, at most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Box<str>);

/// The text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope has 1 to 255 printable ASCII characters without space, quote and backslash")]
pub struct InvalidScope;

/// What `scope` values mean to the server itself; they come only by client credentials and never stand in a consent.
pub mod reserved {
    /// May administer.
    pub const ADMIN: &str = "tessera.admin";
    /// May read what administrators see.
    pub const ADMIN_READ: &str = "tessera.admin.read";
    /// May follow the log.
    pub const SYNC: &str = "tessera.sync";
    /// May decide logins for people.
    pub const LOGIN: &str = "tessera.login";
    /// May call the introspector.
    pub const INTROSPECT: &str = "introspect";
    /// Every one that exists today.
    pub const ALL: &[&str] = &[ADMIN, ADMIN_READ, SYNC, LOGIN, INTROSPECT];
}

impl Scope {
    /// The longest scope, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the server itself gives the name a meaning, now or later.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("tessera.") || &*self.0 == reserved::INTROSPECT
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let well_formed = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if text.is_empty() || text.len() > Self::MAX_LEN || !well_formed {
            return Err(InvalidScope);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scopes without repetition, in the order first given: the order is kept because clients see it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// No scope.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a scope is among them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|s| s.as_str() == scope)
    }

    /// Whether every one of them is among the others.
    #[must_use]
    pub fn is_subset(&self, of: &Self) -> bool {
        self.0.iter().all(|s| of.contains(s.as_str()))
    }

    /// The first of them that is not among the others.
    #[must_use]
    pub fn first_outside(&self, of: &Self) -> Option<&Scope> {
        self.0.iter().find(|s| !of.contains(s.as_str()))
    }

    /// These, then those of the other that are not among them.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).cloned().collect()
    }

    /// Adds a scope at the end, unless it is there.
    pub fn insert(&mut self, scope: Scope) {
        if !self.contains(scope.as_str()) {
            self.0.push(scope);
        }
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Scope> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ScopeSet {
    type Item = &'a Scope;
    type IntoIter = std::slice::Iter<'a, Scope>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::default();
        for scope in scopes {
            set.insert(scope);
        }
        set
    }
}

/// Reads the `scope` parameter: scopes separated by single spaces. The empty text is no scope; leading, trailing and
/// doubled spaces are forgiven, since clients send them.
impl FromStr for ScopeSet {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        text.split(' ').filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scopes_keep_their_order_and_lose_repetitions() {
        let set: ScopeSet = "b a  b c ".parse().expect("valid");
        assert_eq!(set.to_string(), "b a c");
    }

    #[test]
    fn control_characters_quotes_and_backslashes_are_refused() {
        for bad in ["a\tb", "a\"", "a\\", "é", "a\n"] {
            assert_eq!(bad.parse::<ScopeSet>(), Err(InvalidScope), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_set_reads_back_as_written(names in proptest::collection::vec("[!#-\\[\\]-~]{1,20}", 0..8)) {
            let set: ScopeSet = names.iter().map(|n| n.parse().expect("valid")).collect();
            prop_assert_eq!(set.to_string().parse::<ScopeSet>(), Ok(set.clone()));
            prop_assert!(set.is_subset(&set));
        }
    }
}
