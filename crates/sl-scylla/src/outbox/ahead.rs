//! What waits for a later time.

use sl_core::{
    delivery::{Delivery, Destination},
    time::Timestamp,
};
use sl_store::{Result, outbox::Waiting};

use super::{CqlOutbox, deliveries::Slot, names::minute, queue::Cursor};

/// The place behind every row that is due at `at`.
fn past(at: Timestamp) -> Cursor {
    (at, vec![0xff; 17])
}

// === impl CqlOutbox ===

impl CqlOutbox {
    /// Deliveries that are due after `after`, by destination, behind `behind`. A page that ends within its destination reads
    /// the minutes of that one only.
    pub(super) async fn later(
        &self,
        after: Timestamp,
        behind: Option<Waiting>,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let mut found = Vec::new();
        if let Some(behind) = behind {
            let to = behind.destination;
            let mut from = past(after).max((behind.due, behind.id.to_bytes().to_vec()));
            for at in self.tables.queue.minutes_from(to, minute(from.0)).await? {
                if found.len() >= limit {
                    return Ok(found);
                }
                self.later_of_minute(to, at, from.clone(), limit, &mut found).await?;
                from = past(after);
            }
        }
        if found.len() >= limit {
            return Ok(found);
        }
        for (to, at) in self.tables.queue.minutes_everywhere().await? {
            if at < minute(after) || behind.is_some_and(|behind| to <= behind.destination) {
                continue;
            }
            if found.len() >= limit {
                break;
            }
            self.later_of_minute(to, at, past(after), limit, &mut found).await?;
        }
        Ok(found)
    }

    /// Those of one minute behind `from`. Rows that lead nowhere are left to who reads them when they are due: a change that
    /// they tell of may be about to come.
    async fn later_of_minute(
        &self,
        to: Destination,
        minute: i64,
        mut from: Cursor,
        limit: usize,
        found: &mut Vec<Delivery>,
    ) -> Result<()> {
        while found.len() < limit {
            let most = limit - found.len();
            let rows = self.tables.queue.page(to, minute, from, Timestamp(i64::MAX), most).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            from = (last.at, last.id.to_bytes().to_vec());
            let slots = self.tables.deliveries.slots(rows.iter().map(|row| row.id).collect()).await?;
            for (row, slot) in rows.iter().zip(slots) {
                if let Slot::Is(slot) = slot
                    && slot.delivery.progress.due() == Some(row.at)
                {
                    found.push(slot.delivery);
                }
            }
            if rows.len() < most {
                return Ok(());
            }
        }
        Ok(())
    }
}
