//! Every edge of HTTP, on raw sockets.

use std::{
    io::{Read, Write},
    net::Shutdown,
    time::Duration,
};

use crate::{
    faults::Mode,
    rig::{Answer, BOT, IPHONE, LINK, OVERFLOW, PROFILE, Rig, go, other, read_all, read_answers},
};

fn status(text: &str) -> u16 {
    Answer::read(text).status
}

#[test]
fn a_visit_is_redirected_and_never_stored() {
    let rig = Rig::start();
    let answer = rig.visit(&go("?ecid=a"), &[]);
    assert_eq!((answer.status, answer.location()), (302, "https://onlyfans.com/nova/c1"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer-when-downgrade"));
    assert_eq!(answer.header("content-length"), Some("0"));
    assert!(answer.header("date").is_some());
    assert_eq!(answer.body, "");
}

#[test]
fn ids_are_read_in_any_letter_case() {
    let rig = Rig::start();
    assert_eq!(rig.visit(&format!("/go/{}", LINK.to_lowercase()), &[]).status, 302);
}

#[test]
fn head_gets_the_place_bots_get_without_a_row_or_a_link() {
    let rig = Rig::start();
    let answer = rig.ask("HEAD", &go(""), &[("User-Agent", IPHONE)]);
    assert_eq!((answer.status, answer.location(), answer.cookie()), (302, OVERFLOW, None));
    assert_eq!(rig.ask("HEAD", "/go/01ARZ3NDEKTSV4RRFFQ69G5FAV", &[]).status, 404);
    assert!(rig.log.events().is_empty());
    assert_eq!(rig.visit(&go(""), &[]).location(), "https://onlyfans.com/nova/c1");
    assert_eq!(rig.links.speculative(LINK.parse().unwrap()), 1);
}

#[test]
fn a_prefetch_is_refused_so_that_the_real_visit_comes() {
    let rig = Rig::start();
    let ways = [
        ("Sec-Purpose", "prefetch;prerender"),
        ("Sec-Purpose", "prefetch;anonymous-client-ip"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ];
    for way in ways {
        let answer = rig.visit(&go(""), &[way]);
        assert_eq!((answer.status, answer.header("cache-control")), (503, Some("no-store")), "{way:?}");
        assert_eq!((answer.body.as_str(), answer.header("location")), ("", None), "{way:?}");
    }
    assert!(rig.log.events().is_empty());
    assert_eq!(rig.links.speculative(LINK.parse().unwrap()), 5);
    assert_eq!(rig.visit(&go(""), &[]).location(), "https://onlyfans.com/nova/c1");
}

#[test]
fn unknown_malformed_deleted_and_paused_links_have_their_answers() {
    let rig = Rig::start();
    let (deleted, gone) = other(1, |link| link.deleted = true);
    let (paused, asleep) = other(2, |link| link.paused = true);
    let (bare, without) = other(3, |link| link.overflow = None);
    rig.links.apply(vec![gone, asleep, without]);
    let get = |id: &str| rig.visit(&format!("/go/{id}"), &[]);
    assert_eq!(get("01ARZ3NDEKTSV4RRFFQ69G5FAV").status, 404);
    for malformed in ["", "x", "01ARZ3NDEKTSV4RRFFQ69G5FA!", "01ARZ3NDEKTSV4RRFFQ69G5FAVX", "%2e%2e", "../x"]
    {
        assert_eq!(get(malformed).status, 404, "{malformed:?}");
    }
    assert_eq!(get(&format!("{LINK}/")).status, 404);
    assert_eq!(get(&deleted).status, 410);
    let answer = get(&paused);
    assert_eq!((answer.status, answer.location()), (302, PROFILE));
    let bot = rig.ask("GET", &format!("/go/{bare}"), &[("User-Agent", BOT)]);
    assert_eq!((bot.status, bot.location()), (302, PROFILE), "no overflow link yet");
    assert_eq!(
        rig.visit(&go(""), &[]).location(),
        "https://onlyfans.com/nova/c1",
        "none of them took a link"
    );
}

#[test]
fn before_the_first_catalog_the_answer_is_503_and_not_404() {
    let rig = Rig::bare(|_| {});
    let answer = rig.visit(&go(""), &[]);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(rig.visit("/go/nonsense", &[]).status, 404);
    rig.links.replace(vec![]);
    assert_eq!(rig.visit(&go(""), &[]).status, 404);
}

#[test]
fn other_methods_and_other_paths() {
    let rig = Rig::start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let answer = rig.ask(method, &go(""), &[("User-Agent", IPHONE)]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
        assert_eq!(rig.ask(method, "/elsewhere", &[]).status, 404, "{method}");
    }
    for path in ["/", "/go", "/GO/x", "/favicon.ico", "/metrics", "//go/x"] {
        assert_eq!(rig.ask("GET", path, &[]).status, 404, "{path}");
    }
    let posted =
        format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody", go(""));
    assert_eq!(status(&rig.raw(posted)), 405);
    assert!(rig.log.events().is_empty());
}

#[test]
fn health_and_traffic_advice() {
    let rig = Rig::start();
    assert_eq!(rig.ask("GET", "/healthz", &[]).status, 200);
    let advice = rig.ask("GET", "/.well-known/traffic-advice", &[]);
    assert_eq!(advice.header("content-type"), Some("application/trafficadvice+json"));
    assert_eq!(advice.body, r#"[{"user_agent":"prefetch-proxy","disallow":true}]"#);
}

#[test]
fn the_destination_never_comes_from_the_request() {
    let rig = Rig::start();
    let evil = ["url", "redirect", "next", "to", "dest", "destination", "location", "u", "ecid", "fbclid"];
    for name in evil {
        let headers = [("X-Forwarded-Host", "evil.example"), ("Referer", "https://evil.example/")];
        let answer =
            rig.visit(&go(&format!("?{name}=https://evil.example/&{name}=//evil.example")), &headers);
        assert!(answer.location().starts_with("https://onlyfans.com/nova/c"), "{name}: {answer:?}");
    }
    let hosts = format!(
        "GET http://evil.example/go/{LINK} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    );
    let answer = Answer::read(&rig.raw(hosts));
    assert_eq!(answer.location(), OVERFLOW, "{answer:?}");
    let split = rig.visit(&go("?ecid=%0d%0aSet-Cookie:%20a=b%0d%0aLocation:%20https://evil.example"), &[]);
    assert!(!format!("{split:?}").contains("evil"), "{split:?}");
    let path = rig.visit("/go/https://evil.example/", &[]);
    assert_eq!((path.status, path.header("location")), (404, None));
}

#[test]
fn a_header_too_large_is_431_and_the_request_line_counts() {
    let rig = Rig::with(|config| config.max_header_bytes = 4096);
    let line = rig.visit(&go(&format!("?ecid={}", "x".repeat(5000))), &[]);
    assert_eq!(line.status, 431);
    let header = rig.visit(&go(""), &[("X-Filler", &"x".repeat(5000))]);
    assert_eq!(header.status, 431);
    let endless = rig.raw(format!("GET {} HTTP/1.1\r\nX-Filler: {}", go(""), "x".repeat(100_000)));
    assert_eq!(status(&endless), 431, "without ever ending");
    let many: Vec<_> = (0..150).map(|_| ("A", "b")).collect();
    assert_eq!(rig.visit(&go(""), &many).status, 431);
    assert_eq!(rig.visit(&go(&format!("?ecid={}", "x".repeat(1500))), &[]).status, 302, "below the limit");
}

#[test]
fn a_slow_header_is_408_by_timer_and_an_idle_connection_is_closed_without_a_word() {
    let rig = Rig::with(|config| {
        config.header_timeout = Duration::from_millis(150);
        config.durable_wait = Duration::from_millis(100);
    });
    let mut slow = rig.connect();
    slow.write_all(format!("GET {} HTTP/1.1\r\nHost: x\r\nX-Slow: ", go("")).as_bytes()).unwrap();
    assert_eq!(status(&read_all(&mut slow)), 408);
    let mut idle = rig.connect();
    assert_eq!(read_all(&mut idle), "");
    assert!(rig.log.events().is_empty());
}

#[test]
fn dripping_bytes_do_not_stretch_the_time_for_a_header() {
    let rig = Rig::with(|config| {
        config.header_timeout = Duration::from_millis(200);
        config.durable_wait = Duration::from_millis(100);
    });
    let mut slow = rig.connect();
    let text = format!("GET {} HTTP/1.1\r\nHost: x\r\nX-Slow: {}", go(""), "x".repeat(4000));
    slow.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let mut got = Vec::new();
    for byte in text.as_bytes() {
        let mut buffer = [0; 512];
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        match slow.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => got.extend_from_slice(&buffer[..read]),
            Err(_) => {}
        }
    }
    assert_eq!(status(&String::from_utf8_lossy(&got)), 408);
}

#[test]
fn too_many_connections_are_told_to_come_back_and_a_place_becomes_free_again() {
    let rig = Rig::with(|config| config.max_connections = 2);
    let mut held: Vec<_> = (0..2).map(|_| rig.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(read_answers(stream, 1).starts_with("HTTP/1.1 200"));
    }
    let refused = rig.visit(&go(""), &[]);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(rig.log.events().is_empty());
    held.clear();
    let answered = (0..500).map(|_| rig.visit(&go(""), &[]).status).find(|status| *status == 302);
    assert_eq!(answered, Some(302));
}

#[test]
fn keep_alive_answers_one_after_the_other_on_one_connection() {
    let rig = Rig::start();
    let mut stream = rig.connect();
    for number in 1..=3 {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n\r\n",
            go(&format!("?ecid={number}"))
        );
        stream.write_all(request.as_bytes()).unwrap();
        let answer = Answer::read(&read_answers(&mut stream, 1));
        assert_eq!(
            (answer.status, answer.location()),
            (302, format!("https://onlyfans.com/nova/c{number}").as_str())
        );
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start();
    let one = |number: u32, close: &str| {
        format!(
            "GET {} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n{close}\r\n",
            go(&format!("?ecid={number}"))
        )
    };
    let all: String =
        (1..=20).map(|number| one(number, if number == 20 { "Connection: close\r\n" } else { "" })).collect();
    let text = rig.raw(all);
    let places: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("location: ")).collect();
    let wanted: Vec<_> = (1..=20).map(|number| format!("https://onlyfans.com/nova/c{number}")).collect();
    assert_eq!(places, wanted);
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let rig = Rig::start();
    let text = rig.raw(format!("GET {} HTTP/1.0\r\nUser-Agent: {IPHONE}\r\n\r\n", go("")));
    assert!(text.starts_with("HTTP/1.0 302") || text.starts_with("HTTP/1.1 302"), "{text}");
    assert!(Answer::read(&text).location().ends_with("/c1"));
    let mut kept = rig.connect();
    let ask =
        format!("GET {} HTTP/1.0\r\nUser-Agent: {IPHONE}\r\nConnection: keep-alive\r\n\r\n", go("?ecid=k"));
    for _ in 0..2 {
        kept.write_all(ask.as_bytes()).unwrap();
        assert!(read_answers(&mut kept, 1).contains(" 302 "));
    }
}

#[test]
fn garbage_is_400_and_harms_nobody_else() {
    let rig = Rig::start();
    for garbage in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        assert_eq!(status(&rig.raw(garbage)), 400, "{garbage:?}");
    }
    let smuggled = "POST /go/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc";
    assert_eq!(status(&rig.raw(smuggled)), 400);
    assert_eq!(rig.visit(&go(""), &[]).status, 302);
}

#[test]
fn unreplaced_macros_and_raw_bytes_in_the_query_are_taken() {
    let rig = Rig::start();
    for query in
        ["?ecid={{ad.id}}", "?ttclid=__CLICKID__", "?ecid=${x}", "?ecid=[x]", "?ecid=%x%", "?ecid=a|b^c"]
    {
        assert_eq!(rig.visit(&go(query), &[]).status, 302, "{query}");
    }
    let umlaut = rig.visit(&go("?ecid=spring&utm_campaign=Fr\u{fc}hling"), &[]);
    assert_eq!(umlaut.status, 302);
    let kept = rig.clicks().last().and_then(|click| click.params.utm_campaign.clone());
    assert_eq!(kept.as_deref(), Some("Fr\u{fc}hling"));
    // What hyper's parser refuses, and a letter in an old encoding.
    for (query, want) in
        [(&b"?ecid=<ad_id>"[..], "<ad_id>"), (b"?ecid=\"x\"", "\"x\""), (b"?ecid=a\xfcb", "a\u{fffd}b")]
    {
        let mut stream = rig.connect();
        let (path, agent) = (go(""), format!("\r\nUser-Agent: {IPHONE}\r\n\r\n"));
        let line: [&[u8]; 5] =
            [b"GET ", path.as_bytes(), query, b" HTTP/1.1\r\nHost: x\r\nConnection: close", agent.as_bytes()];
        let ask = line.concat();
        stream.write_all(&ask).unwrap();
        assert_eq!(status(&read_all(&mut stream)), 302, "{want}");
        let kept = rig.clicks().last().and_then(|click| click.params.ecid.clone());
        assert_eq!(kept.as_deref(), Some(want));
    }
}

#[test]
fn a_click_survives_a_client_that_hangs_up() {
    let rig = Rig::start();
    rig.log.set(Mode::Stall);
    let ask = |ecid: &str| {
        format!("GET {} HTTP/1.1\r\nHost: x\r\nUser-Agent: {IPHONE}\r\n\r\n", go(&format!("?ecid={ecid}")))
    };
    // One closes its sending side after the request and still gets its answer.
    let mut half = rig.connect();
    half.write_all(ask("half").as_bytes()).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    // One goes away altogether.
    let mut gone = rig.connect();
    gone.write_all(ask("gone").as_bytes()).unwrap();
    drop(gone);
    while rig.clicks().len() < 2 {
        std::thread::yield_now();
    }
    rig.log.set(Mode::Keep);
    assert_eq!(status(&read_all(&mut half)), 302);
    let mut ecids: Vec<_> = rig.clicks().into_iter().filter_map(|click| click.params.ecid).collect();
    ecids.sort_unstable();
    assert_eq!(ecids, ["gone", "half"]);
}

#[test]
fn the_short_way_and_hyper_give_the_same_answers_and_records() {
    // The same clock and chance: whatever differs was made on the way.
    let [short, long] = [(), ()].map(|()| Rig::with(|config| config.threads = 1));
    let (deleted, gone) = other(1, |link| link.deleted = true);
    let (paused, asleep) = other(2, |link| link.paused = true);
    for rig in [&short, &long] {
        rig.links.apply(vec![gone.clone(), asleep.clone()]);
    }
    let person = [
        ("User-Agent", IPHONE),
        ("Accept", "text/html"),
        ("Accept-Language", "en-GB"),
        ("Referer", "https://x.y/z"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&person[..], more].concat();
    for (what, target, headers) in [
        (
            "a visit",
            go("?ecid=7&fbclid=I%20a+b&utm_source=m"),
            with(&[("Cookie", "a=b"), ("Cookie", "_fbp=fb.1.2.3")]),
        ),
        ("a repeat", go("?ecid=7"), with(&[])),
        ("a cookie", go("?sccid=8"), with(&[("cookie", "sl_v=000102030405060708090a0b0c0d0e0f")])),
        ("a bot", go("?ecid=9"), vec![("user-agent", BOT)]),
        ("a prefetch", go(""), with(&[("sec-purpose", "prefetch")])),
        ("a deleted link", format!("/go/{deleted}"), with(&[])),
        ("a paused link", format!("/go/{paused}"), with(&[])),
        ("no link", "/go/01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), with(&[])),
        ("no id", "/go/!".to_owned(), with(&[])),
    ] {
        let ask = |rig: &Rig, headers: &[(&str, &str)]| {
            let mut answer = rig.ask("GET", &target, headers);
            // hyper's own clock.
            answer.headers.retain(|(name, _)| name != "date");
            answer.headers.sort();
            (answer.status, answer.headers, answer.body)
        };
        // A header that concerns a body leaves the request to hyper.
        let by_hyper = [&headers[..], &[("Content-Length", "0")]].concat();
        assert_eq!(ask(&short, &headers), ask(&long, &by_hyper), "{what}");
    }
    assert_eq!(short.log.events(), long.log.events());
    assert_eq!(short.log.events().len(), 5);
}
