//! What waits for a destination that was deleted: parked as soon as the deletion is seen, and not when its next attempt would have come,
//! hours later.

use std::{collections::HashSet, time::Duration};

use sl_core::delivery::Destination;

use crate::{lane::hold_all, target::Target, worker::Shared};

/// Nothing waits for longer: no schedule, no rest and no age up to which a platform takes events is a year.
const EVER: Duration = Duration::from_secs(366 * 86_400);
/// Read at once.
const PAGE: usize = 200;

/// Parks everything that waits for none of those that are `there`.
pub(crate) async fn park(shared: &Shared, there: &HashSet<Destination>) -> sl_store::Result<()> {
    let ever = shared.clock.now().plus(EVER);
    let waited_for = shared.store.outbox.due_destinations(ever).await?;
    for (destination, _) in waited_for.into_iter().filter(|(to, _)| !there.contains(to)) {
        // It may have been made after those were read.
        let target = Target::load(&shared.store, destination, &shared.platforms, &shared.keys).await?;
        let Some(gone) = target.err().filter(|unusable| unusable.is_deleted()) else { continue };
        loop {
            let waiting = shared.store.outbox.due(destination, ever, PAGE).await?;
            if waiting.is_empty() {
                break;
            }
            hold_all(shared, waiting, gone.why.clone(), gone.version).await?;
            // A store that answers at once would keep everything else waiting.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
