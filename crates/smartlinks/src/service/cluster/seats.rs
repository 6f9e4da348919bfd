//! How many workers of the outbox there are.

use std::time::Instant;

use sl_core::lease::Candidate;
use sl_store::{Leases, Result, outbox::SHARDS};

use super::shards::SPAN;

/// Seats of workers, as leases: how many are taken says how many workers there are.
pub(super) struct Seats {
    seats: Vec<(String, Candidate)>,
    /// The one of this worker.
    pub(super) own: Option<usize>,
}

impl Seats {
    pub(super) fn of(me: &str) -> Self {
        let seat = |number| (format!("worker/{number}"), Candidate::new(me, SPAN));
        Self { seats: (0..SHARDS).map(seat).collect(), own: None }
    }

    /// Keeps a seat, or takes the first free one; counts those that are taken, at least this worker's.
    pub(super) async fn count(&mut self, leases: &dyn Leases) -> Result<usize> {
        let (mut taken, mut own) = (0, None);
        for (number, (name, candidate)) in self.seats.iter_mut().enumerate() {
            let began = Instant::now();
            let Some(swap) = candidate.next(leases.lease(name).await?, began) else {
                // Somebody who shows signs of life.
                taken += 1;
                continue;
            };
            if own.is_some() || self.own.is_some_and(|seat| seat != number) {
                continue;
            }
            let won = leases.swap_lease(name, &swap).await?;
            candidate.settled(swap, won, began);
            taken += 1;
            own = won.then_some(number);
        }
        self.own = own;
        Ok(taken.max(1))
    }

    pub(super) async fn leave(&self, leases: &dyn Leases) {
        let seat = self.own.and_then(|own| self.seats.get(own));
        let swap = seat.and_then(|(name, candidate)| Some((name, candidate.give_back()?)));
        if let Some((name, swap)) = swap
            && let Err(error) = leases.swap_lease(name, &swap).await
        {
            tracing::warn!(%error, "the worker's seat can't be given back; others wait until it is over");
        }
    }
}
