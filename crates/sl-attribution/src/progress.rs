//! Where the loop stands, for `/api/x/progress` and metrics.

use sl_core::{attribution::Counts, event::Position};
use tokio::{sync::watch, time::Instant};

/// State of one partition's attribution.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Everything before it is applied.
    pub position: Position,
    /// Everything before it survives a power cut.
    pub synced: Position,
    /// Age of the newest applied record when it was applied, in seconds; 0 once nothing is left to read. While store or stream
    /// do not answer it grows with the time.
    pub lag_seconds: f64,
    /// Records behind the position when it was last looked.
    pub behind: u64,
    /// The last read found nothing behind the position.
    pub caught_up: bool,
    /// Records that could not be decoded or were gone, and pieces of memory that could not be read, since the start.
    pub poisoned: u64,
}

/// Tells of a loop that waits for its store or stream: what it has before it gets older.
pub(crate) struct Standing {
    progress: watch::Sender<Progress>,
    /// When the loop last went on, and how far behind it was.
    since: Instant,
    lag_seconds: f64,
    /// There is something that is not applied, as far as known.
    pub(crate) is_behind: bool,
}

// === impl Standing ===

impl Standing {
    pub(crate) fn new(progress: watch::Sender<Progress>) -> Self {
        Self { progress, since: Instant::now(), lag_seconds: 0.0, is_behind: true }
    }

    /// Called when the loop goes on: notes how far behind it is.
    pub(crate) fn moved(&mut self, lag_seconds: f64, is_behind: bool) {
        (self.since, self.lag_seconds, self.is_behind) = (Instant::now(), lag_seconds, is_behind);
    }

    /// Called while the loop does not go on: what is not applied gets older, and the progress says so.
    pub(crate) fn tell(&self) {
        if !self.is_behind {
            return;
        }
        let lag_seconds = self.lag_seconds + self.since.elapsed().as_secs_f64();
        self.progress.send_modify(|progress| {
            progress.lag_seconds = lag_seconds;
            progress.behind = progress.behind.max(1);
            progress.caught_up = false;
        });
    }
}

/// Writes what happened in a step to the metrics of surface 4.
pub(crate) fn count(counts: &Counts) {
    for (kind, count) in &counts.conversions {
        metrics::counter!("smartlinks_conversions_total", "type" => kind.as_str()).increment(*count);
    }
    for ((event, outcome), count) in &counts.webhooks {
        let event = label(event);
        metrics::counter!("smartlinks_webhooks_total", "event" => event, "outcome" => *outcome)
            .increment(*count);
    }
    for (what, count) in [
        ("clock_jump", counts.jumps),
        ("future_date", counts.future_dates),
        ("money_difference", counts.differences),
        ("hold_dropped", counts.dropped),
    ] {
        if count > 0 {
            metrics::counter!("smartlinks_attribution_oddities_total", "kind" => what).increment(count);
        }
    }
}

/// Something that should have counted was left out; the log says what.
pub(crate) fn left_out(kind: &'static str) {
    metrics::counter!("smartlinks_attribution_oddities_total", "kind" => kind).increment(1);
}

/// Only names we know become labels: the sender must not choose how many series there are.
fn label(event: &str) -> &'static str {
    const KNOWN: [&str; 16] = [
        "subscriptions.new",
        "subscriptions.renewed",
        "subscriptions.expired",
        "transactions.new",
        "messages.received",
        "messages.sent",
        "messages.ppv.unlocked",
        "messages.deleted",
        "tips.received",
        "accounts.connected",
        "accounts.reconnected",
        "accounts.disconnected",
        "accounts.session_expired",
        "accounts.authentication_failed",
        "accounts.otp_code_required",
        "accounts.face_otp_required",
    ];
    KNOWN.into_iter().find(|known| *known == event).unwrap_or("other")
}
