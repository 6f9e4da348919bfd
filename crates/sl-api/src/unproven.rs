//! Webhooks with a wrong signature, for the log: one line a minute, however many come.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

/// Between two lines.
const MINUTE: Duration = Duration::from_secs(60);

/// Counts them for a minute from the first on. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Unproven(Arc<Mutex<u64>>);

// === impl Unproven ===

impl Unproven {
    /// One came. `tell` gets how many there were in the minute that the first of them began; in a quiet time it is not called.
    pub(crate) fn came(&self, tell: fn(u64)) {
        let mut count = self.0.lock();
        *count = count.saturating_add(1);
        let is_first = *count == 1;
        drop(count);
        if is_first {
            let this = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(MINUTE).await;
                let count = std::mem::take(&mut *this.0.lock());
                tell(count);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static TOLD: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }

    fn told() -> Vec<u64> {
        TOLD.with_borrow(Clone::clone)
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_line_a_minute_and_the_last_ones_are_counted_too() {
        let unproven = Unproven::default();
        let came = || unproven.came(|count| TOLD.with_borrow_mut(|told| told.push(count)));
        for _ in 0..300 {
            came();
        }
        assert!(told().is_empty(), "nobody knows yet how many they are");
        tokio::time::sleep(MINUTE + Duration::from_secs(1)).await;
        assert_eq!(told(), [300]);
        for _ in 0..120 {
            came();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(MINUTE * 2).await;
        assert_eq!(told().len(), 3, "two minutes, two lines: {:?}", told());
        assert_eq!(told().iter().sum::<u64>(), 420);
        tokio::time::sleep(MINUTE * 10).await;
        assert_eq!(told().len(), 3, "nothing is said of none");
    }
}
