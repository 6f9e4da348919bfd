//! Nobody gets a shared link or the profile while there are fresh ones in stock, however suddenly people come.

use std::{collections::HashSet, net::SocketAddr, ops::Range, sync::Barrier, thread};

use crate::{
    creator::{LINK, address, prepare},
    process::{Service, visit},
};

/// All of them at the same moment; gives where they were sent.
fn at_once(edge: SocketAddr, visitors: Range<u32>) -> Vec<String> {
    let (link, ready) = (LINK.to_string(), Barrier::new(visitors.len()));
    thread::scope(|scope| {
        let visits: Vec<_> = visitors
            .map(|visitor| {
                let (link, ready) = (&link, &ready);
                scope.spawn(move || {
                    ready.wait();
                    visit(edge, link, visitor).unwrap().location.unwrap()
                })
            })
            .collect();
        visits.into_iter().map(|visit| visit.join().unwrap()).collect()
    })
}

/// Each has a link that was in stock, and nobody another's.
fn check(places: &[String], stock: u64) {
    let own: HashSet<String> = (1..=stock).map(address).collect();
    let distinct: HashSet<_> = places.iter().collect();
    assert_eq!(distinct.len(), places.len(), "a link has two visitors, or some share one");
    let shared: Vec<_> = places.iter().filter(|place| !own.contains(*place)).collect();
    assert!(shared.is_empty(), "without a link of their own: {shared:?}");
}

#[test]
fn two_hundred_at_once_right_after_the_start_get_a_link_each() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 1000);
    let service = Service::start(dir.path());
    check(&at_once(service.edge, 0..200), 1000);
}

#[test]
fn a_start_has_as_many_links_at_hand_as_were_asked_for_before_it() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 4000);
    let mut service = Service::start(dir.path());
    let mut places = Vec::new();
    for visitor in 0..500 {
        places.push(service.visit(&LINK.to_string(), visitor).unwrap().location.unwrap());
    }
    let key = service.owner_key.clone().unwrap();
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
    let service = Service::start(dir.path());
    // Half as much again, beside the block that is always there.
    service.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"] == 256 + 750);
    places.extend(at_once(service.edge, 500..1200));
    check(&places, 4000);
}
