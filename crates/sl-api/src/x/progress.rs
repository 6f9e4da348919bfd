//! Where every queue stands; the shape is that of decisions 24.

use axum::extract::State;
use serde_json::json;

use crate::{
    error::Result,
    parts::{App, JournalsFacts},
    reply::Reply,
};

pub(crate) async fn progress(State(app): State<App>) -> Result<Reply> {
    // Upstream queues are read first: what moves on meanwhile is seen again further down, never missed.
    let facts = app.progress.facts();
    let outbox = app.store.deliveries.counts(app.now()).await?;
    let dead_letters = app.store.reports.dead_letter_count().await?;
    let (head, synced) = (facts.journal_head, facts.journal_synced);
    let journal = match facts.journals {
        None => json!({ "head": head, "synced": synced }),
        Some(JournalsFacts { unforwarded, silent, .. }) => {
            json!({ "head": head, "synced": synced, "unforwarded": unforwarded, "silent": silent })
        }
    };
    Ok(Reply::data(json!({
        "journal": journal,
        "attribution": {
            "position": facts.attribution.offset,
            "lag_seconds": facts.attribution_lag_seconds,
        },
        "matcher": { "backlog": facts.matcher_backlog },
        "outbox": { "due": outbox.due_now, "waiting": outbox.waiting, "parked": outbox.parked },
        "dead_letters": dead_letters,
        // Decisions 34: what waits for a later time does not prevent it.
        "settled": facts.is_quiet() && outbox.due_now == 0,
    })))
}
