//! Column kinds that every migration uses alike.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// A text that is compared, ordered and unique byte by byte.
///
/// SQLite does so by itself. PostgreSQL follows the database's locale, whose order differs between hosts and changes with the
/// C library under an index's feet; `C` does neither.
pub(crate) fn key_text<N: IntoIden>(manager: &SchemaManager<'_>, name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.text().not_null();
    if manager.get_database_backend() == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

/// As [`key_text`], and it may be missing.
pub(crate) fn optional_key_text<N: IntoIden>(manager: &SchemaManager<'_>, name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.text().null();
    if manager.get_database_backend() == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

/// A text that nobody looks up and that may be missing.
pub(crate) fn optional_text<N: IntoIden>(name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.text().null();
    column
}

/// A text that nobody looks up.
pub(crate) fn text<N: IntoIden>(name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.text().not_null();
    column
}

/// A truth.
pub(crate) fn flag<N: IntoIden>(name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.boolean().not_null();
    column
}

/// A number of 64 bits: a moment in unix seconds, a revision, a version.
pub(crate) fn number<N: IntoIden>(name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null();
    column
}

/// A number that may be missing.
pub(crate) fn optional_number<N: IntoIden>(name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().null();
    column
}

/// Bytes.
pub(crate) fn bytes<N: IntoIden>(name: N) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.blob().not_null();
    column
}
