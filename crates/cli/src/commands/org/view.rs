//! Organizations, as they are shown.

use serde::Serialize;
use tessera_api::admin::v1 as wire;

use crate::output::{ListedView, Table, View, moment};

/// An organization.
#[derive(Debug, Serialize)]
pub struct OrgView {
    organization_id: String,
    name: String,
    global: bool,
    enabled: bool,
    create_time: Option<String>,
    update_time: Option<String>,
    etag: String,
}

impl From<wire::Organization> for OrgView {
    fn from(found: wire::Organization) -> Self {
        Self {
            create_time: moment(found.create_time.as_ref()),
            update_time: moment(found.update_time.as_ref()),
            organization_id: found.organization_id,
            name: found.name,
            global: found.global,
            enabled: found.enabled,
            etag: found.etag,
        }
    }
}

impl OrgView {
    const fn state(&self) -> &'static str {
        if self.enabled { "enabled" } else { "disabled" }
    }

    const fn is_global(&self) -> &'static str {
        if self.global { "yes" } else { "no" }
    }

    fn sides(&self) -> Vec<(&'static str, String)> {
        vec![
            ("organization id", self.organization_id.clone()),
            ("name", self.name.clone()),
            ("global", self.is_global().into()),
            ("state", self.state().into()),
            ("created", self.create_time.clone().unwrap_or_default()),
            ("updated", self.update_time.clone().unwrap_or_default()),
        ]
    }
}

impl View for OrgView {
    fn table(&self) -> Table {
        Table::Record(self.sides())
    }

    fn names(&self) -> Vec<String> {
        vec![self.organization_id.clone()]
    }
}

impl ListedView for OrgView {
    const HEAD: &'static [&'static str] = &["ORGANIZATION ID", "NAME", "GLOBAL", "STATE"];

    fn row(&self) -> Vec<String> {
        vec![self.organization_id.clone(), self.name.clone(), self.is_global().into(), self.state().into()]
    }
}

/// An organization after a change that the log knows.
#[derive(Debug, Serialize)]
pub struct Changed {
    #[serde(flatten)]
    organization: OrgView,
    /// The revision at which the change holds everywhere.
    revision: String,
}

impl Changed {
    /// The answer to a change.
    #[must_use]
    pub fn new(organization: wire::Organization, revision: String) -> Self {
        Self { organization: organization.into(), revision }
    }
}

impl View for Changed {
    fn table(&self) -> Table {
        let mut sides = self.organization.sides();
        sides.push(("revision", self.revision.clone()));
        Table::Record(sides)
    }

    fn names(&self) -> Vec<String> {
        self.organization.names()
    }
}
