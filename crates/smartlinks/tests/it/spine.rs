//! A click from the socket to the figures of the API.

use std::collections::HashSet;

use crate::{
    creator::{LINK, address, prepare},
    process::Service,
};

#[test]
fn a_visit_becomes_a_row_and_a_number_of_the_api() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let mut service = Service::start(dir.path());
    let key = service.owner_key.clone().unwrap();
    let link = LINK.to_string();

    let places: HashSet<_> = (0..12).map(|visitor| served(&service, &link, visitor)).collect();
    assert_eq!(places.len(), 12, "every visitor has a link of its own");
    assert!((1..=300).map(address).collect::<HashSet<_>>().is_superset(&places));
    let again = served(&service, &link, 3);
    assert!(places.contains(&again), "a repeat gets the link of its click");

    service.settle(&key);
    let rows = service.api(&key, &format!("/api/smart-links/{link}/clicks?limit=50"));
    assert_eq!(rows["data"]["rows"].as_array().map(Vec::len), Some(12), "{rows}");
    let shown = service.api(&key, &format!("/api/smart-links/{link}"));
    assert_eq!(shown["data"]["clicks_count"], 12, "{shown}");
    assert_eq!(service.terminate().code(), Some(0));
}

#[test]
fn a_restart_remembers_visitors_and_figures() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let link = LINK.to_string();
    let mut service = Service::start(dir.path());
    let key = service.owner_key.clone().unwrap();
    let first = served(&service, &link, 1);
    assert_eq!(service.terminate().code(), Some(0));

    let service = Service::start(dir.path());
    assert_eq!(service.owner_key, None, "the key is shown once");
    assert_eq!(served(&service, &link, 1), first);
    service.settle(&key);
    let shown = service.api(&key, &format!("/api/smart-links/{link}"));
    assert_eq!(shown["data"]["clicks_count"], 1, "{shown}");
}

fn served(service: &Service, link: &str, visitor: u32) -> String {
    let answer = service.visit(link, visitor).unwrap();
    assert_eq!(answer.status, 302);
    answer.location.unwrap()
}
