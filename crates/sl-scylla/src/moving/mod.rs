//! An embedded store moved into an empty keyspace: every row as the service writes it, with a time below that of whatever the
//! service writes later. What is written is absolute, so it may come twice; which run wrote a row is no matter, since each
//! has a later time than the one before ([`record`]).
//!
//! | table | comes from |
//! |---|---|
//! | `catalog`, `catalog_owners`, `numbers` | the catalog; `catalog_log` begins anew, with one entry |
//! | `pool_links`, `pool_order`, `pool_stocks`, `pool_stock_numbers` | links, holders, stocks |
//! | `pool_blocks` | counts of stocks; no block is out, and fences begin anew |
//! | `pool_unmatched`, `pool_list_adds` | what the matcher has to do |
//! | `clicks`, `click_places`, `click_links`, `click_days`, `link_parts` | click rows, laid out anew |
//! | `conversions`, `conversion_ids`, `click_conversions` | conversions |
//! | `fans`, `link_fans`, `link_hours`, `link_dimensions`, `link_fan_days`, `link_totals` | rows of that name |
//! | `dead_letters`, `dead_letter_hours`, `dead_letter_places`, `dead_letter_counts` | dead letters |
//! | `deliveries` and the `outbox_…` that lead to them | whole deliveries; `outbox_tallies` are counted anew |
//! | `outbox_rests`, `outbox_trails` | rests and replays |
//! | `state` | pieces of memory, each in the partition of its account |
//! | `steps` | one row per partition: nothing read yet, these sequences applied; `step_redo` has nothing |
//! | `leases`, `pool_news`, `upkeep_marks` | nothing: they are about running processes, or are found again |

mod record;

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::step::Step;
use sl_store::{
    Result,
    moving::{Rows, StoreStanding, Target},
};

use self::record::Record;
pub use self::record::{Come, Move};
use crate::{
    ScyllaHandle, catalog::CqlCatalog, cql::Cql, ledger::Absolute, outbox::Tables, pool::CqlPool,
    pool::Waiting,
};

/// A move under way. One process at a time has it: the one that has the source.
pub struct Mover {
    cql: Arc<Cql>,
    record: Record,
    catalog: CqlCatalog,
    pool: CqlPool,
    waiting: Waiting,
    outbox: Arc<Tables>,
    ledger: Absolute,
    /// The time that rows of this run carry.
    number: i64,
}

// === impl ScyllaHandle ===

impl ScyllaHandle {
    /// What was moved here, or is being moved.
    ///
    /// # Errors
    /// `Unavailable` when no node answers.
    pub async fn moved(&self) -> Result<Option<Move>> {
        Record::new(Arc::clone(&self.cql)).await?.read().await.map(|found| found.map(|(this, _)| this))
    }

    /// A table that has rows, if any has: the schema's own and those of moves do not count.
    ///
    /// # Errors
    /// `Unavailable` when no node answers.
    pub async fn occupied(&self) -> Result<Option<String>> {
        record::occupied(&self.cql).await
    }

    /// Begins a move, or goes on with it: call it with what [`ScyllaHandle::moved`] said, if that said something.
    ///
    /// # Errors
    /// `Fenced` when another move was begun meanwhile.
    pub async fn mover(&self, this: &Move) -> Result<Mover> {
        let cql = &self.cql;
        let record = Record::new(Arc::clone(cql)).await?;
        let number = record.begin(this).await?;
        Ok(Mover {
            record,
            catalog: CqlCatalog::new(Arc::clone(cql)).await?,
            pool: CqlPool::new(cql, self.rules).await?,
            waiting: Waiting::new(Arc::clone(cql)).await?,
            outbox: Tables::new(cql).await?,
            ledger: Absolute::new(Arc::clone(cql), self.ttls).await?,
            cql: Arc::clone(cql),
            number,
        })
    }
}

// === impl Mover ===

impl Mover {
    /// How far each kind has come, by the kind's name.
    ///
    /// # Errors
    /// `Unavailable` when no node answers.
    pub async fn come(&self) -> Result<Vec<(String, Come)>> {
        self.record.come().await
    }

    /// Notes how far a kind has come: everything before that is acknowledged.
    ///
    /// # Errors
    /// `Unavailable` when no node answers.
    pub async fn note(&self, kind: &str, come: &Come) -> Result<()> {
        self.record.note(kind, come).await
    }

    /// From now on the service may run here.
    ///
    /// # Errors
    /// `Unavailable` when no node answers.
    pub async fn end(&self, this: &Move, at: sl_core::time::Timestamp) -> Result<()> {
        self.record.end(this, at).await
    }

    async fn reports(&self, step: Step) -> Result<()> {
        self.ledger.reports(step, self.number).await
    }
}

#[async_trait]
impl Target for Mover {
    async fn put(&self, rows: Rows) -> Result<()> {
        let (none, number) = (Step::default(), self.number);
        match rows {
            Rows::Teams(rows) => self.catalog.put_teams(rows).await,
            Rows::Keys(rows) => self.catalog.put_keys(rows).await,
            Rows::Accounts(rows) => self.catalog.put_accounts(rows).await,
            Rows::Links(rows) => self.catalog.put_links(rows).await,
            Rows::Pixels(rows) => self.catalog.put_pixels(rows).await,
            Rows::Postbacks(rows) => self.catalog.put_postbacks(rows).await,
            Rows::PoolLinks(rows) => self.pool.put_links(rows).await,
            Rows::Holders(rows) => self.pool.put_holders(&rows).await,
            Rows::Stocks(rows) => {
                for stock in &rows {
                    self.pool.put_stock(stock).await?;
                }
                Ok(())
            }
            Rows::Clicks(clicks) => self.reports(Step { clicks, ..none }).await,
            Rows::Conversions(conversions) => self.reports(Step { conversions, ..none }).await,
            Rows::Fans(fans) => self.reports(Step { fans, ..none }).await,
            Rows::Profiles(rows) => self.ledger.profiles(&rows, number).await,
            Rows::Hours(rollups) => self.reports(Step { rollups, ..none }).await,
            Rows::Dimensions(dimensions) => self.reports(Step { dimensions, ..none }).await,
            Rows::FanDays(fan_days) => self.reports(Step { fan_days, ..none }).await,
            Rows::Totals(totals) => self.reports(Step { totals, ..none }).await,
            Rows::DeadLetters(dead_letters) => self.reports(Step { dead_letters, ..none }).await,
            Rows::Unmatched(rows) => {
                let writes = rows.iter().map(|row| self.waiting.wait(row, number));
                self.cql.write_all(writes.collect::<Result<_>>()?).await
            }
            Rows::ListAdds(rows) => {
                let writes = rows.iter().map(|add| self.waiting.add(add, number));
                self.cql.write_all(writes.collect::<Result<_>>()?).await
            }
            Rows::Deliveries(rows) => self.outbox.put_whole(rows, number).await,
            Rows::Rests(rows) => self.outbox.put_rests(rows).await,
            Rows::Trails(rows) => self.outbox.put_trails(&rows).await,
            Rows::Memory(rows) => self.ledger.memory(&rows, number).await,
        }
    }

    async fn finish(&self, standing: &StoreStanding, partitions: u32) -> Result<()> {
        self.catalog.finish(&standing.numbers).await?;
        self.ledger.begin(partitions, &standing.applied, standing.dead_letters, self.number).await
    }
}
