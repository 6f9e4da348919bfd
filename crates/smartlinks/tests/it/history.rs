//! What the same people do on any storage, and what it comes to.

use std::{ops::Range, thread, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::{
    cluster::{set_up, visit},
    cluster_outage::patiently,
    fleet::Fleet,
    process::Reach,
    world::{Ads, Platform},
};

/// Visitors, of whom every other one may subscribe.
const VISITORS: u32 = 60;

/// Sixty visitors, some of whom come again; 24 subscribe, spend, write and take money back: the same each time.
pub(crate) struct History {
    platform: Platform,
    ads: Ads,
    fleet: Fleet,
    key: String,
    link: String,
    chance: ChaCha8Rng,
    /// Where the visitors were sent.
    places: Vec<String>,
    fans: usize,
}

/// What it comes to.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    /// Clicks, subscribers, revenue, sums of the conversions.
    pub(crate) totals: Value,
    /// Requests that the buyer's tracker got as one event: how many, and how many of those came in two versions.
    pub(crate) told: (u64, u64),
    /// Webhooks that the service did not take at once: the platform gives up after a few tries.
    refused: u64,
}

/// What buyers see of a conversion.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    fan: String,
    kind: String,
    gross: String,
    net: String,
    status: String,
    /// Address of the visitor whose click is credited.
    pub(crate) visitor: String,
    /// Kind and amount as their tracker was told them.
    told: Vec<String>,
}

impl History {
    /// All subscribers there will be.
    pub(crate) const FANS: Range<u32> = 500..524;

    /// The visitors have come.
    pub(crate) fn start(roles: &[&'static str], settings: &[(&str, &str)]) -> Self {
        let (platform, ads) = (Platform::start("nova"), Ads::start());
        let url = platform.url();
        let more = [("POOL__MIN", "300"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
        let settings = [settings, &Platform::settings(&url), &more].concat();
        let fleet = Fleet::start(roles, &settings);
        let (api, edge) = (fleet.api(), fleet.edge());
        platform.webhooks_to(api.admin);
        let key = api.owner_key.clone().unwrap();
        let link = set_up(api, &key, &ads.url());
        patiently(api, &key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() >= Some(100));
        let mut chance = ChaCha8Rng::seed_from_u64(5);
        let places: Vec<String> = (1..=VISITORS).map(|visitor| visit(edge, &link, visitor)).collect();
        for _ in 0..20 {
            let visitor = chance.random_range(1..=VISITORS);
            assert_eq!(visit(edge, &link, visitor), places[visitor as usize - 1]);
        }
        Self { platform, ads, fleet, key, link, chance, places, fans: 0 }
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn link(&self) -> &str {
        &self.link
    }

    /// Some subscribe and do everything that they ever do. `fans` are the next ones.
    pub(crate) fn people(&mut self, fans: Range<u32>) {
        for fan in fans {
            let place = &self.places[(fan - Self::FANS.start) as usize * 2];
            self.platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
            for _ in 0..self.chance.random_range(0..4) {
                let cents = self.chance.random_range(300..20_000);
                let spend = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": cents });
                let spent = self.platform.act("spend", &spend);
                if self.chance.random_bool(0.2) {
                    let back =
                        json!({ "account": "acct_1", "transaction": spent["transaction"], "status": "undo" });
                    self.platform.act("chargeback", &back);
                }
            }
            for _ in 0..self.chance.random_range(0..5) {
                self.platform.act("message", &json!({ "account": "acct_1", "fan": fan, "text": "hi" }));
            }
            self.fans += 1;
        }
    }

    /// Once everything is credited and told: `visitors` came besides the sixty.
    pub(crate) fn outcome(mut self, visitors: u64) -> Outcome {
        let (service, key): (&Reach, _) = (self.fleet.api(), self.key.as_str());
        self.platform.until_webhooks_are_taken();
        let clicks = u64::from(VISITORS) + visitors;
        let shown = format!("/api/smart-links/{}", self.link);
        patiently(service, key, &shown, |shown| {
            let shown = &shown["data"];
            shown["subscribers_count"] == self.fans && shown["clicks_count"] == clicks
        });
        let conversions = self.quiet();
        let rows = conversions["rows"].as_array().unwrap().iter().map(|row| self.row(row));
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        let shown = service.api(key, &shown)["data"].clone();
        let totals = json!([
            shown["clicks_count"],
            shown["subscribers_count"],
            shown["revenue"],
            conversions["summary"],
        ]);
        let told = self.ads.of("postback");
        self.fleet.terminate();
        Outcome {
            rows,
            totals,
            told: (told.distinct, told.changed),
            refused: self.platform.refused_webhooks(),
        }
    }

    /// The conversions when nothing is left to do, three times in a row with the same rows.
    fn quiet(&self) -> Value {
        let (service, path): (&Reach, _) =
            (self.fleet.api(), format!("/api/smart-links/{}/conversions?limit=500", self.link));
        let (mut before, mut same) = (Value::Null, 0);
        while same < 3 {
            // What could not be read or sent at first waits for its next try.
            patiently(service, &self.key, "/api/x/progress", |shown| {
                shown["data"]["settled"] == true && shown["data"]["outbox"]["waiting"] == 0
            });
            thread::sleep(Duration::from_millis(700));
            let shown = service.api(&self.key, &path)["data"].clone();
            same = if shown["rows"] == before["rows"] { same + 1 } else { 0 };
            before = shown;
        }
        before
    }

    fn row(&self, row: &Value) -> Row {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let sent = self.ads.sent("postback", &text(&row["id"]));
        let told = sent.split(['&', ' ']).filter(|field| field.starts_with("t=") || field.starts_with("n="));
        Row {
            fan: text(&row["fan_onlyfans_id"]),
            kind: text(&row["conversion_type"]),
            gross: text(&row["amount_gross"]),
            net: text(&row["amount_net"]),
            status: text(&row["status"]),
            visitor: text(&row["click"]["ip_address"]),
            told: told.map(str::to_owned).collect(),
        }
    }
}
