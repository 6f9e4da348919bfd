//! The running total, on stderr.

use crate::out::{hint, tell};
use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// What a person sees.
pub(super) struct View {
    live: bool,
    begun: Instant,
    shown: Instant,
    /// Kind under way: its name, its rows when this run began with it, and when that was.
    kind: (&'static str, u64, Instant),
    /// Rows of this run, those that were only compared not among them.
    total: u64,
    /// Rows are read back now.
    compares: bool,
}

/// Between two lines on a terminal, where each takes the place of the one before, and elsewhere.
const OFTEN: Duration = Duration::from_millis(250);
const SELDOM: Duration = Duration::from_secs(2);

impl View {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let live = std::io::stderr().is_terminal();
        Self { live, begun: now, shown: now, kind: ("", 0, now), total: 0, compares: false }
    }

    /// Since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    pub(super) fn note(&mut self, text: &str) {
        self.clear();
        tell!("{text}");
    }

    pub(super) fn begin(&mut self, kind: &'static str, rows: u64) {
        self.kind = (kind, rows, Instant::now());
    }

    /// Shows that from now on rows are compared, not moved.
    pub(super) fn begin_comparing(&mut self, what: &'static str) {
        self.compares = true;
        self.begin(what, 0);
    }

    /// Shows how many rows of the kind there are by now.
    pub(super) fn total(&mut self, rows: u64) {
        if self.shown.elapsed() < if self.live { OFTEN } else { SELDOM } {
            return;
        }
        self.shown = Instant::now();
        let line = self.line(rows);
        if self.live {
            hint(format_args!("\r\x1b[K{line}"));
            let _ = std::io::stderr().flush();
        } else {
            tell!("{line}");
        }
    }

    pub(super) fn end(&mut self, rows: u64) {
        let line = self.line(rows);
        self.note(&line);
        if !self.compares {
            self.total += rows.saturating_sub(self.kind.1);
        }
    }

    fn line(&self, rows: u64) -> String {
        let (kind, before, begun) = self.kind;
        let new = rows.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        let rate = new as f64 / begun.elapsed().as_secs_f64().max(0.001);
        let all = if self.compares { self.total } else { self.total + new };
        format!("{rows:>12}  {kind:<24} {rate:>8.0}/s  {all:>12} rows in {:.0} s", self.seconds())
    }

    fn clear(&self) {
        if self.live {
            hint(format_args!("\r\x1b[K"));
        }
    }
}
