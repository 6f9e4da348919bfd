//! What is forgotten, and when.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sl_core::{click::ClickRow, time::Timestamp};

use crate::Result;

/// Retention of raw rows. Rollups and conversions stay for good.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Removes and cuts at most about `limit` rows of each sort, so that nothing else waits long. Call it again at once
    /// while there is `more`, then every hour or so.
    async fn forget(&self, horizons: Horizons, limit: usize) -> Result<Forgotten>;
}

/// The times before which rows are removed or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizons {
    /// Click rows made before are removed: now less `retention.clicks`.
    pub clicks: Timestamp,
    /// Click rows made before lose the visitor's address and lasting fingerprint, see [`cut`]: now less
    /// `retention.truncate_ip_after`.
    pub addresses: Timestamp,
    /// Deliveries created before are removed with bodies and attempts, unless they still wait: now less
    /// `retention.deliveries`.
    pub deliveries: Timestamp,
}

/// What one call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Click rows removed.
    pub clicks: u64,
    /// Click rows whose address was cut.
    pub addresses: u64,
    /// Deliveries removed.
    pub deliveries: u64,
    /// The limit was reached: there is more to do.
    pub more: bool,
}

/// Leaves of a visitor what [`sl_core::click::Click::forget_person`] leaves. Says whether that changed anything.
pub fn cut(row: &mut ClickRow) -> bool {
    if row.click.is_forgotten() {
        return false;
    }
    Arc::make_mut(&mut row.click).forget_person();
    true
}

/// One clock may be so much ahead of another, or of itself, without a word.
const APART: Duration = Duration::from_secs(3600);

/// Where the cutting of addresses begins whose horizon is `before`, when all rows made before `mark` were cut the last time. A
/// mark that lies ahead of the horizon is no longer true of what has come since: a clock was ahead, or
/// `retention.truncate_ip_after` has been raised. A little ahead it is set back to the horizon, before which nothing has come
/// but what [`cut_late`] was for; further ahead nobody knows what has, and every row is read once more.
#[must_use]
pub fn cut_from(mark: Timestamp, before: Timestamp) -> Timestamp {
    match mark.since(before) {
        ahead if ahead > APART => Timestamp(i64::MIN),
        _ => mark.min(before),
    }
}

/// Rows that are about to be stored lose at once what the next round would take, or the one that is under way: a round goes
/// through what is stored, from where the one before has stopped, and no round comes back to rows that were stored behind it.
/// `after` is `retention.truncate_ip_after`. The margin is for clocks that differ and for the time that storing takes: a
/// minute for times of minutes, an hour for days.
pub fn cut_late(rows: &mut [ClickRow], now: Timestamp, after: Duration) {
    let margin = (after / 4).clamp(Duration::from_secs(60), APART);
    let before = now.plus(margin).minus(after);
    for row in rows.iter_mut().filter(|row| row.click.at <= before) {
        cut(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_ahead_of_the_horizon_is_not_trusted() {
        let (before, never) = (Timestamp(1_000_000_000), Timestamp(i64::MIN));
        let ahead = |millis: i64| cut_from(Timestamp(before.0 + millis), before);
        assert_eq!(ahead(-5), Timestamp(before.0 - 5));
        assert_eq!([ahead(0), ahead(1), ahead(3_600_000)], [before; 3]);
        assert_eq!([ahead(3_600_001), cut_from(Timestamp(i64::MAX), before)], [never; 2]);
        assert_eq!([cut_from(never, before), cut_from(never, never)], [never; 2]);
    }
}
