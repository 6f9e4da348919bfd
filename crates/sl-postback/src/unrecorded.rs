//! Answers that came while the store wrote nothing, and it is let go of: whoever works next records them before anything is sent,
//! since what is not recorded is sent again.

use std::sync::Arc;

use parking_lot::Mutex;
use sl_store::{Outbox, outbox::Change};
use tokio_util::sync::CancellationToken;

use crate::again::again;

/// Shared by the workers of a process that follow one another. As many as there are requests at once.
#[derive(Clone, Default)]
pub struct Unrecorded(Arc<Mutex<Vec<Change>>>);

impl Unrecorded {
    pub(crate) fn keep(&self, changes: Vec<Change>) {
        self.0.lock().extend(changes);
    }

    /// Records them. What was changed meanwhile, as by a replay, is left alone.
    pub(crate) async fn record(&self, outbox: &dyn Outbox, shutdown: &CancellationToken) {
        let changes = std::mem::take(&mut *self.0.lock());
        if changes.is_empty() {
            return;
        }
        match again(shutdown, || outbox.advance_all(changes.clone())).await {
            Ok(_) => tracing::info!(
                answers = changes.len(),
                "outbox: answers that waited for the store are recorded"
            ),
            Err(error) if error.is_temporary() => self.keep(changes),
            Err(error) => tracing::error!(%error, "outbox: answers are lost; their events are sent again"),
        }
    }
}
