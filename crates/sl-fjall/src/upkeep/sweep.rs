//! A round through the old rows of every link, a piece at a time.

use fjall::{Keyspace, Readable as _, Snapshot};
use sl_core::time::Timestamp;
use sl_store::Result;

use crate::{
    db::{damaged, failed},
    layout::{Key, Reader},
};

/// How far a round has come through a keyspace whose keys begin with link · at. Kept in memory: after a restart the round begins
/// anew, which costs one more reading and changes nothing, since what is done is done.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    /// Rows before it are meant.
    before: Timestamp,
    /// Where the round goes on; `None` once it is over.
    next: Option<Key>,
}

impl Default for Sweep {
    /// A round that finds nothing: nothing is older than the beginning of time.
    fn default() -> Self {
        Self { before: Timestamp(i64::MIN), next: None }
    }
}

// === impl Sweep ===

impl Sweep {
    /// Another horizon begins another round.
    pub(super) fn until(&mut self, before: Timestamp) {
        if self.before != before {
            *self = Self { before, next: Some(Key::bare()) };
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.next.is_none()
    }

    /// Goes on through rows made at `from` or later: hands key and value to `each`, which says how much work they were, until about
    /// `limit` is done. A link that has no such rows is work, too: there may be a million of them.
    pub(super) fn go_on(
        &mut self,
        (snapshot, rows): (&Snapshot, &Keyspace),
        from: Timestamp,
        limit: usize,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<usize>,
    ) -> Result<()> {
        let mut done = 0;
        while let Some(next) = self.next.take_if(|_| done < limit) {
            let Some(row) = snapshot.range::<Key, _>(rows, next.clone()..).next() else { return Ok(()) };
            let key = row.key().map_err(failed)?;
            let link = Key::bare().id(Reader(&key).id().ok_or_else(|| damaged("a key of old rows"))?);
            // The round is somewhere in this link, or comes to it.
            let first = link.clone().at(from);
            let first = if first.bytes() < next.bytes() { next } else { first };
            for row in snapshot.range::<Key, _>(rows, first..link.clone().at(self.before)) {
                let (key, value) = row.into_inner().map_err(failed)?;
                done += each(&key, &value)?;
                if done >= limit {
                    self.next = Some(Key::bare().raw(&key).byte(0));
                    return Ok(());
                }
            }
            done += 1;
            // Behind every key of the link.
            self.next = Some(link.raw(&[0xff; 25]));
        }
        Ok(())
    }
}
