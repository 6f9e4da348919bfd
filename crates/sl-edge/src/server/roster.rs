//! The connections of one thread: what all of them must learn at once (the stop), and whose header takes too long.
//!
//! One timer looks after all of them, so a request costs neither a timer nor a reading of the clock. A slow header is
//! noticed between `edge.header_timeout` and a quarter of it later.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

/// Looks per `edge.header_timeout`.
const LOOKS: u32 = 8;

/// All connections of a thread.
#[derive(Default)]
pub(super) struct Roster {
    seats: RefCell<HashMap<u64, Rc<Seat>>>,
    next: Cell<u64>,
    stopped: Cell<bool>,
    /// Looks so far.
    look: Cell<u32>,
}

/// One connection's place.
#[derive(Default)]
pub(super) struct Seat {
    waker: RefCell<Option<Waker>>,
    /// At which look it began to wait for a header; `None` while a request is being answered.
    waits_since: Cell<Option<u32>>,
    too_slow: Cell<bool>,
}

/// A place taken, for as long as the connection lasts.
pub(super) struct Seated {
    roster: Rc<Roster>,
    number: u64,
    seat: Rc<Seat>,
}

impl Roster {
    /// Takes a place for a connection that now waits for its first header.
    pub(super) fn sit(self: &Rc<Self>) -> Seated {
        let (number, seat) = (self.next.get(), Rc::new(Seat::default()));
        self.next.set(number + 1);
        seat.waits_since.set(Some(self.look.get()));
        self.seats.borrow_mut().insert(number, Rc::clone(&seat));
        Seated { roster: Rc::clone(self), number, seat }
    }

    /// Tells everybody that this is the end.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        for seat in self.seats.borrow().values() {
            seat.wake();
        }
    }

    /// Whether it is the end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Looks for slow headers, for ever.
    pub(super) async fn look_after(self: Rc<Self>, header_timeout: Duration) {
        let mut looks = tokio::time::interval(header_timeout.div_f64(f64::from(LOOKS)));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.look();
        }
    }

    fn look(&self) {
        let now = self.look.get().wrapping_add(1);
        self.look.set(now);
        for seat in self.seats.borrow().values() {
            // One more: the first look may have come right after it sat down.
            if seat.waits_since.get().is_some_and(|since| now.wrapping_sub(since) > LOOKS) {
                seat.too_slow.set(true);
                seat.wake();
            }
        }
    }
}

impl Seat {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Seated {
    /// Whether the header this connection waits for takes too long.
    pub(super) fn is_too_slow(&self) -> bool {
        self.seat.too_slow.get()
    }

    /// Wakes the connection.
    pub(super) fn wake(&self) {
        self.seat.wake();
    }

    /// Notes whom to wake when there is news.
    pub(super) fn park(&self, context: &Context<'_>) {
        let mut waker = self.seat.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    /// A header is complete.
    pub(super) fn has_asked(&self) {
        self.seat.waits_since.set(None);
    }

    /// The request is answered: the next header may come.
    pub(super) fn is_answered(&self) {
        self.seat.waits_since.set(Some(self.roster.look.get()));
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.roster.seats.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_slow_after_its_time_and_a_request_being_answered_never_is() {
        let roster = Rc::new(Roster::default());
        let (waits, asked) = (roster.sit(), roster.sit());
        asked.has_asked();
        for _ in 0..LOOKS {
            roster.look();
        }
        assert!(!waits.is_too_slow());
        roster.look();
        assert!(waits.is_too_slow() && !asked.is_too_slow());
        asked.is_answered();
        for _ in 0..=LOOKS {
            assert!(!asked.is_too_slow());
            roster.look();
        }
        assert!(asked.is_too_slow());
        drop((waits, asked));
        assert!(roster.seats.borrow().is_empty());
    }
}
