//! The service on a cluster whose servers stop: redirects go on, and afterwards nothing is missing.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    cluster::{Servers, visit},
    fleet::{APART, WHOLE},
    history::{History, Outcome},
    own::Own,
    process::Reach,
};

/// How long each server is away, and then both.
const SPAN: Duration = Duration::from_secs(120);

/// Tells the traffic to stop when it goes: also when the test fails, which would wait for the traffic for ever.
pub(crate) struct Until<'a>(pub(crate) &'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Visitors until told to stop, about twenty-five a second, each of whom is redirected.
pub(crate) fn visitors(edge: &Reach, link: &str, next: &AtomicU32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let visitor = next.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        visit(edge, link, visitor);
        assert!(begun.elapsed() < Duration::from_secs(10), "visitor {visitor} waited");
        thread::sleep(Duration::from_millis(40));
    }
}

/// The history that no server spoils, with as many visitors besides.
fn embedded(visitors: u32) -> Outcome {
    let mut history = History::start(WHOLE, &[]);
    for visitor in 1000..1000 + visitors {
        visit(history.fleet().edge(), history.link(), visitor);
    }
    history.people(History::FANS);
    history.outcome(visitors.into())
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn servers_that_stop_cost_no_redirect_and_no_cent_and_the_totals_are_those_of_embedded_storage() {
    let own = Own::start();
    let servers = Servers::at("outage", &own.kafka, &own.cql);
    let mut history = History::start(APART, &servers.and(&[]));
    let (next, stop) = (AtomicU32::new(1000), AtomicBool::new(false));
    let (api, edge) = (history.fleet().api().reach(), history.fleet().edge().reach());
    let (link, key) = (history.link().to_owned(), history.key().to_owned());
    thread::scope(|scope| {
        let until = Until(&stop);
        let traffic = scope.spawn(|| visitors(&edge, &link, &next, &stop));
        history.people(500..506);
        for (fans, gone) in
            [(506..512, &["kafka-1"][..]), (512..518, &["cql-1"]), (518..524, &["kafka-1", "cql-1"])]
        {
            gone.iter().for_each(|server| own.down(server, &[]));
            thread::sleep(SPAN / 2);
            // In the middle of it people subscribe and spend.
            history.people(fans);
            thread::sleep(SPAN / 2);
            if gone == ["kafka-1"] {
                // Where attribution stands is not known now, and nobody claims that it has caught up.
                let behind = |shown: &serde_json::Value| {
                    shown["data"]["attribution"]["lag_seconds"].as_f64() > Some(3.0)
                        && shown["data"]["settled"] == false
                };
                patiently(&api, &key, "/api/x/progress", behind);
            }
            gone.iter().for_each(|server| own.up(server));
        }
        drop(until);
        traffic.join().unwrap();
    });

    let visitors = next.load(Ordering::Relaxed) - 1000;
    let outcome = history.outcome(visitors.into());
    let wanted = embedded(visitors);
    assert!(wanted.rows.len() > 60 && wanted.told.0 > 40, "{wanted:#?}");
    // A delivery that was sent when the store went away may come twice, never as another one.
    assert_eq!(outcome, wanted);
    eprintln!("{visitors} visitors during the outages; {} and {:?} told on both", wanted.totals, wanted.told);
}

/// Clients that lost a server try it again with pauses.
pub(crate) fn patiently(
    service: &Reach,
    key: &str,
    path: &str,
    mut ready: impl FnMut(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let answer = service.try_api(key, path);
        let shown = serde_json::from_str(&answer.body).unwrap();
        if answer.status == 200 && ready(&shown) {
            return shown;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{path} stays {} {shown}", answer.status);
        thread::sleep(Duration::from_millis(200));
    }
}
