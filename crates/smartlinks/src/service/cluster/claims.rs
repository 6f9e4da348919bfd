//! What must be so before a process works in a cluster, because everything would look well and lose data: the stream has as many
//! partitions as when attribution's memory was begun, and nobody else has this journal, or a later state of it.

use sl_core::lease::{Lease, Swap};
use sl_journal::Journal;
use sl_store::{Leases, Result, Store};

/// A register like those of leases.
const PARTITIONS: &str = "partitions of events";
/// By journal: how many of its records Kafka has, and which process had it.
pub(super) const JOURNALS: &str = "journals";

/// Why a process must not work here; `None` when it may.
///
/// # Errors
/// The store's.
pub(super) async fn objection(store: &Store, partitions: u32, journal: &Journal) -> Result<Option<String>> {
    if let Some(known) = other_partitions(&*store.leases, partitions).await? {
        return Ok(Some(format!(
            "kafka.partitions = {partitions}: what attribution remembers in this keyspace is laid out by {known}, and would not \
             be found; make the topic with {known}, or begin with another scylla.keyspace"
        )));
    }
    let name = name_of(journal);
    let journals = store.heartbeats.beats(JOURNALS).await?;
    let known = journals.iter().find(|(journal, _)| *journal == name);
    let known = known.and_then(|(_, words)| words.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
    let has = journal.status().head.offset;
    Ok((has < known).then(|| {
        format!(
            "data_dir: its journal has {has} records, of which Kafka has {known}: it is an older copy, and what is written to it now \
             would be taken for what is known already; start with an empty directory"
        )
    }))
}

/// What a journal is called.
pub(super) fn name_of(journal: &Journal) -> String {
    format!("{:016x}", journal.id().0)
}

/// The number that is noted, if it is another one; notes it the first time.
async fn other_partitions(leases: &dyn Leases, partitions: u32) -> Result<Option<String>> {
    let wanted = partitions.to_string();
    loop {
        if let Some(known) = leases.lease(PARTITIONS).await? {
            return Ok(Some(known.owner).filter(|known| *known != wanted));
        }
        let to = Lease { owner: wanted.clone(), fence: 1, beat: 0 };
        if leases.swap_lease(PARTITIONS, &Swap { from: None, to }).await? {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use sl_core::event::{Event, EventBody};
    use sl_fjall::FjallOptions;
    use sl_journal::{ClickLog as _, JournalConfig};

    use super::*;
    use crate::clock;

    fn journal(dir: &std::path::Path) -> Arc<Journal> {
        let config = JournalConfig { dir: dir.to_owned(), ..JournalConfig::default() };
        Journal::open(config, clock::system()).unwrap()
    }

    #[tokio::test]
    async fn another_number_of_partitions_and_an_older_journal_are_refused() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
        let journal = journal(disk.path());
        assert_eq!(objection(&store, 48, &journal).await.unwrap(), None, "nobody was there before");
        assert_eq!(objection(&store, 48, &journal).await.unwrap(), None);
        let refused = objection(&store, 96, &journal).await.unwrap().unwrap();
        assert!(refused.contains("kafka.partitions = 96") && refused.contains("laid out by 48"), "{refused}");

        let event = Event {
            team: sl_core::ids::TeamId(1),
            account: "a".into(),
            at: clock::system().now(),
            body: EventBody::Tick,
        };
        let ticket = journal.append(event).unwrap();
        journal.fate(ticket).await;
        let said = async |words: &str| {
            store
                .heartbeats
                .beat(JOURNALS, &name_of(&journal), words, Duration::from_secs(60))
                .await
                .unwrap();
        };
        said("1 somebody").await;
        assert_eq!(objection(&store, 48, &journal).await.unwrap(), None);
        said("2 somebody").await;
        let refused = objection(&store, 48, &journal).await.unwrap().unwrap();
        assert!(refused.contains("has 1 records, of which Kafka has 2"), "{refused}");
    }
}
