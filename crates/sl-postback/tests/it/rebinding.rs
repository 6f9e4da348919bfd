//! A hostile DNS server: it says one thing when it is asked first, and another when it is asked again.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use axum::response::IntoResponse;
use sl_core::delivery::DeliveryState;
use tokio::net::UdpSocket;

use crate::world::{Receiver, World, postback};

/// "Outside": the one address of this machine that the guard lets pass in these tests.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const INSIDE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Really public: nothing is ever sent there.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
const A: u16 = 1;

/// A DNS server on UDP that answers the question for an IPv4 address for the n-th time with what `answers` says, valid for no
/// time at all, and any other question with nothing.
struct Dns {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Dns {
    async fn start(answers: impl Fn(usize) -> Vec<Ipv4Addr> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut query = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                let (name, kind, end) = question(&query[..length]);
                let found = if kind == A {
                    let nth = log.lock().unwrap().len();
                    log.lock().unwrap().push(name);
                    answers(nth)
                } else {
                    Vec::new()
                };
                socket.send_to(&answer(&query[..end], &found), from).await.unwrap();
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Name and type that a query asks for, and where its question ends (RFC 1035, section 4.1).
fn question(query: &[u8]) -> (String, u16, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).into_owned());
        at += 1 + length;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}

/// The answer to a query that ends with its question.
fn answer(query: &[u8], found: &[Ipv4Addr]) -> Vec<u8> {
    let mut answer = query.to_vec();
    // A response, recursion available; one question, so many answers, no more.
    answer[2] = 0x81;
    answer[3] = 0x80;
    answer[4..12].copy_from_slice(&[0, 1, 0, u8::try_from(found.len()).unwrap(), 0, 0, 0, 0]);
    for ip in found {
        // The name of the question, A, IN, no time to live, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(ip.octets());
    }
    answer
}

/// A receiver on both addresses, on one port: outside and inside.
async fn receivers() -> (Receiver, Receiver) {
    loop {
        let outside = Receiver::start_at(OUTSIDE.into(), 0, |_, _| "ok".into_response()).await.unwrap();
        let port = outside.address.port();
        let inside = Receiver::start_at(INSIDE.into(), port, |_, _| "secret".into_response()).await;
        if let Ok(inside) = inside {
            return (outside, inside);
        }
    }
}

/// A world whose only postback names a host that only the DNS server knows.
async fn world(dns: &Dns, port: u16) -> World {
    let mut world = World::new(dns.address).await;
    world.dns = vec![dns.address];
    world.save_postback(1, format!("http://tracker.example:{port}/pb"), None).await;
    world
}

const OUTSIDE_ONLY: &[&str] = &["127.0.0.2/32"];

#[tokio::test]
async fn a_name_that_is_public_when_asked_first_and_private_then_reaches_the_first_address_only() {
    let (outside, inside) = receivers().await;
    let dns = Dns::start(|nth| vec![if nth == 0 { OUTSIDE } else { INSIDE }]).await;
    let mut world = world(&dns, outside.address.port()).await;
    world.work(OUTSIDE_ONLY).await;
    let first = world.conversions(1..2, &[postback(1)]).await[0];
    world.until_state(first, DeliveryState::Delivered).await;
    // Check and connection were one question: a second one would have been answered with the inside.
    assert_eq!((dns.asked(), outside.all().len()), (1, 1));
    world.rest().await;
    // No connection is left of before: the name is asked for again.
    world.work(OUTSIDE_ONLY).await;
    let second = world.conversions(2..3, &[postback(1)]).await[0];
    let parked = world.until_state(second, DeliveryState::Parked).await.progress;
    assert_eq!(parked.last.unwrap().error_type.as_deref(), Some("egress"));
    assert_eq!((dns.asked(), outside.all().len()), (2, 1));
    assert!(inside.all().is_empty(), "nothing ever came there");
    world.close().await;
}

#[tokio::test]
async fn a_private_address_among_public_ones_refuses_the_name_and_none_of_them_is_tried() {
    let (outside, inside) = receivers().await;
    let dns = Dns::start(|_| vec![PUBLIC, OUTSIDE, INSIDE]).await;
    let mut world = world(&dns, outside.address.port()).await;
    world.work(OUTSIDE_ONLY).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    let parked = world.until_state(id, DeliveryState::Parked).await.progress;
    assert_eq!(parked.last.unwrap().error_type.as_deref(), Some("egress"));
    assert!(outside.all().is_empty() && inside.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_name_that_its_servers_do_not_know_yet_is_tried_again() {
    let (outside, _) = receivers().await;
    let is_known = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&is_known);
    let dns = Dns::start(move |_| if known.load(SeqCst) { vec![OUTSIDE] } else { Vec::new() }).await;
    let mut world = world(&dns, outside.address.port()).await;
    world.work(OUTSIDE_ONLY).await;
    let ids = world.conversions(1..2, &[postback(1)]).await;
    let waits = world.until(ids[0], |delivery| delivery.progress.attempts == 1).await.progress;
    assert_eq!(waits.state, DeliveryState::Waiting);
    assert_eq!(waits.last.as_ref().unwrap().error_type.as_deref(), Some("dns"));
    assert!(dns.asked() > 0 && outside.all().is_empty());
    // A new process remembers nothing of the answer.
    world.rest().await;
    is_known.store(true, SeqCst);
    world.clock.set(waits.next_attempt_at.unwrap());
    world.work(OUTSIDE_ONLY).await;
    world.until_state(ids[0], DeliveryState::Delivered).await;
    assert_eq!(outside.all().len(), 1);
    world.close().await;
}
