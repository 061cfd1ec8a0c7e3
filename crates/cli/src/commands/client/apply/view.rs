//! The steps of `tessera client apply`, as they are shown.

use serde::Serialize;
use tessera_types::PresentedSecret;

use crate::output::{ListedView, Table, View, show_secret};

/// What is done, or would be, with one client.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// The client.
    pub client_id: String,
    /// What changes; of a new client, what it has.
    pub changes: Vec<Change>,
    /// The secret generated for it, this once.
    #[serde(serialize_with = "show_secret", skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<PresentedSecret>,
}

/// One field's change.
#[derive(Debug, Serialize)]
pub struct Change {
    field: &'static str,
    from: String,
    to: String,
}

impl Change {
    /// A change.
    #[must_use]
    pub const fn new(field: &'static str, from: String, to: String) -> Self {
        Self { field, from, to }
    }
}

impl StepView {
    fn changes(&self) -> String {
        let mut parts: Vec<String> = self
            .changes
            .iter()
            .map(|Change { field, from, to }| match self.action {
                // There was nothing before.
                "create" => format!("{field}: `{to}`"),
                _ => format!("{field}: `{from}` → `{to}`"),
            })
            .collect();
        if let Some(secret) = &self.client_secret {
            parts.push(format!("client secret: {}", secret.expose()));
        }
        parts.join("; ")
    }
}

impl View for StepView {
    fn table(&self) -> Table {
        Table::Record(vec![
            ("action", self.action.into()),
            ("client id", self.client_id.clone()),
            ("changes", self.changes()),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.client_id.clone()]
    }
}

impl ListedView for StepView {
    const HEAD: &'static [&'static str] = &["ACTION", "CLIENT ID", "CHANGES"];

    fn row(&self) -> Vec<String> {
        vec![self.action.into(), self.client_id.clone(), self.changes()]
    }
}
