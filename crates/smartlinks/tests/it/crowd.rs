//! The demo's traffic with a fixed seed, and what it comes to: on embedded storage, and in processes for each role on a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use sl_core::{ids::AccountId, money::Cents};
use sl_sim::{
    platform::{AccountSetup, Faults},
    traffic::{
        Figures, Target, Traffic, TrafficConfig,
        book::{Clicks, ConversionKind, Destination, Events, LinkFigures},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Servers,
    cluster_outage::patiently,
    fleet::{APART, Fleet, WHOLE},
    world::{Ads, Platform, WallClock},
};

/// Who come, programs included: the same each time, whenever they come.
const VISITORS: u64 = 160;
/// How long a person may take to subscribe: longer than anybody does who hurries, and so short that others come later.
const WINDOW: Duration = Duration::from_secs(35);
/// Creators, whose clicks lie in different partitions of four, with the Smart Links of each: name and free trial.
const CREATORS: [(&str, &str); 3] = [("acct_1", "nova"), ("acct_2", "iris"), ("acct_4", "vega")];
const LINKS: [(&str, Option<u32>); 3] = [("with pixels", None), ("without", None), ("trial", Some(7))];
/// What each ad platform calls the pixel.
const PIXELS: [(&str, &str); 4] = [
    ("meta", "1234567890123456"),
    ("tiktok", "CABC1DEF2GHI3JKL4MNO"),
    ("snapchat", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
    ("creatortraffic", ""),
];
const KINDS: [ConversionKind; 5] = [
    ConversionKind::NewSubscriber,
    ConversionKind::NewTransaction,
    ConversionKind::MessageReceived,
    ConversionKind::FanSent1Message,
    ConversionKind::FanSent3Messages,
];

/// What it comes to, link by link in the order in which they were made.
#[derive(Debug, PartialEq)]
struct Outcome {
    links: Vec<Link>,
    /// By receiver.
    told: BTreeMap<String, Told>,
}

/// What a receiver has got, each event once.
#[derive(Debug, PartialEq)]
struct Told {
    distinct: u64,
    /// By the platform's name of the event.
    names: BTreeMap<String, u64>,
    /// Events that came in two versions.
    changed: u64,
}

#[derive(Debug, PartialEq)]
struct Link {
    /// As the simulated people's book has them; the service agrees.
    book: LinkFigures,
    conversions: Vec<Row>,
}

/// What buyers see of a conversion, and to which click it is bound.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    fan: String,
    kind: String,
    gross: String,
    net: String,
    status: String,
    /// Address and ad of the visitor whose click is credited; nothing for whom there is none.
    visitor: String,
    ad: String,
}

/// The service between the simulators.
struct Stage {
    platform: Platform,
    ads: Ads,
    fleet: Fleet,
    key: String,
    /// Account, handle, id.
    links: Vec<(&'static str, &'static str, String)>,
}

impl Stage {
    fn start(roles: &[&'static str], settings: &[(&str, &str)]) -> Self {
        let accounts = (1..).zip(CREATORS).map(|(number, (id, name))| AccountSetup::new(id, name, number));
        let (platform, ads) =
            (Platform::of(accounts.collect(), Faults::usual(), Arc::new(WallClock)), Ads::start());
        let (url, ads_url) = (platform.url(), ads.url());
        let (window, creatortraffic) =
            (format!("{}s", WINDOW.as_secs()), format!("{ads_url}/creatortraffic/conversion"));
        let more = [
            ("POOL__MIN", "300"),
            ("PLATFORM__REQUESTS_PER_MINUTE", "60000"),
            ("ATTRIBUTION__WINDOW", window.as_str()),
            ("AD_PLATFORMS__META__BASE_URL", &ads_url),
            ("AD_PLATFORMS__TIKTOK__BASE_URL", &ads_url),
            ("AD_PLATFORMS__SNAPCHAT__BASE_URL", &ads_url),
            ("AD_PLATFORMS__CREATORTRAFFIC__BASE_URL", &creatortraffic),
        ];
        let settings = [settings, &Platform::settings(&url), &more].concat();
        let fleet = Fleet::start(roles, &settings);
        let key = fleet.api().owner_key.clone().unwrap();
        platform.webhooks_to(fleet.api().admin);
        let mut stage = Self { platform, ads, fleet, key, links: Vec::new() };
        stage.advertise();
        stage
    }

    fn until(&self, path: &str, ready: impl FnMut(&Value) -> bool) -> Value {
        patiently(self.fleet.api(), &self.key, path, ready)
    }

    /// Links, pixels of all platforms on the first of each creator, a postback for everything.
    fn advertise(&mut self) {
        self.until("/api/accounts", |shown| {
            shown.as_array().is_some_and(|rows| rows.len() == CREATORS.len())
        });
        for (account, username) in CREATORS {
            for (name, trial) in LINKS {
                let sort = if trial.is_some() { "free_trial" } else { "tracking_link" };
                let link = json!({ "account_id": account, "name": name, "link_type": sort, "free_trial_days": trial });
                let made = self.fleet.api().post(&self.key, "/api/smart-links", &link);
                self.links.push((account, username, made["data"]["id"].as_str().unwrap().to_owned()));
            }
            let first = &self.links[self.links.len() - LINKS.len()].2;
            for (platform, id) in PIXELS {
                let pixel =
                    json!({ "platform": platform, "pixel_id": id, "pixel_access_token": "T", "label": "L" });
                self.fleet.api().post(&self.key, &format!("/api/smart-links/{first}/pixels"), &pixel);
            }
        }
        let postback = json!({
            "url": format!("{}/pb?event={{event_id}}&click={{click_id}}&type={{conversion_type}}&n={{amount_net}}", self.ads.url()),
            "smart_link_scope": "global",
            "conversion_types":
                ["new_subscriber", "new_transaction", "message_received", "fan_sent_1_message", "fan_sent_3_messages"],
        });
        self.fleet.api().post(&self.key, "/api/smart-link-postbacks", &postback);
        // Everybody gets a link of their own: who gets none is another story.
        self.until("/api/x/pool", |shown| {
            let rows = shown["data"].as_array().unwrap();
            rows.iter().filter(|row| row["leased"].as_u64() >= Some(100)).count() == 2 * CREATORS.len()
        });
    }

    /// All of them come and go; their book.
    fn people(&self) -> Figures {
        let targets = self.links.iter().map(|(account, username, id)| Target {
            id: id.parse().unwrap(),
            account: (*account).to_owned(),
            username: (*username).to_owned(),
            window: WINDOW,
        });
        let edge = format!("http://{}", self.fleet.edge().edge);
        let (edge, platform) = (edge.parse().unwrap(), self.platform.url().parse().unwrap());
        let mut config = TrafficConfig::new(Arc::new(WallClock), edge, platform, targets.collect());
        (config.seed, config.visitors) = (7, Some(VISITORS));
        // On a busy machine a moment may be late by seconds.
        config.pace.margin = Duration::from_secs(5);
        let traffic = Traffic::new(config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(traffic.run(CancellationToken::new()));
        traffic.book().figures()
    }

    /// Who is to be told of what.
    fn destinations(&self) -> Vec<Destination> {
        let firsts = self.links.iter().step_by(LINKS.len()).map(|(.., id)| vec![id.clone()]);
        let mut all: Vec<_> = firsts
            .flat_map(|first| {
                // Meta, TikTok, which has no third message, and Snapchat (contract G.2).
                let usual = [true, false, true].map(|third| Destination::usual_pixel(first.clone(), third));
                usual.into_iter().chain([Destination::CreatorTraffic { links: first }])
            })
            .collect();
        all.push(Destination::Postback { links: None, kinds: KINDS.to_vec() });
        all
    }

    /// Waits until the service says of a link what the book says.
    fn link(&self, id: &str, book: LinkFigures) -> Link {
        let cents = |shown: &Value| shown.as_str().and_then(|text| Cents::parse(text).ok());
        self.until(&format!("/api/smart-links/{id}"), |shown| {
            let shown = &shown["data"];
            shown["clicks_count"] == book.clicks.person
                && shown["subscribers_count"] == book.subscribers
                && cents(&shown["revenue"]) == Some(Cents(book.revenue_cents))
        });
        let path = format!("/api/smart-links/{id}/conversions?limit=1000");
        let events = &book.events;
        let due = events.new_subscriber
            + events.new_transaction
            + events.message_received
            + events.fan_sent_1_message
            + events.fan_sent_3_messages;
        let shown = self.until(&path, |shown| {
            shown["data"]["rows"].as_array().is_some_and(|rows| rows.len() as u64 == due)
        });
        let mut conversions: Vec<_> = shown["data"]["rows"].as_array().unwrap().iter().map(Row::of).collect();
        conversions.sort();
        Link { book, conversions }
    }

    fn outcome(mut self, book: &Figures) -> Outcome {
        assert_eq!((book.close_calls, &book.broken[..]), (0, &[][..]), "{book:#?}");
        assert_eq!(book.troubles, sl_sim::traffic::book::Troubles::default());
        self.platform.until_webhooks_are_taken();
        let due = book.deliveries(&self.destinations());
        let links = self.links.iter().map(|(.., id)| self.link(id, book.links[id])).collect();
        let told = |ads: &Ads| ads.all().values().map(|state| state.distinct).sum::<u64>();
        for _ in 0..900 {
            if told(&self.ads) >= due.pixel + due.postback {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        let state = self.ads.all();
        assert_eq!(told(&self.ads), due.pixel + due.postback, "{state:#?}");
        assert!(state.values().all(|state| state.refused.is_empty()), "{state:#?}");
        self.fleet.terminate();
        let told = state.into_iter().map(|(receiver, state)| {
            // Ids of postbacks are this run's own.
            let names = if receiver == "postback" { BTreeMap::new() } else { state.distinct_by_name };
            (receiver, Told { distinct: state.distinct, names, changed: state.changed })
        });
        Outcome { links, told: told.collect() }
    }
}

impl Row {
    fn of(row: &Value) -> Self {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self {
            fan: text(&row["fan_onlyfans_id"]),
            kind: text(&row["conversion_type"]),
            gross: text(&row["amount_gross"]),
            net: text(&row["amount_net"]),
            // Which payments settle early is drawn in the order in which they come to the platform: no two runs' is the same.
            status: text(&row["status"]).replace("loading", "done"),
            visitor: text(&row["click"]["ip_address"]),
            ad: text(&row["click"]["external_click_id"]),
        }
    }
}

fn outcome(roles: &[&'static str], settings: &[(&str, &str)]) -> Outcome {
    let stage = Stage::start(roles, settings);
    let book = stage.people();
    stage.outcome(&book)
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn the_demos_traffic_gives_equal_conversions_bindings_and_cents_on_both() {
    let servers = Servers::of("crowd");
    let partitions =
        CREATORS.map(|(account, _)| sl_kafka::partition::of_account(&AccountId::from(account), 4));
    assert!(partitions[0] != partitions[1] && partitions[0] != partitions[2], "{partitions:?}");
    let (embedded, cluster) = thread::scope(|scope| {
        let embedded = scope.spawn(|| outcome(WHOLE, &[]));
        let cluster = outcome(APART, &servers.and(&[]));
        (embedded.join().unwrap(), cluster)
    });
    let events = |link: &Link| link.book.events;
    let sum =
        |of: fn(&Events) -> u64| embedded.links.iter().map(events).map(|events| of(&events)).sum::<u64>();
    // It is worth comparing.
    assert!(sum(|events| events.new_subscriber) > 20 && sum(|events| events.fan_sent_3_messages) > 0);
    let bots = |clicks: &Clicks| clicks.bot + clicks.speculative;
    assert!(embedded.links.iter().map(|link| bots(&link.book.clicks)).sum::<u64>() > 10);
    assert!(embedded.told.len() == 5, "{:#?}", embedded.told);
    // Who went on to another link of the creator is credited to both.
    let mut links_of: BTreeMap<&str, usize> = BTreeMap::new();
    for link in &embedded.links {
        let fans: BTreeSet<_> = link.conversions.iter().map(|row| row.fan.as_str()).collect();
        fans.into_iter().for_each(|fan| *links_of.entry(fan).or_default() += 1);
    }
    assert!(links_of.values().any(|links| *links > 1), "{links_of:?}");
    for (embedded, cluster) in embedded.links.iter().zip(&cluster.links) {
        assert_eq!(embedded, cluster);
    }
    assert_eq!(embedded, cluster);
}
