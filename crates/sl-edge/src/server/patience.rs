//! hyper's timer for slow headers, one per connection. hyper asks for a new one with every request; nearly none of them ever
//! fires. So the system's timer stays armed for the first of them, and is set anew only when it fires too early: once per
//! `edge.header_timeout` instead of once per request.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// The timer of one connection. Clones are the same timer.
#[derive(Clone, Default)]
pub(super) struct Patience(Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>);

/// Until a deadline.
struct Until {
    deadline: Instant,
    timer: Patience,
}

impl Timer for Patience {
    fn sleep(&self, span: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + span)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Until { deadline, timer: self.clone() })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

impl Sleep for Until {}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let mut alarm = self.timer.0.lock();
        let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            // A later deadline than the one before is the rule; an earlier one must not wait for it.
            if alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_deadline_is_kept_whatever_the_alarm_was_set_to_before() {
        let (timer, began) = (Patience::default(), tokio::time::Instant::now());
        let at = |seconds| Duration::from_secs(seconds);
        for (asked, want) in [(5, 5), (7, 12), (2, 14), (9, 23)] {
            // One that is given up, as with every request that comes in time.
            let given_up = timer.sleep(at(4));
            assert!(tokio::time::timeout(Duration::from_millis(1), given_up).await.is_err());
            let late = Duration::from_millis(1);
            timer.sleep_until(timer.now() + at(asked) - late).await;
            assert!(began.elapsed() >= at(want), "{asked}");
            assert!(began.elapsed() < at(want) + at(1), "{asked}");
        }
    }
}
