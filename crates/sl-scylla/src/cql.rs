//! The connection: statements with the profile of their kind, rows in and out, errors in our words.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt as _;
use scylla::{
    client::{execution_profile::ExecutionProfileHandle, session::Session, session_builder::SessionBuilder},
    deserialize::row::DeserializeRow,
    policies::timestamp_generator::{MonotonicTimestampGenerator, TimestampGenerator as _},
    response::query_result::QueryResult,
    serialize::{batch::BatchValues, row::SerializeRow},
    statement::{
        Statement,
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
};
use sl_store::{Result, StoreError};

use crate::{
    config::ScyllaConfig,
    failure::{damaged, failed, preparing, unavailable},
    profiles::{Kind, Profiles},
};

/// Rows of one page. 500 × about 500 bytes = 250 KB, within what servers answer at once.
const PAGE: i32 = 500;

/// One session on one keyspace, shared by every store of the process.
pub(crate) struct Cql {
    session: Session,
    profiles: Profiles,
    clock: MonotonicTimestampGenerator,
    #[cfg(feature = "testing")]
    fuse: crate::fuse::Fuse,
    written: Written,
}

/// What has been asked of the servers.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Requests that write.
    pub(crate) requests: AtomicU64,
    /// Rows in them.
    pub(crate) rows: AtomicU64,
}

/// Makes the keyspace if it is not there. ScyllaDB takes no conditional writes in a keyspace with tablets before its version 2025.4, and
/// makes new ones so; Cassandra does not know the word.
async fn make(session: &Session, keyspace: &str, with: &str) -> Result<()> {
    let text = format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH {with}");
    let without_tablets = format!("{text} AND tablets = {{'enabled': false}}");
    match session.query_unpaged(without_tablets, ()).await.map_err(failed) {
        // It does not understand. One that only did not answer is not asked for a keyspace with tablets.
        Err(StoreError::Damaged(_)) => session.query_unpaged(text, ()).await.map_err(failed).map(drop),
        made => made.map(drop),
    }
}

/// Enters the keyspace. While another process is just making it, a node may not have heard of it yet: then a moment later.
async fn enter(session: &Session, keyspace: &str) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_millis(200);
    let begun = tokio::time::Instant::now();
    loop {
        match session.use_keyspace(keyspace, false).await {
            Err(_) if begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            entered => return entered.map_err(unavailable),
        }
    }
}

// === impl Cql ===

/// How often a connection is asked whether the node is still there, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(5);

impl Cql {
    /// Connects, and makes the keyspace if the configuration says so.
    ///
    /// # Errors
    /// `Unavailable` when no node answers.
    pub(crate) async fn connect(config: &ScyllaConfig) -> Result<Arc<Self>> {
        let keyspace = &config.keyspace;
        if keyspace.is_empty() || !keyspace.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(damaged(format!("keyspace {keyspace:?}: only letters, digits and underscores")));
        }
        let profiles = Profiles::new(config);
        let mut builder = SessionBuilder::new()
            .known_nodes(&config.nodes)
            .default_execution_profile_handle(profiles.of(Kind::Read))
            .keyspaces_to_fetch([keyspace])
            // A node that is gone without a word is noticed within seconds, not after a minute: leases are held by it.
            .keepalive_interval(KEEPALIVE)
            .keepalive_timeout(KEEPALIVE)
            .schema_agreement_interval(Duration::from_millis(20))
            // Once after a migration instead of once per table.
            .refresh_metadata_on_auto_schema_agreement(false);
        if let Some((name, password)) = &config.login {
            builder = builder.user(name, password);
        }
        let session = builder.build().await.map_err(unavailable)?;
        if let Some(with) = &config.create {
            make(&session, keyspace, with).await?;
        }
        enter(&session, keyspace).await?;
        session.refresh_metadata().await.map_err(unavailable)?;
        let clock = MonotonicTimestampGenerator::new().without_warnings();
        let written = Written::default();
        Ok(Arc::new(Self {
            session,
            profiles,
            clock,
            #[cfg(feature = "testing")]
            fuse: crate::fuse::Fuse::unset(),
            written,
        }))
    }

    /// Microseconds since 1970, never the same and never less than before in this process.
    pub(crate) fn micros(&self) -> i64 {
        self.clock.next_timestamp()
    }

    /// A time for a register that was last written at `before`: later than that, whatever this machine's clock says.
    pub(crate) fn later_than(&self, before: Option<i64>) -> i64 {
        self.micros().max(before.map_or(i64::MIN, |before| before.saturating_add(1)))
    }

    /// A change of the schema; returns when the nodes agree on it.
    pub(crate) async fn define(&self, text: &str) -> Result<()> {
        let mut statement = Statement::new(text);
        statement.set_execution_profile_handle(Some(self.profiles.of(Kind::Define)));
        self.session.query_unpaged(statement, ()).await.map_err(failed)?;
        Ok(())
    }

    /// Waits until every node has heard of what another process is just defining.
    pub(crate) async fn agreed(&self) -> Result<()> {
        self.session.await_schema_agreement().await.map(drop).map_err(unavailable)
    }

    /// Learns what a change of the schema has changed.
    pub(crate) async fn refresh(&self) -> Result<()> {
        self.session.refresh_metadata().await.map_err(unavailable)
    }

    /// Prepares a statement with the profile of its kind.
    pub(crate) async fn prepare(&self, kind: Kind, text: &str) -> Result<PreparedStatement> {
        let mut prepared = self.session.prepare(text).await.map_err(|error| preparing(text, error))?;
        prepared.set_execution_profile_handle(Some(self.profiles.of(kind)));
        prepared.set_is_idempotent(kind.is_idempotent());
        prepared.set_page_size(PAGE);
        Ok(prepared)
    }

    /// Executes a write.
    pub(crate) async fn run(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<()> {
        self.writing(1).await?;
        self.session.execute_unpaged(statement, values).await.map_err(failed)?;
        Ok(())
    }

    /// Executes a batch of `values.len()` writes. [`Cql::write_all`] makes it.
    pub(crate) async fn batch<V: SerializeRow>(&self, batch: &Batch, values: Vec<V>) -> Result<()> {
        self.writing(values.len()).await?;
        self.session.batch(batch, values).await.map_err(failed)?;
        Ok(())
    }

    /// Counts a request that writes so many rows.
    async fn writing(&self, rows: usize) -> Result<()> {
        #[cfg(feature = "testing")]
        self.fuse.pass().await?;
        self.written.requests.fetch_add(1, Ordering::Relaxed);
        self.written.rows.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Executes a conditional write; whether it was applied. An `Unavailable` says nothing about that: ask again with
    /// [`Kind::SerialRead`].
    pub(crate) async fn compare(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<bool> {
        self.writing(1).await?;
        is_applied(self.session.execute_unpaged(statement, values).await.map_err(failed)?)
    }

    /// Executes a conditional write of several rows of **one partition**; whether all of it was applied. An `Unavailable`
    /// is as with [`Self::compare`].
    pub(crate) async fn compare_together(
        &self,
        statements: &[&Arc<PreparedStatement>],
        values: impl BatchValues,
    ) -> Result<bool> {
        self.writing(statements.len()).await?;
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_execution_profile_handle(Some(self.profiles.of(Kind::Compare)));
        for statement in statements {
            batch.append_statement(PreparedStatement::clone(statement));
        }
        is_applied(self.session.batch(&batch, values).await.map_err(failed)?)
    }

    /// All rows of an answer, page by page.
    pub(crate) async fn rows<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + 'static,
    {
        let pages =
            self.session.execute_iter(statement.clone(), values).await.map_err(crate::failure::paging)?;
        pages.rows_stream::<R>().map_err(damaged)?.try_collect().await.map_err(crate::failure::page)
    }

    /// Hands on the rows of an answer one by one while its pages come: of a long one only a page or two are in memory.
    pub(crate) async fn each<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        mut each: impl FnMut(R) -> Result<()>,
    ) -> Result<()>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + 'static,
    {
        let pages =
            self.session.execute_iter(statement.clone(), values).await.map_err(crate::failure::paging)?;
        let mut rows = pages.rows_stream::<R>().map_err(damaged)?;
        while let Some(row) = rows.try_next().await.map_err(crate::failure::page)? {
            each(row)?;
        }
        Ok(())
    }

    /// The only row of an answer.
    pub(crate) async fn row<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let answer = self.session.execute_unpaged(statement, values).await.map_err(failed)?;
        answer.into_rows_result().map_err(damaged)?.maybe_first_row::<R>().map_err(damaged)
    }

    /// The keyspace that was connected to, as the server spells it.
    pub(crate) fn keyspace(&self) -> String {
        self.session.get_keyspace().map_or_else(String::new, |name| name.to_lowercase())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn fuse(&self) -> &crate::fuse::Fuse {
        &self.fuse
    }

    /// What has been asked of the servers so far.
    pub(crate) fn written(&self) -> &Written {
        &self.written
    }

    /// The profile of a kind of statement.
    pub(crate) fn profile(&self, kind: Kind) -> ExecutionProfileHandle {
        self.profiles.of(kind)
    }

    /// The session, for what is asked page by page.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}

fn is_applied(answer: QueryResult) -> Result<bool> {
    let rows = answer.into_rows_result().map_err(damaged)?;
    let first = rows.rows::<scylla::value::Row>().map_err(damaged)?.next();
    let row = first.ok_or_else(|| damaged("a conditional write without an answer"))?.map_err(damaged)?;
    // `[applied]` is the first column; the present row, if any, follows.
    match row.columns.first() {
        Some(Some(scylla::value::CqlValue::Boolean(applied))) => Ok(*applied),
        _ => Err(damaged("the answer of a conditional write")),
    }
}
