//! `[applications]`: what users may do with applications of their own, at `/account/applications`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tessera_types::{Scope, ScopeSet};

use super::check::Mistakes;

/// `[applications]`: of users who are members of an organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Applications {
    /// The scopes that owners may give to their applications, besides those that an administrator gave them. None by default: a
    /// machine of theirs gets tokens with these, and nobody else is asked. Reserved scopes are refused.
    pub scopes: Vec<String>,
    /// How many applications one owner may have before they can make no more: 0 to 10000; 0 leaves making them to administrators.
    pub per_owner: u64,
    /// How many applications one owner may make within 24 hours, those included that they have deleted since: 0 to 10000; 0 leaves making
    /// them to administrators.
    pub per_day: u64,
}

impl Default for Applications {
    fn default() -> Self {
        Self { scopes: Vec::new(), per_owner: 100, per_day: 100 }
    }
}

impl Applications {
    /// The scopes that owners may give. Every mistake is told.
    pub(super) fn check(&self, wrong: &mut Mistakes) -> ScopeSet {
        wrong.unless((0..=10_000).contains(&self.per_owner), "applications.per_owner", "0 to 10000");
        wrong.unless((0..=10_000).contains(&self.per_day), "applications.per_day", "0 to 10000");
        let scopes: Option<Vec<Scope>> = self.scopes.iter().map(|text| text.parse().ok()).collect();
        let fine = scopes.as_ref().is_some_and(|scopes| !scopes.iter().any(Scope::is_reserved));
        wrong.unless(fine, "applications.scopes", "names of scopes, none of them introspect or tessera.*");
        scopes.unwrap_or_default().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(applications: &Applications) -> Vec<String> {
        let mut wrong = Mistakes::default();
        applications.check(&mut wrong);
        wrong.0.into_iter().map(|error| error.key).collect()
    }

    #[test]
    fn owners_give_no_scope_by_default_and_never_a_reserved_one() {
        let mut wrong = Mistakes::default();
        assert!(Applications::default().check(&mut wrong).is_empty() && wrong.0.is_empty());
        for scope in ["tessera.admin", "introspect", "a b", ""] {
            let bad =
                Applications { scopes: vec!["orders:read".to_owned(), scope.to_owned()], ..Applications::default() };
            assert_eq!(keys(&bad), ["applications.scopes"], "{scope}");
        }
        let bad = Applications { per_owner: 10_001, ..Applications::default() };
        assert_eq!(keys(&bad), ["applications.per_owner"]);
        let bad = Applications { per_day: 10_001, ..Applications::default() };
        assert_eq!(keys(&bad), ["applications.per_day"]);
    }
}
