//! The waiters of one thread of one runtime.

use std::{
    cell::RefCell,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Waker,
    thread::{self, ThreadId},
};

use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, Id},
    sync::Notify,
};

use super::Fates;

pub(super) struct Lane {
    runtime: Option<Id>,
    thread: ThreadId,
    waiters: Mutex<Vec<(u64, Waker)>>,
    /// Somebody waits: the next commit must wake the relay.
    waiting: AtomicBool,
    commit: Notify,
    /// Outside any runtime, or in one that is going down, the writer wakes the waiters itself.
    relayed: bool,
    /// The relay is gone, with its runtime or with the journal.
    closed: AtomicBool,
}

thread_local! {
    /// The lane this thread used last, and whose it was.
    static LAST: RefCell<Option<(Weak<Fates>, Arc<Lane>)>> = const { RefCell::new(None) };
}

impl Lane {
    /// The lane of the calling thread and runtime.
    pub(super) fn here(fates: &Arc<Fates>) -> Arc<Self> {
        let handle = Handle::try_current().ok();
        let runtime = handle.as_ref().map(Handle::id);
        let last = LAST.with_borrow(|last| {
            let (of, lane) = last.as_ref()?;
            let mine =
                std::ptr::eq(of.as_ptr(), Arc::as_ptr(fates)) && lane.runtime == runtime && lane.is_open();
            mine.then(|| Arc::clone(lane))
        });
        last.unwrap_or_else(|| {
            let lane = Self::find_or_make(fates, handle);
            LAST.set(Some((Arc::downgrade(fates), Arc::clone(&lane))));
            lane
        })
    }

    fn find_or_make(fates: &Arc<Fates>, handle: Option<Handle>) -> Arc<Self> {
        let runtime = handle.as_ref().map(Handle::id);
        let thread = thread::current().id();
        let mut lanes = fates.lanes.lock();
        lanes.retain(|lane| lane.is_open());
        if let Some(lane) = lanes.iter().find(|lane| lane.runtime == runtime && lane.thread == thread) {
            return Arc::clone(lane);
        }
        let mut lane = Self::new(runtime, thread, handle.is_some());
        if let Some(handle) = handle {
            handle.spawn(relay(Relay(Arc::clone(&lane)), Arc::downgrade(fates)));
            if !lane.is_open() {
                // A runtime that is going down takes no more tasks.
                lane = Self::new(runtime, thread, false);
            }
        }
        lanes.push(Arc::clone(&lane));
        lane
    }

    fn new(runtime: Option<Id>, thread: ThreadId, relayed: bool) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            thread,
            waiters: Mutex::default(),
            waiting: AtomicBool::new(false),
            commit: Notify::new(),
            relayed,
            closed: AtomicBool::new(false),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(SeqCst)
    }

    pub(super) fn park(&self, sequence: u64, waker: Waker) {
        self.waiters.lock().push((sequence, waker));
        self.waiting.store(true, SeqCst);
    }

    /// The writer's side: everything below `settled` has its fate.
    pub(super) fn committed(&self, settled: u64) {
        if !self.waiting.swap(false, SeqCst) {
            return;
        }
        if self.relayed {
            self.commit.notify_one();
        } else {
            self.wake(settled);
        }
    }

    /// Ends the relay.
    pub(super) fn stop(&self) {
        self.closed.store(true, SeqCst);
        self.commit.notify_one();
    }

    fn wake(&self, settled: u64) {
        let mut waiters = self.waiters.lock();
        let ready: Vec<_> = waiters.extract_if(.., |(sequence, _)| *sequence < settled).collect();
        if !waiters.is_empty() {
            self.waiting.store(true, SeqCst);
        }
        drop(waiters);
        for (_, waker) in ready {
            waker.wake();
        }
    }
}

/// Closes its lane however it ends, so that those who stand there look for another.
struct Relay(Arc<Lane>);

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.closed.store(true, SeqCst);
        self.0.wake(u64::MAX);
    }
}

async fn relay(relay: Relay, fates: Weak<Fates>) {
    let lane = &relay.0;
    loop {
        lane.commit.notified().await;
        // A commit that came while the last waiters were being woken found `waiting` unset: look again.
        loop {
            let Some(settled) = fates.upgrade().map(|fates| fates.settled()) else { return };
            lane.wake(settled);
            if fates.upgrade().is_none_or(|fates| fates.settled() == settled) {
                break;
            }
        }
    }
}
