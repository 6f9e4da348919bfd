//! What people read: sums from rollups, lists from raw rows.

mod conversions;
mod dimensions;
mod hours;

use std::sync::Arc;

use async_trait::async_trait;
use fjall::Readable as _;
use sl_core::{
    click::ClickRow,
    conversion::{Conversion, FanProfile},
    ids::{AccountId, ClickId, ConversionId, DeadLetterId, FanId, SmartLinkId, TeamId},
    step::{DeadLetter, Dimension, FanDay, FanUnderLink, LinkTotals, Rollup},
    time::Timestamp,
};
use sl_store::{
    Result,
    reports::{ClickFilter, ConversionFilter, DimensionSum, Range, Reports},
};

use crate::{
    codec::decode,
    db::{Db, blocking, damaged, failed, read, read_at, scan},
    layout::{DEAD_LETTER, DEAD_LETTER_ID, FAN_DAY, Key, LINK_FAN, PROFILE, TOTALS},
    ledger::{LedgerCore, clicks, dead_letter_place, listing},
};

/// Reports on fjall.
pub(crate) struct FjallReports {
    db: Arc<Db>,
    ledger: Arc<LedgerCore>,
}

// === impl FjallReports ===

impl FjallReports {
    pub(crate) fn new(db: Arc<Db>, ledger: Arc<LedgerCore>) -> Self {
        Self { db, ledger }
    }

    /// Runs a scan on a thread where it may wait for the disk.
    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let db = Arc::clone(&self.db);
        blocking(move || work(&db)).await
    }
}

#[async_trait]
impl Reports for FjallReports {
    async fn totals(&self, links: &[SmartLinkId]) -> Result<Vec<LinkTotals>> {
        let snapshot = self.db.snapshot();
        let one = |link: &SmartLinkId| {
            let row = read_at(&snapshot, &self.db.reports, &Key::table(TOTALS).id(link.to_bytes()))?;
            Ok(row.unwrap_or_default())
        };
        links.iter().map(one).collect()
    }

    async fn hours(&self, link: SmartLinkId, range: Range) -> Result<Vec<(Timestamp, Rollup)>> {
        self.reading(move |db| hours::of_link(db, link, range)).await
    }

    async fn dimensions(
        &self,
        link: SmartLinkId,
        dimension: Dimension,
        range: Range,
    ) -> Result<Vec<DimensionSum>> {
        self.reading(move |db| dimensions::sums(db, link, dimension, range)).await
    }

    async fn fan_days(&self, link: SmartLinkId, range: Range) -> Result<Vec<FanDay>> {
        self.reading(move |db| {
            let (from, to) = clicks::bounds(Key::table(FAN_DAY).id(link.to_bytes()), range);
            db.snapshot()
                .range::<Key, _>(&db.reports, from..to)
                .map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes)))
                .collect()
        })
        .await
    }

    async fn clicks(&self, link: SmartLinkId, filter: ClickFilter) -> Result<Vec<ClickRow>> {
        self.reading(move |db| {
            listing::newest(&db.snapshot(), db, link, filter.range)
                .filter(|row| row.as_ref().map_or(true, |row| passes(row, filter.bots, filter.duplicates)))
                .skip(filter.offset)
                .take(filter.limit)
                .collect()
        })
        .await
    }

    async fn conversions(&self, link: SmartLinkId, filter: ConversionFilter) -> Result<Vec<Conversion>> {
        self.reading(move |db| conversions::newest(db, link, &filter)).await
    }

    async fn fans(&self, link: SmartLinkId) -> Result<Vec<FanUnderLink>> {
        self.reading(move |db| scan(&db.snapshot(), &db.reports, &Key::table(LINK_FAN).id(link.to_bytes())))
            .await
    }

    async fn click(&self, team: TeamId, id: ClickId) -> Result<Option<ClickRow>> {
        Ok(clicks::get(&self.db.snapshot(), &self.db, id)?.filter(|row| row.click.team == team))
    }

    async fn conversion(&self, team: TeamId, id: ConversionId) -> Result<Option<Conversion>> {
        Ok(conversions::get(&self.db.snapshot(), &self.db, id)?.filter(|row| row.team == team))
    }

    async fn conversions_of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Conversion>> {
        self.reading(move |db| conversions::of_click(db, team, click)).await
    }

    async fn fan(&self, account: &AccountId, fan: &FanId) -> Result<Option<FanProfile>> {
        read(&self.db.reports, &Key::table(PROFILE).text(account.as_str()).text(fan.as_str()))
    }

    async fn dead_letters(
        &self,
        team: TeamId,
        limit: usize,
        after: Option<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>> {
        self.reading(move |db| dead_letters(db, team, limit, after)).await
    }

    async fn dead_letter(&self, team: TeamId, id: DeadLetterId) -> Result<Option<DeadLetter>> {
        dead_letter(&self.db, team, id)
    }

    async fn dead_letter_count(&self) -> Result<u64> {
        Ok(self.ledger.dead_letter_count())
    }
}

/// Whether a click row is asked for.
fn passes(row: &ClickRow, bots: bool, duplicates: bool) -> bool {
    (bots || row.click.class != sl_core::click::Class::Bot) && (duplicates || !row.is_duplicate)
}

fn dead_letter(db: &Db, team: TeamId, id: DeadLetterId) -> Result<Option<DeadLetter>> {
    let snapshot = db.snapshot();
    let pointer = Key::table(DEAD_LETTER_ID).id(id.to_bytes());
    let Some(pointer) = snapshot.get(&db.reports, pointer).map_err(failed)? else { return Ok(None) };
    let (owner, at) = dead_letter_place(&pointer).ok_or_else(|| damaged("index of dead letters"))?;
    if owner != team.0 {
        return Ok(None);
    }
    read_at(&snapshot, &db.reports, &Key::table(DEAD_LETTER).u64(owner).at(at).id(id.to_bytes()))
}

fn dead_letters(db: &Db, team: TeamId, limit: usize, after: Option<DeadLetterId>) -> Result<Vec<DeadLetter>> {
    let all = Key::table(DEAD_LETTER).u64(team.0);
    let end = match after {
        None => all.clone().raw(&[0xff; 25]),
        // The letter itself may have been revived since: its place is in its id.
        Some(id) => all.clone().at(id.received_at()).id(id.to_bytes()),
    };
    db.snapshot()
        .range::<Key, _>(&db.reports, all..end)
        .rev()
        .take(limit)
        .map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes)))
        .collect()
}
