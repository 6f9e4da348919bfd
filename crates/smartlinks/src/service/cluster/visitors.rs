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
        let mut told = false;
        loop {
            let since = clock.now().minus(window.span());
            let Err(error) = learn(&kafka, own, &window, &clock, since).await;
            if !told {
                tracing::warn!(%error, "visits at other edges can't be read; trying again");
                told = true;
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

async fn learn(
    kafka: &sl_kafka::Cluster,
    own: JournalId,
    window: &Window,
    clock: &SharedClock,
    since: sl_core::time::Timestamp,
) -> Result<std::convert::Infallible, sl_kafka::ClusterError> {
    let mut visitors = Visitors::since(kafka, own, since).await?;
    let learned = metrics::counter!("smartlinks_visitors_learned_total");
    loop {
        let seen = visitors.next(BATCH, WAIT).await?;
        let now = clock.now();
        let new = seen.iter().filter(|seen| window.learn(&seen.visit, now)).count();
        learned.increment(new as u64);
    }
}
