//! A machine whose clock is set while the service runs.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use sl_core::{
    click::Click,
    event::{EventBody, Position},
    time::Clock,
};

use crate::{
    creator::{LINK, prepare},
    inside::{Inside, Wrong},
    world::{Ads, Platform, WallClock},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Where visitors end who get no link of their own.
const PROFILE: &str = "https://onlyfans.com/creator";

/// A service, a creator platform and ad platforms on one machine, and that machine's clock.
struct Machine {
    dir: tempfile::TempDir,
    clock: Arc<Wrong>,
    platform: Platform,
    ads: Ads,
    service: Inside,
    key: String,
    /// Whom each link was given to.
    places: HashMap<String, u32>,
}

impl Machine {
    /// Its clock is `ahead` of the truth.
    fn start(ahead: Duration) -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(Wrong::default()));
        clock.ahead_by(ahead);
        prepare(dir.path(), 0);
        let (platform, ads) = (Platform::start_at("creator", clock.clone()), Ads::start());
        let service = run(dir.path(), &platform, &clock);
        platform.webhooks_to(service.admin);
        let key = service.owner_key.clone().unwrap();
        let postback = json!({
            "url": format!("{}/pb?event={{conversion_type}}&event_id={{event_id}}", ads.url()),
            "smart_link_scope": "global",
            "conversion_types": ["new_subscriber"],
        });
        service.post(&key, "/api/smart-link-postbacks", &postback);
        service.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() >= Some(16));
        Self { dir, clock, platform, ads, service, key, places: HashMap::new() }
    }

    /// A visitor comes; who came before gets the same link, everybody else one of their own.
    fn visit(&mut self, visitor: u32) -> String {
        let place = self.service.visit(&LINK.to_string(), visitor).unwrap().location.unwrap();
        assert_ne!(place, PROFILE, "visitor {visitor} has no link of their own");
        let holder = *self.places.entry(place.clone()).or_insert(visitor);
        assert_eq!(holder, visitor, "{place} has two visitors");
        place
    }

    fn subscribe(&self, place: &str, fan: u32) {
        self.platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
    }

    fn until_subscribers(&self, count: u32) {
        let path = format!("/api/smart-links/{LINK}");
        self.service.until(&self.key, &path, |shown| shown["data"]["subscribers_count"] == count);
    }

    /// The one delivery with this many attempts and its state.
    fn until_delivery(&self, ready: impl Fn(&Value) -> bool) {
        self.service.until(&self.key, "/api/x/deliveries", |shown| ready(&shown["data"][0]));
    }

    fn until_delivered(&self, count: usize) {
        self.service.until(&self.key, "/api/x/deliveries?state=delivered", |shown| {
            shown["data"].as_array().is_some_and(|rows| rows.len() == count)
        });
    }

    /// Stops it; gives the clicks of its journal.
    fn clicks(mut self) -> Vec<Click> {
        self.service.stop();
        let mut clicks = Vec::new();
        sl_journal::dump(&self.dir.path().join("journal"), Position { epoch: 0, offset: 0 }, |_, event| {
            if let EventBody::Click(click) = event.body {
                clicks.push(std::sync::Arc::unwrap_or_clone(click));
            }
        })
        .unwrap();
        clicks
    }
}

fn run(dir: &Path, platform: &Platform, clock: &Arc<Wrong>) -> Inside {
    Inside::start(dir, &Platform::settings(&platform.url()), clock.clone())
}

/// One delivery has failed once and is tried again in some seconds.
fn with_a_delivery_that_waits(ahead: Duration) -> Machine {
    let mut machine = Machine::start(ahead);
    machine.ads.fail(&json!({ "status": 503, "count": 1 }));
    let place = machine.visit(1);
    machine.subscribe(&place, 501);
    machine.until_subscribers(1);
    machine.until_delivery(|delivery| delivery["attempts"] == 1);
    machine
}

/// The clock was ahead and is set right: nobody is lost, no link has two visitors, nothing waits for the old time.
fn set_back_by(step: Duration) -> Machine {
    let mut machine = with_a_delivery_that_waits(step);
    let on_the_way = machine.visit(2);
    machine.clock.ahead_by(Duration::ZERO);

    // Who came before has the same link; others get their own, more of them than there were in stock.
    let first = machine.visit(1);
    for visitor in 10..60 {
        // Links that were handed out count as leased until attribution has seen it.
        machine.service.settle(&machine.key);
        let pool = |shown: &Value| shown["data"][0]["leased"].as_u64() > Some(0);
        machine.service.until(&machine.key, "/api/x/pool", pool);
        machine.visit(visitor);
    }
    assert_eq!(machine.places[&first], 1);
    // What waited is told now, and what comes is matched, credited and told.
    machine.until_delivered(1);
    let place = machine.visit(10);
    machine.subscribe(&place, 502);
    machine.until_subscribers(2);
    machine.until_delivered(2);
    let seen = machine.ads.of("postback");
    assert_eq!((seen.distinct, seen.accepted), (2, 2), "each is told once: {seen:?}");
    if step < 15 * MINUTE {
        // Who clicked before the step and subscribes after it is credited (decisions 51).
        machine.subscribe(&on_the_way, 503);
        machine.until_subscribers(3);
    }
    machine.service.settle(&machine.key);
    machine
}

fn check(machine: Machine) {
    let places = machine.places.clone();
    let clicks = machine.clicks();
    let ids: HashSet<_> = clicks.iter().map(|click| click.id).collect();
    let links: HashSet<_> = clicks.iter().filter_map(|click| click.pool_link).collect();
    assert_eq!((clicks.len(), ids.len(), links.len()), (places.len(), places.len(), places.len()));
}

#[test]
fn a_clock_set_back_by_minutes_loses_nobody_and_doubles_and_stops_nothing() {
    check(set_back_by(10 * MINUTE));
}

#[test]
fn a_clock_set_back_by_hours_loses_nobody_and_doubles_and_stops_nothing() {
    let mut machine = set_back_by(3 * HOUR);
    // A start anew knows everybody again. (Who came on the day after by the wrong clock has another fingerprint today, and a
    // second click.)
    let first = machine.visit(1);
    machine.service.stop();
    machine.service = run(machine.dir.path(), &machine.platform, &machine.clock);
    assert_eq!(machine.visit(1), first);
    machine.visit(99);
    check(machine);
}

#[test]
fn a_clock_that_leaps_by_days_and_comes_back_ends_no_wait_and_frees_no_link() {
    let mut machine = with_a_delivery_that_waits(Duration::ZERO);
    machine.ads.fail(&json!({ "status": 503 }));
    machine.clock.ahead_by(3 * 24 * HOUR);
    let first = machine.visit(1);
    assert_eq!(machine.places[&first], 1, "the window has not passed");
    machine.visit(2);
    // A second attempt is made in its own time, and the third has its own time as well.
    machine.until_delivery(|delivery| delivery["attempts"] == 2);
    machine.until_delivery(|delivery| delivery["state"] == "waiting");
    machine.visit(3);
    machine.clock.ahead_by(Duration::ZERO);
    machine.ads.fail(&json!({}));
    machine.visit(4);
    let again = machine.service.api(&machine.key, "/api/x/deliveries")["data"][0]["next_attempt_at"].clone();
    let soon = WallClock.now().plus(2 * MINUTE).iso();
    assert!(again.as_str().is_some_and(|at| at < soon.as_str()), "{again} is not soon");
    let pool = machine.service.api(&machine.key, "/api/x/pool")["data"][0].clone();
    assert_eq!((&pool["quarantined"], &pool["recycled"]), (&json!(0), &json!(0)), "{pool}");
    let now = WallClock.now();
    let clicks = machine.clicks();
    assert_eq!(clicks.len(), 4);
    assert!(clicks.iter().all(|click| click.at < now.plus(MINUTE)), "a click of another day");
}
