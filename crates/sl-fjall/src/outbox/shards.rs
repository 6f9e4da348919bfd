//! Who sends from which shard: in memory, since the directory is one process's, and its workers end with it.

use std::collections::HashMap;

use sl_core::time::Timestamp;

/// Shards that are taken, or were.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    taken: HashMap<u32, Taken>,
    fences: u64,
}

#[derive(Debug)]
struct Taken {
    owner: String,
    fence: u64,
    until: Timestamp,
}

// === impl Shards ===

impl Shards {
    /// Takes a shard that is free by `now`, or keeps one's own.
    pub(crate) fn take(&mut self, shard: u32, owner: &str, now: Timestamp, until: Timestamp) -> Option<u64> {
        match self.taken.get_mut(&shard) {
            Some(taken) if taken.owner == owner => {
                taken.until = until;
                Some(taken.fence)
            }
            Some(taken) if now < taken.until => None,
            _ => {
                self.fences += 1;
                let taken = Taken { owner: owner.to_owned(), fence: self.fences, until };
                self.taken.insert(shard, taken);
                Some(self.fences)
            }
        }
    }

    pub(crate) fn leave(&mut self, shard: u32, fence: u64) {
        if self.taken.get(&shard).is_some_and(|taken| taken.fence == fence) {
            self.taken.remove(&shard);
        }
    }
}
