//! The end: what is under way is finished, within a budget.

use std::time::Duration;

use tokio_util::task::TaskTracker;

/// Waits for connections, then for clicks whose fate is open, for at most `budget` together.
pub(super) async fn drain(connections: &TaskTracker, late: &TaskTracker, budget: Duration) {
    connections.close();
    late.close();
    let all = async {
        connections.wait().await;
        late.wait().await;
    };
    if tokio::time::timeout(budget, all).await.is_err() {
        let (connections, clicks) = (connections.len(), late.len());
        tracing::warn!(connections, clicks, ?budget, "the edge stops although not everything is finished");
    }
}
