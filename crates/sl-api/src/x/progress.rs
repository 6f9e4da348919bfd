//! Where every queue stands; the shape is that of decisions 24.

use axum::extract::State;
use serde_json::json;

use crate::{error::Result, parts::App, reply::Reply};

pub(crate) async fn progress(State(app): State<App>) -> Result<Reply> {
    // Upstream queues are read first: what moves on meanwhile is seen again further down, never missed.
    let facts = app.progress.facts();
    let outbox = app.store.outbox.counts(app.now()).await?;
    let dead_letters = app.store.reports.dead_letter_count().await?;
    let mut journal = json!({ "head": facts.journal_head, "synced": facts.journal_synced });
    if let Some(journals) = facts.journals {
        journal["unforwarded"] = journals.unforwarded.into();
        journal["silent"] = journals.silent.into();
    }
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
