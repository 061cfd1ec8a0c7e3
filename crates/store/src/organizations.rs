//! Organizations, and the users who are their members.

use std::ops::Deref;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, OnConflict};
use sea_orm::{
    ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tessera_types::{OrganizationId, Timestamp, UserId};

use crate::clients::containing;
use crate::entities::{membership, organization};
use crate::error::{StoreError, storable};
use crate::transaction::Transaction;

/// An organization as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The identifier, which never changes and is never used again.
    pub id: OrganizationId,
    /// Its name; no two organizations share one.
    pub name: String,
    /// Whether its members may make applications in the others.
    pub global: bool,
    /// Whether its applications may be used.
    pub enabled: bool,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// Rises with each update; an update says which version it changes.
    pub version: i64,
}

/// Which organizations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationFilter {
    /// Those whose name contains this; the case of ASCII letters does not matter.
    pub name_contains: Option<String>,
    /// Those that are enabled, or are not.
    pub enabled: Option<bool>,
    /// Those that this user is a member of.
    pub member: Option<UserId>,
}

/// Reads organizations.
pub struct Organizations<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Organizations<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// An organization.
    pub async fn find(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let row = organization::Entity::find_by_id(id.to_string()).one(&self.source).await?;
        row.map(Organization::try_from).transpose()
    }

    /// The organization of a name.
    pub async fn find_by_name(&self, name: &str) -> Result<Option<Organization>, StoreError> {
        // What the database cannot hold is nobody's.
        if storable([name]).is_err() {
            return Ok(None);
        }
        let row = organization::Entity::find().filter(organization::Column::Name.eq(name)).one(&self.source).await?;
        row.map(Organization::try_from).transpose()
    }

    /// Organizations ordered by id: at most `limit` of those after `after`.
    pub async fn list(
        &self,
        filter: &OrganizationFilter,
        after: Option<OrganizationId>,
        limit: u64,
    ) -> Result<Vec<Organization>, StoreError> {
        let mut query = organization::Entity::find().order_by_asc(organization::Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(organization::Column::Id.gt(after.to_string()));
        }
        if let Some(enabled) = filter.enabled {
            query = query.filter(organization::Column::Enabled.eq(enabled));
        }
        if let Some(part) = &filter.name_contains {
            storable([part.as_str()])?;
            let name = Func::lower(Expr::col(organization::Column::Name));
            query = query.filter(Expr::expr(name).like(containing(part)));
        }
        if let Some(member) = filter.member {
            query = query.filter(organization::Column::Id.is_in(self.of(member).await?));
        }
        query.all(&self.source).await?.into_iter().map(Organization::try_from).collect()
    }

    /// Whether a user is a member.
    pub async fn is_member(&self, id: OrganizationId, user: UserId) -> Result<bool, StoreError> {
        let row = membership::Entity::find_by_id((id.to_string(), user.to_string())).one(&self.source).await?;
        Ok(row.is_some())
    }

    /// Whether a user is a member of an enabled organization that is global.
    pub async fn in_a_global_one(&self, user: UserId) -> Result<bool, StoreError> {
        let row = organization::Entity::find()
            .filter(organization::Column::Id.is_in(self.of(user).await?))
            .filter(organization::Column::Global.eq(true))
            .filter(organization::Column::Enabled.eq(true))
            .one(&self.source)
            .await?;
        Ok(row.is_some())
    }

    /// Members ordered by id: at most `limit` of those after `after`.
    pub async fn members(
        &self,
        id: OrganizationId,
        after: Option<UserId>,
        limit: u64,
    ) -> Result<Vec<UserId>, StoreError> {
        let mut query = membership::Entity::find()
            .filter(membership::Column::Organization.eq(id.to_string()))
            .order_by_asc(membership::Column::UserId)
            .limit(limit);
        if let Some(after) = after {
            query = query.filter(membership::Column::UserId.gt(after.to_string()));
        }
        let member = |row: membership::Model| {
            row.user_id.parse().map_err(|source| StoreError::corrupt("memberships", Box::new(source)))
        };
        query.all(&self.source).await?.into_iter().map(member).collect()
    }

    /// The identifiers of a user's organizations.
    async fn of(&self, user: UserId) -> Result<Vec<String>, StoreError> {
        let query = membership::Entity::find()
            .select_only()
            .column(membership::Column::Organization)
            .filter(membership::Column::UserId.eq(user.to_string()));
        Ok(query.into_tuple().all(&self.source).await?)
    }
}

/// Reads and writes organizations.
pub struct OrganizationWrites<'a> {
    reads: Organizations<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for OrganizationWrites<'a> {
    type Target = Organizations<'a>;

    fn deref(&self) -> &Organizations<'a> {
        &self.reads
    }
}

impl<'a> OrganizationWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Organizations::new(transaction.inner().into()), transaction }
    }

    /// Registers an organization.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where its name is another's.
    pub async fn insert(&self, organization: &Organization) -> Result<(), StoreError> {
        storable([organization.name.as_str()])?;
        let insert = organization::Entity::insert(organization::ActiveModel::from(organization));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Changes an organization that is at the version given, and returns its new version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it is at another version or gone; [`StoreError::Taken`] as with
    /// [`insert`](Self::insert).
    pub async fn update(&self, organization: &Organization) -> Result<i64, StoreError> {
        storable([organization.name.as_str()])?;
        let version = organization.version + 1;
        let row =
            organization::ActiveModel { id: NotSet, created: NotSet, version: Set(version), ..organization.into() };
        let update = organization::Entity::update_many()
            .set(row)
            .filter(organization::Column::Id.eq(organization.id.to_string()))
            .filter(organization::Column::Version.eq(organization.version));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(version) } else { Err(StoreError::Conflict) }
    }

    /// Deletes an organization with its memberships; says whether there was one. Its clients keep its identifier.
    pub async fn delete(&self, id: OrganizationId) -> Result<bool, StoreError> {
        let delete = organization::Entity::delete_by_id(id.to_string());
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Makes a user a member; says whether they were not yet.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is no such organization or user.
    pub async fn add_member(&self, id: OrganizationId, user: UserId, at: Timestamp) -> Result<bool, StoreError> {
        let row = membership::ActiveModel {
            organization: Set(id.to_string()),
            user_id: Set(user.to_string()),
            created: Set(at.0),
        };
        let nothing =
            OnConflict::columns([membership::Column::Organization, membership::Column::UserId]).do_nothing().to_owned();
        let insert = membership::Entity::insert(row).on_conflict(nothing);
        let added = insert
            .exec_without_returning(self.transaction.inner())
            .await
            .map_err(|error| self.transaction.fail(error))?;
        Ok(added == 1)
    }

    /// Ends a membership; says whether there was one.
    pub async fn remove_member(&self, id: OrganizationId, user: UserId) -> Result<bool, StoreError> {
        let delete = membership::Entity::delete_by_id((id.to_string(), user.to_string()));
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }
}
