//! Records, as they are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use tessera_api::admin::v1 as wire;

use crate::output::{ListedView, Table, View, moment, printable};

/// A record.
#[derive(Debug, Serialize)]
pub(super) struct RecordView {
    record_id: u64,
    time: Option<String>,
    actor: Party,
    action: String,
    target: Option<Party>,
    outcome: &'static str,
    reason: String,
    address: String,
    request_id: String,
    revision: String,
    count: u64,
    details: BTreeMap<String, String>,
}

/// Somebody or something.
#[derive(Debug, Serialize)]
struct Party {
    kind: String,
    id: String,
}

impl Party {
    fn shown(&self) -> String {
        if self.id.is_empty() { self.kind.clone() } else { format!("{}:{}", self.kind, self.id) }
    }
}

impl From<wire::AuditParty> for Party {
    fn from(party: wire::AuditParty) -> Self {
        Self { kind: party.kind, id: party.id }
    }
}

impl From<wire::AuditRecord> for RecordView {
    fn from(record: wire::AuditRecord) -> Self {
        let outcome = match wire::AuditOutcome::try_from(record.outcome) {
            Ok(wire::AuditOutcome::Ok) => "ok",
            Ok(wire::AuditOutcome::Refused) => "refused",
            Ok(wire::AuditOutcome::Unspecified) | Err(_) => "unknown",
        };
        Self {
            record_id: record.record_id,
            time: moment(record.time.as_ref()),
            actor: record.actor.unwrap_or_default().into(),
            action: record.action,
            target: record.target.map(Party::from),
            outcome,
            reason: record.reason,
            address: record.address,
            request_id: record.request_id,
            revision: record.revision,
            count: record.count,
            details: record.details.into_iter().collect(),
        }
    }
}

impl RecordView {
    /// The one line of a record that somebody reads along; nothing in it breaks the line.
    pub(super) fn line(&self) -> String {
        let cells = self.row().into_iter().filter(|cell| !cell.is_empty());
        printable(&cells.collect::<Vec<_>>().join("  ")) + "\n"
    }

    fn outcome(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(" {}", self.reason) };
        let count = if self.count > 1 { format!(" ×{}", self.count) } else { String::new() };
        format!("{}{reason}{count}", self.outcome)
    }

    fn details(&self) -> String {
        self.details.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }
}

impl View for RecordView {
    fn table(&self) -> Table {
        Table::Text(self.line().trim_end().to_owned())
    }

    fn names(&self) -> Vec<String> {
        vec![self.record_id.to_string()]
    }
}

impl ListedView for RecordView {
    const HEAD: &'static [&'static str] =
        &["RECORD", "TIME", "ACTOR", "ACTION", "TARGET", "OUTCOME", "ADDRESS", "DETAILS"];

    fn row(&self) -> Vec<String> {
        vec![
            self.record_id.to_string(),
            self.time.clone().unwrap_or_default(),
            self.actor.shown(),
            self.action.clone(),
            self.target.as_ref().map(Party::shown).unwrap_or_default(),
            self.outcome(),
            self.address.clone(),
            self.details(),
        ]
    }
}
