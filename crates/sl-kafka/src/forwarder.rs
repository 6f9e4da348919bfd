//! An edge's journal → Kafka.
//!
//! Every record goes to the partition of its account in `<prefix>.events`, in the journal's order, with its journal and
//! its number there. What a click tells other edges goes to `<prefix>.visitors`. How far everything is acknowledged by
//! all copies is kept in a small file ([`position`]); the journal keeps what lies behind it. So nothing is lost however
//! and whenever this process, or Kafka, stops: what was not acknowledged, or was and the file does not say so yet, is
//! sent again, and attribution skips what it has by its number (decisions 47).
//!
//! What all copies acknowledged may still be lost: brokers write to disk when the system does, within half a minute. So the file
//! says how far everything *was* acknowledged two minutes ago, and whoever starts anew after a failure sends what came since once
//! more. A power cut that takes the end of a partition is such a failure: the producer's next request does not fit behind it.
//!
//! That skipping is also why order must hold absolutely: a record that came late, after a later one of the same account,
//! would count as known and be lost. Hence, of the producer: idempotent; never gives a record up for its age; raises a
//! fatal error rather than leave a gap; and one request at a time per broker, so that nothing of a session that failed
//! can arrive behind the first records of the next.

mod acks;
pub mod position;
mod session;
mod stop;

use std::{path::PathBuf, time::Duration};

use sl_core::event::{JournalId, Position};
use sl_journal::EventStream;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{position::PositionFile, session::Session, stop::Stop};
use crate::{Cluster, ClusterError};

/// How a forwarder works.
#[derive(Debug, Clone)]
pub struct Forwarding {
    /// Where it keeps its position: `data_dir/forwarder`.
    pub position_file: PathBuf,
    /// Records read from the journal at once.
    pub batch: usize,
    /// How often the position is stored, and looked whether the topic is still the same one. What is sent again after a
    /// crash is at most what was sent within it.
    pub store_every: Duration,
    /// How long brokers may take to have on disk what they acknowledged: what is younger is sent again after a failure.
    pub settle: Duration,
    /// How long a stop waits until Kafka has what the journal has; the rest goes with the next start.
    pub last_wait: Duration,
    /// First and longest pause before a new try.
    pub pause: (Duration, Duration),
}

impl Forwarding {
    /// A forwarder with the usual figures.
    #[must_use]
    pub fn new(position_file: PathBuf) -> Self {
        Self {
            position_file,
            batch: 4096,
            store_every: Duration::from_secs(1),
            settle: Duration::from_secs(120),
            last_wait: Duration::from_secs(5),
            pause: (Duration::from_millis(250), Duration::from_secs(10)),
        }
    }
}

/// How much of a journal Kafka has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// One more than the last record that it has with everything before it.
    pub end: u64,
    /// Since when.
    pub at: Instant,
}

/// The forwarder of one journal. At most one may run per journal: its directory has a lock for that.
pub struct Forwarder {
    stream: Box<dyn EventStream>,
    journal: JournalId,
    cluster: Cluster,
    settings: Forwarding,
    acknowledged: watch::Sender<Option<Acknowledged>>,
    /// How long a session may go without an acknowledgement: longer each time that it was in vain, or one partition that
    /// nobody can write to would have everything else sent again all the time.
    patience: Duration,
    /// The furthest position ever acknowledged.
    furthest: Position,
}

/// A producer that acknowledges nothing for so long while the brokers answer has lost its way: longer than a broker may
/// take for one request (`request.timeout.ms`, 30 s) and a check.
const STALLED: Duration = Duration::from_secs(40);
/// The longest [`Forwarder::patience`].
const PATIENT: Duration = Duration::from_secs(3600);

impl Forwarder {
    /// `stream` reads the journal called `journal`, under a consumer name of the forwarder's own.
    #[must_use]
    pub fn new(
        stream: Box<dyn EventStream>,
        journal: JournalId,
        cluster: Cluster,
        settings: Forwarding,
    ) -> Self {
        let acknowledged = watch::Sender::new(None);
        let (patience, furthest) = (STALLED, Position::default());
        Self { stream, journal, cluster, settings, acknowledged, patience, furthest }
    }

    /// How much of the journal Kafka has; `None` until it was asked.
    #[must_use]
    pub fn acknowledged(&self) -> watch::Receiver<Option<Acknowledged>> {
        self.acknowledged.subscribe()
    }

    /// Forwards until `token` is cancelled. Kafka may be down, for hours: it is tried again.
    pub async fn run(mut self, token: CancellationToken) {
        let mut pause = self.settings.pause.0;
        loop {
            let began = Instant::now();
            let Err(error) = self.session(&token).await else { return };
            metrics::counter!("smartlinks_forward_failures_total").increment(1);
            tracing::warn!(%error, "forwarding to Kafka stopped; everything is in the journal, and is tried again");
            if token.is_cancelled() {
                return;
            }
            if began.elapsed() > self.settings.pause.1 {
                pause = self.settings.pause.0;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = token.cancelled() => {}
            }
            pause = (pause * 2).min(self.settings.pause.1);
        }
    }

    /// Takes note of how far everything is acknowledged.
    fn passed(&mut self, passed: Position) {
        if passed > self.furthest {
            (self.furthest, self.patience) = (passed, STALLED);
        }
        self.acknowledged.send_replace(Some(Acknowledged { end: passed.offset, at: Instant::now() }));
    }

    /// From the stored position on with a producer of its own, until cancelled or something fails.
    async fn session(&mut self, token: &CancellationToken) -> Result<(), ClusterError> {
        let file = PositionFile::at(&self.settings.position_file);
        let stop = Stop::new(token, self.settings.last_wait);
        let mut session = Session::start(self, file, stop).await?;
        let ended = session.forward().await;
        session.end().await;
        ended
    }
}
