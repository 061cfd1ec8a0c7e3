//! The schema of the version before: whatever ran on it must run on this one (`migrations/README.md`, expand and contract).
//!
//! `tests/fixtures/previous` says what it was. `cargo xtask record-previous`, at a release, moves it forward.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sea_orm::{ConnectionTrait as _, Statement};

use crate::harness::{Fixture, Kind, on_both};

on_both!(bare: what_the_version_before_used_is_still_there,);

/// One line for each column, `table column type [required]`, and one for each unique index, `unique table columns`. A column is
/// required where it takes no NULL and has no default: an insert must name it.
async fn described(f: &Fixture) -> BTreeSet<String> {
    let (sql, backend) = if f.is_postgres() {
        (POSTGRES, sea_orm::DatabaseBackend::Postgres)
    } else {
        (SQLITE, sea_orm::DatabaseBackend::Sqlite)
    };
    let connection = sea_orm::Database::connect(&f.url).await.expect("connects");
    let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await.expect("the schema reads");
    let lines = rows.iter().map(|row| row.try_get_by_index(0).expect("a line")).collect();
    connection.close().await.expect("closes");
    lines
}

const SQLITE: &str = "
    SELECT t.name || ' ' || c.name || ' ' || lower(c.type)
        || CASE WHEN c.\"notnull\" = 1 AND c.dflt_value IS NULL THEN ' required' ELSE '' END
    FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
    UNION ALL
    SELECT 'unique ' || t.name || ' ' || (SELECT group_concat(coalesce(x.name, '?'), ',') FROM pragma_index_info(i.name) x)
    FROM sqlite_master t JOIN pragma_index_list(t.name) i WHERE t.type = 'table' AND i.\"unique\" = 1";

const POSTGRES: &str = "
    SELECT c.table_name || ' ' || c.column_name || ' ' || c.data_type
        || CASE WHEN c.is_nullable = 'NO' AND c.column_default IS NULL AND c.is_identity = 'NO' THEN ' required' ELSE '' END
    FROM information_schema.columns c WHERE c.table_schema = 'public'
    UNION ALL
    SELECT 'unique ' || t.relname || ' ' || (SELECT string_agg(coalesce(a.attname, '?'), ',' ORDER BY k.n)
        FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0)
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace
    WHERE i.indisunique AND s.nspname = 'public'";

fn recorded(f: &Fixture) -> PathBuf {
    let name = if f.is_postgres() { "schema-postgres.txt" } else { "schema-sqlite.txt" };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/previous").join(name)
}

/// What the new schema breaks for a program that knows the old one.
fn broken(old: &BTreeSet<String>, new: &BTreeSet<String>) -> Vec<String> {
    let table = |line: &str| line.trim_start_matches("unique ").split(' ').next().unwrap_or_default().to_owned();
    let column = |line: &str| line.trim_end_matches(" required").to_owned();
    let old_tables: BTreeSet<String> = old.iter().map(|line| table(line)).collect();
    let new_columns: BTreeSet<String> = new.iter().map(|line| column(line)).collect();
    let gone = old.iter().filter(|line| !line.starts_with("unique ") && !new_columns.contains(&column(line)));
    let stricter = new.iter().filter(|line| {
        let rule = line.starts_with("unique ") || line.ends_with(" required");
        rule && !old.contains(*line) && old_tables.contains(&table(line))
    });
    gone.map(|line| format!("gone or changed: {line}"))
        .chain(stricter.map(|line| format!("stricter: {line}")))
        .collect()
}

async fn what_the_version_before_used_is_still_there(f: Fixture) {
    f.db.migrate().await.expect("migrates");
    let old = std::fs::read_to_string(recorded(&f)).expect("recorded at the release before");
    let old: BTreeSet<String> = old.lines().map(str::to_owned).collect();
    assert!(old.len() > 50, "a schema");
    assert_eq!(
        broken(&old, &described(&f).await),
        Vec::<String>::new(),
        "see migrations/README.md: expand, then contract"
    );
}

/// Nobody would notice a check that sees nothing.
#[test]
fn a_contraction_is_seen() {
    let schema = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>();
    let old = schema(&["clients id text required", "clients name text", "unique clients id"]);
    let with = |lines: &[&str]| {
        let mut new = old.clone();
        new.extend(schema(lines));
        broken(&old, &new)
    };
    assert_eq!(with(&["clients note text", "notes id text required", "unique notes id"]), Vec::<String>::new());
    assert_eq!(with(&["clients note text required"]), ["stricter: clients note text required"]);
    assert_eq!(with(&["unique clients name"]), ["stricter: unique clients name"]);
    assert_eq!(broken(&old, &schema(&["clients id text required"])), ["gone or changed: clients name text"]);
    let retyped = schema(&["clients id text required", "clients name integer"]);
    assert_eq!(broken(&old, &retyped), ["gone or changed: clients name text"]);
    let relaxed = schema(&["clients id text", "clients name text"]);
    assert_eq!(broken(&old, &relaxed), Vec::<String>::new(), "what takes more takes the old inserts too");
}

/// Writes what is checked against from now on.
#[tokio::test]
#[ignore = "cargo xtask record-previous runs it, at a release"]
async fn record() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let f = Fixture::bare(kind).await.expect("both databases are needed to record");
        f.db.migrate().await.expect("migrates");
        let lines = described(&f).await.into_iter().collect::<Vec<_>>().join("\n") + "\n";
        std::fs::create_dir_all(recorded(&f).parent().expect("a folder")).expect("made");
        std::fs::write(recorded(&f), lines).expect("written");
    }
}
