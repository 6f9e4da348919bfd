//! Who waits for which record, and how it ended.
//!
//! Tasks that wait for a commit stand in the lane of their thread. A commit wakes one relay task per lane, which wakes
//! the tasks from inside their own runtime: a push onto a local queue instead of a system call for every click.

mod lane;
mod losses;

use std::{
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use self::{lane::Lane, losses::Losses};
use crate::{Fate, LostReason, Ticket};

/// The fates of one journal's records.
pub(super) struct Fates {
    /// Every record with a lower sequence has its fate.
    settled: AtomicU64,
    losses: Losses,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

impl Fates {
    pub(super) fn new(next: u64) -> Arc<Self> {
        Arc::new(Self { settled: AtomicU64::new(next), losses: Losses::default(), lanes: Mutex::default() })
    }

    /// Everything below `until` that was not lost is stored.
    pub(super) fn settle(&self, until: u64) {
        self.settled.fetch_max(until, SeqCst);
        for lane in self.lanes.lock().iter() {
            lane.committed(self.settled());
        }
    }

    /// These are not on disk and never will be.
    pub(super) fn lose(&self, records: Range<u64>, reason: LostReason) {
        let until = records.end;
        self.losses.add(records, reason);
        self.settle(until);
    }

    pub(super) fn lost(&self) -> u64 {
        self.losses.count()
    }

    fn settled(&self) -> u64 {
        self.settled.load(SeqCst)
    }

    /// The fate, if it is known by now.
    pub(super) fn now(&self, ticket: Ticket) -> Option<Fate> {
        let settled = ticket.0 < self.settled();
        settled.then(|| self.losses.reason(ticket.0).map_or(Fate::Stored, Fate::Lost))
    }

    pub(super) fn of(self: &Arc<Self>, ticket: Ticket) -> Wait {
        Wait { fates: Arc::clone(self), ticket, parked: None }
    }
}

impl Drop for Fates {
    fn drop(&mut self) {
        // Relays hold the journal weakly: awake they see that it is gone.
        for lane in self.lanes.get_mut() {
            lane.committed(u64::MAX);
            lane.stop();
        }
    }
}

/// Waits for one record.
pub(super) struct Wait {
    fates: Arc<Fates>,
    ticket: Ticket,
    parked: Option<(Arc<Lane>, Waker)>,
}

impl Future for Wait {
    type Output = Fate;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Fate> {
        loop {
            if let Some(fate) = self.fates.now(self.ticket) {
                return Poll::Ready(fate);
            }
            let lane = Lane::here(&self.fates);
            let stands = self
                .parked
                .as_ref()
                .is_some_and(|(stood, waker)| Arc::ptr_eq(stood, &lane) && waker.will_wake(context.waker()));
            if !stands {
                lane.park(self.ticket.0, context.waker().clone());
                self.parked = Some((Arc::clone(&lane), context.waker().clone()));
            }
            // A commit between the first look and the parking has not seen us; neither has a relay that just ended.
            if lane.is_open() && self.fates.now(self.ticket).is_none() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_commit_wakes_everybody_below_it_and_nobody_above() {
        let fates = Fates::new(0);
        let mut tasks: Vec<_> = (0..100).map(|n| tokio::spawn(fates.of(Ticket(n)))).collect();
        tokio::task::yield_now().await;
        fates.lose(10..20, LostReason::DiskError);
        fates.settle(50);
        let above = tasks.split_off(50);
        for (n, task) in tasks.into_iter().enumerate() {
            let want = if (10..20).contains(&n) { Fate::Lost(LostReason::DiskError) } else { Fate::Stored };
            assert_eq!(task.await.unwrap(), want, "{n}");
        }
        assert!(above.iter().all(|task| !task.is_finished()));
        fates.settle(100);
        for task in above {
            assert_eq!(task.await.unwrap(), Fate::Stored);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_wait_and_a_moved_wait_do_not_disturb_the_others() {
        let fates = Fates::new(0);
        let mut moved = Box::pin(fates.of(Ticket(0)));
        let other = tokio::spawn(fates.of(Ticket(0)));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut moved).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(20), fates.of(Ticket(0))).await.is_err());
        let moved = tokio::spawn(moved);
        tokio::task::yield_now().await;
        fates.settle(1);
        assert_eq!(moved.await.unwrap(), Fate::Stored);
        assert_eq!(other.await.unwrap(), Fate::Stored);
    }

    #[test]
    fn a_second_runtime_on_the_same_thread_has_a_lane_of_its_own() {
        let fates = Fates::new(0);
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let idle = first.spawn(fates.of(Ticket(0)));
        first.block_on(tokio::task::yield_now());
        second.block_on(async {
            let task = tokio::spawn(fates.of(Ticket(0)));
            tokio::task::yield_now().await;
            fates.settle(1);
            assert_eq!(task.await.unwrap(), Fate::Stored);
        });
        drop(second);
        assert_eq!(first.block_on(idle).unwrap(), Fate::Stored);
    }
}
