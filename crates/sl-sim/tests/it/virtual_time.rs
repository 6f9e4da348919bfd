//! Time that passes only when everybody sleeps: one step after the other, whatever the machine does.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use sl_core::time::{Clock, Timestamp};
use sl_sim::traffic::Timer;
use tokio::sync::{Notify, oneshot};

use crate::people::NOW;

#[derive(Default)]
struct State {
    elapsed: Duration,
    /// Present, and not asleep.
    awake: usize,
    /// By the end of their sleep, and the order in which they fell asleep.
    asleep: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    slept: u64,
}

/// A clock and a timer in one.
#[derive(Default)]
pub(crate) struct VirtualTime {
    state: Mutex<State>,
    idle: Notify,
}

impl VirtualTime {
    /// Wakes one sleeper after the other, each when everybody sleeps and `settled` has returned; as long as the runtime
    /// runs.
    pub(crate) fn start<S: Future<Output = ()> + Send>(
        settled: impl Fn() -> S + Send + Sync + 'static,
    ) -> Arc<Self> {
        let time = Arc::new(Self::default());
        let driven = Arc::clone(&time);
        tokio::spawn(async move {
            loop {
                driven.idle.notified().await;
                settled().await;
                driven.wake_next();
            }
        });
        time
    }

    fn wake_next(&self) {
        let mut state = self.state.lock();
        if state.awake == 0
            && let Some(((until, _), sleeper)) = state.asleep.pop_first()
        {
            state.elapsed = state.elapsed.max(until);
            state.awake = 1;
            // A sleeper that is gone has taken itself off the list.
            sleeper.send(()).expect("the sleeper is there");
        }
    }

    fn one_less(&self, state: &mut State) {
        state.awake -= 1;
        if state.awake == 0 {
            self.idle.notify_one();
        }
    }
}

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        NOW.plus(self.state.lock().elapsed)
    }
}

impl Timer for VirtualTime {
    fn elapsed(&self) -> Duration {
        self.state.lock().elapsed
    }

    fn sleep(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let (sleeper, woken) = oneshot::channel();
        let key = {
            let mut state = self.state.lock();
            state.slept += 1;
            let key = (state.elapsed + span, state.slept);
            state.asleep.insert(key, sleeper);
            self.one_less(&mut state);
            key
        };
        let up = GetUp { time: self, key };
        Box::pin(async move {
            let _up = up;
            let _ = woken.await;
        })
    }

    fn enter(&self) {
        self.state.lock().awake += 1;
    }

    fn leave(&self) {
        self.one_less(&mut self.state.lock());
    }
}

/// Who is disturbed is awake too.
struct GetUp<'a> {
    time: &'a VirtualTime,
    key: (Duration, u64),
}

impl Drop for GetUp<'_> {
    fn drop(&mut self) {
        let mut state = self.time.state.lock();
        if state.asleep.remove(&self.key).is_some() {
            state.awake += 1;
        }
    }
}
