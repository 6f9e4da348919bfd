//! The visitors of the last hours, before the edge listens: from what an ordered stop wrote down and from the journal; and what
//! demand they were.

use std::{
    collections::HashMap,
    sync::mpsc,
    time::{Duration, Instant},
};

use sl_core::{ids::SmartLinkId, pool::StockKey, time::Timestamp, visitor::Visit};
use sl_edge::{LinkTable, Rebuild, Stock, Window};
use sl_journal::{Journal, JournalError, Past};

use super::remembered::{Head, Piece, VisitorsFile};

/// What the last hours say.
#[derive(Debug, Default)]
pub(super) struct Lately {
    /// Clicks that the window remembers again.
    pub(super) remembered: usize,
    asked: HashMap<SmartLinkId, Asked>,
}

/// Visitors who got a link of their own.
#[derive(Debug, Default)]
struct Asked {
    lately: usize,
    in_all: usize,
}

/// Demand of a stock is counted in pieces of this length.
const PIECE: Duration = Duration::from_secs(600);

impl Lately {
    /// Fills the window from the file of an ordered stop, and from the journal what is not in it; blocks while it reads. One
    /// thread decodes what the other remembers.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn read(
        window: &Window,
        (file, like): (&VisitorsFile, &Head),
        journal: &Journal,
        now: Timestamp,
    ) -> Result<Self, JournalError> {
        // Nobody takes a batch only after a panic, which ends the start.
        let (batches, read) = mpsc::sync_channel::<Batch>(BATCHES);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let until = file.read(like, |piece| drop(batches.send(Batch::Kept(piece))));
                if until.is_none() {
                    let _ = batches.send(Batch::Anew);
                }
                let mut batch = Vec::with_capacity(BATCH);
                let outcome = journal.recent_visitors(now.minus(window.span()), until.unwrap_or(0), |past| {
                    batch.push(past);
                    if batch.len() == BATCH {
                        let batch = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                        let _ = batches.send(Batch::Past(batch));
                    }
                });
                let _ = batches.send(Batch::Past(batch));
                outcome
            });
            let (mut lately, mut rebuild) = (Self::default(), window.rebuild(now));
            read.into_iter().for_each(|batch| lately.take(&mut rebuild, batch, now));
            reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(|()| lately)
        })
    }

    fn take(&mut self, rebuild: &mut Rebuild<'_>, batch: Batch, now: Timestamp) {
        match batch {
            Batch::Anew => *self = Self::default(),
            Batch::Kept(Piece::Keys(keys)) => rebuild.expect(keys),
            Batch::Kept(Piece::Clicks(clicks)) => {
                // The file may be old: what is over was no demand of these hours.
                rebuild.kept(&clicks, |visit| self.count(visit, true, now));
            }
            Batch::Past(records) => {
                for past in records {
                    match past {
                        Past::Visit(visit) => {
                            let known = rebuild.visit(&visit);
                            self.count(&visit, known, now);
                        }
                        Past::Repeat(repeat) => rebuild.repeat(&repeat),
                    }
                }
            }
        }
    }

    fn count(&mut self, visit: &Visit, known: bool, now: Timestamp) {
        self.remembered += usize::from(known);
        if visit.rung.is_own() {
            let asked = self.asked.entry(visit.target.link).or_default();
            asked.in_all += 1;
            asked.lately += usize::from(now.since(visit.at) < PIECE);
        }
    }

    /// Tells the stock what to expect: as many as in the last ten minutes, or as in ten average ones of `span`.
    pub(super) fn expect(&self, links: &LinkTable, stock: &Stock, span: Duration) {
        let mut by_stock: HashMap<StockKey, Asked> = HashMap::new();
        for (link, asked) in &self.asked {
            let Some(key) = links.stock_of(*link) else { continue };
            let sum = by_stock.entry(key).or_default();
            sum.lately += asked.lately;
            sum.in_all += asked.in_all;
        }
        let pieces = span.as_secs_f64() / PIECE.as_secs_f64();
        for (key, asked) in &by_stock {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count, smaller than it was"
            )]
            #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
            let average = (asked.in_all as f64 / pieces.max(1.0)).ceil() as usize;
            stock.expect(key, asked.lately.max(average), Instant::now());
        }
    }
}

/// What goes from the reading thread to the remembering one at once.
enum Batch {
    /// Visitors from the file.
    Kept(Piece),
    /// What came from the file does not count: the journal has all of it.
    Anew,
    /// Records from the journal.
    Past(Vec<Past>),
}

/// Records that go from the reading thread to the remembering one at once, and how often that many may wait.
const BATCH: usize = 1024;
const BATCHES: usize = 4;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sl_core::{
        click::{Click, VisitorId},
        event::{Event, EventBody},
        time::ManualClock,
    };
    use sl_journal::{ClickLog as _, Fate, JournalConfig};
    use sl_store::suite::sample;

    use super::*;

    const NOON: Timestamp = Timestamp(1_700_000_000_000);
    const SPAN: Duration = Duration::from_secs(6 * 3600);

    fn journal(dir: &std::path::Path) -> Arc<Journal> {
        let config = JournalConfig { dir: dir.join("journal"), ..JournalConfig::default() };
        Journal::open(config, Arc::new(ManualClock::at(NOON))).unwrap()
    }

    fn click(number: u64) -> Click {
        let mut click = Click::clone(&sample::click(number, sample::link_id(0), NOON).click);
        click.visitor.daily = VisitorId(u128::from(number));
        click.visitor.given = Some(VisitorId(1_000_000 + u128::from(number)));
        click.sent_to = Some(format!("https://onlyfans.com/nova/c{number}").into());
        click
    }

    async fn append(journal: &Journal, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let click = click(number);
            let (team, account) = (click.team, click.account.clone());
            let event = Event { team, account, at: NOON, body: EventBody::Click(Arc::new(click)) };
            let ticket = journal.append(event).unwrap();
            assert_eq!(journal.fate(ticket).await, Fate::Stored);
        }
    }

    fn head(journal: &Journal) -> Head {
        Head { journal: journal.id(), span: SPAN, entries: 1000, until: journal.status().synced, keys: 0 }
    }

    /// Who is known after a start, by their numbers.
    fn known(file: &VisitorsFile, journal: &Journal) -> (usize, Vec<u64>) {
        let window = Window::new(SPAN, 1000);
        let lately = Lately::read(&window, (file, &head(journal)), journal, NOON).unwrap();
        let mut known = Vec::new();
        window.kept(|kept| known.push(u64::try_from(kept.visit.daily.0).unwrap()));
        known.sort_unstable();
        assert_eq!(lately.asked.values().map(|asked| asked.in_all).sum::<usize>(), lately.remembered);
        (lately.remembered, known)
    }

    #[tokio::test]
    async fn a_start_knows_who_was_written_down_and_reads_in_the_journal_only_what_came_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, file) = (journal(dir.path()), VisitorsFile::of(dir.path()));
        append(&journal, 0..10).await;
        assert_eq!(known(&file, &journal), (10, (0..10).collect()), "no file: all of it from the journal");
        // Somebody of whom the journal knows nothing shows that the file was used.
        let window = Window::new(SPAN, 1000);
        let mut rebuild = window.rebuild(NOON);
        for number in (0..10).chain([77]) {
            assert!(rebuild.visit(&Visit::of(&click(number)).unwrap()));
        }
        drop(rebuild);
        assert!(file.write(&head(&journal), &window).unwrap());
        append(&journal, 10..15).await;
        let all = (0..15).chain([77]).collect::<Vec<_>>();
        assert_eq!(known(&file, &journal), (16, all.clone()));

        let (window, later) = (Window::new(SPAN, 1000), NOON.plus(SPAN * 2));
        let lately = Lately::read(&window, (&file, &head(&journal)), &journal, later).unwrap();
        assert_eq!((lately.remembered, lately.asked.len()), (0, 0), "an old file: nobody, and no demand");

        let path = dir.path().join("edge/visitors");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(known(&file, &journal), (15, all), "damaged: the journal counts; who was read is known");
    }
}
