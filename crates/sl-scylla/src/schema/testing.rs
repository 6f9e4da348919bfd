//! For tests: keyspaces that come and go, and what other versions of this program leave behind.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_store::Result;

use super::{APPLIED, MIGRATIONS, statements};
use crate::{config::ScyllaConfig, cql::Cql, failure::damaged, profiles::Kind};

/// Removes a keyspace with everything in it.
///
/// # Errors
/// `Unavailable` when no node answers.
pub async fn drop_keyspace(config: &ScyllaConfig) -> Result<()> {
    let cql = Cql::connect(config).await?;
    cql.define(&format!("DROP KEYSPACE IF EXISTS {}", config.keyspace)).await
}

/// Every keyspace there is.
///
/// # Errors
/// `Unavailable` when no node answers.
pub async fn keyspaces(config: &ScyllaConfig) -> Result<Vec<String>> {
    let cql = Cql::connect(config).await?;
    let names = cql.prepare(Kind::Read, "SELECT keyspace_name FROM system_schema.keyspaces").await?;
    let names: Vec<(String,)> = cql.rows(&names, ()).await?;
    Ok(names.into_iter().map(|(name,)| name).collect())
}

/// Empties every table: faster than making fifty tables anew.
///
/// # Errors
/// `Unavailable` when no node answers.
pub async fn empty_keyspace(config: &ScyllaConfig) -> Result<()> {
    let cql = Cql::connect(config).await?;
    let tables = cql
        .prepare(Kind::Read, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?")
        .await?;
    let tables: Vec<(String,)> = cql.rows(&tables, (cql.keyspace(),)).await?;
    let tables = tables.into_iter().filter(|(table,)| table != "schema_versions");
    let empty = |(table,): (String,)| {
        let cql = &cql;
        async move { cql.define(&format!("TRUNCATE {table}")).await }
    };
    stream::iter(tables).map(empty).buffer_unordered(16).try_collect().await
}

/// Makes the keyspace what it was at an earlier version, with the data that was there then.
///
/// # Errors
/// `Unavailable` when no node answers.
pub async fn take_back(config: &ScyllaConfig, version: i32) -> Result<()> {
    let cql = Cql::connect(config).await?;
    for migration in MIGRATIONS.iter().rev().filter(|migration| migration.version > version) {
        for statement in statements(migration.text) {
            let words: Vec<_> = statement.split_whitespace().collect();
            match words.as_slice() {
                ["CREATE", "TABLE", "IF", "NOT", "EXISTS", table, ..] => {
                    cql.define(&format!("DROP TABLE IF EXISTS {}", table.trim_end_matches('('))).await?;
                }
                ["ALTER", "TABLE", table, "ADD", column, _] => {
                    cql.define(&format!("ALTER TABLE {table} DROP {column}")).await?;
                }
                _ => return Err(damaged(format!("a migration that can't be taken back: {statement}"))),
            }
        }
        let forget = "DELETE FROM schema_versions WHERE part = 'applied' AND version = ? IF EXISTS";
        let forget = cql.prepare(Kind::Compare, forget).await?;
        cql.compare(&forget, (migration.version,)).await?;
    }
    Ok(())
}

/// The versions that are noted as applied.
///
/// # Errors
/// `Unavailable` when no node answers.
pub async fn applied(config: &ScyllaConfig) -> Result<Vec<i32>> {
    let cql = Cql::connect(config).await?;
    let applied = cql.prepare(Kind::SerialRead, APPLIED).await?;
    let applied: Vec<(i32,)> = cql.rows(&applied, ()).await?;
    Ok(applied.into_iter().map(|(version,)| version).collect())
}

/// Says what a newer program would.
///
/// # Errors
/// `Unavailable` when no node answers.
pub async fn mark(config: &ScyllaConfig, part: &str, version: i32) -> Result<()> {
    let cql = Cql::connect(config).await?;
    let mark = "INSERT INTO schema_versions (part, version, name) VALUES (?, ?, 'a newer one') IF NOT EXISTS";
    let mark = cql.prepare(Kind::Compare, mark).await?;
    cql.compare(&mark, (part, version)).await.map(drop)
}
