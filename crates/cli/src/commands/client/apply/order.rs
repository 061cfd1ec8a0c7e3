//! The order of changes: a name is free when a client takes it.
//!
//! No two clients without an organization share a name, and no two of one organization and owner. The server holds to that at each
//! change, so who takes a name comes after who gives it up. Where each waits for another, as where two exchange their names, one steps
//! aside first: it gets a name that nobody has, and its own in its turn.

use std::collections::{HashMap, HashSet};

use tessera_api::admin::v1 as wire;

use super::plan::Step;

/// How much of a name is kept while a client steps aside. A name has at most 255 characters.
const KEPT: usize = 200;

/// A name, and among whom it is somebody's alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    organization: String,
    owner: String,
    name: String,
}

impl Place {
    /// Where a client stands.
    pub(super) fn of(client: &wire::Client) -> Self {
        let organization = client.organization_id.clone();
        // Without an organization the owner does not matter.
        let owner = if organization.is_empty() { String::new() } else { client.owner_id.clone() };
        Self { organization, owner, name: client.name.clone() }
    }
}

/// Brings changes into an order. `taken` is every place that anybody has now or shall have.
pub(super) fn in_order(changes: Vec<Step>, taken: &mut HashSet<Place>) -> Vec<Step> {
    let places: Vec<Option<(Place, Place)>> = changes.iter().map(moved).collect();
    let holders: HashMap<&Place, usize> =
        places.iter().enumerate().filter_map(|(index, moved)| moved.as_ref().map(|(from, _)| (from, index))).collect();
    let waits_for = |index: usize| places[index].as_ref().and_then(|(_, to)| holders.get(to).copied());
    let mut waiting: Vec<Option<Step>> = changes.into_iter().map(Some).collect();
    let mut seen = vec![false; waiting.len()];
    let mut ordered = Vec::with_capacity(waiting.len());
    for first in 0..waiting.len() {
        let mut chain = Vec::new();
        let mut next = Some(first);
        while let Some(index) = next.filter(|index| !seen[*index]) {
            seen[index] = true;
            chain.push(index);
            next = waits_for(index);
        }
        // Whoever was seen and is not done yet is of this chain: it goes round.
        if let Some(Step::Update { before, .. }) = next.and_then(|index| waiting[index].as_ref())
            && !chain.is_empty()
        {
            ordered.push(aside(before, taken));
        }
        ordered.extend(chain.into_iter().rev().filter_map(|index| waiting[index].take()));
    }
    ordered
}

/// From where to where a change moves its client.
fn moved(step: &Step) -> Option<(Place, Place)> {
    let Step::Update { before, after, .. } = step else { return None };
    let (from, to) = (Place::of(before), Place::of(after));
    (from != to).then_some((from, to))
}

fn aside(before: &wire::Client, taken: &mut HashSet<Place>) -> Step {
    let kept: String = before.name.chars().take(KEPT).collect();
    let mut number = 1_u64;
    loop {
        let name = format!("{kept} (renaming {number})");
        if taken.insert(Place { name: name.clone(), ..Place::of(before) }) {
            return Step::Aside { before: Box::new(before.clone()), name };
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str, name: &str) -> wire::Client {
        wire::Client { client_id: id.to_owned(), name: name.to_owned(), ..wire::Client::default() }
    }

    /// Renames in turn, as a server does that refuses a taken name; who stepped aside, and how often.
    fn carry_out(renames: &[(&str, &str, &str)], bystanders: &[&str]) -> Vec<String> {
        let mut names: HashMap<String, String> =
            renames.iter().map(|(id, from, _)| ((*id).to_owned(), (*from).to_owned())).collect();
        names.extend(bystanders.iter().map(|name| (format!("of {name}"), (*name).to_owned())));
        let changes = renames.iter().map(|(id, from, to)| Step::Update {
            before: Box::new(client(id, from)),
            after: Box::new(client(id, to)),
            fields: Vec::new(),
            enable: None,
        });
        let mut taken = names.values().map(|name| Place::of(&client("", name))).collect();
        let mut aside = Vec::new();
        for step in in_order(changes.collect(), &mut taken) {
            let (id, name) = match step {
                Step::Update { after, .. } => (after.client_id, after.name),
                Step::Aside { before, name } => {
                    aside.push(before.client_id.clone());
                    (before.client_id, name)
                }
                Step::Delete(_) | Step::Create(_) => panic!("only changes"),
            };
            assert!(
                !names.iter().any(|(other, taken)| *other != id && *taken == name),
                "{id} takes {name} of another's"
            );
            assert!(name.chars().count() <= 255, "{name}");
            names.insert(id, name);
        }
        for (id, _, to) in renames {
            assert_eq!(names[*id], *to);
        }
        aside
    }

    #[test]
    fn who_takes_a_name_comes_after_who_gives_it_up() {
        let none: [&str; 0] = [];
        assert_eq!(carry_out(&[("a", "1", "2"), ("b", "2", "3"), ("c", "3", "4")], &[]), none);
        assert_eq!(carry_out(&[("c", "3", "4"), ("b", "2", "3"), ("a", "1", "2"), ("d", "7", "7")], &[]), none);
    }

    #[test]
    fn where_names_go_round_one_steps_aside() {
        assert_eq!(carry_out(&[("a", "1", "2"), ("b", "2", "1")], &[]).len(), 1);
        assert_eq!(carry_out(&[("x", "0", "0"), ("a", "1", "2"), ("b", "2", "3"), ("c", "3", "1")], &[]).len(), 1);
        let two_rounds = [("a", "1", "2"), ("c", "3", "4"), ("b", "2", "1"), ("d", "4", "3"), ("e", "5", "6")];
        assert_eq!(carry_out(&two_rounds, &[]).len(), 2);
        let long = "n".repeat(255);
        carry_out(&[("a", &long, "2"), ("b", "2", &long)], &["2 (renaming 1)"]);
        carry_out(&[("b", "2", "1"), ("a", "1", "2")], &["1 (renaming 1)", "2 (renaming 1)", "2 (renaming 2)"]);
    }

    #[test]
    fn a_name_is_somebodys_alone_within_an_organization_and_owner() {
        let place = |organization: &str, owner: &str| {
            let (organization_id, owner_id) = (organization.to_owned(), owner.to_owned());
            Place::of(&wire::Client { organization_id, owner_id, ..client("a", "1") })
        };
        assert_eq!(place("", "ada"), place("", "bob"));
        assert_ne!(place("acme", "ada"), place("acme", "bob"));
        assert_ne!(place("acme", ""), place("", ""));
    }
}
