//! While the store waits to be opened again, every role is told so by each of its writes: each place in the code has that logged once
//! a minute. Why it waits, and until when, the doctor says.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sl_fjall::MUST_BE_OPENED_AGAIN;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    registry::LookupSpan,
};

/// Between two lines of one place.
const EVERY: Duration = Duration::from_secs(60);

/// File and line.
type Place = (Option<&'static str>, Option<u32>);

/// Writes every event as `F` does, but for repeats of that error: nothing.
pub(super) struct Damped<F> {
    format: F,
    places: Places,
}

/// When each place was last heard.
#[derive(Default)]
struct Places(Mutex<HashMap<Place, Instant>>);

impl<F> Damped<F> {
    pub(super) fn over(format: F) -> Self {
        Self { format, places: Places::default() }
    }

    fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return true;
        }
        let mut said = Said::default();
        event.record(&mut said);
        !said.it || self.places.admit((metadata.file(), metadata.line()), Instant::now())
    }
}

impl Places {
    /// Whether the place may speak now.
    fn admit(&self, place: Place, now: Instant) -> bool {
        let mut last = self.0.lock();
        let is_due = last.get(&place).is_none_or(|last| now.duration_since(*last) >= EVERY);
        if is_due {
            last.insert(place, now);
        }
        is_due
    }
}

impl<S, N, F> FormatEvent<S, N> for Damped<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.admits(event) { self.format.format_event(context, writer, event) } else { Ok(()) }
    }
}

/// Whether an event tells that error, as a field or within its message.
#[derive(Default)]
struct Said {
    text: String,
    it: bool,
}

impl Visit for Said {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.text.clear();
        let _ = write!(self.text, "{value:?}");
        self.it |= self.text.contains(MUST_BE_OPENED_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sl_store::StoreError;
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn taken(&self) -> usize {
            std::mem::take(&mut *self.0.lock()).iter().filter(|byte| **byte == b'\n').count()
        }
    }

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn each_place_tells_once_that_the_store_must_be_opened_again_and_everything_else_always() {
        let lines = Lines::default();
        let output =
            tracing_subscriber::fmt::layer().with_writer(lines.clone()).map_event_format(Damped::over);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(output), || {
            let error = StoreError::Unavailable(MUST_BE_OPENED_AGAIN.to_owned());
            for _ in 0..100 {
                tracing::warn!(%error, "one place");
                tracing::error!("another place: {error}");
            }
            assert_eq!(lines.taken(), 2);
            let error = StoreError::Unavailable("No space left on device".to_owned());
            (0..100).for_each(|_| tracing::warn!(%error, "one place"));
            assert_eq!(lines.taken(), 100);
        });
    }

    #[test]
    fn a_place_speaks_again_after_a_minute() {
        let (places, now) = (Places::default(), Instant::now());
        let place = (Some("here.rs"), Some(1));
        assert!(places.admit(place, now) && !places.admit(place, now + EVERY / 2));
        assert!(places.admit(place, now + EVERY) && !places.admit(place, now + EVERY));
        assert!(places.admit((Some("here.rs"), Some(2)), now));
    }
}
