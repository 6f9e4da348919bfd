//! More visitors at once than the system lets the process open files for.

use std::{
    io::Write as _,
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    creator::{LINK, prepare},
    process::Service,
};

#[test]
fn visitors_beyond_the_files_of_the_system_get_503_and_everything_else_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 700; exec \"$0\" serve", env!("CARGO_BIN_EXE_smartlinks")]);
    let mut service = Service::start_by(command, dir.path(), &[("EDGE__HEADER_TIMEOUT", "60s")]);
    let key = service.owner_key.clone().unwrap();
    assert_eq!(service.visit(&LINK.to_string(), 1).unwrap().status, 302);
    let slow = |_| {
        let mut stream = TcpStream::connect(service.edge).unwrap();
        stream.write_all(b"GET /go/").unwrap();
        stream
    };
    let slow: Vec<TcpStream> = (0..400).map(slow).collect();
    let until = |status: u16| {
        let begun = Instant::now();
        // Refused connections may end before all of the request has been taken.
        while !service.visit(&LINK.to_string(), 2).is_ok_and(|answer| answer.status == status) {
            assert!(begun.elapsed() < Duration::from_secs(30), "never {status}");
        }
    };
    until(503);
    // Who has come in can go on, and so can everybody else.
    let link = serde_json::json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    assert_eq!(service.post(&key, "/api/smart-links", &link)["data"]["name"], "Ad");
    drop(slow);
    until(302);
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}
