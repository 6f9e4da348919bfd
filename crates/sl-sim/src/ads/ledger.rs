//! What was sent, kept and refused.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sl_core::time::Timestamp;

use super::receiver::{Judged, Receiver, Sighted, Taken};

/// Most events per receiver whose bytes are kept; later ones are counted without them. About 2 KiB each: 200 MB.
const MOST_BODIES: usize = 100_000;
/// Most different bodies kept of one event.
const MOST_VERSIONS: usize = 4;

/// Figures of every receiver, by name.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AdsState {
    /// `meta`, `postback`.
    pub receivers: BTreeMap<String, ReceiverState>,
}

/// Figures of one receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReceiverState {
    /// Requests that reached it.
    pub requests: u64,
    /// Answers by HTTP status.
    pub answers: BTreeMap<u16, u64>,
    /// Events it took, repeats included.
    pub accepted: u64,
    /// Most events that one request held.
    pub together: u64,
    /// Events it took, each once (within the platform's own time of remembering).
    pub distinct: u64,
    /// `distinct` by the event's name.
    pub distinct_by_name: BTreeMap<String, u64>,
    /// Events taken through the test channel, repeats included.
    pub tests: u64,
    /// Requests refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Members of accepted requests that the platform takes no notice of: should stay empty.
    pub read_over: BTreeMap<String, u64>,
    /// Requests turned away on demand (failure, limit).
    pub turned_away: u64,
    /// Events that were sent with different bytes at different attempts: should stay 0.
    pub changed: u64,
}

/// What is known of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What the platform calls it.
    pub name: String,
    /// Requests that carried it.
    pub attempts: u32,
    /// Requests that carried it and were taken.
    pub taken: u32,
    /// The different ones it came in, at most 4: method, target, and the body without other events. One when every attempt
    /// was the same, whatever it came together with.
    #[serde(skip)]
    pub versions: Vec<Bytes>,
    /// How many different ones there were.
    pub different: u32,
}

#[derive(Default)]
pub(super) struct Ledger {
    receivers: BTreeMap<&'static str, Book>,
}

#[derive(Default)]
struct Book {
    state: ReceiverState,
    /// Events by key: one event goes to several destinations, and is another one at each.
    events: HashMap<String, Event>,
    /// Keys of the events of an id.
    keys: HashMap<String, Vec<String>>,
    /// Digests of the versions of each event.
    digests: HashMap<String, Vec<[u8; 32]>>,
    /// When each event was taken for the first time, by key.
    first: HashMap<String, Timestamp>,
}

// === impl Ledger ===

impl Ledger {
    /// A request that was refused on demand: its bytes count as an attempt.
    pub(super) fn turned_away(&mut self, receiver: &'static str, events: &[Sighted]) {
        let book = self.receivers.entry(receiver).or_default();
        book.state.turned_away += 1;
        book.see(events, &Taken::Nothing);
    }

    /// A request that the platform looked at.
    pub(super) fn judged(
        &mut self,
        receiver: &dyn Receiver,
        events: &[Sighted],
        judged: &Judged,
        now: Timestamp,
    ) {
        let book = self.receivers.entry(receiver.name()).or_default();
        book.see(events, &judged.taken);
        if let Some(reason) = &judged.reason {
            *book.state.refused.entry(reason.clone()).or_default() += 1;
        }
        for member in &judged.read_over {
            *book.state.read_over.entry(member.clone()).or_default() += 1;
        }
        if judged.is_test {
            book.state.tests += events.len() as u64;
        }
        let taken = events.iter().enumerate().filter(|(nth, _)| judged.taken.has(*nth));
        for (_, event) in taken {
            book.state.accepted += 1;
            if book.is_new(event, receiver.remembers(), now) {
                book.state.distinct += 1;
                *book.state.distinct_by_name.entry(event.name.clone()).or_default() += 1;
            }
        }
    }

    /// Attempts of an event so far.
    pub(super) fn attempts(&self, receiver: &str, event: &Sighted) -> u32 {
        let known = self.receivers.get(receiver).and_then(|book| book.events.get(&event.key));
        known.map_or(0, |event| event.attempts)
    }

    pub(super) fn answered(&mut self, receiver: &'static str, status: u16) {
        let book = self.receivers.entry(receiver).or_default();
        book.state.requests += 1;
        *book.state.answers.entry(status).or_default() += 1;
    }

    pub(super) fn state(&self) -> AdsState {
        let receivers = self.receivers.iter();
        AdsState {
            receivers: receivers.map(|(name, book)| ((*name).to_owned(), book.state.clone())).collect(),
        }
    }

    pub(super) fn events(&self, receiver: &str, id: &str) -> Vec<Event> {
        let Some(book) = self.receivers.get(receiver) else { return Vec::new() };
        let keys = book.keys.get(id).into_iter().flatten();
        keys.filter_map(|key| book.events.get(key).cloned()).collect()
    }
}

impl Book {
    /// Whether a taken event counts: under none of its keys one was taken as long as that is remembered.
    fn is_new(&mut self, event: &Sighted, remembers: Duration, now: Timestamp) -> bool {
        let also = event.also.iter().map(|(key, remembers)| (key, *remembers));
        let mut is_new = true;
        for (key, remembers) in std::iter::once((&event.key, remembers)).chain(also) {
            let first = self.first.get(key);
            if first.is_none_or(|first| now.since(*first) >= remembers) {
                self.first.insert(key.clone(), now);
            } else {
                is_new = false;
            }
        }
        is_new
    }

    fn see(&mut self, events: &[Sighted], taken: &Taken) {
        self.state.together = self.state.together.max(events.len() as u64);
        for (nth, sighted) in events.iter().enumerate() {
            let digest: [u8; 32] = Sha256::digest(&sighted.wire).into();
            let keeps = self.events.len() < MOST_BODIES;
            let digests = self.digests.entry(sighted.key.clone()).or_default();
            let is_new = !digests.contains(&digest);
            if is_new {
                digests.push(digest);
                self.state.changed += u64::from(digests.len() == 2);
            }
            let different = u32::try_from(digests.len()).unwrap_or(u32::MAX);
            let is_known = self.events.contains_key(&sighted.key);
            if !keeps && !is_known {
                continue;
            }
            if !is_known {
                self.keys.entry(sighted.id.clone()).or_default().push(sighted.key.clone());
            }
            let event = self.events.entry(sighted.key.clone()).or_default();
            event.name.clone_from(&sighted.name);
            event.attempts += 1;
            event.taken += u32::from(taken.has(nth));
            event.different = different;
            if is_new && event.versions.len() < MOST_VERSIONS {
                event.versions.push(sighted.wire.clone());
            }
        }
    }
}
