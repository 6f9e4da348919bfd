//! Whom other edges saw: a visitor that lands here a moment later gets the same click and link (decisions 53).

use std::time::Duration;

use sl_core::event::JournalId;
use sl_edge::Window;
use sl_kafka::Visitors;
use tokio_util::sync::CancellationToken;

use super::{AGAIN, SharedClock};

/// Visits taken at once.
const BATCH: usize = 1024;
/// How soon a stop is noticed.
const WAIT: Duration = Duration::from_millis(500);

/// Brings visits into the window until `stop`. Without Kafka the window knows what this edge saw itself.
pub(crate) async fn follow(
    kafka: sl_kafka::Cluster,
    own: JournalId,
    window: Window,
    clock: SharedClock,
    stop: CancellationToken,
) {
    let work = async {
        let mut is_told = false;
        let mut tell = |error: &sl_kafka::ClusterError| {
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(%error, "visits at other edges can't be read; trying again");
            }
        };
        let mut visitors = loop {
            match Visitors::since(&kafka, own, clock.now().minus(window.span())).await {
                Ok(visitors) => break visitors,
                Err(error) => tell(&error),
            }
            tokio::time::sleep(AGAIN).await;
        };
        let learned = metrics::counter!("smartlinks_visitors_learned_total");
        // From here on with the same reader: whatever fails, it goes on where it was, and the window is not read all over.
        loop {
            match visitors.next(BATCH, WAIT).await {
                Ok(seen) => {
                    let now = clock.now();
                    let new = seen.iter().filter(|seen| window.learn(&seen.visit, now)).count();
                    learned.increment(new as u64);
                }
                Err(error) => {
                    tell(&error);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}
