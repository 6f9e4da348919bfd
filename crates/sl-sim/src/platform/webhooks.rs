//! Signed events to the receiver (contract D): each until it is taken, some twice, some late, some again by hand, and
//! now and then one that can't be used or whose signature is wrong.
//!
//! * [`bodies`]: the events of contract D.3 · [`outbox`]: what waits, and in which order · this file: sending
//!
//! Order is not guaranteed, with one exception: the later status of a transaction follows the earlier one, because the
//! platform itself can't tell afterwards which of two statuses a receiver believes.

mod bodies;
mod outbox;

use std::{sync::Arc, time::Duration};

use http::header::{CONTENT_TYPE, USER_AGENT};
use rand::RngExt;
use sl_core::time::Timestamp;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Shared, config::AccountSetup, hooks::Login, world::Happened};
use crate::chance::dice;
pub(super) use outbox::Outbox;
use outbox::{Item, Next, Sort};

/// Requests at once.
const AT_ONCE: usize = 16;
/// Contract D.2: 5 s to connect, 10 s in all.
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(10);

/// Puts what happened into the queue, with the misbehaviour that the seed has in store for it.
pub(super) fn announce(shared: &Shared, creator: &AccountSetup, happened: Vec<Happened>, now: Timestamp) {
    for one in happened {
        let settles = settles(shared, creator, &one);
        for event in bodies::events(creator, &one, now) {
            enqueue(shared, event, Duration::ZERO);
        }
        if let Some(done) = settles {
            // The other notifications of a payment came with its first status.
            for event in bodies::events(creator, &done, now).into_iter().take(1) {
                enqueue(shared, event, shared.config.faults.settles_after);
            }
        }
    }
}

/// An account went in or out.
pub(super) fn announce_login(shared: &Shared, account: &str, login: Login, event: u64, now: Timestamp) {
    enqueue(shared, bodies::login(account, login, event, now), Duration::ZERO);
}

/// A payment that starts as `loading` may be told a second time as `done`.
fn settles(shared: &Shared, creator: &AccountSetup, happened: &Happened) -> Option<Happened> {
    let Happened::Paid { transaction, .. } = happened else { return None };
    let mut dice = dice(shared.config.seed, &["settles", &transaction.id]);
    if transaction.status != "loading" || !dice.random_bool(shared.config.faults.settled_later) {
        return None;
    }
    shared.world.lock().change(&creator.id, &transaction.id, "done").ok()
}

fn enqueue(shared: &Shared, event: bodies::Event, later: Duration) {
    let faults = &shared.config.faults;
    let mut dice = dice(shared.config.seed, &["webhook", &event.key]);
    let mut within = |share: f64| dice.random_bool(share);
    let (delayed, twice) = (within(faults.delayed), within(faults.duplicated));
    let (forged, broken) = (within(faults.forged), within(faults.malformed));
    let again = within(faults.redelivered);
    let longest = u64::try_from(faults.longest_delay.as_millis()).unwrap_or(u64::MAX);
    let mut delay = || Duration::from_millis(dice.random_range(0..=longest));
    let due = Instant::now() + later + if delayed { delay() } else { Duration::ZERO };
    let follows = event
        .money
        .as_ref()
        .and_then(|(transaction, is_reversal)| shared.outbox.follows(transaction, &event.key, *is_reversal));
    let item =
        |sort: Sort, body: bytes::Bytes, key: &str| Item { key: key.to_owned(), body, sort, attempts: 0 };
    let outbox = &shared.outbox;
    if twice {
        // The copy keeps to the order of statuses too: it may well be the first to arrive.
        outbox.push(item(Sort::Copy, event.body.clone(), &event.key), due + delay(), follows.clone());
    }
    if forged {
        outbox.push(item(Sort::Forged, event.body.clone(), &event.key), due, None);
    }
    if broken {
        let body = bodies::broken(&event, dice.random_range(0..3));
        outbox.push(item(Sort::Malformed, body, &format!("{}_broken", event.key)), due, None);
    }
    outbox.push(item(Sort::Event { again }, event.body, &event.key), due, follows);
}

/// Sends until told to stop.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut sending = JoinSet::new();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        while sending.try_join_next().is_some() {}
        let woken = shared.outbox.wake.notified();
        match shared.outbox.next(Instant::now()) {
            Next::Send(item) => {
                tokio::select! {
                    permit = Arc::clone(&permits).acquire_owned() => {
                        let shared = Arc::clone(&shared);
                        sending.spawn(async move {
                            let _permit = permit;
                            send(&shared, item).await;
                        });
                    }
                    () = stop.cancelled() => break,
                }
            }
            Next::Wait(until) => {
                let until = until.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
                tokio::select! {
                    () = woken => {}
                    () = tokio::time::sleep_until(until) => {}
                    () = stop.cancelled() => break,
                }
            }
        }
    }
    sending.shutdown().await;
}

async fn send(shared: &Shared, item: Item) {
    let Some(url) = shared.outbox.url() else { return shared.outbox.failed(item, Instant::now()) };
    let secret: &[u8] = match item.sort {
        Sort::Forged => b"somebody else's secret",
        _ => shared.config.webhook_secret.as_ref(),
    };
    let mut request = shared
        .outbox
        .client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "OnlyFansAPI.com/Webhook-Client")
        .header("Signature", sl_core::webhook::sign(secret, &item.body))
        .header("X-OFAPI-Idempotency-Key", &item.key)
        .body(item.body.clone());
    if item.sort == Sort::ByHand {
        request = request.header("X-OFAPI-Redelivery-Of", format!("dlv_{}", item.key));
    }
    let taken = match request.send().await {
        Ok(response) => response.status().is_success(),
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "a webhook found nobody");
            false
        }
    };
    if !taken {
        let wait = shared.config.faults.retry_after * 2u32.pow(item.attempts.min(6));
        return shared.outbox.failed(item, Instant::now() + wait);
    }
    let again = match item.sort {
        Sort::Event { again: true } => Some(Item { sort: Sort::ByHand, attempts: 0, ..item.clone() }),
        _ => None,
    };
    shared.outbox.taken(&item);
    if let Some(again) = again {
        // By the time somebody presses the button, nothing of it is under way any more.
        shared.outbox.push(again, Instant::now() + 2 * shared.config.faults.longest_delay, None);
    }
}
