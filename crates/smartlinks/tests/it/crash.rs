//! What survives `kill -9`, and what an orderly stop under load loses: nothing.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use sl_core::{
    event::{EventBody, Position},
    ids::PoolLinkId,
};

use crate::{
    creator::{LINK, address, prepare},
    process::{Service, visit},
    world::Ads,
};

/// Rounds on one data directory, unless `SMARTLINKS_CRASH_ROUNDS` asks for more (`loadtest/crash`).
const ROUNDS: u32 = 25;
/// Pool links for a round: 150 visitors, those under way, and what a block that was out keeps from others.
const LINKS_A_ROUND: u64 = 800;
const VISITORS_AT_ONCE: usize = 8;

/// Where visitors end who come faster than links are leased.
const PROFILE: &str = "https://onlyfans.com/creator";

/// What visitors were told.
#[derive(Default)]
pub(crate) struct Answered {
    places: Mutex<Vec<(String, u32)>>,
    next: AtomicU32,
}

impl Answered {
    /// New visitors come until `enough` are answered; then `end` happens while others are under way.
    pub(crate) fn load(&self, service: Service, enough: u64, end: impl FnOnce(Service)) {
        let (stop, answered, edge) = (AtomicBool::new(false), AtomicU64::new(0), service.edge);
        let link = LINK.to_string();
        thread::scope(|scope| {
            for _ in 0..VISITORS_AT_ONCE {
                scope.spawn(|| {
                    while !stop.load(SeqCst) {
                        let visitor = self.next.fetch_add(1, SeqCst);
                        let Ok(answer) = visit(edge, &link, visitor) else { continue };
                        let Some(place) = answer.location.filter(|_| answer.status == 302) else { continue };
                        self.places.lock().unwrap().push((place, visitor));
                        answered.fetch_add(1, SeqCst);
                    }
                });
            }
            while answered.load(SeqCst) < enough {
                thread::sleep(Duration::from_millis(1));
            }
            end(service);
            stop.store(true, SeqCst);
        });
    }

    /// Where visitors were sent so far, and who was.
    pub(crate) fn places(&self) -> Vec<(String, u32)> {
        self.places.lock().unwrap().clone()
    }

    /// Clicks in the journal: at least those that were answered.
    pub(crate) fn rows(&self, dir: &Path) -> u64 {
        let mut rows = 0;
        sl_journal::dump(&dir.join("journal"), Position { epoch: 0, offset: 0 }, |_, event| {
            rows += u64::from(matches!(event.body, EventBody::Click(_)));
        })
        .unwrap();
        assert!(rows >= self.places.lock().unwrap().len() as u64, "answered clicks are not in the journal");
        rows
    }

    /// Every answered place is in the journal once, and no pool link has two visitors. Returns the rows of the journal.
    fn check(&self, dir: &Path) -> u64 {
        let (mut holders, mut rows) = (HashMap::<PoolLinkId, u64>::new(), 0);
        sl_journal::dump(&dir.join("journal"), Position { epoch: 0, offset: 0 }, |_, event| {
            if let EventBody::Click(click) = event.body {
                rows += 1;
                if let Some(link) = click.pool_link {
                    *holders.entry(link).or_default() += 1;
                }
            }
        })
        .unwrap();
        assert!(holders.values().all(|visitors| *visitors == 1), "a pool link has two visitors");
        let mut told = HashMap::new();
        let places = self.places.lock().unwrap();
        let (profile, own): (Vec<_>, Vec<_>) = places.iter().partition(|(place, _)| place == PROFILE);
        assert!(!own.is_empty(), "the stock was never used");
        let without = rows - holders.len() as u64;
        assert!(without >= profile.len() as u64, "{} visitors of the profile, {without} rows", profile.len());
        for (place, visitor) in own {
            assert_eq!(told.insert(place.clone(), *visitor), None, "{place} was given to two visitors");
        }
        let kept: HashMap<_, _> = holders.keys().map(|link| (address(link.number), link)).collect();
        let lost: Vec<_> = told.keys().filter(|place| !kept.contains_key(*place)).collect();
        assert!(lost.is_empty(), "answered clicks are not in the journal: {lost:?}");
        rows
    }
}

/// As many rounds as the environment asks for.
pub(crate) fn rounds(usual: u32) -> u32 {
    std::env::var("SMARTLINKS_CRASH_ROUNDS").map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn kill_9_at_random_moments_loses_no_answered_click_gives_no_link_twice_and_tells_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = rounds(ROUNDS);
    prepare(dir.path(), LINKS_A_ROUND * u64::from(rounds));
    let (ads, answered, mut key) = (Ads::start(), Answered::default(), None);
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(9);
    for _ in 0..rounds {
        let service = ads.service(dir.path());
        if let Some(first) = service.owner_key.clone() {
            ads.pixel(&service, &first);
            key = Some(first);
        }
        answered.load(service, chance.random_range(1..150), Service::kill);
    }
    let mut service = ads.service(dir.path());
    let key = key.unwrap();
    service.settle(&key);
    service.until(&key, "/api/x/progress", |shown| shown["data"]["outbox"]["waiting"] == 0);
    let shown = service.api(&key, &format!("/api/smart-links/{LINK}"));
    assert_eq!(service.terminate().code(), Some(0));
    let rows = answered.check(dir.path());
    assert_eq!(shown["data"]["clicks_count"], rows, "the figures are those of the journal");
    let meta = ads.meta();
    assert_eq!((meta.distinct, meta.changed), (rows, 0), "every click is told as one event: {meta:?}");
}

#[test]
fn sigterm_under_load_answers_what_is_under_way_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 5_000);
    let answered = Answered::default();
    answered.load(Service::start(dir.path()), 100, |mut service| {
        assert_eq!(service.terminate().code(), Some(0));
    });
    answered.check(dir.path());
}
