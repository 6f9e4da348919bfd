//! What people do at the creator platform while the service is killed again and again: each deed is credited once, and told
//! once.

use std::{collections::HashSet, path::Path, thread, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::{
    crash::{Answered, rounds},
    creator::{LINK, prepare},
    process::Service,
    world::{Ads, Platform},
};

/// Rounds on one data directory, unless `SMARTLINKS_CRASH_ROUNDS` asks for more (`loadtest/crash`).
const ROUNDS: u32 = 12;
/// Requests that one destination gets at once: what a kill may leave without a record of its answer, where each has one event.
const AT_ONCE: u64 = 8;
/// A start may be killed within about this time, in milliseconds; a whole one takes longer than the least of it.
const STARTS: std::ops::Range<u64> = 5..250;

/// People at the platform.
struct Fans<'a> {
    platform: &'a Platform,
    /// Where nobody is told from others.
    shared: String,
    taken: HashSet<String>,
    count: u64,
}

impl Fans<'_> {
    /// Up to `most` of the latest visitors with links of their own subscribe, and tip.
    fn subscribe(&mut self, answered: &Answered, most: usize) {
        let places: Vec<String> = answered.places().into_iter().rev().map(|(place, _)| place).collect();
        let own = |place: &String| place.contains("/creator/c") && *place != self.shared;
        for place in places.into_iter().filter(own).take(most) {
            if !self.taken.insert(place.clone()) {
                continue;
            }
            let fan = 500 + self.count;
            self.platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
            let tip = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": 2000 });
            self.platform.act("spend", &tip);
            self.count += 1;
        }
    }
}

/// A pixel and a tracker on the link; its pool has stock and a link that is shared. Gives that one.
fn set_up(service: &Service, key: &str, ads: &Ads) -> String {
    ads.pixel(service, key);
    let postback = json!({
        "url": format!("{}/pb?c={{click_id}}&t={{conversion_type}}&n={{amount_net}}&event_id={{event_id}}", ads.url()),
        "smart_link_scope": "global",
        "conversion_types": ["new_subscriber", "new_transaction"],
    });
    service.post(key, "/api/smart-link-postbacks", &postback);
    service.until(key, "/api/x/pool", |shown| {
        let pool = &shown["data"][0];
        pool["leased"].as_u64() >= Some(256) && pool["fresh"].as_u64() >= Some(1000)
    });
    service.shared(&LINK.to_string())
}

#[test]
fn kill_9_at_random_moments_makes_each_conversion_once_and_tells_each_once() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 0);
    let (platform, ads, answered) = (Platform::start("creator"), Ads::start(), Answered::default());
    let meta = ads.url();
    let more = [
        ("POOL__MIN", "1500"),
        ("PLATFORM__REQUESTS_PER_MINUTE", "60000"),
        ("AD_PLATFORMS__META__BASE_URL", meta.as_str()),
    ];
    let start = |dir: &Path| {
        let service = platform.service_with(dir, &more);
        platform.webhooks_to(service.admin);
        service
    };
    let mut chance = ChaCha8Rng::seed_from_u64(11);
    let mut service = start(dir.path());
    let key = service.owner_key.clone().unwrap();
    let shared = set_up(&service, &key, &ads);
    let mut fans = Fans { platform: &platform, shared, taken: HashSet::new(), count: 0 };
    let mut kills = 0;
    for round in 0..rounds(ROUNDS) {
        let (visitors, subscribers) = (chance.random_range(5..60), chance.random_range(1..5));
        let pause = Duration::from_millis(chance.random_range(0..120));
        answered.load(service, visitors, |service| {
            fans.subscribe(&answered, subscribers);
            thread::sleep(pause);
            service.kill();
        });
        kills += 1;
        if round % 2 == 1 {
            let after = Duration::from_millis(chance.random_range(STARTS));
            platform.killed_start(dir.path(), &more, after);
            kills += 1;
        }
        service = start(dir.path());
    }
    let (clicks, credited) = credited(&service, &key, &platform, fans.count);
    assert_eq!(service.terminate().code(), Some(0));
    assert_eq!(clicks, answered.rows(dir.path()), "the figures are those of the journal");
    assert_eq!(credited, fans.count);
    assert!(fans.count > u64::from(kills) / 2, "{} fans", fans.count);
    told(&ads, clicks, fans.count, kills);
}

/// Waits until everything is credited and told; clicks and subscribers.
fn credited(service: &Service, key: &str, platform: &Platform, fans: u64) -> (u64, u64) {
    platform.until_webhooks_are_taken();
    let revenue = format!("{}.00", 30 * fans);
    let path = format!("/api/smart-links/{LINK}");
    service.until(key, &path, |shown| shown["data"]["revenue"].as_str() == Some(&revenue));
    service.until(key, "/api/x/progress", |shown| {
        let outbox = &shown["data"]["outbox"];
        shown["data"]["settled"] == true && outbox["waiting"] == 0 && outbox["parked"] == 0
    });
    let shown = service.api(key, &path);
    let figure = |name: &str| shown["data"][name].as_u64().unwrap();
    (figure("clicks_count"), figure("subscribers_count"))
}

/// Each is one event with one body. What was sent when the service was killed, before its answer was written down, comes again;
/// nothing else does.
fn told(ads: &Ads, clicks: u64, fans: u64, kills: u32) {
    let again = AT_ONCE * u64::from(kills);
    let postback = ads.of("postback");
    // The subscription, its price, a tip.
    assert_eq!((postback.distinct, postback.changed), (3 * fans, 0), "{postback:?}");
    assert!(postback.accepted - postback.distinct <= again, "{postback:?}");
    // Clicks, subscriptions and purchases.
    let meta = ads.meta();
    assert_eq!((meta.distinct, meta.changed), (clicks + 2 * fans, 0), "{meta:?}");
    let most = again * sl_core::batch::MOST as u64;
    assert!(meta.accepted - meta.distinct <= most, "{meta:?}");
}
