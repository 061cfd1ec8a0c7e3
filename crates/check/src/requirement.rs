//! Whether the scopes of a token suffice for what a caller wants.

use tessera_types::{Scope, ScopeSet};

/// Holds granted scopes against a requirement: all of one list, and at least one of another unless that is empty. Says whether
/// they suffice, and what is missing: every missing one of `all_of`, and all of `any_of` where none of them is there.
#[must_use]
pub fn requirement(all_of: &ScopeSet, any_of: &ScopeSet, granted: &ScopeSet) -> (bool, Vec<Scope>) {
    let has = |scope: &&Scope| granted.contains(scope.as_str());
    let mut missing: ScopeSet = all_of.iter().filter(|scope| !has(scope)).cloned().collect();
    if !any_of.is_empty() && !any_of.iter().any(|scope| has(&scope)) {
        for scope in any_of {
            missing.insert(scope.clone());
        }
    }
    (missing.is_empty(), missing.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(text: &str) -> ScopeSet {
        text.parse().expect("valid scopes")
    }

    fn ask(all_of: &str, any_of: &str, granted: &str) -> (bool, String) {
        let (allowed, missing) = requirement(&set(all_of), &set(any_of), &set(granted));
        (allowed, missing.into_iter().collect::<ScopeSet>().to_string())
    }

    #[test]
    fn nothing_required_is_always_met() {
        assert_eq!(ask("", "", ""), (true, String::new()));
        assert_eq!(ask("", "", "a"), (true, String::new()));
    }

    #[test]
    fn every_one_of_the_first_list_is_needed() {
        assert_eq!(ask("a b", "", "b c"), (false, "a".into()));
        assert_eq!(ask("a b", "", "b a"), (true, String::new()));
    }

    #[test]
    fn one_of_the_second_list_suffices() {
        assert_eq!(ask("", "a b", "b"), (true, String::new()));
        assert_eq!(ask("", "a b", "c"), (false, "a b".into()));
        assert_eq!(ask("c", "a b", "d"), (false, "c a b".into()));
        assert_eq!(ask("a", "a b", ""), (false, "a b".into()));
    }

    #[test]
    fn a_scope_is_compared_whole_and_by_case() {
        assert_eq!(ask("orders:read", "", "orders:read2 orders Orders:read"), (false, "orders:read".into()));
    }

    proptest! {
        #[test]
        fn granting_what_is_missing_is_enough(all_of in "([a-d]( [a-d]){0,3})?", any_of in "([a-d]( [a-d]){0,3})?", granted in "([a-d]( [a-d]){0,3})?") {
            let (all_of, any_of, mut granted) = (set(&all_of), set(&any_of), set(&granted));
            let (allowed, missing) = requirement(&all_of, &any_of, &granted);
            prop_assert_eq!(allowed, missing.is_empty());
            prop_assert!(missing.iter().all(|scope| !granted.contains(scope.as_str())));
            for scope in missing {
                granted.insert(scope);
            }
            prop_assert_eq!(requirement(&all_of, &any_of, &granted), (true, Vec::new()));
        }
    }
}
