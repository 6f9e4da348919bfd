//! What must be so before a process works in a cluster, because everything would look well and lose data: the stream has as many
//! partitions as when attribution's memory was begun, and nobody else has this journal, or a later state of it.

use sl_core::lease::{Lease, Swap};
use sl_journal::Journal;
use sl_store::{Leases, Result, Store};

/// A register like those of leases.
const PARTITIONS: &str = "partitions of events";
/// By journal: how many of its records Kafka has, and which process had it.
pub(super) const JOURNALS: &str = "journals";

/// Partitions of the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partitions {
    /// How many are configured.
    pub(super) wanted: u32,
    /// Kafka has said that it has that many.
    pub(super) are_there: bool,
}

/// Why a process must not work here; `None` when it may. `has`: records of its journal when that was opened; what it has numbered
/// since then, while the store was away, says nothing.
///
/// # Errors
/// The store's.
pub(super) async fn objection(
    store: &Store,
    kafka: Partitions,
    name: &str,
    has: u64,
) -> Result<Option<String>> {
    if let Some(known) = other_partitions(&*store.leases, kafka).await? {
        let partitions = kafka.wanted;
        return Ok(Some(format!(
            "kafka.partitions = {partitions}: what attribution remembers in this keyspace is laid out by {known}, and would not \
             be found; make the topic with {known}, or begin with another scylla.keyspace"
        )));
    }
    let journals = store.heartbeats.beats(JOURNALS).await?;
    let known = journals.iter().find(|(journal, _)| *journal == name);
    let known = known.and_then(|(_, words)| words.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
    Ok((has < known).then(|| {
        format!(
            "data_dir: its journal has {has} records, of which Kafka has {known}: it is an older copy, and what is written to it now \
             would be taken for what is known already; start with an empty directory"
        )
    }))
}

/// What a journal is called.
pub(crate) fn name_of(journal: &Journal) -> String {
    format!("{:016x}", journal.id().0)
}

/// The number that is noted, if it is another one; notes it the first time.
async fn other_partitions(leases: &dyn Leases, kafka: Partitions) -> Result<Option<String>> {
    let wanted = kafka.wanted.to_string();
    loop {
        if let Some(known) = leases.lease(PARTITIONS).await? {
            return Ok(Some(known.owner).filter(|known| *known != wanted));
        }
        if !kafka.are_there {
            // A wrong setting must not become everybody's.
            return Ok(None);
        }
        let to = Lease { owner: wanted.clone(), fence: 1, beat: 0 };
        if leases.swap_lease(PARTITIONS, &Swap { from: None, to }).await? {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sl_fjall::FjallOptions;

    use super::*;

    #[tokio::test]
    async fn another_number_of_partitions_and_an_older_journal_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
        let partitions = |wanted, are_there| Partitions { wanted, are_there };
        let check = async |partitions, has| objection(&store, partitions, "a", has).await.unwrap();
        assert_eq!(
            check(partitions(12, false), 0).await,
            None,
            "nobody was there before, and Kafka says nothing"
        );
        assert_eq!(check(partitions(48, true), 0).await, None, "so this is the number");
        assert_eq!(check(partitions(48, false), 0).await, None);
        let refused = check(partitions(96, true), 0).await.unwrap();
        assert!(refused.contains("kafka.partitions = 96") && refused.contains("laid out by 48"), "{refused}");

        store.heartbeats.beat(JOURNALS, "a", "2 somebody", Duration::from_secs(60)).await.unwrap();
        store.heartbeats.beat(JOURNALS, "b", "9 somebody", Duration::from_secs(60)).await.unwrap();
        assert_eq!(check(partitions(48, true), 2).await, None);
        let refused = check(partitions(48, true), 1).await.unwrap();
        assert!(refused.contains("has 1 records, of which Kafka has 2"), "{refused}");
    }
}
