//! The schema, version by version: `schemas/cql`.
//!
//! A migration is a file that is never changed once it was released; the next one alters what it made. Everything in it
//! is additive (new tables, new columns), so that a process of the version before goes on working while a cluster is
//! being updated machine by machine, and may be started anew meanwhile. A migration after which older programs would do harm
//! says so (`-- oldest: 12` on a line of its own: they must know version 12); those refuse the keyspace from then on. One
//! process migrates at a time, held by a lock that expires; a migration that was broken off is done again from its beginning,
//! which its statements allow.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use scylla::statement::prepared::PreparedStatement;
use sl_store::{Result, StoreError};

#[cfg(feature = "testing")]
pub use self::testing::{applied, drop_keyspace, empty_keyspace, keyspaces, mark, take_back};
use crate::{cql::Cql, failure::damaged, profiles::Kind};

#[cfg(feature = "testing")]
mod testing;

/// One file of `schemas/cql`.
struct Migration {
    version: i32,
    name: &'static str,
    text: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal),+ $(,)?) => {
        [$(Migration {
            version: $version,
            name: $name,
            text: include_str!(concat!("../../../schemas/cql/", $name, ".cql")),
        }),+]
    };
}

/// Every version there ever was, ascending. Numbers only grow.
const MIGRATIONS: &[Migration] = &migrations![
    1 "0001_ledger",
    2 "0002_reports",
    3 "0003_catalog",
    4 "0004_pool",
    5 "0005_outbox",
    6 "0006_leases",
    7 "0007_upkeep",
    8 "0008_rests_and_trails",
    9 "0009_moves",
    10 "0010_heartbeats",
];

/// Who migrates, and what was migrated. Every cell is written by conditional writes.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    part text, version int, name text, PRIMARY KEY (part, version))";
/// The lock leaves by itself when its process died: two minutes, for a migration that takes seconds.
const LOCK: &str =
    "INSERT INTO schema_versions (part, version, name) VALUES ('lock', 0, ?) IF NOT EXISTS USING TTL 120";
/// Renews the lock while a migration takes longer than that.
const STAY: &str =
    "UPDATE schema_versions USING TTL 120 SET name = ? WHERE part = 'lock' AND version = 0 IF name = ?";
const UNLOCK: &str = "DELETE FROM schema_versions WHERE part = 'lock' AND version = 0 IF name = ?";
const APPLIED: &str = "SELECT version FROM schema_versions WHERE part = 'applied'";
const APPLY: &str =
    "INSERT INTO schema_versions (part, version, name) VALUES ('applied', ?, ?) IF NOT EXISTS";
/// The oldest version of the schema that a program must know to use this keyspace.
const OLDEST: &str = "SELECT version FROM schema_versions WHERE part = 'oldest'";
const RAISE: &str = "INSERT INTO schema_versions (part, version, name) VALUES ('oldest', ?, ?) IF NOT EXISTS";
const COLUMN: &str = "SELECT column_name FROM system_schema.columns
    WHERE keyspace_name = ? AND table_name = ? AND column_name = ?";
/// How often a process that waits for another's migration looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a process that migrates says so: before a single statement could outlast the lock.
const STAY_EVERY: Duration = Duration::from_secs(20);
/// How long it waits: a little longer than the lock of a dead process.
const PATIENCE: Duration = Duration::from_secs(150);

/// The newest version this program knows.
#[must_use]
pub fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Brings the keyspace to version `to`, or leaves it where it is when it is newer: a newer one has only more, unless it says
/// otherwise.
pub(crate) async fn migrate(cql: &Arc<Cql>, to: i32) -> Result<()> {
    if !exists(cql).await? {
        cql.define(VERSIONS).await?;
    }
    let (applied, missing) = match asked(cql, to).await {
        Ok((applied, missing)) if missing.is_empty() => (applied, missing),
        // Perhaps others are just making the table, each through a node of its own: then there are several of them for a
        // moment, of which one stays, with what was written to that one. Once the nodes agree, it is the only one.
        Ok(_) | Err(_) => agreed(cql, to).await?,
    };
    if missing.is_empty() {
        return understood(cql, to).await;
    }
    understood(cql, to).await?;
    let owner = format!("{}", cql.micros());
    locked(cql, &owner).await?;
    let done = apply_missing(cql, &applied, to, &owner).await;
    let unlock = cql.prepare(Kind::Compare, UNLOCK).await?;
    // Refused when the lock has expired meanwhile: then it is somebody else's.
    cql.compare(&unlock, (owner.as_str(),)).await?;
    cql.refresh().await?;
    done
}

async fn exists(cql: &Cql) -> Result<bool> {
    let column = cql.prepare(Kind::Read, COLUMN).await?;
    let found: Option<(String,)> = cql.row(&column, (cql.keyspace(), "schema_versions", "name")).await?;
    Ok(found.is_some())
}

/// What is missing, once the nodes agree. A node that has just been told of another table of that name answers for a moment with an
/// error of its own.
async fn agreed(cql: &Cql, to: i32) -> Result<(PreparedStatement, Vec<&'static Migration>)> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let begun = tokio::time::Instant::now();
    loop {
        cql.agreed().await?;
        match asked(cql, to).await {
            Err(error) if error.is_temporary() && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await
            }
            asked => return asked,
        }
    }
}

/// What is missing, and the question that says what was migrated.
async fn asked(cql: &Cql, to: i32) -> Result<(PreparedStatement, Vec<&'static Migration>)> {
    let applied = versions(cql).await?;
    let missing = missing(cql, &applied, to).await?;
    Ok((applied, missing))
}

/// The question what was migrated. A server lists a table that another process is just making a moment before it takes
/// questions about it.
async fn versions(cql: &Cql) -> Result<PreparedStatement> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let begun = tokio::time::Instant::now();
    loop {
        match cql.prepare(Kind::SerialRead, APPLIED).await {
            Err(StoreError::Damaged(_)) if begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            prepared => return prepared,
        }
    }
}

async fn missing(cql: &Cql, applied: &PreparedStatement, to: i32) -> Result<Vec<&'static Migration>> {
    let applied: Vec<(i32,)> = cql.rows(applied, ()).await?;
    let wanted = MIGRATIONS.iter().filter(|migration| migration.version <= to);
    Ok(wanted.filter(|migration| !applied.contains(&(migration.version,))).collect())
}

/// Whether a program that knows so much may use the keyspace.
async fn understood(cql: &Cql, to: i32) -> Result<()> {
    let oldest = cql.prepare(Kind::SerialRead, OLDEST).await?;
    let needed: Vec<(i32,)> = cql.rows(&oldest, ()).await?;
    let Some(needed) = needed.into_iter().map(|(version,)| version).filter(|version| *version > to).max()
    else {
        return Ok(());
    };
    Err(damaged(format!(
        "keyspace {} was brought up to date by a newer smartlinks and needs one that knows version {needed} of the \
         schema; this one knows {to}: install the newer one here too",
        cql.keyspace()
    )))
}

/// What a file says of older programs.
fn oldest(text: &str) -> Option<i32> {
    text.lines().find_map(|line| line.strip_prefix("-- oldest: ")?.trim().parse().ok())
}

async fn locked(cql: &Cql, owner: &str) -> Result<()> {
    let lock = cql.prepare(Kind::Compare, LOCK).await?;
    let waited = tokio::time::timeout(PATIENCE, async {
        while !cql.compare(&lock, (owner,)).await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    });
    let late =
        || StoreError::Unavailable("another process has been migrating the schema for minutes".to_owned());
    waited.await.map_err(|_| late())?
}

async fn apply_missing(cql: &Cql, applied: &PreparedStatement, to: i32, owner: &str) -> Result<()> {
    let apply = cql.prepare(Kind::Compare, APPLY).await?;
    let mut said_at = Instant::now();
    for migration in missing(cql, applied, to).await? {
        for statement in statements(migration.text) {
            if said_at.elapsed() > STAY_EVERY {
                said_at = Instant::now();
                stay(cql, owner).await?;
            }
            if !added(cql, &statement).await? {
                cql.define(&statement).await?;
            }
        }
        if let Some(oldest) = oldest(migration.text) {
            let raise = cql.prepare(Kind::Compare, RAISE).await?;
            cql.compare(&raise, (oldest, migration.name)).await?;
        }
        cql.compare(&apply, (migration.version, migration.name)).await?;
    }
    Ok(())
}

/// Keeps the lock for longer: two processes that make the same table through different nodes may make two.
async fn stay(cql: &Cql, owner: &str) -> Result<()> {
    let stay = cql.prepare(Kind::Compare, STAY).await?;
    match cql.compare(&stay, (owner, owner)).await? {
        true => Ok(()),
        false => Err(StoreError::Unavailable("another process migrates the schema by now".to_owned())),
    }
}

/// The statements of a file: each ends with a semicolon; a comment has lines of its own.
fn statements(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = lines.join("\n");
    let statements = code.split(';').map(|statement| statement.trim().to_owned());
    statements.filter(|statement| !statement.is_empty()).collect()
}

/// Whether this is an `ALTER TABLE … ADD` whose column is there already: not every server knows `ADD IF NOT EXISTS`.
async fn added(cql: &Cql, statement: &str) -> Result<bool> {
    let words: Vec<_> = statement.split_whitespace().collect();
    let ["ALTER", "TABLE", table, rest @ ..] = words.as_slice() else { return Ok(false) };
    let ["ADD", column, _] = rest else {
        return Err(damaged(format!("a migration says more than `ALTER TABLE t ADD c type`: {statement}")));
    };
    let columns = cql.prepare(Kind::Read, COLUMN).await?;
    let found: Option<(String,)> = cql.row(&columns, (cql.keyspace(), *table, *column)).await?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_and_every_statement_can_be_done_again() {
        assert!(MIGRATIONS.is_sorted_by(|earlier, later| earlier.version < later.version));
        for migration in MIGRATIONS {
            assert!(migration.name.starts_with(&format!("{:04}_", migration.version)), "{}", migration.name);
            let statements = statements(migration.text);
            assert!(!statements.is_empty());
            for statement in statements {
                let again = statement.starts_with("CREATE TABLE IF NOT EXISTS ")
                    || statement.starts_with("ALTER TABLE ");
                assert!(again, "{}: {statement}", migration.name);
            }
        }
    }

    #[test]
    fn a_file_may_say_what_older_programs_must_know() {
        assert_eq!(oldest("-- oldest: 12\nALTER TABLE x ADD b int;"), Some(12));
        assert_eq!(oldest("-- the oldest: 12\n-- oldest rows first\n"), None);
        for migration in MIGRATIONS {
            assert!(
                oldest(migration.text).is_none_or(|oldest| oldest <= migration.version),
                "{}",
                migration.name
            );
        }
    }

    #[test]
    fn a_file_is_cut_into_statements() {
        let text = "-- a; b\nCREATE TABLE x (\n  -- c; d\n  a int);\n\nALTER TABLE x ADD b int;\n";
        assert_eq!(statements(text), ["CREATE TABLE x (\n  a int)", "ALTER TABLE x ADD b int"]);
    }
}
