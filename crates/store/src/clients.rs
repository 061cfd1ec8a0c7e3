//! Clients and what is stored of their secrets.

use std::collections::HashSet;
use std::ops::Deref;
use std::time::Duration;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LikeExpr, UnionType};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseExecutor, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use tessera_types::{
    Audience, ClaimsProfile, ClientId, ClientType, GrantType, OrganizationId, RedirectUri, Scope, ScopeSet, SecretHash,
    Timestamp, UserId, WebUrl,
};
use uuid::Uuid;

use crate::entities::{client, client_secret, organization, user};
use crate::error::{StoreError, storable};
use crate::transaction::Transaction;

/// A client as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its identifier, which never changes.
    pub id: ClientId,
    /// Its name; no two clients without an organization share one, and no two of one organization and owner.
    pub name: String,
    /// What it is for, for people.
    pub description: String,
    /// Whether it keeps a secret.
    pub kind: ClientType,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether it was its owner who disabled it; only then they may enable it again.
    pub owner_disabled: bool,
    /// The grants it may use.
    pub grants: Vec<GrantType>,
    /// The scopes it may ask for.
    pub scopes: ScopeSet,
    /// The scopes it gets where it asks for none.
    pub default_scopes: ScopeSet,
    /// The audiences it issues for.
    pub audiences: Vec<Audience>,
    /// The audiences whose tokens it may introspect.
    pub resources: Vec<Audience>,
    /// Where a browser may be sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// How long its access tokens live; `None`: as configured. Whole seconds.
    pub access_ttl: Option<Duration>,
    /// The shape of its access tokens; `None`: as the endpoint's dialect has it.
    pub claims_profile: Option<ClaimsProfile>,
    /// The organization it belongs to. Where that is disabled or gone, the client is refused.
    pub organization: Option<OrganizationId>,
    /// The user it belongs to, and acts for by client credentials. Where they are disabled or gone, the client is refused.
    pub owner: Option<UserId>,
    /// The site it is of, for people.
    pub site_url: Option<WebUrl>,
    /// Its logo, for people.
    pub logo_url: Option<WebUrl>,
    /// Where a browser is sent with an authorization error; `None`: where it would be sent with a code.
    pub failure_uri: Option<RedirectUri>,
    /// The scopes it gets besides, whatever it asks for.
    pub implicit_scopes: ScopeSet,
    /// When it was used last, to a minute or so. [`ClientWrites::touch`] writes it, and no update.
    pub last_used: Option<Timestamp>,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// Rises with each update; an update says which version it changes.
    pub version: i64,
}

/// What is stored of one secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its identifier.
    pub id: Uuid,
    /// Its hash.
    pub hash: SecretHash,
    /// When it was added.
    pub created: Timestamp,
    /// From when on it authenticates no more.
    pub expires: Option<Timestamp>,
    /// Whether the server made it.
    pub generated: bool,
    /// When somebody authenticated with it last, to a minute or so. [`ClientWrites::touch_secret`] writes it.
    pub last_used: Option<Timestamp>,
}

/// Which clients to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// Those whose name contains this; the case of ASCII letters does not matter.
    pub name_contains: Option<String>,
    /// Those that are enabled, or are not.
    pub enabled: Option<bool>,
    /// Those of this organization.
    pub organization: Option<OrganizationId>,
    /// Those of this owner.
    pub owner: Option<UserId>,
}

/// Which of some organizations and users are there and enabled.
#[derive(Clone, Debug, Default)]
pub struct Enabled(HashSet<String>);

impl Enabled {
    /// Whether an organization that was asked about is.
    #[must_use]
    pub fn organization(&self, id: OrganizationId) -> bool {
        self.0.contains(&id.to_string())
    }

    /// Whether a user who was asked about is.
    #[must_use]
    pub fn user(&self, id: UserId) -> bool {
        self.0.contains(&id.to_string())
    }
}

impl ClientFilter {
    fn condition(&self) -> Result<Condition, StoreError> {
        let mut all = Condition::all()
            .add_option(self.enabled.map(|enabled| client::Column::Enabled.eq(enabled)))
            .add_option(self.organization.map(|id| client::Column::Organization.eq(id.to_string())))
            .add_option(self.owner.map(|id| client::Column::Owner.eq(id.to_string())));
        if let Some(part) = &self.name_contains {
            storable([part.as_str()])?;
            // The column's collation is bytewise on both databases, where LOWER knows ASCII alone.
            let name = Func::lower(Expr::col(client::Column::Name));
            all = all.add(Expr::expr(name).like(containing(part)));
        }
        Ok(all)
    }
}

/// Reads clients.
pub struct Clients<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Clients<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// A client.
    pub async fn find(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        let row = client::Entity::find_by_id(id.as_str()).one(&self.source).await?;
        row.map(Client::try_from).transpose()
    }

    /// A client and its secrets, the newest first.
    pub async fn find_with_secrets(&self, id: &ClientId) -> Result<Option<(Client, Vec<StoredSecret>)>, StoreError> {
        // Both, also where there is no such client: the time must not tell which ids exist.
        let (client, secrets) = (self.find(id).await?, self.secrets(id).await?);
        Ok(client.map(|client| (client, secrets)))
    }

    /// A client's secrets, the newest first.
    pub async fn secrets(&self, id: &ClientId) -> Result<Vec<StoredSecret>, StoreError> {
        let rows = client_secret::Entity::find()
            .filter(client_secret::Column::ClientId.eq(id.as_str()))
            .order_by_desc(client_secret::Column::Created)
            .order_by_desc(client_secret::Column::Id)
            .all(&self.source)
            .await?;
        rows.into_iter().map(StoredSecret::try_from).collect()
    }

    /// Whether any client may ask for a scope, or gets it unasked.
    pub async fn any_with_scope(&self, scope: &Scope) -> Result<bool, StoreError> {
        // Scopes are a JSON list, and a scope holds neither quote nor backslash: in quotes it stands there only as itself.
        let wanted = format!("\"{scope}\"");
        let scopes: Vec<(String, String)> = client::Entity::find()
            .select_only()
            .columns([client::Column::Scopes, client::Column::ImplicitScopes])
            .into_tuple()
            .all(&self.source)
            .await?;
        Ok(scopes.iter().any(|(own, implicit)| own.contains(&wanted) || implicit.contains(&wanted)))
    }

    /// Clients ordered by id, byte by byte: at most `limit` of those after `after`.
    pub async fn list(
        &self,
        filter: &ClientFilter,
        after: Option<&ClientId>,
        limit: u64,
    ) -> Result<Vec<Client>, StoreError> {
        let mut query =
            client::Entity::find().filter(filter.condition()?).order_by_asc(client::Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(client::Column::Id.gt(after.as_str()));
        }
        query.all(&self.source).await?.into_iter().map(Client::try_from).collect()
    }

    /// Clients whose access tokens live longer than this, ordered by id: at most `limit` of them.
    pub async fn living_longer(&self, than: Duration, limit: u64) -> Result<Vec<ClientId>, StoreError> {
        let than = i64::try_from(than.as_secs()).unwrap_or(i64::MAX);
        let ids: Vec<String> = client::Entity::find()
            .select_only()
            .column(client::Column::Id)
            .filter(client::Column::AccessTtl.gt(than))
            .order_by_asc(client::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(&self.source)
            .await?;
        ids.into_iter().map(|id| id.parse().map_err(|source| StoreError::corrupt("clients", source))).collect()
    }

    /// How many clients there are.
    pub async fn count(&self, filter: &ClientFilter) -> Result<u64, StoreError> {
        Ok(client::Entity::find().filter(filter.condition()?).count(&self.source).await?)
    }

    /// Which of these organizations and users are there and enabled, in one query. Their identifiers never meet: each kind has its
    /// own prefix.
    pub async fn enabled_among(
        &self,
        organizations: &[OrganizationId],
        users: &[UserId],
    ) -> Result<Enabled, StoreError> {
        use {organization::Column as Of, user::Column as By};
        if organizations.is_empty() && users.is_empty() {
            return Ok(Enabled::default());
        }
        let mut ids = organization::Entity::find()
            .select_only()
            .column_as(Of::Id, "id")
            .filter(Of::Id.is_in(organizations.iter().map(ToString::to_string)))
            .filter(Of::Enabled.eq(true))
            .into_query();
        let users = user::Entity::find()
            .select_only()
            .column_as(By::Id, "id")
            .filter(By::Id.is_in(users.iter().map(ToString::to_string)))
            .filter(By::Enabled.eq(true))
            .into_query();
        let rows = self.source.query_all(ids.union(UnionType::All, users)).await?;
        Ok(Enabled(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?))
    }
}

/// A pattern that takes the text literally.
pub(crate) fn containing(part: &str) -> LikeExpr {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for c in part.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}

/// Reads and writes clients.
pub struct ClientWrites<'a> {
    reads: Clients<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for ClientWrites<'a> {
    type Target = Clients<'a>;

    fn deref(&self) -> &Clients<'a> {
        &self.reads
    }
}

impl<'a> ClientWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Clients::new(transaction.inner().into()), transaction }
    }

    /// Registers a client.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where its id or its name is another client's.
    pub async fn insert(&self, client: &Client) -> Result<(), StoreError> {
        storable([client.name.as_str(), &client.description])?;
        let insert = client::Entity::insert(client::ActiveModel::from(client));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Changes a client that is at the version given, and returns its new version. Neither its id nor when it was created or used
    /// changes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it is at another version or gone; [`StoreError::Taken`] where the new name is another
    /// client's.
    pub async fn update(&self, client: &Client) -> Result<i64, StoreError> {
        storable([client.name.as_str(), &client.description])?;
        let version = client.version + 1;
        let fixed = client::ActiveModel { id: NotSet, created: NotSet, last_used: NotSet, ..client.into() };
        let row = client::ActiveModel { version: Set(version), ..fixed };
        let update = client::Entity::update_many()
            .set(row)
            .filter(client::Column::Id.eq(client.id.as_str()))
            .filter(client::Column::Version.eq(client.version));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(version) } else { Err(StoreError::Conflict) }
    }

    /// Disables every client that the filter takes, for good: its owner cannot enable it. Each gets a new version.
    pub async fn disable_all(&self, filter: &ClientFilter, at: Timestamp) -> Result<u64, StoreError> {
        let update = client::Entity::update_many()
            .set(client::ActiveModel {
                enabled: Set(false),
                owner_disabled: Set(false),
                updated: Set(at.0),
                ..Default::default()
            })
            .col_expr(client::Column::Version, Expr::col(client::Column::Version).add(1))
            .filter(filter.condition()?);
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected)
    }

    /// Deletes a client and its secrets; says whether there was one.
    pub async fn delete(&self, id: &ClientId) -> Result<bool, StoreError> {
        let delete = client::Entity::delete_by_id(id.as_str());
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Says when a client was used, unless it is known to have been used later. Its version stays.
    pub async fn touch(&self, id: &ClientId, at: Timestamp) -> Result<(), StoreError> {
        let last = client::Column::LastUsed;
        let update = client::Entity::update_many()
            .set(client::ActiveModel { last_used: Set(Some(at.0)), ..Default::default() })
            .filter(client::Column::Id.eq(id.as_str()))
            // Not one made anew under the id since.
            .filter(client::Column::Created.lte(at.0))
            .filter(last.is_null().or(last.lt(at.0)));
        update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Adds a secret.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is no such client.
    pub async fn insert_secret(&self, client: &ClientId, secret: &StoredSecret) -> Result<(), StoreError> {
        let insert = client_secret::Entity::insert(client_secret::row(client, secret));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Says when somebody authenticated with a secret, unless a later time is known.
    pub async fn touch_secret(&self, secret: Uuid, at: Timestamp) -> Result<(), StoreError> {
        let last = client_secret::Column::LastUsed;
        let update = client_secret::Entity::update_many()
            .set(client_secret::ActiveModel { last_used: Set(Some(at.0)), ..Default::default() })
            .filter(client_secret::Column::Id.eq(secret))
            .filter(last.is_null().or(last.lt(at.0)));
        update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Lets every secret of a client that would live longer expire at a moment; says how many that were.
    pub async fn expire_secrets(&self, client: &ClientId, at: Timestamp) -> Result<u64, StoreError> {
        let expires = client_secret::Column::Expires;
        let update = client_secret::Entity::update_many()
            .set(client_secret::ActiveModel { expires: Set(Some(at.0)), ..Default::default() })
            .filter(client_secret::Column::ClientId.eq(client.as_str()))
            .filter(expires.is_null().or(expires.gt(at.0)));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected)
    }

    /// Deletes a secret; says whether there was one.
    pub async fn delete_secret(&self, client: &ClientId, secret: Uuid) -> Result<bool, StoreError> {
        let delete = client_secret::Entity::delete_many()
            .filter(client_secret::Column::Id.eq(secret))
            .filter(client_secret::Column::ClientId.eq(client.as_str()));
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }
}
