//! What whoever runs the service can see of trouble that no figure of a link shows.

use serde_json::json;

use crate::{process::PATIENCE, world::Platform};

#[test]
fn visits_of_deleted_and_mistyped_links_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let platform = Platform::start("nova");
    let service = platform.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    service.until(&key, "/api/accounts", |shown| shown[0]["onlyfans_username"] == "nova");
    let refused = |answer: &str| {
        let name = format!("smartlinks_edge_refused_total{{answer=\"{answer}\"}} ");
        let text = service.get("/metrics");
        text.lines().find_map(|line| line.strip_prefix(&name)).map(|count| count.parse::<u32>().unwrap())
    };
    assert_eq!((refused("deleted"), refused("unknown")), (Some(0), Some(0)), "there before the first");
    let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    let link = service.post(&key, "/api/smart-links", &link)["data"]["id"].as_str().unwrap().to_owned();
    let status = |link: &str| service.visit(link, 1).unwrap().status;
    let begun = std::time::Instant::now();
    // Until the edge has the link.
    let mut unknown = 0;
    while status(&link) == 404 {
        unknown += 1;
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!((status("01ARZ3NDEKTSV4RRFFQ69G5FAV"), status("01J")), (404, 404));
    assert_eq!((refused("deleted"), refused("unknown")), (Some(0), Some(unknown + 2)));
    service.delete(&key, &format!("/api/smart-links/{link}"));
    while status(&link) != 410 {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(status(&link), 410);
    assert_eq!((refused("deleted"), refused("unknown")), (Some(2), Some(unknown + 2)));
}

#[test]
fn the_version_and_the_start_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let service = crate::process::Service::start(dir.path());
    let text = service.get("/metrics");
    let version = concat!("smartlinks_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n");
    assert!(text.contains(version), "{text}");
    let began = text.lines().find_map(|line| line.strip_prefix("process_start_time_seconds "));
    let began: f64 = began.unwrap_or_else(|| panic!("{text}")).parse().unwrap();
    let now = std::fs::metadata(dir.path()).unwrap().modified().unwrap();
    let made = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((began - made).abs() < 300.0, "{began} is not when the directory was filled, {made}");
    drop(service);
}
