//! The difference between the clients there are and those a file wants.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tessera_api::admin::v1 as wire;
use tessera_types::Scope;

use super::super::update::taken_away;
use super::super::view::profile_word;
use super::file::{Checked, Mistakes};
use super::order::{Place, in_order};
use super::view::{Change, StepView};
use crate::problem::Problem;
use crate::seconds;

/// What is to be done, in order.
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One client's part.
pub enum Step {
    /// The file does not name it.
    Delete(Box<wire::Client>),
    /// It is otherwise.
    Update {
        /// As it is.
        before: Box<wire::Client>,
        /// As it shall be.
        after: Box<wire::Client>,
        /// The fields that differ.
        fields: Vec<Difference>,
        /// Whether it is to be enabled, or disabled.
        enable: Option<bool>,
    },
    /// It gives up its name for a moment: another takes it, and it takes another's.
    Aside {
        /// As it is.
        before: Box<wire::Client>,
        /// What it is called meanwhile.
        name: String,
    },
    /// It is new.
    Create(Box<Checked>),
}

/// A field that differs.
pub struct Difference {
    /// As a field mask names it.
    pub name: &'static str,
    /// What it is.
    pub from: String,
    /// What it shall be.
    pub to: String,
}

impl Plan {
    /// The difference.
    ///
    /// # Errors
    /// Usage, where the file wants of a client what cannot be changed, or a name that is another's.
    pub fn new(path: &Path, wanted: Vec<Checked>, existing: Vec<wire::Client>, prune: bool) -> Result<Self, Problem> {
        let mut left: HashMap<String, wire::Client> =
            existing.into_iter().map(|client| (client.client_id.clone(), client)).collect();
        let mut mistakes = Mistakes::new(path, "");
        let (mut changed, mut new) = (Vec::new(), Vec::new());
        let mut taken: HashSet<Place> = left.values().map(Place::of).collect();
        let named: HashSet<String> = wanted.iter().map(|one| one.client.client_id.clone()).collect();
        let goes = |client: &wire::Client| named.contains(&client.client_id) || (prune && may_go(client));
        let mut holders: HashMap<Place, String> = left
            .values()
            .filter(|client| !goes(client))
            .map(|client| (Place::of(client), client.client_id.clone()))
            .collect();
        for one in wanted {
            let (id, place) = (one.client.client_id.clone(), Place::of(&one.client));
            taken.insert(place.clone());
            if let Some(other) = holders.insert(place, id.clone()) {
                mistakes.add(one.line, format!("`{id}`: the name `{}` is the client `{other}`'s", one.client.name));
            }
            match left.remove(&one.client.client_id) {
                None => new.push(Step::Create(Box::new(one))),
                Some(before) => {
                    fixed(&mut mistakes, &before, &one);
                    changed.extend(update(before, one));
                }
            }
        }
        mistakes.settle()?;
        let mut surplus: Vec<wire::Client> = if prune { left.into_values().collect() } else { Vec::new() };
        surplus.retain(may_go);
        surplus.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        let changed = in_order(changed, &mut taken);
        let steps = surplus.into_iter().map(Box::new).map(Step::Delete).chain(changed).chain(new).collect();
        Ok(Self { steps })
    }

    /// How many of each kind.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |is: fn(&Step) -> bool| self.steps.iter().filter(|step| is(step)).count();
        format!(
            "{} deletions, {} changes and {} new clients",
            count(|step| matches!(step, Step::Delete(_))),
            count(|step| matches!(step, Step::Update { .. })),
            count(|step| matches!(step, Step::Create(_))),
        )
    }

    /// Whether a step waits until everybody has confirmed it, and so whatever was changed before.
    #[must_use]
    pub fn confirms(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, Step::Create(_)))
    }

    /// The steps as they are shown.
    #[must_use]
    pub fn views(&self) -> Vec<StepView> {
        self.steps.iter().map(Step::view).collect()
    }

    /// What to ask before, where something is taken away.
    #[must_use]
    pub fn question(&self) -> Option<String> {
        let losers: Vec<String> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Delete(client) => Some(format!("delete `{}`", client.client_id)),
                Step::Update { before, enable: Some(false), .. } => Some(format!("disable `{}`", before.client_id)),
                Step::Update { before, after, .. } => {
                    let lost = taken_away(before, after);
                    (!lost.is_empty()).then(|| format!("take {} from `{}`", lost.join(", "), before.client_id))
                }
                Step::Aside { .. } | Step::Create(_) => None,
            })
            .collect();
        let question = format!("This will {}; their older tokens become inactive. Go on?", losers.join(", "));
        (!losers.is_empty()).then_some(question)
    }
}

impl Step {
    /// The step as it is shown.
    #[must_use]
    pub fn view(&self) -> StepView {
        let (action, client_id) = match self {
            Self::Delete(client) => ("delete", &client.client_id),
            Self::Update { before, .. } | Self::Aside { before, .. } => ("update", &before.client_id),
            Self::Create(one) => ("create", &one.client.client_id),
        };
        let mut changes = Vec::new();
        if let Self::Update { fields, enable, .. } = self {
            let change = |field: &Difference| Change::new(field.name, field.from.clone(), field.to.clone());
            changes.extend(fields.iter().map(change));
            changes.extend(enable.map(|to| Change::new("enabled", (!to).to_string(), to.to_string())));
        }
        if let Self::Aside { before, name } = self {
            changes.push(Change::new("name", before.name.clone(), name.clone()));
        }
        if let Self::Create(one) = self {
            let given = sides(&one.client).into_iter().filter(|(_, to)| !to.is_empty());
            changes.extend(given.map(|(name, to)| Change::new(name, String::new(), to)));
            changes.extend((!one.enabled).then(|| Change::new("enabled", String::new(), false.to_string())));
        }
        StepView { action, client_id: client_id.clone(), changes, client_secret: None }
    }
}

/// What of a client can never change.
fn fixed(mistakes: &mut Mistakes<'_>, before: &wire::Client, wanted: &Checked) {
    let id = &before.client_id;
    if before.r#type() != wanted.client.r#type() {
        mistakes.add(wanted.line, format!("`{id}`: the type of a client is fixed; delete it to make another"));
    }
    let regranted = sorted(&before.grant_types) != sorted(&wanted.client.grant_types);
    if !before.organization_id.is_empty() && regranted {
        mistakes.add(wanted.line, format!("`{id}`: the grants of an organization's client are fixed"));
    }
}

/// The step that makes a client what it shall be, where it is not yet.
fn update(before: wire::Client, wanted: Checked) -> Option<Step> {
    let mut after = wire::Client { etag: before.etag.clone(), ..wanted.client };
    if !wanted.audiences {
        after.audiences.clone_from(&before.audiences);
    }
    let fields: Vec<Difference> = sides(&before)
        .into_iter()
        .zip(sides(&after))
        .filter(|((_, from), (_, to))| from != to)
        .map(|((name, from), (_, to))| Difference { name, from, to })
        .collect();
    let enable = (before.enabled != wanted.enabled).then_some(wanted.enabled);
    (!fields.is_empty() || enable.is_some()).then(|| Step::Update {
        before: Box::new(before),
        after: Box::new(after),
        fields,
        enable,
    })
}

/// A client's fields that can change, as texts that differ where they do.
fn sides(client: &wire::Client) -> [(&'static str, String); 16] {
    let lifetime = client.access_token_lifetime.as_ref().map(|span| seconds::show(span.seconds));
    [
        ("name", client.name.clone()),
        ("description", client.description.clone()),
        ("grant_types", sorted(&client.grant_types)),
        ("scopes", client.scopes.join(" ")),
        ("default_scopes", client.default_scopes.join(" ")),
        ("implicit_scopes", client.implicit_scopes.join(" ")),
        ("audiences", client.audiences.join(" ")),
        ("resources", client.resources.join(" ")),
        ("redirect_uris", client.redirect_uris.join(" ")),
        ("access_token_lifetime", lifetime.unwrap_or_default()),
        ("claims_profile", profile_word(client.claims_profile()).to_owned()),
        ("organization_id", client.organization_id.clone()),
        ("owner_id", client.owner_id.clone()),
        ("site_url", client.site_url.clone()),
        ("logo_url", client.logo_url.clone()),
        ("failure_uri", client.failure_uri.clone()),
    ]
}

fn sorted(words: &[String]) -> String {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.join(" ")
}

/// Whether pruning deletes it: never an administrator or an introspector.
fn may_go(client: &wire::Client) -> bool {
    !client.scopes.iter().any(|scope| is_reserved(scope))
}

/// What cannot be read is nobody's to delete either.
fn is_reserved(scope: &str) -> bool {
    scope.parse::<Scope>().map_or(true, |scope| scope.is_reserved())
}
