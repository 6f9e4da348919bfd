//! Records on the topic that nobody can read.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::json;
use sl_core::{
    event::{Event, EventBody, JournalId, Recorded},
    ids::TeamId,
    time::Timestamp,
};
use sl_journal::codec;

use crate::{
    cluster::{Servers, dir, set_up, visit},
    process::Service,
    world::{Ads, Platform},
};

/// Partitions of the tests' topics.
const PARTITIONS: i32 = 4;

/// A topic's epoch and a way to put anything there.
struct Topic {
    name: String,
    producer: BaseProducer,
    epoch: u64,
}

impl Topic {
    fn of(servers: &Servers) -> Self {
        let [brokers, prefix] = ["KAFKA__BROKERS", "KAFKA__TOPIC_PREFIX"]
            .map(|name| servers.and(&[]).into_iter().find(|(key, _)| *key == name).unwrap().1.to_owned());
        let producer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
        let partitions = u32::try_from(PARTITIONS).unwrap();
        let config =
            sl_kafka::KafkaConfig { brokers, prefix, partitions, replication: 1, ..Default::default() };
        let name = config.events_topic();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let topic = runtime.block_on(async { sl_kafka::Cluster::new(config).unwrap().events().await });
        Self { name, producer, epoch: topic.unwrap().epoch }
    }

    /// Into every partition; there when this returns.
    fn put(&self, payload: &[u8]) {
        for partition in 0..PARTITIONS {
            let record = BaseRecord::<(), [u8]>::to(&self.name).partition(partition).payload(payload);
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(Duration::from_secs(60)).unwrap();
    }
}

/// A whole record of another journal.
fn sound(epoch: u64) -> Vec<u8> {
    let event = Event { team: TeamId(1), account: "acct_1".into(), at: Timestamp(0), body: EventBody::Tick };
    let mut bytes = Vec::new();
    codec::encode_sent(Recorded { journal: JournalId(7), sequence: 0, event }, epoch, &mut bytes);
    bytes
}

/// The same with a body that a newer version may have: field 99 of `Event`, a message.
fn of_a_newer_version(epoch: u64) -> Vec<u8> {
    // Field 15, an empty message, is the tick.
    let tick = [15 << 3 | 2, 0];
    let mut bytes = sound(epoch);
    let at = bytes.windows(2).position(|pair| pair == tick).unwrap();
    // 99 << 3 | 2 = 794 takes two bytes.
    bytes.splice(at..at + 2, [0x9a, 0x06, 0]);
    assert_eq!(codec::decode_sent(&bytes, None), Err(codec::DecodeError::UnknownBody));
    bytes
}

/// What attribution says that it left out.
fn left_out(service: &Service) -> f64 {
    let metrics = service.get("/metrics");
    let line = metrics.lines().find(|line| line.contains("oddities_total{kind=\"record_undecodable\"}"));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn records_that_nobody_can_read_are_counted_and_nothing_behind_them_is_lost() {
    let (servers, platform, ads, home) =
        (Servers::of("poison"), Platform::start("nova"), Ads::start(), dir());
    let url = platform.url();
    let settings = servers.and(&Platform::settings(&url));
    let mut service = Service::start_with(home.path(), &settings);
    platform.webhooks_to(service.admin);
    let key = service.owner_key.clone().unwrap();
    let link = set_up(&service, &key, &ads.url());
    let topic = Topic::of(&servers);
    let poisons: [&[u8]; 4] =
        [b"\xff\xfe no record of anybody", b"", &of_a_newer_version(topic.epoch), &sound(topic.epoch)[..9]];
    let mut places = Vec::new();
    for (visitor, poison) in (1..).zip(poisons) {
        places.push(visit(&service, &link, visitor));
        topic.put(poison);
        places.push(visit(&service, &link, 100 + visitor));
    }
    for (fan, place) in (501..).zip(&places) {
        platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
        let tip = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": 2000 });
        platform.act("spend", &tip);
        topic.put(poisons[fan % poisons.len()]);
    }
    let shown = format!("/api/smart-links/{link}");
    let credited = service.until(&key, &shown, |shown| shown["data"]["revenue"].as_str() == Some("240.00"));
    let counts = (&credited["data"]["clicks_count"], &credited["data"]["subscribers_count"]);
    assert_eq!(counts, (&json!(8), &json!(8)));
    service.settle(&key);
    assert_eq!(left_out(&service), 12.0 * f64::from(PARTITIONS));
    let told = ads.of("postback");
    assert_eq!((told.accepted, told.distinct, told.changed), (24, 24, 0), "{told:?}");
    assert_eq!(service.terminate().code(), Some(0));

    // They are behind the position that is kept: nobody meets them again.
    let service = Service::start_with(home.path(), &settings);
    topic.put(poisons[0]);
    let last = visit(&service, &link, 900);
    platform.act("subscribe", &json!({ "link": last, "fan": { "id": 900 } }));
    platform.webhooks_to(service.admin);
    service.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 9);
    assert_eq!(left_out(&service), f64::from(PARTITIONS));
}
