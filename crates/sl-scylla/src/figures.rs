//! Figures that are counted from many rows.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Most rows that are read for every question: about a second's work for the servers.
const MANY: u64 = 200_000;
/// How long figures from more rows are told again.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// Figures, exact up to [`MANY`] rows, and past that at most ten seconds old: whoever looks at a dashboard does not read a
/// million rows a second.
#[derive(Debug)]
pub(crate) struct Figures<T>(Mutex<Option<(Instant, T)>>);

// === impl Figures ===

impl<T: Clone> Figures<T> {
    pub(crate) fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// The figures, if they are still fresh enough.
    pub(crate) fn told(&self) -> Option<T> {
        let told = self.0.lock();
        told.as_ref().filter(|(at, _)| at.elapsed() < TOLD_AGAIN).map(|(_, figures)| figures.clone())
    }

    /// Keeps figures that were counted from so many rows, if those are many.
    pub(crate) fn keep(&self, figures: &T, rows: u64) {
        if rows > MANY {
            *self.0.lock() = Some((Instant::now(), figures.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_figures_from_many_rows_are_told_again() {
        let figures = Figures::none();
        figures.keep(&1, MANY);
        assert_eq!(figures.told(), None);
        figures.keep(&2, MANY + 1);
        assert_eq!(figures.told(), Some(2));
    }
}
