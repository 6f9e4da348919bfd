//! The end: unready, no new connections, what is under way is finished.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    faults::Mode,
    rig::{Answer, IPHONE, Rig, go, read_all, read_answers},
};

#[test]
fn a_click_under_way_is_answered_before_the_edge_stops() {
    let mut rig = Rig::start();
    rig.log.set(Mode::Stall);
    let mut stream = rig.connect();
    stream
        .write_all(format!("GET {} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n\r\n", go("")).as_bytes())
        .unwrap();
    while rig.clicks().is_empty() {
        std::thread::yield_now();
    }
    rig.stop.cancel();
    // It has stopped accepting when a new connection is refused.
    while TcpStream::connect(rig.address).is_ok() {
        std::thread::yield_now();
    }
    rig.log.set(Mode::Keep);
    let answer = Answer::read(&read_all(&mut stream));
    assert_eq!((answer.status, answer.header("connection")), (302, Some("close")), "{answer:?}");
    rig.finish().unwrap();
}

/// Whoever asks an edge for its health sends it nobody from then on (surface 2).
#[test]
fn a_connection_that_was_open_is_told_during_the_stop_that_the_edge_is_not_well_and_is_closed() {
    let ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let (begun, rest) = ask.split_at(ask.len() - 2);
    let mut rig = Rig::with(|config| config.threads = 1);
    // It has begun to ask, so it is waited for.
    let mut kept = rig.connect();
    kept.write_all(begun).unwrap();
    let mut other = rig.connect();
    other.write_all(ask).unwrap();
    assert!(read_answers(&mut other, 1).starts_with("HTTP/1.1 200"));
    rig.stop.cancel();
    while TcpStream::connect(rig.address).is_ok() {
        std::thread::yield_now();
    }
    kept.write_all(rest).unwrap();
    let answer = Answer::read(&read_all(&mut kept));
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")), "{answer:?}");
    rig.finish().unwrap();
}

/// The thread is busy when it happens, so it learns of both together.
#[test]
fn a_request_that_has_come_when_the_edge_stops_is_answered() {
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n\r\n");
    // The second one is hyper's from then on.
    for (first, status) in [(go("?ecid=a"), "HTTP/1.1 302"), ("/healthz".to_owned(), "HTTP/1.1 200")] {
        let mut rig = Rig::with(|config| config.threads = 1);
        let mut kept = rig.connect();
        kept.write_all(ask(&first).as_bytes()).unwrap();
        assert!(read_answers(&mut kept, 1).starts_with(status));
        let (held, before) = (rig.log.hold(), rig.log.brought());
        let mut busy = rig.connect();
        busy.write_all(ask(&go("?ecid=b")).as_bytes()).unwrap();
        while rig.log.brought() == before {
            std::thread::yield_now();
        }
        kept.write_all(ask(&go("?ecid=c")).as_bytes()).unwrap();
        rig.stop.cancel();
        drop(held);
        for mut stream in [busy, kept] {
            assert_eq!(Answer::read(&read_all(&mut stream)).status, 302, "after {first}");
        }
        rig.finish().unwrap();
    }
}

/// Its connection has nothing else to wait for, and nobody else is waited for.
#[test]
fn a_request_that_has_come_when_the_edge_stops_is_answered_however_long_its_record_takes() {
    let ask = format!("GET {} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n\r\n", go(""));
    let mut rig = Rig::with(|config| config.threads = 1);
    let (mut busy, mut kept) = (rig.connect(), rig.connect());
    for stream in [&mut busy, &mut kept] {
        stream.write_all(ask.as_bytes()).unwrap();
        assert!(read_answers(stream, 1).starts_with("HTTP/1.1 302"));
    }
    let held = rig.log.hold();
    busy.write_all(ask.as_bytes()).unwrap();
    while rig.log.brought() < 3 {
        std::thread::yield_now();
    }
    kept.write_all(ask.as_bytes()).unwrap();
    rig.log.set(Mode::StallFrom(3));
    rig.stop.cancel();
    drop(held);
    assert_eq!(Answer::read(&read_all(&mut busy)).status, 302);
    while rig.log.brought() < 4 {
        std::thread::yield_now();
    }
    kept.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(kept.read(&mut [0]).is_err(), "it is not closed");
    kept.set_read_timeout(None).unwrap();
    rig.log.set(Mode::Keep);
    let answer = Answer::read(&read_all(&mut kept));
    assert_eq!((answer.status, answer.header("connection")), (302, Some("close")), "{answer:?}");
    rig.finish().unwrap();
}

#[test]
fn an_idle_connection_does_not_hold_the_end_up() {
    let mut rig = Rig::start();
    let mut idle = rig.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(read_answers(&mut idle, 1).starts_with("HTTP/1.1 200"));
    rig.finish().unwrap();
    let _ = read_all(&mut idle);
}

#[test]
fn what_nobody_got_is_given_back_after_the_end() {
    let mut rig = Rig::start();
    rig.visit(&go(""), &[]);
    rig.finish().unwrap();
    let left = rig.stock.drain_unused();
    assert_eq!((left.len(), left[0].fence, left[0].unused.len()), (1, 1, 98));
}

#[test]
fn a_taken_port_is_named() {
    // Threads of one edge share their port; another program's port is not shared.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config =
        sl_edge::EdgeConfig { listen: other.local_addr().unwrap(), ..sl_edge::EdgeConfig::default() };
    let stock = sl_edge::Stock::default();
    let parts = sl_edge::EdgeParts {
        log: std::sync::Arc::new(crate::faults::TestLog::default()),
        links: sl_edge::LinkTable::new(stock),
        geo: sl_edge::Geo::shipped(),
        window: sl_edge::Window::new(std::time::Duration::from_secs(1), 1),
        clock: std::sync::Arc::new(sl_core::time::ManualClock::at(crate::rig::NOON)),
        secret: sl_edge::InstallationSecret::new(&[1; 32]),
        seed: [0; 32],
    };
    let error = sl_edge::Edge::bind(config, parts).err().unwrap().to_string();
    assert!(
        error.contains("edge.listen") && error.contains(&other.local_addr().unwrap().to_string()),
        "{error}"
    );
}
