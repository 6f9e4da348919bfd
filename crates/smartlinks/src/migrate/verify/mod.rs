//! Both sides read back through the seams that the service uses, and compared: what buyers see of each link, what is told to
//! whom, every pool link, every piece of memory.
//!
//! Rows are compared whole; what is printed are counts, sums and names, never a visitor or a token.

mod catalog;
mod links;
mod memory;
mod outbox;
mod pool;

use std::fmt;

use serde_json::{Value, json};
use sl_core::{money::Cents, time::Clock};
use sl_store::{Store, StoreError};

use super::{route::Router, source::Opened, target::Target, view::View};
use crate::{config::Config, failure::Failure, service::pool_rules};

/// What both sides say, and where they don't say the same.
#[derive(Debug, Default)]
pub(super) struct Found {
    links: u64,
    clicks: u64,
    conversions: u64,
    revenue: Cents,
    fans: u64,
    pool_links: u64,
    deliveries: u64,
    waiting: u64,
    pieces: u64,
    /// Differences that were found, a line each.
    pub(super) differences: Vec<String>,
}

/// The store that is moved and the one it is moved to.
struct Sides<'a> {
    old: &'a Store,
    new: &'a Store,
}

// === impl Found ===

impl Found {
    /// Notes it when two sides differ; says how by `told`, which names neither visitors nor tokens.
    fn same<T: PartialEq>(
        &mut self,
        what: impl fmt::Display,
        (old, new): (&T, &T),
        told: impl Fn(&T) -> String,
    ) {
        if old != new {
            let (was, is) = (told(old), told(new));
            let how = if was == is { format!("{was}, but not the same") } else { format!("{was} → {is}") };
            self.differences.push(format!("{what}: {how}"));
        }
    }

    /// [`Self::same`] for lists, of which only the lengths are told.
    fn same_rows<T: PartialEq>(&mut self, what: impl fmt::Display, old: &[T], new: &[T]) {
        self.same(what, (&old, &new), |rows| format!("{} rows", rows.len()));
    }

    pub(super) fn figures(&self) -> Value {
        json!({
            "links": self.links, "clicks": self.clicks, "conversions": self.conversions,
            "revenue_cents": self.revenue.0, "fans": self.fans, "pool_links": self.pool_links,
            "deliveries": self.deliveries, "deliveries_waiting": self.waiting, "pieces_of_memory": self.pieces,
        })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Lines shown; `--json` has all of them.
        const SHOWN: usize = 50;
        writeln!(
            f,
            "\ncompared: {} links with {} clicks, {} conversions, {} fans and {} cents; {} pool links; {} deliveries, \
             {} of them waiting; {} pieces of memory",
            self.links,
            self.clicks,
            self.conversions,
            self.fans,
            self.revenue.0,
            self.pool_links,
            self.deliveries,
            self.waiting,
            self.pieces
        )?;
        for line in self.differences.iter().take(SHOWN) {
            writeln!(f, "DIFFERENT: {line}")?;
        }
        match self.differences.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => writeln!(f, "… and {more} more"),
            _ => Ok(()),
        }
    }
}

/// Compares everything.
///
/// # Errors
/// [`Failure::Run`] when a side can't be read.
pub(super) async fn all(
    config: &Config,
    source: &Opened,
    target: &Target,
    router: &Router,
    clock: &dyn Clock,
    view: &mut View,
) -> Result<Found, Failure> {
    let new = target.scylla.store().await.map_err(Failure::run)?;
    let sides = Sides { old: &source.store, new: &new };
    let mut found = Found::default();
    let work = async {
        catalog::compare(&sides, router, &mut found).await?;
        links::compare(&sides, &mut found, view).await?;
        pool::compare(&sides, clock.now(), pool_rules(config), &mut found).await?;
        outbox::compare(&sides, clock.now(), &mut found, view).await?;
        memory::compare(source, &new, router, &mut found, view).await
    };
    let done: Result<(), StoreError> = work.await;
    done.map_err(|error| {
        Failure::Run(format!("{error}; everything is written, run the same command again to compare"))
    })?;
    Ok(found)
}
