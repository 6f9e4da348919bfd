//! What one account has to do: noted by its task, added to by the role, read by whoever asks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Never empty while somebody is sought whom the task has not heard of.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    due: AtomicUsize,
    /// How often the inbox was changed, and up to which change the task has read it.
    sent: AtomicU64,
    read: AtomicU64,
}

// === impl Backlog ===

impl Backlog {
    /// The inbox was changed.
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    /// The change that who reads the inbox now is certain to see.
    pub(super) fn change(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// What is due by the inbox as of `change`.
    pub(super) fn note(&self, change: u64, due: usize) {
        self.due.store(due, Ordering::SeqCst);
        self.read.store(change, Ordering::SeqCst);
    }

    pub(super) fn count(&self) -> u64 {
        let unread = self.read.load(Ordering::SeqCst) != self.sent.load(Ordering::SeqCst);
        self.due.load(Ordering::SeqCst) as u64 + u64::from(unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_counts_until_it_is_read() {
        let backlog = Backlog::default();
        assert_eq!(backlog.count(), 0);
        let before = backlog.change();
        backlog.sent();
        backlog.note(before, 0);
        assert_eq!(backlog.count(), 1, "what was noted is from before");
        backlog.note(backlog.change(), 3);
        assert_eq!(backlog.count(), 3);
    }
}
