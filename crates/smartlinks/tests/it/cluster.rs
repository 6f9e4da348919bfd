//! The service over real servers: a Kafka broker and a CQL server that `deploy/dev-cluster/up` starts.

use std::{path::Path, thread, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    cluster_outage::patiently,
    fleet::WHOLE,
    history::{History, Outcome},
    process::{Reach, Service, command, named},
    world::{Ads, Platform},
};

/// What all processes of one test share: topics and a keyspace that no other test has.
pub(crate) struct Servers {
    settings: Vec<(&'static str, String)>,
    /// The keyspace goes with the test: fifty tables each would fill the memory of a server that all tests share.
    shared: Option<sl_scylla::ScyllaConfig>,
}

impl Servers {
    /// The servers that all tests share.
    pub(crate) fn of(test: &str) -> Self {
        let address = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set: eval \"$(deploy/dev-cluster/up)\""))
        };
        let cql = address("SMARTLINKS_TEST_CQL");
        let mut servers = Self::at(test, &address("SMARTLINKS_TEST_KAFKA"), &cql);
        let keyspace = servers.settings.iter().find(|(key, _)| *key == "SCYLLA__KEYSPACE").unwrap().1.clone();
        let nodes = cql.split(',').map(str::to_owned).collect();
        servers.shared = Some(sl_scylla::ScyllaConfig::new(nodes, keyspace));
        servers
    }

    pub(crate) fn at(test: &str, kafka: &str, cql: &str) -> Self {
        let name = format!("{test}_{:08x}", rand::random::<u32>());
        let settings = vec![
            ("STORAGE__BACKEND", "cluster".to_owned()),
            ("SECRETS__KEY", "5e".repeat(32)),
            ("KAFKA__BROKERS", kafka.to_owned()),
            ("KAFKA__TOPIC_PREFIX", name.clone()),
            ("KAFKA__PARTITIONS", "4".to_owned()),
            ("KAFKA__REPLICATION", "1".to_owned()),
            ("SCYLLA__NODES", cql.to_owned()),
            ("SCYLLA__KEYSPACE", name),
            ("SCYLLA__REPLICATION", "1".to_owned()),
        ];
        Self { settings, shared: None }
    }

    pub(crate) fn and<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let shared = self.settings.iter().map(|(key, value)| (*key, value.as_str()));
        shared.chain(more.iter().copied()).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let Some(config) = self.shared.take() else { return };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Err(error) = runtime.block_on(sl_scylla::schema::drop_keyspace(&config)) {
            eprintln!("keyspace {} stays: {error}", config.keyspace);
        }
    }
}

pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A link with its stock, a postback for everything.
pub(crate) fn set_up(api: &Service, key: &str, tracker: &str) -> String {
    patiently(api, key, "/api/accounts", |shown| shown[0]["onlyfans_username"] == "nova");
    let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    let link = api.post(key, "/api/smart-links", &link)["data"]["id"].as_str().unwrap().to_owned();
    let postback = json!({
        "url": format!("{tracker}/pb?c={{click_id}}&t={{conversion_type}}&n={{amount_net}}&event_id={{event_id}}"),
        "smart_link_scope": "global",
        "conversion_types": ["new_subscriber", "new_transaction"],
    });
    api.post(key, "/api/smart-link-postbacks", &postback);
    patiently(api, key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() > Some(0));
    link
}

pub(crate) fn visit(edge: &Reach, link: &str, visitor: u32) -> String {
    let answer = edge.visit(link, visitor).unwrap();
    assert_eq!(answer.status, 302);
    answer.location.unwrap()
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn one_process_with_all_roles_does_the_whole_job_on_the_cluster() {
    let (servers, platform, ads, home) = (Servers::of("whole"), Platform::start("nova"), Ads::start(), dir());
    let url = platform.url();
    let settings = servers.and(&Platform::settings(&url));
    let mut service = Service::start_with(home.path(), &settings);
    platform.webhooks_to(service.admin);
    let key = service.owner_key.clone().unwrap();
    let link = set_up(&service, &key, &ads.url());
    let place = visit(&service, &link, 1);
    assert!(place.starts_with("https://onlyfans.com/nova/c"), "{place}");
    platform.act("subscribe", &json!({ "link": place, "fan": { "id": 501 } }));
    platform.act("spend", &json!({ "account": "acct_1", "fan": 501, "type": "tip", "amount_cents": 2000 }));
    let shown = format!("/api/smart-links/{link}");
    let shown = service.until(&key, &shown, |shown| shown["data"]["revenue"].as_str() == Some("30.00"));
    assert_eq!((&shown["data"]["clicks_count"], &shown["data"]["subscribers_count"]), (&json!(1), &json!(1)));
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));

    // A key that was made without any process is everybody's.
    let mut keys = command();
    keys.args(["--json", "keys", "create", "--name", "shell"]).envs(named(&settings));
    let made = keys.env("SMARTLINKS_DATA_DIR", dir().path()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let shell = made[0]["secret"].as_str().unwrap();

    // After a restart it goes on from what is in the cluster, and knows its visitors.
    let mut service = Service::start_with(home.path(), &settings);
    assert_eq!(service.owner_key, None);
    assert_eq!(visit(&service, &link, 1), place);
    assert_eq!(service.api(shell, "/api/smart-links")["data"].as_array().map(Vec::len), Some(1));
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}

/// All of it, without any trouble.
fn history(settings: &[(&str, &str)]) -> Outcome {
    let mut history = History::start(WHOLE, settings);
    history.people(History::FANS);
    history.outcome(0)
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn the_same_history_gives_the_same_conversions_bindings_and_cents_on_both() {
    let servers = Servers::of("equal");
    let (embedded, cluster) = thread::scope(|scope| {
        let embedded = scope.spawn(|| history(&[]));
        let cluster = history(&servers.and(&[]));
        (embedded.join().unwrap(), cluster)
    });
    assert!(
        embedded.rows.len() > 60 && embedded.rows.iter().all(|row| row.visitor.starts_with("23.")),
        "{embedded:#?}"
    );
    assert_eq!(embedded, cluster);
}

/// One process of a test with roles of its own.
pub(crate) struct Machine {
    dir: TempDir,
    roles: &'static str,
}

impl Machine {
    pub(crate) fn of(roles: &'static str) -> Self {
        Self { dir: dir(), roles }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn start(&self, settings: &[(&str, &str)]) -> Service {
        let dir: &Path = self.dir.path();
        Service::start_roles(self.roles, dir, settings)
    }

    /// While the store is away.
    pub(crate) fn start_alone(&self, settings: &[(&str, &str)]) -> Service {
        Service::start_alone(self.roles, self.dir.path(), settings)
    }
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn roles_on_many_machines_are_one_service_and_any_of_them_may_die() {
    let (servers, platform, ads) = (Servers::of("many"), Platform::start("nova"), Ads::start());
    let url = platform.url();
    // Enough for both edges, and quickly.
    let more = [("POOL__MIN", "300"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let desk = Machine::of("api,intake,dashboard");
    let api = desk.start(&settings);
    let key = api.owner_key.clone().unwrap();
    platform.webhooks_to(api.admin);
    let creators = [Machine::of("pool,matcher"), Machine::of("pool,matcher")];
    let deciders = [Machine::of("attribution"), Machine::of("attribution")];
    let workers = [Machine::of("postback"), Machine::of("postback")];
    let edges = [Machine::of("edge"), Machine::of("edge")];
    let mut creating: Vec<_> = creators.iter().map(|machine| machine.start(&settings)).collect();
    let mut deciding: Vec<_> = deciders.iter().map(|machine| machine.start(&settings)).collect();
    let mut telling: Vec<_> = workers.iter().map(|machine| machine.start(&settings)).collect();
    let mut serving: Vec<_> = edges.iter().map(|machine| machine.start(&settings)).collect();
    let link = set_up(&api, &key, &ads.url());
    // Half of what there is at first for each edge.
    api.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() > Some(256));

    // Both edges hand out links, and none of them twice.
    let mut places: Vec<String> = Vec::new();
    for visitor in 1..=40 {
        let edge = &serving[usize::from(visitor % 2 == 0)];
        let place = visit(edge, &link, visitor);
        assert!(!places.contains(&place), "{place} twice");
        places.push(place);
    }
    // A visitor that lands on the other edge a moment later is the same click with the same link.
    learned(&serving[1], &link, 1, &places[0]);
    let fan = |number: u32, place: &str| {
        platform.act("subscribe", &json!({ "link": place, "fan": { "id": 500 + number } }));
        let spent = json!({ "account": "acct_1", "fan": 500 + number, "type": "tip", "amount_cents": 2000 });
        platform.act("spend", &spent);
    };
    let shown = format!("/api/smart-links/{link}");
    let revenue = |fans: u32| {
        let cents = format!("{}.00", 30 * fans);
        let credited = api.until(&key, &shown, |shown| shown["data"]["revenue"].as_str() == Some(&cents));
        assert_eq!(credited["data"]["subscribers_count"], fans, "{credited}");
        credited
    };
    fan(1, &places[0]);
    assert_eq!(revenue(1)["data"]["clicks_count"], 40);

    // One of each dies; the other takes over.
    for (number, machines) in
        [&mut creating, &mut deciding, &mut telling, &mut serving].into_iter().enumerate()
    {
        machines.remove(number % 2).kill();
    }
    fan(2, &places[1]);
    revenue(2);
    let edge = &serving[0];
    let last = visit(edge, &link, 99);
    assert!(!places.contains(&last));
    fan(3, &last);
    revenue(3);
    // Who was killed may have had something that Kafka has not, for all that anybody knows: so it is not settled, but all is told.
    patiently(&api, &key, "/api/x/progress", |shown| shown["data"]["outbox"]["waiting"] == 0);
    // Subscription, its price and a tip of three fans. What a worker had sent when it was killed may come again, never as
    // another event.
    let told = ads.of("postback");
    assert_eq!((told.distinct, told.changed), (9, 0), "{told:?}");
}

/// Waits until an edge has heard of a visitor of another one.
fn learned(edge: &Service, link: &str, visitor: u32, place: &str) {
    for _ in 0..200 {
        let metrics = edge.get("/metrics");
        let learned = metrics.lines().find(|line| line.starts_with("smartlinks_visitors_learned_total "));
        if learned
            .and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok())
            .is_some_and(|count| count >= 20.0)
        {
            assert_eq!(visit(edge, link, visitor), place);
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the edge hears nothing of the other one");
}
