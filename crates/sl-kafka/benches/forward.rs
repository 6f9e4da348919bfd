//! How fast a journal goes to Kafka and comes out again, and what a click costs there.
//!
//! `eval "$(deploy/dev-cluster/up kafka)" && SMARTLINKS_TEST_CLICKS=500000 cargo bench -p sl-kafka --bench forward`. Client and
//! broker share the machine.
#![expect(clippy::unwrap_used, reason = "a bench that can't set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "its result")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use sl_core::{
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    event::{Event, EventBody},
    ids::{AccountId, ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::{Clock, Timestamp},
};
use sl_journal::{ClickLog, Durability, EventStream, Fate, Journal, JournalConfig};
use sl_kafka::{Cluster, Forwarder, Forwarding, KafkaConfig, KafkaStream};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const PARTITIONS: u32 = 12;

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let now = clock_gettime(ClockId::Realtime);
        Timestamp(now.tv_sec * 1000 + now.tv_nsec / 1_000_000)
    }
}

/// Bits without any order, as ids and click ids of ad platforms have them.
fn noise(number: u64, salt: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn wide(number: u64, salt: u64) -> u128 {
    u128::from(noise(number, salt)) << 64 | u128::from(noise(number, !salt))
}

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 390.0.0.28.85",
    "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
];

/// A click from an advertisement, of one of 50 accounts.
fn click(number: u64, now: Timestamp) -> Event {
    let account = AccountId::from(format!("acct_{:032x}", wide(number % 50, 1)));
    let fbclid = format!("IwZXh0bgNhZW0BMABhZGlk{:032x}{:016x}", wide(number, 2), noise(number, 3));
    let visitor = VisitorKeys {
        came_with: None,
        given: Some(VisitorId(wide(number, 4))),
        daily: VisitorId(wide(number, 5)),
        lasting: Some(VisitorId(wide(number, 6))),
    };
    let click = Click {
        id: ClickId(ulid(now, wide(number, 7))),
        team: TeamId(1),
        account: account.clone(),
        link: SmartLinkId::from_bytes(wide(number % 500, 8).to_be_bytes()),
        at: now,
        window: Duration::from_secs(6 * 3600),
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: Some(PoolLinkId { kind: LinkKind::TrackingLink, number: 10_000_000 + number }),
        sent_to: Some(format!("https://onlyfans.com/somebody/c{}", 10_000_000 + number).into()),
        visitor,
        request: RequestFacts {
            target: format!("/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF?utm_source=meta&fbclid={fbclid}"),
            ip: Some(std::net::Ipv4Addr::from_bits((noise(number, 9) >> 32) as u32).into()),
            user_agent: AGENTS.iter().cycle().nth((noise(number, 10) % 4) as usize).unwrap().to_string(),
            referrer: Some("l.instagram.com".to_owned()),
            accept_language: Some("en-GB,en;q=0.9".to_owned()),
        },
        device: Device {
            kind: "Mobile".to_owned(),
            browser: "Instagram".to_owned(),
            family: "Safari".to_owned(),
            platform: "iOS".to_owned(),
        },
        place: Place { country: Some("DE".to_owned()), ..Place::default() },
        params: Params { fbclid: Some(fbclid), utm_source: Some("meta".to_owned()), ..Params::default() },
        cookies: AdCookies::default(),
    };
    Event { team: TeamId(1), account, at: now, body: EventBody::click(click) }
}

fn ulid(now: Timestamp, random: u128) -> ulid::Ulid {
    ulid::Ulid::from_parts(u64::try_from(now.0).unwrap(), random)
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn tell(what: &str, count: u64, began: Instant, busy: Duration) {
    let (wall, busy) = (began.elapsed().as_secs_f64(), (cpu() - busy).as_secs_f64());
    let rate = count as f64 / wall;
    println!("  {what:<24} {rate:>9.0} clicks/s   {:>5.1} us of CPU a click", busy * 1e6 / count as f64);
}

/// Bytes of a topic's segments on the broker's disk; Kafka prepares indexes ahead, which don't count.
fn on_disk(data: &Path, topic: &str) -> u64 {
    let partitions = fs::read_dir(data).unwrap().map(Result::unwrap);
    let of_topic =
        partitions.filter(|dir| dir.file_name().to_string_lossy().starts_with(&format!("{topic}-")));
    let files = of_topic.flat_map(|dir| fs::read_dir(dir.path()).unwrap()).map(Result::unwrap);
    let segments = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "log"));
    segments.map(|file| file.metadata().unwrap().len()).sum()
}

async fn append_all(journal: &Arc<Journal>, count: u64) {
    let mut last = None;
    for number in 0..count {
        let event = click(number, Now.now());
        let ticket = loop {
            match journal.append(event.clone()) {
                Ok(ticket) => break ticket,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        last = Some(ticket);
    }
    assert_eq!(journal.fate(last.unwrap()).await, Fate::Stored);
}

async fn measure(brokers: String, count: u64) {
    let prefix = format!("bench-{}", Now.now().0);
    let config =
        KafkaConfig { brokers, prefix, partitions: PARTITIONS, replication: 1, ..KafkaConfig::default() };
    let cluster = Cluster::new(config).unwrap();
    cluster.make_topics(Now.now()).await.unwrap();
    while cluster.events().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let dir = TempDir::new().unwrap();
    let config = JournalConfig {
        dir: dir.path().join("journal"),
        durability: Durability::Buffered,
        ..JournalConfig::default()
    };
    let journal = Journal::open(config, Arc::new(Now)).unwrap();
    append_all(&journal, count).await;
    println!("{count} clicks, {} bytes each in the journal", journal.status().bytes / count);

    let (began, busy) = (Instant::now(), cpu());
    let token = CancellationToken::new();
    token.cancel();
    // Told to stop at once, it sends what the journal has.
    let mut settings = Forwarding::new(dir.path().join("forwarder"));
    settings.last_wait = Duration::from_secs(600);
    let stream = journal.stream("kafka");
    Forwarder::new(Box::new(stream), journal.id(), cluster.clone(), settings).run(token).await;
    tell("journal to Kafka", count, began, busy);

    let (began, busy) = (Instant::now(), cpu());
    let mut tasks = Vec::new();
    for partition in 0..PARTITIONS {
        let mut stream = KafkaStream::open(&cluster, partition, Arc::new(Now)).await.unwrap();
        tasks.push(tokio::spawn(async move {
            let mut read = 0;
            loop {
                let batch = stream.next(4096, Duration::from_millis(500)).await.unwrap();
                if batch.records.is_empty() && batch.next == stream.head() {
                    return read;
                }
                read += batch.records.len() as u64;
            }
        }));
    }
    let mut read = 0;
    for task in tasks {
        read += task.await.unwrap();
    }
    assert_eq!(read, count);
    tell("Kafka to events", count, began, busy);
    if let Ok(servers) = std::env::var("SMARTLINKS_TEST_CLUSTER") {
        let data = Path::new(&servers).join("kafka-1/data");
        let (events, visitors) = (cluster.config().events_topic(), cluster.config().visitors_topic());
        println!(
            "  bytes a click on the broker: {} in events, {} in visitors",
            on_disk(&data, &events) / count,
            on_disk(&data, &visitors) / count
        );
    }
}

fn main() {
    let Ok(brokers) = std::env::var("SMARTLINKS_TEST_KAFKA") else {
        println!("skipped: needs the dev cluster, eval \"$(deploy/dev-cluster/up)\"");
        return;
    };
    let count =
        std::env::var("SMARTLINKS_TEST_CLICKS").ok().and_then(|count| count.parse().ok()).unwrap_or(200_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(brokers, count));
}
