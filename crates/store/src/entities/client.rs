use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::{ClaimsProfile, ScopeSet, Timestamp};

use crate::clients::Client;
use crate::entities::words::{from_list, optional, to_list};
use crate::error::{Cause, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "clients")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    pub description: String,
    pub kind: String,
    pub enabled: bool,
    pub grants: String,
    pub scopes: String,
    pub default_scopes: String,
    pub audiences: String,
    pub resources: String,
    pub redirect_uris: String,
    pub access_ttl: Option<i64>,
    pub claims_profile: String,
    pub created: i64,
    pub updated: i64,
    pub version: i64,
    pub organization: Option<String>,
    pub owner: Option<String>,
    pub site_url: Option<String>,
    pub logo_url: Option<String>,
    pub failure_uri: Option<String>,
    pub last_used: Option<i64>,
    pub implicit_scopes: String,
    pub claims_auto: bool,
    pub owner_disabled: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Client {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("clients", source))
    }
}

fn read(row: Model) -> Result<Client, Cause> {
    Ok(Client {
        id: row.id.parse()?,
        name: row.name,
        description: row.description,
        kind: row.kind.parse()?,
        enabled: row.enabled,
        owner_disabled: row.owner_disabled,
        grants: from_list(&row.grants)?,
        scopes: ScopeSet::from_iter(from_list(&row.scopes)?),
        default_scopes: ScopeSet::from_iter(from_list(&row.default_scopes)?),
        audiences: from_list(&row.audiences)?,
        resources: from_list(&row.resources)?,
        redirect_uris: from_list(&row.redirect_uris)?,
        access_ttl: row.access_ttl.map(u64::try_from).transpose()?.map(Duration::from_secs),
        claims_profile: if row.claims_auto { None } else { Some(row.claims_profile.parse()?) },
        organization: optional(row.organization.as_deref())?,
        owner: optional(row.owner.as_deref())?,
        site_url: optional(row.site_url.as_deref())?,
        logo_url: optional(row.logo_url.as_deref())?,
        failure_uri: optional(row.failure_uri.as_deref())?,
        implicit_scopes: ScopeSet::from_iter(from_list(&row.implicit_scopes)?),
        last_used: row.last_used.map(Timestamp),
        created: Timestamp(row.created),
        updated: Timestamp(row.updated),
        version: row.version,
    })
}

/// The row of a client, at the version it says.
impl From<&Client> for ActiveModel {
    fn from(client: &Client) -> Self {
        Self {
            id: Set(client.id.to_string()),
            name: Set(client.name.clone()),
            description: Set(client.description.clone()),
            kind: Set(client.kind.to_string()),
            enabled: Set(client.enabled),
            owner_disabled: Set(client.owner_disabled),
            grants: Set(to_list(&client.grants)),
            scopes: Set(to_list(&client.scopes)),
            default_scopes: Set(to_list(&client.default_scopes)),
            audiences: Set(to_list(&client.audiences)),
            resources: Set(to_list(&client.resources)),
            redirect_uris: Set(to_list(&client.redirect_uris)),
            access_ttl: Set(client.access_ttl.map(|ttl| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX))),
            // The version before knows no other way to say it.
            claims_profile: Set(client.claims_profile.unwrap_or(ClaimsProfile::Rfc9068).to_string()),
            claims_auto: Set(client.claims_profile.is_none()),
            organization: Set(client.organization.map(|id| id.to_string())),
            owner: Set(client.owner.map(|id| id.to_string())),
            site_url: Set(client.site_url.as_ref().map(ToString::to_string)),
            logo_url: Set(client.logo_url.as_ref().map(ToString::to_string)),
            failure_uri: Set(client.failure_uri.as_ref().map(ToString::to_string)),
            implicit_scopes: Set(to_list(&client.implicit_scopes)),
            last_used: Set(client.last_used.map(|at| at.0)),
            created: Set(client.created.0),
            updated: Set(client.updated.0),
            version: Set(client.version),
        }
    }
}
