//! What waits to be sent.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use url::Url;

use super::super::{config::PlatformConfig, state::WebhookState};

/// Most events that wait; one more is dropped and counted. About 600 bytes each: 120 MB.
const MOST: usize = 200_000;

/// Why something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// The event itself: until it is taken, and perhaps again afterwards.
    Event { again: bool },
    /// The event a second time; nobody cares whether it arrives.
    Copy,
    /// The event again, redelivered by hand after it was taken.
    ByHand,
    /// An event that is signed but of no use: until it is taken.
    Malformed,
    /// The event with a wrong signature.
    Forged,
}

/// One request to be made.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) body: Bytes,
    pub(super) sort: Sort,
    pub(super) attempts: u32,
}

/// What to do now.
pub(super) enum Next {
    Send(Item),
    /// Send nothing before this time; `None`: nothing waits.
    Wait(Option<Instant>),
}

/// The queue, by the time things are due.
pub(in super::super) struct Outbox {
    queue: Mutex<Queue>,
    pub(super) wake: Notify,
    pub(super) client: reqwest::Client,
}

#[derive(Default)]
struct Queue {
    url: Option<Url>,
    due: BTreeMap<(Instant, u64), Item>,
    /// Events that follow one that was not taken yet, by that one's key.
    blocked: HashMap<String, Vec<(Instant, Item)>>,
    blocked_count: usize,
    /// Keys of events that were not taken yet.
    open: HashSet<String>,
    /// The last event of each transaction, and how many there were.
    told: HashMap<String, (String, u32)>,
    sequence: u64,
    sending: usize,
    state: WebhookState,
}

// === impl Outbox ===

impl Outbox {
    pub(in super::super) fn new(config: &PlatformConfig) -> Result<Self, reqwest::Error> {
        let queue = Queue { url: config.webhook_url.clone(), ..Queue::default() };
        let client = crate::client::build(super::CONNECT, super::TOTAL, super::AT_ONCE)?;
        Ok(Self { queue: Mutex::new(queue), wake: Notify::new(), client })
    }

    pub(in super::super) fn set_url(&self, url: Option<Url>) {
        self.queue.lock().url = url;
        self.wake.notify_one();
    }

    pub(in super::super) fn pause(&self, paused: bool) {
        self.queue.lock().state.paused = paused;
        self.wake.notify_one();
    }

    pub(in super::super) fn state(&self) -> WebhookState {
        let queue = self.queue.lock();
        WebhookState { waiting: queue.waiting(), ..queue.state }
    }

    pub(super) fn url(&self) -> Option<Url> {
        self.queue.lock().url.clone()
    }

    /// The event that the one called `key` has to follow: the transaction's last one; but a reversal may overtake the
    /// first word about its transaction.
    pub(super) fn follows(&self, transaction: &str, key: &str, is_reversal: bool) -> Option<String> {
        let mut queue = self.queue.lock();
        let before = queue.told.remove(transaction);
        let count = before.as_ref().map_or(0, |(_, count)| *count);
        queue.told.insert(transaction.to_owned(), (key.to_owned(), count + 1));
        before.filter(|_| !(is_reversal && count == 1)).map(|(last, _)| last)
    }

    /// Sends `item` at `due`, and not before the event `after` was taken.
    pub(super) fn push(&self, item: Item, due: Instant, after: Option<String>) {
        let mut queue = self.queue.lock();
        if queue.waiting() >= MOST {
            queue.state.dropped += 1;
            return;
        }
        match item.sort {
            Sort::Malformed => queue.state.malformed += 1,
            Sort::Event { .. } => {
                queue.open.insert(item.key.clone());
            }
            Sort::Copy | Sort::ByHand | Sort::Forged => {}
        }
        match after.filter(|key| queue.open.contains(key)) {
            Some(key) => {
                queue.blocked_count += 1;
                queue.blocked.entry(key).or_default().push((due, item));
            }
            None => queue.put(due, item),
        }
        drop(queue);
        self.wake.notify_one();
    }

    pub(super) fn next(&self, now: Instant) -> Next {
        let mut queue = self.queue.lock();
        if queue.state.paused || queue.url.is_none() {
            return Next::Wait(None);
        }
        let Some(first) = queue.due.first_entry() else { return Next::Wait(None) };
        let (due, _) = *first.key();
        if due > now {
            return Next::Wait(Some(due));
        }
        let mut item = first.remove();
        item.attempts += 1;
        queue.sending += 1;
        queue.state.attempts += 1;
        match item.sort {
            Sort::Copy | Sort::ByHand => queue.state.repeated += 1,
            Sort::Forged => queue.state.forged += 1,
            Sort::Event { .. } | Sort::Malformed => {}
        }
        Next::Send(item)
    }

    /// The receiver answered 2xx.
    pub(super) fn taken(&self, item: &Item) {
        let mut queue = self.queue.lock();
        queue.sending = queue.sending.saturating_sub(1);
        match item.sort {
            Sort::Event { .. } => {
                queue.state.delivered += 1;
                queue.open.remove(&item.key);
                let freed = queue.blocked.remove(&item.key).unwrap_or_default();
                queue.blocked_count = queue.blocked_count.saturating_sub(freed.len());
                for (due, item) in freed {
                    queue.put(due, item);
                }
            }
            Sort::Forged => queue.state.forged_taken += 1,
            Sort::Copy | Sort::ByHand | Sort::Malformed => {}
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// The receiver did not take an item: events and malformed ones come again at `due`.
    pub(super) fn failed(&self, item: Item, due: Instant) {
        let mut queue = self.queue.lock();
        queue.sending = queue.sending.saturating_sub(1);
        if item.sort != Sort::Forged {
            queue.state.refused += 1;
        }
        if matches!(item.sort, Sort::Event { .. } | Sort::Malformed) {
            queue.put(due, item);
        }
        drop(queue);
        self.wake.notify_one();
    }
}

impl Queue {
    fn put(&mut self, due: Instant, item: Item) {
        self.sequence += 1;
        self.due.insert((due, self.sequence), item);
    }

    fn waiting(&self) -> usize {
        self.due.len() + self.blocked_count + self.sending
    }
}
