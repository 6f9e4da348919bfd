//! Leases: which process currently holds each job that only one may do, such as the pool keeper and the matcher.
//!
//! The holder moves a counter; whoever sees it stand still for a whole span by a monotonic clock of its own takes over. So
//! no machine's idea of the time decides, and a clock that is ten minutes off takes nothing from anybody.

use std::time::{Duration, Instant};

/// What is stored about one lease. Moves by compare-and-set only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The process that holds it; empty once it has been given back.
    pub owner: String,
    /// Grows by one with every owner.
    pub fence: u64,
    /// Grows by one with every sign of life.
    pub beat: u64,
}

/// One process that wants a lease, or has it.
#[derive(Debug)]
pub struct Candidate {
    me: String,
    span: Duration,
    /// What was read last, and when it was first read so.
    seen: Option<(Lease, Instant)>,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    /// When the sign of life began that was taken last.
    since: Instant,
}

/// What to write, only if `from` is still what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The lease as it was read.
    pub from: Option<Lease>,
    /// The lease as it is to be.
    pub to: Lease,
}

impl Candidate {
    /// `me` is this start of this process and no other; `span` is how long a holder may be silent.
    #[must_use]
    pub fn new(me: impl Into<String>, span: Duration) -> Self {
        Self { me: me.into(), span, seen: None, held: None }
    }

    /// How long to wait between two looks: several fit into the span.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.span / 5
    }

    /// What to write, given what is stored at `now`; `None`: somebody else has it.
    pub fn next(&mut self, stored: Option<Lease>, now: Instant) -> Option<Swap> {
        let Some(lease) = stored else {
            self.held = None;
            return Some(self.take(None, 0));
        };
        // Nobody else writes in this name: even if the answer to the last swap was lost, it is ours.
        if lease.owner == self.me {
            let to = Lease { beat: lease.beat + 1, ..lease.clone() };
            return Some(Swap { from: Some(lease), to });
        }
        self.held = None;
        let silent = match &self.seen {
            Some((seen, since)) if *seen == lease => now.saturating_duration_since(*since) >= self.span,
            _ => {
                self.seen = Some((lease.clone(), now));
                false
            }
        };
        let fence = lease.fence;
        (silent || lease.owner.is_empty()).then(|| self.take(Some(lease), fence))
    }

    fn take(&self, from: Option<Lease>, fence: u64) -> Swap {
        Swap { from, to: Lease { owner: self.me.clone(), fence: fence + 1, beat: 0 } }
    }

    /// The swap that began at `began` was taken, or refused because something else is stored.
    pub fn settled(&mut self, swap: Swap, taken: bool, began: Instant) {
        self.held = taken.then_some(Held { lease: swap.to, since: began });
    }

    /// Whether it may act as the holder at `now`: it stops a quarter of the span before anybody could take over.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| now.saturating_duration_since(held.since) < self.span * 3 / 4)
    }

    /// How to give it back, if it is held.
    #[must_use]
    pub fn give_back(&self) -> Option<Swap> {
        let held = self.held.as_ref()?;
        let to = Lease { owner: String::new(), ..held.lease.clone() };
        Some(Swap { from: Some(held.lease.clone()), to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(8);

    /// The register, and what a candidate does at a time.
    fn act(stored: &mut Option<Lease>, candidate: &mut Candidate, now: Instant) {
        if let Some(swap) = candidate.next(stored.clone(), now) {
            let taken = swap.from == *stored;
            if taken {
                *stored = Some(swap.to.clone());
            }
            candidate.settled(swap, taken, now);
        }
    }

    #[test]
    fn a_free_lease_is_taken_and_kept_by_signs_of_life() {
        let (start, mut stored) = (Instant::now(), None);
        let (mut a, mut b) = (Candidate::new("a", SPAN), Candidate::new("b", SPAN));
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            act(&mut stored, &mut a, now);
            act(&mut stored, &mut b, now);
            assert!(a.holds(now) && !b.holds(now), "{second}");
        }
        assert_eq!(stored.unwrap().fence, 1);
    }

    #[test]
    fn a_silent_holder_stops_before_somebody_takes_over() {
        let (start, mut stored) = (Instant::now(), None);
        let (mut a, mut b) = (Candidate::new("a", SPAN), Candidate::new("b", SPAN));
        act(&mut stored, &mut a, start);
        let mut taken_at = None;
        for millis in (0..20_000).step_by(100) {
            let now = start + Duration::from_millis(millis);
            act(&mut stored, &mut b, now);
            assert!(!(a.holds(now) && b.holds(now)), "both at {millis}");
            if b.holds(now) {
                taken_at.get_or_insert(millis);
            }
        }
        assert_eq!(taken_at, Some(8_000));
        assert_eq!(stored.as_ref().unwrap().fence, 2);
        // Back from its stall, the first one sees that it is no longer the holder.
        let now = start + Duration::from_secs(20);
        act(&mut stored, &mut a, now);
        assert!(!a.holds(now) && b.holds(now));
    }

    #[test]
    fn a_swap_whose_answer_was_lost_is_gone_on_from() {
        let (start, mut stored) = (Instant::now(), None);
        let mut a = Candidate::new("a", SPAN);
        for second in 0..4 {
            let now = start + Duration::from_secs(second);
            let swap = a.next(stored.clone(), now).unwrap();
            assert_eq!(swap.from, stored);
            stored = Some(swap.to.clone());
            if second == 3 {
                a.settled(swap, true, now);
                assert!(a.holds(now));
            }
        }
        assert_eq!((stored.as_ref().unwrap().fence, stored.unwrap().beat), (1, 3));
    }

    #[test]
    fn a_lease_that_was_given_back_is_free_at_once() {
        let (start, mut stored) = (Instant::now(), None);
        let (mut a, mut b) = (Candidate::new("a", SPAN), Candidate::new("b", SPAN));
        act(&mut stored, &mut a, start);
        stored = a.give_back().map(|swap| swap.to);
        act(&mut stored, &mut b, start);
        assert!(b.holds(start));
        assert_eq!(b.give_back().unwrap().from.unwrap().fence, 2);
    }

    #[test]
    fn of_two_who_see_the_same_silence_one_gets_it() {
        let (start, mut stored) = (Instant::now(), None);
        let mut all: Vec<_> = ["a", "b", "c"].map(|name| Candidate::new(name, SPAN)).into();
        act(&mut stored, &mut all[0], start);
        let later = start + 2 * SPAN;
        for candidate in &mut all[1..] {
            assert_eq!(candidate.next(stored.clone(), start), None);
        }
        let read = stored.clone();
        let swaps: Vec<_> =
            all[1..].iter_mut().map(|candidate| candidate.next(read.clone(), later).unwrap()).collect();
        for (candidate, swap) in all[1..].iter_mut().zip(swaps) {
            let taken = swap.from == stored;
            if taken {
                stored = Some(swap.to.clone());
            }
            candidate.settled(swap, taken, later);
        }
        assert_eq!(all.iter().filter(|candidate| candidate.holds(later)).count(), 1);
    }
}
