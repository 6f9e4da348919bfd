//! Pool links and their facts: each fact a register that is written without reading.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::{DeserializeRow, value::CqlValue};
use sl_core::{
    ids::{AccountId, ClickId, LinkKind, PoolLinkId},
    pool::{Given, PoolFacts, PoolLink},
    time::Timestamp,
};
use sl_store::{Result, moving::Holder, pool::PoolLinkRef};

use crate::{
    catalog::stamp,
    codec::{decode, encode},
    cql::Cql,
    failure::damaged,
    statements::statements,
    writes::{Write, blob, text},
};

/// Slices of `pool_links`, see `schemas/cql/0004_pool.cql`.
const SLICES: u64 = 32;
/// Requests at once for one question.
const AT_ONCE: usize = 16;
/// The time of a cell whose earliest value counts is this less the value in milliseconds: 2005, which is larger the
/// earlier the value is, and never ahead of a server's clock.
const EARLIEST: i64 = 1 << 50;

statements!(Statements {
    put: Write "INSERT INTO pool_links (account, kind, slice, number, link) VALUES (?, ?, ?, ?, ?)";
    given: Write "UPDATE pool_links USING TIMESTAMP ? SET given = ?
        WHERE account = ? AND kind = ? AND slice = ? AND number = ?";
    orphaned: Write "UPDATE pool_links USING TIMESTAMP ? SET orphaned_at = ?
        WHERE account = ? AND kind = ? AND slice = ? AND number = ?";
    looked: Write "UPDATE pool_links USING TIMESTAMP ? SET looked_at = ?
        WHERE account = ? AND kind = ? AND slice = ? AND number = ?";
    used: Write "UPDATE pool_links USING TIMESTAMP ? SET used_at = ?
        WHERE account = ? AND kind = ? AND slice = ? AND number = ?";
    subscribers: Write "UPDATE pool_links USING TIMESTAMP ? SET subscribers = ?
        WHERE account = ? AND kind = ? AND slice = ? AND number = ?";
    handouts: Write "UPDATE pool_links USING TIMESTAMP ? SET handouts = ?
        WHERE account = ? AND kind = ? AND slice = ? AND number = ?";
    retired: Write "UPDATE pool_links USING TIMESTAMP ? SET retired_at = ?
        WHERE account = ? AND kind = ? AND slice = ? AND number = ?";
    some: Read "SELECT link, given, orphaned_at, looked_at, used_at, subscribers, handouts, retired_at
        FROM pool_links WHERE account = ? AND kind = ? AND slice = ? AND number IN ?";
    between: Read "SELECT link, given, orphaned_at, looked_at, used_at, subscribers, handouts, retired_at
        FROM pool_links WHERE account = ? AND kind = ? AND slice = ? AND number >= ? AND number <= ? LIMIT ?";
    slice: Read "SELECT link, given, orphaned_at, looked_at, used_at, subscribers, handouts, retired_at
        FROM pool_links WHERE account = ? AND kind = ? AND slice = ?";
});

/// A fact to be written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fact {
    /// The latest stays.
    Orphaned(Timestamp),
    /// The latest stays.
    Looked(Timestamp),
    /// The earliest stays.
    Used(Timestamp),
    /// The earliest stays.
    Retired(Timestamp),
    /// The largest stays.
    Subscribers(u32),
    /// The largest stays.
    Handouts(u32),
}

/// A link with everything but its lease.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) link: PoolLink,
    /// Without `leased_until` and `rounds`, which the stock's blocks decide.
    pub(super) facts: PoolFacts,
    /// Visitors that had it before it was leased last.
    pub(super) handouts: u32,
}

/// Columns as they come.
#[derive(DeserializeRow)]
struct Columns {
    link: Option<Vec<u8>>,
    given: Option<Vec<u8>>,
    orphaned_at: Option<i64>,
    looked_at: Option<i64>,
    used_at: Option<i64>,
    subscribers: Option<i64>,
    handouts: Option<i64>,
    retired_at: Option<i64>,
}

/// The table.
pub(crate) struct Links {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl Links ===

impl Links {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// Writes links that were not known.
    pub(super) async fn put(&self, links: &[PoolLink]) -> Result<()> {
        let write = |link: &PoolLink| {
            let place = place(&link.stock.account, link.id);
            Ok(Write::new(&self.statements.put, place.into_iter().chain([blob(encode(link)?)])))
        };
        self.cql.write_all(links.iter().map(write).collect::<Result<_>>()?).await
    }

    /// The write that says who holds a link. Of two holders the later one stays, of one the latest hit, in whatever order
    /// they are written: equal times are decided by the larger value.
    pub(crate) fn give(&self, account: &AccountId, id: PoolLinkId, given: &Given) -> Write {
        let register = [CqlValue::BigInt(stamp(given.at)), blob(given_bytes(given))];
        Write::new(&self.statements.given, register.into_iter().chain(place(account, id)))
    }

    /// Writes who holds links.
    pub(super) async fn hold(&self, holders: &[Holder]) -> Result<()> {
        let write = |holder: &Holder| self.give(&holder.account, holder.link, &holder.given);
        self.cql.write_all(holders.iter().map(write).collect()).await
    }

    /// Writes facts, in any order.
    pub(super) async fn note(&self, facts: impl IntoIterator<Item = (PoolLinkRef, Fact)>) -> Result<()> {
        let write = |(link, fact): (PoolLinkRef, Fact)| {
            let (statement, time, value) = match fact {
                Fact::Orphaned(at) => (&self.statements.orphaned, stamp(at), at.0),
                Fact::Looked(at) => (&self.statements.looked, stamp(at), at.0),
                Fact::Used(at) => (&self.statements.used, EARLIEST.saturating_sub(at.0), at.0),
                Fact::Retired(at) => (&self.statements.retired, EARLIEST.saturating_sub(at.0), at.0),
                Fact::Subscribers(count) => (&self.statements.subscribers, count.into(), count.into()),
                Fact::Handouts(count) => (&self.statements.handouts, count.into(), count.into()),
            };
            let register = [CqlValue::BigInt(time), CqlValue::BigInt(value)];
            Write::new(statement, register.into_iter().chain(place(&link.account, link.id)))
        };
        self.cql.write_all(facts.into_iter().map(write).collect()).await
    }

    /// Links by number; those that are not there are left out.
    pub(super) async fn some(
        &self,
        account: &AccountId,
        kind: LinkKind,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<BTreeMap<u64, Entry>> {
        let mut slices: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for number in numbers {
            slices.entry(slice(number)).or_default().push(number.cast_signed());
        }
        let slices = stream::iter(slices).map(|(slice, numbers)| async move {
            let values = (account.as_str(), kind_code(kind), slice, numbers);
            self.cql.rows::<Columns>(&self.statements.some, values).await
        });
        let rows: Vec<Vec<Columns>> = slices.buffer_unordered(AT_ONCE).try_collect().await?;
        let entries = rows.into_iter().flatten().filter_map(|row| entry(row).transpose());
        entries.map(|entry| entry.map(|entry| (entry.link.id.number, entry))).collect()
    }

    /// Links by number, at most `limit`, the lowest ones: as many are read of each slice.
    pub(super) async fn between(
        &self,
        account: &AccountId,
        kind: LinkKind,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<BTreeMap<u64, Entry>> {
        let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (from, to) = (bound(*numbers.start()), bound(*numbers.end()));
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        let slices = stream::iter(0..i32::try_from(SLICES).unwrap_or(0)).map(|slice| async move {
            let values = (account.as_str(), kind_code(kind), slice, from, to, most);
            self.cql.rows::<Columns>(&self.statements.between, values).await
        });
        let rows: Vec<Vec<Columns>> = slices.buffer_unordered(AT_ONCE).try_collect().await?;
        let entries = rows.into_iter().flatten().filter_map(|row| entry(row).transpose());
        let found: BTreeMap<u64, Entry> =
            entries.map(|entry| entry.map(|entry| (entry.link.id.number, entry))).collect::<Result<_>>()?;
        Ok(found.into_iter().take(limit).collect())
    }

    /// Reads all links of an account and kind, which may be a million, and keeps of each slice what `add` makes of them.
    pub(super) async fn fold<T: Default + Send>(
        &self,
        account: &AccountId,
        kind: LinkKind,
        add: &(impl Fn(&mut T, Entry) + Sync),
    ) -> Result<Vec<T>> {
        let slices = stream::iter(0..i32::try_from(SLICES).unwrap_or(0)).map(|slice| async move {
            let (values, mut sum) = ((account.as_str(), kind_code(kind), slice), T::default());
            let each = |row: Columns| {
                if let Some(entry) = entry(row)? {
                    add(&mut sum, entry);
                }
                Ok(())
            };
            self.cql.each(&self.statements.slice, values, each).await?;
            Ok(sum)
        });
        slices.buffer_unordered(AT_ONCE).try_collect().await
    }
}

fn slice(number: u64) -> i32 {
    i32::try_from(number % SLICES).unwrap_or(0)
}

fn kind_code(kind: LinkKind) -> i8 {
    match kind {
        LinkKind::TrackingLink => 0,
        LinkKind::FreeTrial => 1,
    }
}

fn place(account: &AccountId, id: PoolLinkId) -> [CqlValue; 4] {
    [
        text(account.as_str()),
        CqlValue::TinyInt(kind_code(id.kind)),
        CqlValue::Int(slice(id.number)),
        CqlValue::BigInt(id.number.cast_signed()),
    ]
}

/// `None` for facts about a link that is not there (yet).
fn entry(row: Columns) -> Result<Option<Entry>> {
    let Some(link) = row.link else { return Ok(None) };
    let time = |at: Option<i64>| at.map(Timestamp);
    let count = |count: Option<i64>| u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX);
    let facts = PoolFacts {
        leased_until: None,
        orphaned_at: time(row.orphaned_at),
        given: row.given.as_deref().map(given_of).transpose()?,
        used_at: time(row.used_at),
        last_look_at: time(row.looked_at),
        subscribers_seen: count(row.subscribers),
        retired_at: time(row.retired_at),
        rounds: 0,
    };
    Ok(Some(Entry { link: decode(&link)?, facts, handouts: count(row.handouts) }))
}

/// The latest hit comes first, so that of two values with the same time (one holder) the later hit is the larger.
fn given_bytes(given: &Given) -> Vec<u8> {
    let window = u64::try_from(given.window.as_millis()).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(40);
    bytes.extend_from_slice(&given.last_hit_at.0.to_be_bytes());
    bytes.extend_from_slice(&given.click.to_bytes());
    bytes.extend_from_slice(&given.at.0.to_be_bytes());
    bytes.extend_from_slice(&window.to_be_bytes());
    bytes
}

fn given_of(bytes: &[u8]) -> Result<Given> {
    fn eight(bytes: &[u8], from: usize) -> Option<[u8; 8]> {
        bytes.get(from..from + 8)?.try_into().ok()
    }
    let read = || {
        Some(Given {
            last_hit_at: Timestamp(i64::from_be_bytes(eight(bytes, 0)?)),
            click: ClickId::from_bytes(bytes.get(8..24)?.try_into().ok()?),
            at: Timestamp(i64::from_be_bytes(eight(bytes, 24)?)),
            window: Duration::from_millis(u64::from_be_bytes(eight(bytes, 32)?)),
        })
    };
    read().ok_or_else(|| damaged("a holder of a pool link"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_holders_hits_the_later_is_the_larger_value() {
        let at = Timestamp(1_772_654_400_000);
        let given = Given {
            click: ClickId::from_bytes([7; 16]),
            at,
            last_hit_at: at,
            window: Duration::from_secs(21_600),
        };
        let later = Given { last_hit_at: at.plus(Duration::from_secs(1)), ..given };
        assert!(given_bytes(&given) < given_bytes(&later));
        assert_eq!(given_of(&given_bytes(&later)), Ok(later));
        assert!(given_of(&[0; 39]).is_err());
    }
}
