//! What was written, in order: every reader asks for what came after the revision it knows.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use sl_store::Result;
use tokio::sync::watch;

use super::sort::Sort;
use crate::{
    cql::Cql,
    statements::{Tries, statements},
};

/// Revisions of one partition of `catalog_log`.
const PART: u64 = 4_096;
/// How often a process looks for what others wrote: with the time to read it, well below the 2 s in which every edge must
/// know.
const LOOK: Duration = Duration::from_millis(500);

statements!(Statements {
    head: Read "SELECT head FROM catalog_log WHERE part = ? LIMIT 1";
    serial_head: SerialRead "SELECT head FROM catalog_log WHERE part = ? LIMIT 1";
    after: Read "SELECT revision, kind, id FROM catalog_log WHERE part = ? AND revision > ?";
    advance: Compare "UPDATE catalog_log SET head = ? WHERE part = ? IF head = ?";
    enter: Compare "INSERT INTO catalog_log (part, revision, kind, id) VALUES (?, ?, ?, ?)";
});

/// The log.
pub(crate) struct Log {
    cql: Arc<Cql>,
    statements: Statements,
    revisions: watch::Sender<u64>,
    /// One at a time in this process; other processes are met at the database.
    entering: tokio::sync::Mutex<()>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) kind: i8,
    pub(crate) id: Vec<u8>,
}

// === impl Log ===

impl Log {
    /// Finds the end and begins to follow it, for as long as the log is in use.
    pub(crate) async fn open(cql: Arc<Cql>) -> Result<Arc<Self>> {
        let statements = Statements::prepare(&cql).await?;
        let log = Self {
            cql,
            statements,
            revisions: watch::Sender::new(0),
            entering: tokio::sync::Mutex::default(),
        };
        // Parts have no gaps: the last one is found by doubling steps.
        let (mut part, mut step) = (0, 1);
        while step > 0 {
            match log.head(part + step).await? {
                Some(_) => (part, step) = (part + step, step * 2),
                None => step /= 2,
            }
        }
        log.revisions.send_replace(log.head(part).await?.unwrap_or(0));
        let log = Arc::new(log);
        tokio::spawn(follow(Arc::downgrade(&log)));
        Ok(log)
    }

    pub(crate) fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    /// Says that a row was written. The row is there before: a reader of the log finds it, or a newer one.
    pub(crate) async fn enter(&self, sort: Sort, id: &[u8]) -> Result<()> {
        let _turn = self.entering.lock().await;
        let mut tries = Tries::of("the catalog's log");
        loop {
            if let Some(revision) = tries.settled(self.enter_once(sort, id).await).await? {
                self.tell(revision);
                return Ok(());
            }
        }
    }

    /// Entered twice after a time-out: the row is only read twice.
    async fn enter_once(&self, sort: Sort, id: &[u8]) -> Result<Option<u64>> {
        let head = self.last(true).await?;
        let next = head + 1;
        let known = (head > 0 && next / PART == head / PART).then_some(head);
        let part = (next / PART).cast_signed();
        let advance = (next.cast_signed(), part, known.map(u64::cast_signed));
        let enter = (part, next.cast_signed(), sort.code(), id);
        let statements = [&self.statements.advance, &self.statements.enter];
        Ok(self.cql.compare_together(&statements, (advance, enter)).await?.then_some(next))
    }

    /// What was entered after `revision`, each once in the order of its last entry, and how far that reaches.
    pub(crate) async fn since(&self, revision: u64) -> Result<(Vec<Entry>, u64)> {
        let end = self.last(false).await?;
        let (mut found, mut reached) = (Vec::new(), revision);
        for part in revision.saturating_add(1) / PART..=end / PART {
            let rows: Vec<(i64, i8, Vec<u8>)> =
                self.cql.rows(&self.statements.after, (part.cast_signed(), revision.cast_signed())).await?;
            for (revision, kind, id) in rows {
                reached = reached.max(revision.cast_unsigned());
                found.push(Entry { kind, id });
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.reverse();
        found.retain(|entry| seen.insert(entry.clone()));
        found.reverse();
        Ok((found, reached))
    }

    /// The end of the log.
    pub(crate) async fn last(&self, serial: bool) -> Result<u64> {
        let mut last = *self.revisions.borrow();
        let mut part = last / PART;
        loop {
            let statement = if serial { &self.statements.serial_head } else { &self.statements.head };
            let head: Option<(Option<i64>,)> = self.cql.row(statement, (part.cast_signed(),)).await?;
            let Some(head) = head.and_then(|(head,)| head).map(i64::cast_unsigned) else { return Ok(last) };
            last = last.max(head);
            if head % PART != PART - 1 {
                return Ok(last);
            }
            part += 1;
        }
    }

    async fn head(&self, part: u64) -> Result<Option<u64>> {
        let head: Option<(Option<i64>,)> = self.cql.row(&self.statements.head, (part.cast_signed(),)).await?;
        Ok(head.and_then(|(head,)| head).map(i64::cast_unsigned))
    }

    pub(crate) fn tell(&self, revision: u64) {
        self.revisions.send_if_modified(|known| {
            let newer = *known < revision;
            *known = (*known).max(revision);
            newer
        });
    }
}

async fn follow(log: Weak<Log>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(log) = log.upgrade() else { return };
        // What can't be read now is read at the next look.
        if let Ok(last) = log.last(false).await {
            log.tell(last);
        }
    }
}
