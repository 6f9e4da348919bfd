//! Turns at sending: so many requests at once, and while more want to go, teams take turns. However much one team has to say, another's
//! next request waits for one that ends, not for a queue.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use sl_core::ids::TeamId;
use tokio::sync::oneshot;

/// Turns that are there to be taken, and who waits for one.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    /// Teams that wait, the one whose turn is next first; each with its requests in their order.
    waiting: VecDeque<(TeamId, VecDeque<oneshot::Sender<Turn>>)>,
}

/// A turn that is taken; given back when it is dropped.
pub(crate) struct Turn(Turns);

impl Turns {
    pub(crate) fn new(turns: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: turns.max(1), waiting: VecDeque::new() })))
    }

    /// Waits for the team's turn.
    pub(crate) async fn take(&self, team: TeamId) -> Turn {
        let turn = {
            let mut state = self.0.lock();
            if state.free > 0 {
                state.free -= 1;
                return Turn(self.clone());
            }
            let (sender, turn) = oneshot::channel();
            match state.waiting.iter_mut().find(|(waits, _)| *waits == team) {
                Some((_, requests)) => requests.push_back(sender),
                None => state.waiting.push_back((team, VecDeque::from([sender]))),
            }
            turn
        };
        // A sender is dropped only with what it sent.
        turn.await.unwrap_or_else(|_| Turn(self.clone()))
    }

    /// Hands a turn on: to the next request of the next team that still waits.
    fn give_back(&self) {
        let mut state = self.0.lock();
        let next = loop {
            let Some((team, mut requests)) = state.waiting.pop_front() else {
                state.free += 1;
                return;
            };
            let next = requests.pop_front();
            if !requests.is_empty() {
                state.waiting.push_back((team, requests));
            }
            if let Some(next) = next.filter(|next| !next.is_closed()) {
                break next;
            }
        };
        drop(state);
        // Somebody who has just given up drops it, and it is handed on from there.
        drop(next.send(Turn(self.clone())));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use futures_util::{FutureExt, poll};

    use super::*;

    fn asks(turns: &Turns, team: u64) -> std::pin::Pin<Box<dyn Future<Output = Turn>>> {
        let turns = turns.clone();
        Box::pin(async move { turns.take(TeamId(team)).await })
    }

    #[tokio::test]
    async fn a_teams_next_request_waits_for_one_that_ends_and_not_for_another_teams_queue() {
        let turns = Turns::new(2);
        let held = [turns.take(TeamId(1)).await, turns.take(TeamId(1)).await];
        let mut queue: Vec<_> = (0..50).map(|_| asks(&turns, 1)).collect();
        for request in &mut queue {
            assert!(poll!(request).is_pending());
        }
        let (mut other, mut third) = (asks(&turns, 2), asks(&turns, 3));
        assert!(poll!(&mut other).is_pending() && poll!(&mut third).is_pending());
        let [first, second] = held;
        drop(first);
        let mine = poll!(&mut queue[0]);
        assert!(mine.is_ready(), "its team came first");
        drop(second);
        let others = poll!(&mut other);
        assert!(others.is_ready() && poll!(&mut queue[1]).is_pending());
        drop(others);
        assert!(poll!(&mut third).is_ready(), "then everybody who waits, in turns");
    }

    #[tokio::test]
    async fn no_turn_is_lost_with_somebody_who_gave_up() {
        let turns = Turns::new(1);
        let held = turns.take(TeamId(1)).await;
        let (mut gives_up, mut too_late, mut stays) = (asks(&turns, 1), asks(&turns, 1), asks(&turns, 2));
        for request in [&mut gives_up, &mut too_late, &mut stays] {
            assert!(poll!(request).is_pending());
        }
        drop(gives_up);
        drop(held);
        // Handed to one that waits; that one goes before it looks.
        drop(too_late);
        let turn = stays.now_or_never().expect("it is the only one left");
        drop(turn);
        assert!(turns.take(TeamId(3)).now_or_never().is_some());
    }
}
