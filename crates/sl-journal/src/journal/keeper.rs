//! The thread that keeps house: a spare segment ahead of need, retention, consumers' positions.

use std::{sync::Arc, time::Duration};

use super::{consumers, open_segment::make_spare, queue::deadline, shared::Shared};

/// Between two looks. A new segment rings for the next spare at once.
const ROUND: Duration = Duration::from_secs(1);
/// After a spare could not be made, so that a nearly full disk is not filled with zeros every second.
const ROUNDS_OFF: u32 = 10;

pub(super) fn run(shared: &Arc<Shared>) {
    let mut off = 0_u32;
    loop {
        tidy(shared);
        if off == 0 {
            if let Err(error) = make_spare(shared) {
                tracing::warn!(%error, "no journal segment can be prepared ahead");
                off = ROUNDS_OFF;
            }
        } else {
            off -= 1;
        }
        if !shared.keeper.wait(deadline(ROUND)) {
            return;
        }
    }
}

/// Removes what nobody needs any more and stores how far the consumers are.
pub(super) fn tidy(shared: &Shared) {
    let gone = shared.shelf.lock().take_expired(shared.clock.now(), shared.config.retention);
    shared.remove(&gone);
    // Pages of finished segments would push more useful ones out of memory; they do as the next spare's.
    let passed = shared.shelf.lock().newly_passed();
    for segment in passed {
        if let Ok(file) = shared.disk.open(&segment.name, false) {
            file.forget_cached();
        }
    }
    if let Err(error) = consumers::store(shared) {
        tracing::warn!(%error, "positions of the journal's consumers can't be stored; they only keep segments longer");
    }
}
