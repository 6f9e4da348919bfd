//! Many connections at once, and many threads on one visitor.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Barrier},
    time::Duration,
};

use crate::{
    faults::Mode,
    rig::{Answer, IPHONE, Rig, block, go, link, other, read_answers},
};

/// As many as were wanted, or what a process may hold beside what it needs for itself.
fn connections_we_can_hold(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let most = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    most.map_or(wanted, |most| most.saturating_sub(500).min(wanted))
}

fn begin_a_request(edge: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(edge).unwrap();
    stream.write_all(b"GET /go/").unwrap();
    stream
}

/// Which edge the process of slow visitors goes to, and how many they are.
const SLOW: &str = "SL_EDGE_SLOW_VISITORS";

/// The slow visitors are a process of their own, so that both ends of 10,000 connections have descriptors.
#[test]
fn slow_visitors() {
    let Ok(told) = std::env::var(SLOW) else { return };
    let (edge, count) = told.split_once(' ').unwrap();
    let count = connections_we_can_hold(count.parse().unwrap());
    let _slow: Vec<_> = (0..count).map(|_| begin_a_request(edge.parse().unwrap())).collect();
    println!("\nholding {count}");
    // Until the one who asked is done, or gone.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn ten_thousand_slow_connections_do_not_keep_a_visitor_waiting() {
    let count = connections_we_can_hold(10_000);
    let rig = Rig::with(|config| config.header_timeout = Duration::from_secs(60));
    let mut visitors = Command::new(std::env::current_exe().unwrap())
        .args(["load::slow_visitors", "--exact", "--nocapture"])
        .env(SLOW, format!("{} {count}", rig.address))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(visitors.stdout.take().unwrap()).lines().map(Result::unwrap);
    let holding = words.find_map(|line| line.strip_prefix("holding ").map(str::to_owned)).unwrap();
    assert!(holding.parse::<usize>().unwrap() >= count.min(10_000), "this machine allows no more: {holding}");
    assert!(count >= 1000, "no file descriptors to test with: {count}");
    for number in 0..20 {
        assert_eq!(rig.visit(&go(&format!("?ecid={number}")), &[]).status, 302);
    }
    let mut last = begin_a_request(rig.address);
    let rest = go("").trim_start_matches("/go/").to_owned();
    last.write_all(format!("{rest} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(
        Answer::read(&read_answers(&mut last, 1)).status,
        302,
        "and a slow one is answered when it is done"
    );
    drop(visitors.stdin.take());
    assert!(visitors.wait().unwrap().success());
}

/// They come while the thread is busy, so that it finds all of them at once, more than it reads together.
#[test]
fn of_many_who_ask_at_the_same_moment_each_gets_its_own_answer() {
    const MANY: usize = 100;
    let rig = Rig::with(|config| config.threads = 1);
    let (mut ids, mut links) = (Vec::new(), vec![link()]);
    for number in 100..200 {
        let (id, link) = other(number, |link| {
            link.paused = true;
            link.profile_url = format!("https://onlyfans.com/creator{number}").into();
        });
        ids.push(id);
        links.push(link);
    }
    rig.links.replace(links);
    let mut all: Vec<_> = (0..MANY).map(|_| rig.connect()).collect();
    let (held, before) = (rig.log.hold(), rig.log.brought());
    let mut busy = rig.connect();
    let ask = |target: &str, more: &str| format!("{target} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    busy.write_all(ask(&format!("GET {}", go("")), "").as_bytes()).unwrap();
    while rig.log.brought() == before {
        std::thread::yield_now();
    }
    // The short way, hyper's, no redirect, garbage, and the beginning of a request.
    let padding = format!("X-Padding: {}\r\n", "x".repeat(7000));
    let asks = |number: usize| match (number % 6, format!("GET /go/{}?ecid={number}", ids[number])) {
        (0, target) => ask(&target, ""),
        (1 | 2, target) => ask(&target, &padding),
        (3, target) => ask(&target, &format!("Connection: close\r\n{padding}")),
        (4, _) => ask("GET /elsewhere", ""),
        (_, target) if number % 4 == 1 => ask(&target.replace("GET", "G\0T"), ""),
        (_, target) => ask(&target, "")[..30].to_owned(),
    };
    for (number, stream) in all.iter_mut().enumerate() {
        stream.write_all(asks(number).as_bytes()).unwrap();
    }
    drop(held);
    for (number, stream) in all.iter_mut().enumerate() {
        if asks(number).len() == 30 {
            let rest = ask(&format!("GET /go/{}?ecid={number}", ids[number]), "").split_off(30);
            stream.write_all(rest.as_bytes()).unwrap();
        }
        let answer = Answer::read(&read_answers(stream, 1));
        let found = format!("https://onlyfans.com/creator{}", number + 100);
        let wanted = match asks(number) {
            text if text.starts_with("G\0T") => (400, ""),
            text if text.contains("elsewhere") => (404, ""),
            _ => (302, found.as_str()),
        };
        assert_eq!((answer.status, answer.location()), wanted, "{number}");
    }
}

#[test]
fn a_fault_in_one_request_ends_its_connection_and_nobody_elses() {
    let rig = Rig::with(|config| config.threads = 1);
    let ask = |number: usize| format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", go(&format!("?ecid={number}")));
    let (held, before) = (rig.log.hold(), rig.log.brought());
    let mut all: Vec<_> = (0..6).map(|_| rig.connect()).collect();
    for (number, stream) in all.iter_mut().enumerate() {
        stream.write_all(ask(number).as_bytes()).unwrap();
        // The others come while the thread is busy with the first.
        while rig.log.brought() == before {
            std::thread::yield_now();
        }
    }
    rig.log.set(Mode::PanicAt(before + 3));
    drop(held);
    let status = |stream: &mut TcpStream| Answer::read(&read_answers(stream, 1)).status;
    let mut answers: Vec<_> = all.iter_mut().map(status).collect();
    answers.sort_unstable();
    assert_eq!(answers, [0, 302, 302, 302, 302, 302]);
    assert_eq!(rig.visit(&go("?ecid=later"), &[]).status, 302);
}

#[test]
fn no_two_visitors_hold_the_same_link_and_no_visitor_two() {
    let rig = Rig::with(|config| config.threads = 4);
    rig.stock.put_block(block(2, 100..700), std::time::Instant::now());
    let (threads, visitors) = (8, 60);
    let gate = Barrier::new(threads);
    let all: Vec<Vec<String>> = std::thread::scope(|scope| {
        let taps: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    gate.wait();
                    // Every thread taps for every visitor, all at about the same time.
                    let visits = (0..visitors).map(|visitor| {
                        let language = format!("x-{visitor}");
                        rig.visit(&go(""), &[("Accept-Language", &language)]).location().to_owned()
                    });
                    visits.collect()
                })
            })
            .collect();
        taps.into_iter().map(|tap| tap.join().unwrap()).collect()
    });
    let first = &all[0];
    assert!(all.iter().all(|places| places == first), "a visitor got two links");
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), visitors, "two visitors got the same link");
    let (clicks, repeats) = (rig.clicks().len(), rig.repeats().len());
    assert_eq!((clicks, repeats), (visitors, (threads - 1) * visitors));
    let order = Arc::new(rig.log.events());
    let mut known = HashSet::new();
    for event in order.iter() {
        match &event.body {
            sl_core::event::EventBody::Click(click) => {
                known.insert(click.id);
            }
            sl_core::event::EventBody::Repeat(repeat) => {
                assert!(known.contains(&repeat.click), "a repeat before its click");
            }
            _ => {}
        }
    }
}

#[test]
fn who_never_reads_its_answers_does_not_keep_a_place_for_ever() {
    let rig = Rig::with(|config| {
        config.max_connections = 4;
        config.header_timeout = Duration::from_millis(200);
        config.durable_wait = Duration::from_millis(100);
    });
    let asks = format!("HEAD {} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n\r\n", go("")).repeat(200);
    let greedy: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            let mut stream = rig.connect();
            stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            // Until the edge reads no more, because it can't write.
            while stream.write_all(asks.as_bytes()).is_ok() {}
            stream
        };
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut answers = (0..200).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        rig.visit(&go(""), &[]).status
    });
    assert!(answers.any(|status| status == 302), "all places stay taken");
    drop(greedy);
}
