//! Traces reach a collector, and name nobody.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
};

use crate::{
    creator::{LINK, prepare},
    process::Service,
    world::Ads,
};

/// A collector that hands on the path and the body of what it gets.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (got, batches) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                    break;
                }
                lines.push(line.trim().to_ascii_lowercase());
            }
            let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.unwrap().parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n";
            let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
            let _ = got.send((lines[0].clone(), body));
        }
    });
    (endpoint, batches)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|piece| piece == text.as_bytes())
}

#[test]
fn calls_and_deliveries_are_traced_and_neither_a_key_nor_a_visitor_is_named() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let ((endpoint, batches), ads) = (collector(), Ads::start());
    let settings = [("OTEL__ENDPOINT", endpoint.as_str()), ("AD_PLATFORMS__META__BASE_URL", &ads.url())];
    let mut service = Service::start_with(dir.path(), &settings);
    let key = service.owner_key.clone().unwrap();
    ads.pixel(&service, &key);
    service.visit(&LINK.to_string(), 1).unwrap();
    service.until(&key, "/api/x/deliveries?state=delivered", |shown| shown["data"][0].is_object());
    assert_eq!(service.terminate().code(), Some(0), "what is left is sent at the end");
    let (mut sent, mut lines) = (Vec::new(), Vec::new());
    while let Ok((line, body)) = batches.try_recv() {
        lines.push(line);
        sent.extend(body);
    }
    assert!(lines.iter().all(|line| line == "post /v1/traces http/1.1") && !lines.is_empty(), "{lines:?}");
    for wanted in [
        "smartlinks",
        "api.request",
        "/api/smart-links/{smart_link_id}/pixels",
        "/api/x/deliveries",
        "delivery.attempt",
    ] {
        assert!(holds(&sent, wanted), "{wanted} is not traced");
    }
    for secret in [&key, "TOKEN-1", "23.0.0.1"] {
        assert!(!holds(&sent, secret), "{secret} is in a trace");
    }
}

#[test]
fn a_collector_that_is_away_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}/v1/traces");
    let mut service = Service::start_with(dir.path(), &[("OTEL__ENDPOINT", &endpoint)]);
    let key = service.owner_key.clone().unwrap();
    assert_eq!(service.visit(&LINK.to_string(), 1).unwrap().status, 302);
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}
