use sea_orm::entity::prelude::*;
use tessera_types::{Revision, Timestamp};

use crate::audit::{AuditRecord, NewRecord, Outcome, Party};
use crate::entities::words;
use crate::error::{Cause, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_records")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub time: i64,
    pub actor_kind: String,
    pub actor_id: Option<String>,
    pub action: String,
    pub target_kind: Option<String>,
    pub target_id: Option<String>,
    pub outcome: String,
    pub reason: Option<String>,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub revision: Option<String>,
    pub count: i64,
    pub details: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for AuditRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("audit_records", source))
    }
}

fn read(row: Model) -> Result<AuditRecord, Cause> {
    Ok(AuditRecord {
        id: row.id.try_into()?,
        time: Timestamp(row.time),
        actor: Party { kind: row.actor_kind, id: row.actor_id.unwrap_or_default() },
        action: row.action,
        target: row.target_kind.map(|kind| Party { kind, id: row.target_id.unwrap_or_default() }),
        outcome: row.outcome.parse::<Outcome>()?,
        reason: row.reason,
        address: row.address,
        request_id: row.request_id,
        revision: words::optional(row.revision.as_deref())?,
        count: row.count.try_into()?,
        details: row.details.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default(),
    })
}

impl Model {
    /// A record with its number, and where the log stood with what it tells of.
    pub fn new(id: i64, record: &NewRecord, revision: Option<Revision>) -> Self {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let (target_kind, target_id) = match record.target() {
            Some(target) => (Some(target.kind), given(target.id)),
            None => (None, None),
        };
        let actor = record.actor();
        Self {
            id,
            time: record.time.0,
            actor_kind: actor.kind,
            actor_id: given(actor.id),
            action: record.action.as_str().to_owned(),
            target_kind,
            target_id,
            outcome: record.outcome.as_str().to_owned(),
            reason: record.reason.map(str::to_owned),
            address: record.from.map(|address| address.to_canonical().to_string()),
            request_id: record.request_id.clone(),
            revision: revision.map(|revision| revision.to_string()),
            count: i64::try_from(record.count).unwrap_or(i64::MAX),
            details: record.details_as_json(),
        }
    }
}
