//! What goes on while others are down, and what is made up for afterwards.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::{
    creator::{LINK, address, prepare},
    process::{PATIENCE, Service},
    stocked::{self, STOCK, Stocked},
    world::{Ads, Platform},
};

/// Where visitors go when there is no pool link.
const PROFILE: &str = "https://onlyfans.com/creator";

#[test]
fn a_platform_that_is_down_stops_no_redirect_and_everybody_is_matched_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 0);
    let platform = Platform::start("creator");
    platform.act("fail", &json!({ "status": 503 }));
    let service = platform.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    platform.webhooks_to(service.admin);
    let link = LINK.to_string();
    assert_eq!(service.visit(&link, 1).unwrap().location.as_deref(), Some(PROFILE));

    platform.act("fail", &json!({}));
    service.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() > Some(0));
    let place = service.visit(&link, 2).unwrap().location.unwrap();
    assert_ne!(place, PROFILE);

    platform.act("fail", &json!({ "status": 503 }));
    platform.act("subscribe", &json!({ "link": place, "fan": { "id": 900 } }));
    service.until(&key, "/api/x/progress", |shown| shown["data"]["matcher"]["backlog"].as_u64() > Some(0));
    assert_eq!(service.visit(&link, 3).unwrap().status, 302);
    let shown = format!("/api/smart-links/{link}");
    assert_eq!(service.api(&key, &shown)["data"]["subscribers_count"], 0);

    platform.act("fail", &json!({}));
    let shown = service.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 1);
    assert_eq!(shown["data"]["revenue"], "10.00", "{shown}");
}

/// Clicks of people that were answered by this rung.
fn clicks_of(service: &Service, rung: &str) -> u64 {
    let metrics = service.get("/metrics");
    let of_people = metrics.lines().filter(|line| {
        line.starts_with("smartlinks_clicks_total{")
            && line.contains("class=\"person\"")
            && line.contains(&format!("rung=\"{rung}\""))
    });
    of_people.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// Waits until the edge has heard of a new Smart Link; looks with HEAD, which is nobody's click.
fn until_known(service: &Service, link: &str) {
    let begun = Instant::now();
    while service.try_shared(link).is_none() {
        assert!(begun.elapsed() < PATIENCE, "the edge does not know {link}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn while_the_platform_is_down_visitors_go_down_the_ladder_and_are_credited_afterwards() {
    let stocked = Stocked::start();
    let Stocked { platform, service, key, link, .. } = &stocked;
    let shared = stocked.shared();
    platform.act("fail", &json!({ "status": 503 }));
    let mut visitors = 1..;
    let mut come = |link: &str, many: u32| -> Vec<String> {
        let visits =
            visitors.by_ref().take(many as usize).map(|visitor| service.visit(link, visitor).unwrap());
        visits
            .inspect(|answer| assert_eq!(answer.status, 302))
            .map(|answer| answer.location.unwrap())
            .collect()
    };
    // Everybody has a link of their own while there are any ...
    let own = come(link, STOCK);
    let apart: HashSet<_> = own.iter().collect();
    assert_eq!(apart.len(), own.len(), "two visitors share a link: {own:?}");
    assert!(own.iter().all(|place| *place != shared && place.starts_with("https://onlyfans.com/nova/c")));
    // ... then they share the Smart Link's, and one that was made since has none.
    assert!(come(link, 10).iter().all(|place| *place == shared));
    let bare = stocked.new_link();
    until_known(service, &bare);
    assert!(come(&bare, 5).iter().all(|place| place == stocked::PROFILE));
    let rungs = ["fresh", "recycled", "overflow", "profile"].map(|rung| clicks_of(service, rung));
    assert_eq!(rungs, [u64::from(STOCK), 0, 10, 5]);

    for (fan, place) in [(900, &own[3]), (901, &shared)] {
        platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
    }
    service.until(key, "/api/x/progress", |shown| shown["data"]["matcher"]["backlog"].as_u64() > Some(0));
    let shown = format!("/api/smart-links/{link}");
    assert_eq!(service.api(key, &shown)["data"]["subscribers_count"], 0);

    platform.act("fail", &json!({}));
    let shown = service.until(key, &shown, |shown| shown["data"]["subscribers_count"] == 2);
    assert_eq!(shown["data"]["revenue"], "20.00", "{shown}");
    // New links are made, for newcomers.
    stocked.until_pool(|row| row["leased"].as_u64() > Some(0));
}

#[test]
fn a_receiver_that_is_down_gets_everything_afterwards_one_body_per_event() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let ads = Ads::start();
    ads.fail(&json!({ "status": 503, "count": 4 }));
    let service = ads.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    ads.pixel(&service, &key);
    for visitor in 1..=6 {
        assert_eq!(service.visit(&LINK.to_string(), visitor).unwrap().status, 302);
    }
    service.until(&key, "/api/x/deliveries?state=delivered", |shown| {
        shown["data"].as_array().is_some_and(|rows| rows.len() == 6)
    });
    let meta = ads.meta();
    assert_eq!((meta.distinct, meta.accepted, meta.changed, meta.turned_away), (6, 6, 0, 4));
}

#[test]
fn garbage_on_every_port_harms_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let mut service = Service::start(dir.path());
    let key = service.owner_key.clone().unwrap();
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let socket = dir.path().join("control.sock");
    for round in 0..60 {
        let mut bytes = vec![0; 1 << (round % 15)];
        chance.fill_bytes(&mut bytes);
        if round % 3 == 0 {
            // Something that begins well.
            bytes.splice(
                ..0,
                *b"POST /webhooks/onlyfansapi HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
            );
        }
        throw(service.edge, &bytes);
        throw(service.admin, &bytes);
        let mut control = UnixStream::connect(&socket).unwrap();
        let _ = control.write_all(&bytes);
    }
    let place = service.visit(&LINK.to_string(), 1).unwrap().location.unwrap();
    assert!((1..=300).map(address).any(|own| own == place), "{place}");
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}

/// Sends it and hangs up; whether it is taken or refused is the other's business.
fn throw(to: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 64]);
}

/// Visitors, each of whom comes once.
#[derive(Default)]
struct Visitors {
    next: u32,
    own: HashSet<String>,
}

impl Visitors {
    /// Whether the next one gets a link of their own. Promise 3 over all of them: no link has two visitors.
    fn one_more(&mut self, service: &Service) -> bool {
        self.next += 1;
        let place = service.visit(&LINK.to_string(), self.next).unwrap().location.unwrap();
        let is_own = place != PROFILE;
        assert!(!is_own || self.own.insert(place.clone()), "{place} was given twice");
        is_own
    }

    /// Visitors come all the while, and each is redirected.
    fn come_until_it_is_ready_again(&mut self, service: &Service) {
        service.until_said("the store is opened anew");
        let begun = Instant::now();
        while !service.has_said("ready edge=") {
            assert!(begun.elapsed() < PATIENCE, "the store is not open yet");
            self.one_more(service);
        }
    }
}

/// A service whose data directory is a small disk of its own; `None` where this machine lets nobody mount one.
fn on_a_small_disk(dir: &Path) -> Option<Service> {
    let (stock, disk) = (dir.join("stock"), dir.join("disk"));
    std::fs::create_dir_all(&disk).unwrap();
    prepare(&stock, 3000);
    let isolated = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "--"]);
        command
    };
    if !isolated()
        .args(["mount", "-t", "tmpfs", "tmpfs"])
        .arg(&disk)
        .status()
        .is_ok_and(|status| status.success())
    {
        return None;
    }
    let script = "mount -t tmpfs -o size=420m tmpfs \"$2\" && cp -a \"$1/.\" \"$2\" && exec \"$0\" serve";
    let mut command = isolated();
    command.args(["sh", "-c", script, env!("CARGO_BIN_EXE_smartlinks")]).arg(&stock).arg(&disk);
    Some(Service::start_by(command, &disk, &[("JOURNAL__SEGMENT", "1MiB")]))
}

#[test]
fn a_full_disk_stops_no_redirect_and_everything_goes_on_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut service) = on_a_small_disk(dir.path()) else {
        eprintln!("not shown: no mount namespaces for this user");
        return;
    };
    let key = service.owner_key.clone().unwrap();
    let mut visitors = Visitors::default();
    for _ in 0..20 {
        visitors.one_more(&service);
    }
    let filler = service.path(&dir.path().join("disk/filler"));
    let mut file = std::fs::File::create(&filler).unwrap();
    let block = vec![1; 1 << 16];
    while file.write_all(&block).is_ok() {}
    // Into the last segment fit some; then clicks are lost, and still redirected.
    let full = (0..20_000).any(|_| !visitors.one_more(&service));
    assert!(full, "the disk was never full");
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    visitors.come_until_it_is_ready_again(&service);
    assert!((0..10).all(|_| visitors.one_more(&service)), "visitors get links of their own again");
    service.settle(&key);
    let shown = format!("/api/smart-links/{LINK}");
    let before = service.api(&key, &shown)["data"]["clicks_count"].as_u64().unwrap();
    let own = visitors.own.len();
    assert!(before >= own as u64, "{before} clicks, {own} links in hands");
    assert_eq!(service.terminate().code(), Some(0));
}

/// A service that may be told how much of a file it may write.
fn with_a_limit_of_its_own(dir: &Path, settings: &[(&str, &str)]) -> Service {
    // Writing beyond the limit is an error then, not the end of the process.
    let script = "trap '' XFSZ; exec \"$0\" serve";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_smartlinks")]);
    let settings: Vec<_> = settings.iter().copied().chain([("JOURNAL__SEGMENT", "1MiB")]).collect();
    Service::start_by(command, dir, &settings)
}

#[test]
fn a_disk_that_takes_nothing_from_this_process_stops_no_redirect_and_everything_goes_on_once_it_does() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 3000);
    let mut service = with_a_limit_of_its_own(dir.path(), &[]);
    let key = service.owner_key.clone().unwrap();
    let mut visitors = Visitors::default();
    assert!((0..20).all(|_| visitors.one_more(&service)));
    service.settle(&key);

    service.limit_files(Some(0));
    // Nothing can be kept: nobody gets a link of their own, everybody is redirected.
    let own = (0..200).filter(|_| visitors.one_more(&service)).count();
    assert!(own < 200, "the disk took everything");
    // Nor can the store; it is not opened again while that is so.
    let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    assert!(service.try_post(&key, "/api/smart-links", &link).status >= 500);
    service.until_said("waits to be opened again: nothing can be written to data_dir");
    assert!(service.get("/metrics").contains("smartlinks_store_available 0"));
    assert!(!(0..100).any(|_| visitors.one_more(&service)));

    service.limit_files(None);
    visitors.come_until_it_is_ready_again(&service);
    assert!((0..100).all(|_| visitors.one_more(&service)), "visitors get links of their own again");
    service.settle(&key);
    let shown = format!("/api/smart-links/{LINK}");
    assert!(service.get("/metrics").contains("smartlinks_store_available 1"));
    let counted = service.api(&key, &shown)["data"]["clicks_count"].as_u64().unwrap();
    assert!(counted >= visitors.own.len() as u64, "{counted} clicks, {} links in hands", visitors.own.len());
    assert_eq!(service.terminate().code(), Some(0));
}

/// Waits until Meta has taken something. It may not have answered yet.
fn taken(ads: &Ads) {
    let begun = Instant::now();
    while ads.meta().accepted == 0 {
        assert!(begun.elapsed() < PATIENCE, "nothing is told");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn delivered(service: &Service, key: &str) {
    service.until(key, "/api/x/deliveries?state=delivered", |shown| {
        shown["data"].as_array().is_some_and(|rows| rows.len() == 1)
    });
}

#[test]
fn what_a_receiver_took_while_the_disk_was_full_is_not_told_again_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let ads = Ads::start();
    let mut service =
        with_a_limit_of_its_own(dir.path(), &[("AD_PLATFORMS__META__BASE_URL", ads.url().as_str())]);
    let key = service.owner_key.clone().unwrap();
    ads.pixel(&service, &key);
    // Time for the disk to be full before the answer comes.
    ads.stall(&json!({ "ms": 3000, "count": 1 }));
    assert_eq!(service.visit(&LINK.to_string(), 1).unwrap().status, 302);
    taken(&ads);
    service.limit_files(Some(0));
    let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    assert!(service.try_post(&key, "/api/smart-links", &link).status >= 500);
    service.until_said("an answer can't be recorded");
    service.limit_files(None);
    service.until_said("ready edge=");
    delivered(&service, &key);
    assert_eq!(ads.meta().accepted, 1);
    assert_eq!(service.terminate().code(), Some(0));
}

/// A service that has told a platform of a click, which answers after so long. With the owner's key.
fn under_way(dir: &Path, answer: Duration) -> (Ads, Service, String) {
    prepare(dir, 300);
    let ads = Ads::start();
    let service = ads.service(dir);
    let key = service.owner_key.clone().unwrap();
    ads.pixel(&service, &key);
    ads.stall(&json!({ "ms": answer.as_millis() as u64, "count": 1 }));
    assert_eq!(service.visit(&LINK.to_string(), 1).unwrap().status, 302);
    taken(&ads);
    (ads, service, key)
}

#[test]
fn visitors_are_redirected_while_a_stop_waits_for_what_is_under_way_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let (ads, mut service, key) = under_way(dir.path(), Duration::from_millis(3000));
    service.signal();
    service.until_said("stopping");
    assert_eq!(service.visit(&LINK.to_string(), 2).unwrap().status, 302);
    assert_eq!(service.wait().code(), Some(0));
    let mut service = ads.service(dir.path());
    service.until(&key, "/api/x/deliveries?state=delivered", |shown| {
        shown["data"].as_array().is_some_and(|rows| rows.len() == 2)
    });
    assert_eq!(ads.meta().accepted, 2);
    assert_eq!(service.terminate().code(), Some(0));
}

/// Platforms answer within a request's ten seconds, and no stage of the stop had as many.
#[test]
fn what_is_under_way_when_the_service_stops_is_recorded_and_not_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let (ads, mut service, key) = under_way(dir.path(), Duration::from_millis(9000));
    let begun = Instant::now();
    assert_eq!(service.terminate().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "decisions 14: {:?}", begun.elapsed());
    let mut service = ads.service(dir.path());
    delivered(&service, &key);
    assert_eq!(ads.meta().accepted, 1);
    assert_eq!(service.terminate().code(), Some(0));
}
