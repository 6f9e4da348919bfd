//! Simulated ad platforms: each validates like the real one, keeps what it accepted, and counts an event once.
//!
//! * [`receiver`]: what a platform is; a new one is one file with one `impl` and one line in [`receivers`]
//! * [`meta`]: Meta's Conversions API · [`tiktok`]: TikTok's Events API · [`snapchat`]: Snapchat's
//!   · [`creatortraffic`]: CreatorTraffic's · [`postback`]: takes anything, for postback URLs
//! * [`ledger`]: what was sent, kept, refused; whether every attempt of an event had the same bytes
//! * [`control`]: the switches under `/_sim`

mod control;
mod creatortraffic;
mod fields;
mod ledger;
mod meta;
mod postback;
mod receiver;
mod snapchat;
mod tiktok;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::response::Response;
use parking_lot::Mutex;
use rand::RngExt;
use sl_core::time::Clock;

pub use creatortraffic::CreatorTrafficRules;
pub use ledger::{AdsState, Event, ReceiverState};
pub use meta::MetaRules;
pub use snapchat::SnapchatRules;
pub use tiktok::TikTokRules;

use crate::{
    chance::dice,
    knobs::Knobs,
    server::{Server, Whole},
};
use ledger::Ledger;
use receiver::{Answer, Receiver, Sighted, Taken, Trouble};

/// What [`AdsSim::bind`] wants to know.
#[derive(Clone)]
pub struct AdsConfig {
    /// Address to listen on; port 0 for any.
    pub listen: SocketAddr,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Which requests Meta's receiver accepts.
    pub meta: MetaRules,
    /// Which requests TikTok's receiver accepts.
    pub tiktok: TikTokRules,
    /// Which requests Snapchat's receiver accepts.
    pub snapchat: SnapchatRules,
    /// Which requests CreatorTraffic's receiver accepts.
    pub creatortraffic: CreatorTrafficRules,
    /// Decides which requests fail.
    pub seed: u64,
    /// Which faults they have, and how often.
    pub faults: AdsFaults,
}

/// How ad platforms misbehave. Shares are per attempt of an event, 0.0 to 1.0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AdsFaults {
    /// Answered 503 without being looked at.
    pub failing: f64,
    /// Taken, but answered 502: the sender tries again, and the event counts once.
    pub unanswered: f64,
}

impl AdsConfig {
    /// On any port of this machine; every pixel and token is known, and nothing fails by itself.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen,
            clock,
            meta: MetaRules::default(),
            tiktok: TikTokRules::default(),
            snapchat: SnapchatRules::default(),
            creatortraffic: CreatorTrafficRules::default(),
            seed: 1,
            faults: AdsFaults::default(),
        }
    }
}

/// The platforms, and the generic receiver behind them, which takes what no other claims.
fn receivers(config: &AdsConfig) -> Vec<Box<dyn Receiver>> {
    vec![
        // Before Meta's, whose versions begin with the same letter.
        Box::new(snapchat::Snapchat(config.snapchat.clone())),
        Box::new(meta::Meta::new(config.meta.clone())),
        Box::new(tiktok::TikTok(config.tiktok.clone())),
        Box::new(creatortraffic::CreatorTraffic(config.creatortraffic.clone())),
        Box::new(postback::Postbacks),
    ]
}

/// Running ad platforms.
pub struct AdsSim {
    server: Server,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    receivers: Vec<Box<dyn Receiver>>,
    clock: Arc<dyn Clock>,
    seed: u64,
    faults: AdsFaults,
    knobs: Mutex<Knobs>,
    ledger: Mutex<Ledger>,
}

impl std::fmt::Debug for AdsSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdsSim({})", self.addr())
    }
}

// === impl AdsSim ===

impl AdsSim {
    /// Starts them, all on one listener.
    ///
    /// # Errors
    /// When the address can't be taken.
    pub async fn bind(config: AdsConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            receivers: receivers(&config),
            clock: Arc::clone(&config.clock),
            seed: config.seed,
            faults: config.faults,
            knobs: Mutex::new(Knobs::default()),
            ledger: Mutex::new(Ledger::default()),
        });
        let server = Server::bind(config.listen, Arc::clone(&shared), answer).await?;
        Ok(Self { server, shared })
    }

    /// Where they listen.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Their origin, as `ad_platforms.meta.base_url` wants it and postback URLs may begin.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// The same figures as `GET /_sim/state`.
    #[must_use]
    pub fn state(&self) -> AdsState {
        self.shared.ledger.lock().state()
    }

    /// What is known of the events with an id, one per destination: `receiver` is `meta` or `postback`.
    #[must_use]
    pub fn events(&self, receiver: &str, id: &str) -> Vec<Event> {
        self.shared.ledger.lock().events(receiver, id)
    }

    /// Stops listening. Answers that are held back on purpose are not waited for.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

async fn answer(shared: Arc<Shared>, request: Whole) -> Response {
    if let ["_sim", rest @ ..] = request.segments().as_slice() {
        return control::answer(&shared, &request, rest);
    }
    let claimed = shared.receivers.iter().find(|receiver| receiver.claims(&request));
    let Some(receiver) = claimed else { return Answer::empty(404).send() };
    let (name, now) = (receiver.name(), shared.clock.now());
    let (latency, stall, trouble) = {
        let mut knobs = shared.knobs.lock();
        let rate = knobs.count(now);
        let trouble = match knobs.take_failure(name) {
            Some(status) => Some(Trouble::Failed(status)),
            None => rate.exceeded.then_some(Trouble::Limited { retry_after: rate.retry_after }),
        };
        (knobs.latency, knobs.take_stall(name), trouble)
    };
    sleep(latency).await;
    let sighted = receiver.sight(&request);
    let (fails, is_lost) = fate(&shared, name, &sighted);
    let answer = match trouble.or(fails.then_some(Trouble::Failed(503))) {
        Some(trouble) => {
            shared.ledger.lock().turned_away(name, &sighted);
            receiver.trouble(trouble)
        }
        None => {
            let judged = receiver.judge(&request, now);
            shared.ledger.lock().judged(receiver.as_ref(), &sighted, &judged, now);
            if judged.taken != Taken::Nothing && is_lost {
                receiver.trouble(Trouble::Failed(502))
            } else {
                judged.answer
            }
        }
    };
    sleep(stall.unwrap_or_default()).await;
    shared.ledger.lock().answered(name, answer.status);
    answer.send()
}

/// What the seed has in store for this attempt of an event: to fail, or to go unanswered.
fn fate(shared: &Shared, receiver: &str, events: &[Sighted]) -> (bool, bool) {
    let Some(event) = events.first() else { return (false, false) };
    let attempts = shared.ledger.lock().attempts(receiver, event).to_string();
    let mut dice = dice(shared.seed, &[receiver, &event.key, &attempts]);
    let fails = dice.random_bool(shared.faults.failing);
    (fails, dice.random_bool(shared.faults.unanswered))
}

async fn sleep(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
