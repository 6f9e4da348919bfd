//! A stream in memory whose records tests choose, and a short history.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use sl_attribution::{Attribution, AttributionError, AttributionSettings};
use sl_core::{
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    conversion::FanProfile,
    event::{Event, EventBody, JournalId, Position, Recorded, SubscriberSeen, WebhookReceived},
    ids::{AccountId, ClickId, FanId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    money::Cents,
    time::{ManualClock, Timestamp},
};
use sl_journal::{Batch, ClickLog, EventStream, Fate, LostReason, StreamError, Ticket};
use sl_store::{Ledger, Store};
use tokio_util::sync::CancellationToken;

pub(crate) const LINK: SmartLinkId = SmartLinkId(ulid::Ulid(0xA));
pub(crate) const START: Timestamp = Timestamp(1_772_625_600_000);

/// Records in order; appending is what the loop does with its ticks.
#[derive(Clone, Default)]
pub(crate) struct Tape {
    pub(crate) records: Arc<Mutex<Vec<Recorded>>>,
    /// A record that can't be decoded.
    pub(crate) broken: Option<u64>,
    /// Told once instead of this record: the stream lost its end.
    pub(crate) cut: Option<u64>,
    /// The partition is somebody else's meanwhile.
    pub(crate) fenced: bool,
    /// So many times a place can't be sought, because the stream can't be read.
    pub(crate) away: Arc<AtomicU32>,
    /// Nothing can be read for now.
    pub(crate) unreadable: Arc<AtomicBool>,
    /// Asked what is stored when a place is sought.
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    /// What was sought, and what was stored then.
    pub(crate) sought: Arc<Mutex<Vec<(Position, Position)>>>,
}

impl Tape {
    pub(crate) fn push(&self, at: Timestamp, body: EventBody) {
        let event = Event { team: TeamId(1), account: AccountId::from("acct_1"), at, body };
        let _ticket = self.append(event).unwrap();
    }

    pub(crate) fn len(&self) -> u64 {
        self.records.lock().unwrap().len() as u64
    }

    pub(crate) fn ticks(&self) -> usize {
        self.records.lock().unwrap().iter().filter(|record| record.event.body == EventBody::Tick).count()
    }

    pub(crate) fn stream(&self) -> Box<dyn EventStream> {
        Box::new(TapeStream { tape: self.clone(), epoch: 0, offset: 0 })
    }
}

impl ClickLog for Tape {
    fn append(&self, event: Event) -> Result<Ticket, LostReason> {
        let mut records = self.records.lock().unwrap();
        let sequence = records.len() as u64;
        records.push(Recorded { journal: JournalId(1), sequence, event });
        Ok(Ticket(sequence))
    }

    fn fate(&self, _: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(std::future::ready(Fate::Stored))
    }
}

struct TapeStream {
    tape: Tape,
    epoch: u64,
    offset: u64,
}

#[async_trait]
impl EventStream for TapeStream {
    fn partition(&self) -> u32 {
        0
    }

    fn is_fenced(&self) -> bool {
        self.tape.fenced
    }

    async fn seek(&mut self, position: Position) -> Result<Position, StreamError> {
        let less = |away: u32| away.checked_sub(1);
        if self.tape.away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Err(StreamError::Io("away".into()));
        }
        if let Some(ledger) = &self.tape.ledger {
            let stored = ledger.sync(0).await.unwrap();
            self.tape.sought.lock().unwrap().push((position, stored));
        }
        let at = if position.is_lost() { Position { epoch: 1, offset: 0 } } else { position };
        self.offset = at.offset;
        (self.epoch, self.tape.cut) = (at.epoch, self.tape.cut.filter(|_| at.epoch == 0));
        Ok(at)
    }

    async fn next(&mut self, max: usize, wait: Duration) -> Result<Batch, StreamError> {
        if self.tape.unreadable.load(Ordering::Relaxed) {
            return Err(StreamError::Io("a bad disk".into()));
        }
        if self.tape.cut == Some(self.offset) {
            return Err(StreamError::Gap(Position { epoch: self.epoch, offset: self.offset }.lost()));
        }
        if self.tape.broken == Some(self.offset) {
            let record = Some((JournalId(1), self.offset));
            return Err(StreamError::Undecodable { offset: self.offset, record, reason: "test".into() });
        }
        let stops = [self.tape.broken, self.tape.cut].into_iter().flatten();
        let behind = stops.filter(|stop| *stop > self.offset).min().unwrap_or(u64::MAX);
        let records: Vec<_> = {
            let all = self.tape.records.lock().unwrap();
            let rest = all.iter().skip(self.offset as usize).take_while(|record| record.sequence < behind);
            rest.take(max).cloned().collect()
        };
        if records.is_empty() {
            tokio::time::sleep(wait).await;
        }
        self.offset += records.len() as u64;
        Ok(Batch { records, next: Position { epoch: self.epoch, offset: self.offset } })
    }

    async fn passed(&mut self, _: Position) -> Result<(), StreamError> {
        Ok(())
    }

    fn head(&self) -> Position {
        Position { epoch: self.epoch, offset: self.tape.len() }
    }
}

/// Runs the loop until nothing is left to read.
pub(crate) async fn run(
    tape: &Tape,
    store: Store,
    batch: usize,
    clock: Arc<ManualClock>,
) -> Result<u64, AttributionError> {
    run_with(tape, store, AttributionSettings { batch, ..AttributionSettings::default() }, clock).await
}

/// The same with other settings.
pub(crate) async fn run_with(
    tape: &Tape,
    store: Store,
    settings: AttributionSettings,
    clock: Arc<ManualClock>,
) -> Result<u64, AttributionError> {
    let role = Attribution::new(tape.stream(), store, Arc::new(tape.clone()), settings, clock);
    let mut progress = role.progress();
    let token = CancellationToken::new();
    let ending = token.clone();
    let watch = tokio::spawn(async move {
        let done = progress.wait_for(|progress| progress.caught_up).await.map(|progress| progress.poisoned);
        ending.cancel();
        done.unwrap_or_default()
    });
    let ended = role.run(token).await;
    let poisoned = watch.await.unwrap();
    ended.map(|()| poisoned)
}

pub(crate) fn click(number: u64, at: Timestamp) -> Click {
    let cookie = VisitorId(u128::from(number % 40) + 1);
    Click {
        id: ClickId(ulid::Ulid(0xC000 + u128::from(number))),
        team: TeamId(1),
        account: AccountId::from("acct_1"),
        link: LINK,
        at,
        window: Duration::from_secs(6 * 3600),
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: Some(pool_link(number)),
        sent_to: None,
        visitor: VisitorKeys {
            came_with: Some(cookie),
            given: Some(cookie),
            daily: cookie,
            lasting: Some(cookie),
        },
        request: RequestFacts::default(),
        device: Device::default(),
        place: Place { country: Some("DE".into()), ..Place::default() },
        params: Params { ecid: Some(format!("ad-{number}")), ..Params::default() },
        cookies: AdCookies::default(),
    }
}

pub(crate) fn pool_link(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

pub(crate) fn seen(number: u64, subscribed_at: Option<Timestamp>, seen_at: Timestamp) -> SubscriberSeen {
    SubscriberSeen {
        pool_link: pool_link(number),
        overflow_of: None,
        fan: FanId::from(format!("fan{number}")),
        profile: FanProfile::default(),
        subscribed_at,
        price: Some(Cents(999)),
        seen_at,
        absent_at: None,
    }
}

pub(crate) fn tip(number: u64, cents: i64, at: Timestamp) -> WebhookReceived {
    let body = json!({"event": "transactions.new", "account_id": "acct_1", "payload": {
        "id": format!("t{number}"), "type": "tip", "amount": Cents(cents).to_json(),
        "net_amount": Cents(cents).net_of_platform_fee().to_json(), "status": "done", "created_at": at.iso(),
        "fan": {"id": format!("fan{number}")}}});
    WebhookReceived {
        event: "transactions.new".into(),
        key: format!("evt_{number}"),
        received_at: at,
        body: body.to_string().into_bytes(),
        retry_of: None,
    }
}

/// 200 clicks, every fourth subscribes, each of those tips before and after; something malformed in between.
pub(crate) fn history() -> Tape {
    let tape = Tape::default();
    let mut at = START;
    for number in 0..200 {
        at = at.plus(Duration::from_secs(20));
        tape.push(at, EventBody::click(click(number, at)));
        if number % 4 == 0 {
            let later = at.plus(Duration::from_secs(5));
            tape.push(later, EventBody::Webhook(tip(number, 1250, later)));
            tape.push(later, EventBody::SubscriberSeen(seen(number, Some(later), later)));
            tape.push(later, EventBody::Webhook(tip(number + 1000, 333, later)));
        }
        if number % 50 == 7 {
            let mut bad = tip(number, 1, at);
            (bad.key, bad.body) = (format!("bad{number}"), b"{".to_vec());
            tape.push(at, EventBody::Webhook(bad));
        }
    }
    tape
}
