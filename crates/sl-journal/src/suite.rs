//! What every pair of [`ClickLog`] and [`EventStream`] must do. A backend's test is one call of [`run`]; a broken
//! promise panics with its name.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sl_core::{
    event::{Event, EventBody, Position, Recorded, WebhookReceived},
    ids::TeamId,
    time::Timestamp,
};

use crate::{Batch, ClickLog, EventStream, Fate, StreamError, log::append_synced};

/// One fresh log with its stream, as a test sets it up.
#[async_trait]
pub trait Backend: Send {
    /// Where records go in.
    fn log(&self) -> Arc<dyn ClickLog>;

    /// Where the records of account `acct_suite` come out, for the consumer `name`.
    async fn stream(&self, name: &str) -> Box<dyn EventStream>;

    /// Stops in good order and starts again on the same data.
    async fn restart(&mut self);

    /// Removes the older half of [`GAP`] records, or about that, whoever still needs them.
    async fn lose_oldest(&mut self);
}

/// Records of which [`Backend::lose_oldest`] removes some.
pub const GAP: u64 = 1_000;

/// Longest a record may take from one end to the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs every promise, each on a backend of its own.
pub async fn run<B, F>(mut fresh: impl FnMut() -> F)
where
    B: Backend,
    F: Future<Output = B>,
{
    stored_records_come_out_in_order(&mut fresh().await).await;
    a_position_is_where_reading_goes_on(&mut fresh().await).await;
    consumers_do_not_disturb_each_other(&mut fresh().await).await;
    records_survive_a_restart(&mut fresh().await).await;
    an_empty_stream_answers_in_time(&mut fresh().await).await;
    a_dropped_read_loses_nothing(&mut fresh().await).await;
    records_that_went_unread_are_a_gap(&mut fresh().await).await;
}

/// The event that test `n` appends.
#[must_use]
pub fn event(n: u64) -> Event {
    let body = EventBody::Webhook(WebhookReceived {
        event: "suite".to_owned(),
        key: n.to_string(),
        received_at: Timestamp(0),
        body: vec![b'x'; usize::try_from(n % 97).unwrap_or(0)],
        retry_of: None,
    });
    Event {
        team: TeamId(1),
        account: "acct_suite".into(),
        at: Timestamp(i64::try_from(n).unwrap_or(0)),
        body,
    }
}

async fn append(log: &dyn ClickLog, numbers: std::ops::Range<u64>) {
    let tickets: Vec<_> = numbers.map(|n| log.append(event(n))).collect();
    for ticket in tickets {
        let fate = match ticket {
            Ok(ticket) => log.fate(ticket).await,
            Err(reason) => Fate::Lost(reason),
        };
        assert_eq!(fate, Fate::Stored, "a healthy log keeps what it is given");
    }
}

async fn read(stream: &mut dyn EventStream, count: usize) -> (Vec<Recorded>, Position) {
    let (mut records, mut next) = (Vec::new(), Position::default());
    while records.len() < count {
        let batch = stream.next(count - records.len(), PATIENCE).await;
        let Ok(Batch { records: more, next: behind }) = batch else {
            panic!("a healthy stream can be read: {batch:?}")
        };
        assert!(!more.is_empty(), "only {} of {count} records came within {PATIENCE:?}", records.len());
        records.extend(more);
        next = behind;
    }
    (records, next)
}

async fn seek(stream: &mut dyn EventStream, position: Position) -> Position {
    match stream.seek(position).await {
        Ok(position) => position,
        Err(error) => panic!("a healthy stream can be sought: {error}"),
    }
}

fn assert_are(records: &[Recorded], numbers: std::ops::Range<u64>) {
    let got: Vec<_> = records.iter().map(|record| record.event.clone()).collect();
    let want: Vec<_> = numbers.map(event).collect();
    assert_eq!(got, want, "records come out as they went in, once, in order");
    let rising = records.iter().zip(records.iter().skip(1)).all(|(one, next)| one.sequence < next.sequence);
    assert!(rising, "sequences rise");
}

async fn stored_records_come_out_in_order(backend: &mut impl Backend) {
    let mut stream = backend.stream("suite").await;
    append(&*backend.log(), 0..300).await;
    let (records, next) = read(&mut *stream, 300).await;
    assert_are(&records, 0..300);
    assert_eq!(next, stream.head(), "behind the last record is the head");
    assert!(append_synced(&*backend.log(), event(300)).await.is_ok(), "a healthy log stores");
    assert_are(&read(&mut *stream, 1).await.0, 300..301);
}

async fn a_position_is_where_reading_goes_on(backend: &mut impl Backend) {
    let mut stream = backend.stream("suite").await;
    append(&*backend.log(), 0..20).await;
    let (_, seven) = read(&mut *stream, 7).await;
    read(&mut *stream, 13).await;
    let back = seek(&mut *stream, seven).await;
    assert_eq!(back, seven, "a position that is understood stays as it is");
    assert_are(&read(&mut *stream, 13).await.0, 7..20);
}

async fn consumers_do_not_disturb_each_other(backend: &mut impl Backend) {
    let mut one = backend.stream("one").await;
    let mut other = backend.stream("other").await;
    append(&*backend.log(), 0..10).await;
    let (_, next) = read(&mut *one, 10).await;
    assert!(one.passed(next).await.is_ok(), "a healthy stream hears of positions");
    assert_are(&read(&mut *other, 10).await.0, 0..10);
}

async fn records_survive_a_restart(backend: &mut impl Backend) {
    let mut stream = backend.stream("suite").await;
    append(&*backend.log(), 0..10).await;
    let (_, four) = read(&mut *stream, 4).await;
    drop(stream);
    backend.restart().await;
    append(&*backend.log(), 10..20).await;
    let mut stream = backend.stream("suite").await;
    seek(&mut *stream, four).await;
    assert_are(&read(&mut *stream, 16).await.0, 4..20);
}

async fn an_empty_stream_answers_in_time(backend: &mut impl Backend) {
    let mut stream = backend.stream("suite").await;
    let batch = stream.next(10, Duration::from_millis(20)).await;
    let empty = batch.is_ok_and(|batch| batch.records.is_empty() && batch.next == stream.head());
    assert!(empty, "an empty batch means that nothing came, and moves nothing");
}

async fn a_dropped_read_loses_nothing(backend: &mut impl Backend) {
    let mut stream = backend.stream("suite").await;
    let start = seek(&mut *stream, Position::default()).await;
    append(&*backend.log(), 0..50).await;
    for _ in 0..20 {
        let read = stream.next(10, PATIENCE);
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            _ = read => {
                // It was quicker: what it delivered is asked for again.
                seek(&mut *stream, start).await;
            }
        }
    }
    assert_are(&read(&mut *stream, 50).await.0, 0..50);
}

async fn records_that_went_unread_are_a_gap(backend: &mut impl Backend) {
    let mut stream = backend.stream("suite").await;
    append(&*backend.log(), 0..GAP).await;
    let (_, seven) = read(&mut *stream, 7).await;
    read(&mut *stream, 13).await;
    drop(stream);
    backend.lose_oldest().await;
    let mut stream = backend.stream("suite").await;
    assert_eq!(seek(&mut *stream, seven).await, seven, "what was not read is not passed over in silence");
    let mut first = Position::default();
    for _ in 0..2 {
        let told = stream.next(10, PATIENCE).await;
        let Err(StreamError::Gap(left)) = told else { panic!("records are gone: {told:?}") };
        assert!(left.epoch == seven.epoch && left.offset > seven.offset, "{left:?} is left");
        first = left;
    }
    assert_eq!(seek(&mut *stream, first).await, first, "what is left can be read");
    let (oldest, _) = read(&mut *stream, 1).await;
    let number = (8..GAP).find(|n| oldest.iter().all(|record| record.event == event(*n)));
    let Some(number) = number else { panic!("the oldest record is one that was not read: {oldest:?}") };
    let rest = usize::try_from(GAP - number - 1).unwrap_or(0);
    assert_are(&read(&mut *stream, rest).await.0, number + 1..GAP);
    seek(&mut *stream, Position::default()).await;
    assert_are(&read(&mut *stream, 1).await.0, number..number + 1);
}
