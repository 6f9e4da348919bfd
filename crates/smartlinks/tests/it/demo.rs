//! The demo balances, and says so only when it does.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::process::command;

fn demo(args: &[&str]) -> Child {
    let mut command = command();
    command.arg("demo").args(args).arg("--json");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The last line of stdout, and the exit status. Stderr must be read elsewhere or be short.
fn ended(child: Child) -> (Value, Option<i32>) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (serde_json::from_str(last).unwrap(), output.status.code())
}

#[test]
fn the_demo_balances_to_the_cent() {
    let (summary, code) = ended(demo(&["--for", "17s", "--rate", "16", "--seed", "3"]));
    assert_eq!(code, Some(0), "{summary}");
    assert_eq!(summary["balanced"], true, "{summary}");
    for (part, figure) in [
        ("clicks", "person"),
        ("subscribers", "attributed"),
        ("revenue_cents", "attributed"),
        ("deliveries", "due"),
    ] {
        assert!(summary[part][figure].as_u64() > Some(0), "{part}.{figure}: {summary}");
    }
    // By this seed eight subscribe after their window: credit beyond it would not balance.
    for part in ["subscribers", "revenue_cents"] {
        let figure = |name: &str| summary[part][name].as_u64().unwrap();
        assert!(figure("simulated") > figure("expected"), "{part}: {summary}");
    }
}

#[test]
fn the_demo_tells_all_four_platforms_and_says_so_to_people() {
    let mut command = command();
    command.args(["demo", "--for", "12s", "--rate", "10", "--seed", "4"]).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let told = text.lines().find(|line| line.starts_with("... told to")).unwrap_or_else(|| panic!("{text}"));
    for receiver in ["meta", "tiktok", "snapchat", "creatortraffic", "postback"] {
        assert!(told.contains(receiver), "{told}");
    }
    assert!(text.contains("balanced: every number agrees"), "{text}");
}

#[test]
fn the_demo_says_false_and_exits_1_when_a_receiver_refuses() {
    let mut child = demo(&["--for", "6s", "--rate", "8"]);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let ads = loop {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the demo did not start");
        if let Some((_, address)) = line.split_once("ad platforms http://") {
            break address.split('/').next().unwrap().to_owned();
        }
    };
    // Broken on purpose: the next answers of the ad platform are 400, which is final.
    let body = r#"{"status":400,"count":3,"only":"meta"}"#;
    let mut control = TcpStream::connect(ads).unwrap();
    let head = format!(
        "POST /_sim/fail HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    control.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    control.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let reader = std::thread::spawn(move || log.lines().map_while(Result::ok).last());
    let (summary, code) = ended(child);
    assert_eq!(code, Some(1), "{summary}");
    assert_eq!(summary["balanced"], false, "{summary}");
    assert_eq!(summary["deliveries"]["parked"], 3, "{summary}");
    let words = reader.join().unwrap().unwrap();
    assert!(words.contains("parked"), "{words}");
}

/// As `timeout` does it: to the process, and to its group, which it is in.
#[test]
fn the_same_signal_twice_ends_the_demo_with_its_summary() {
    let mut child = demo(&["--rate", "4"]);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("ad platforms http://") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the demo did not start");
    }
    let reader = std::thread::spawn(move || log.lines().map_while(Result::ok).collect::<Vec<_>>());
    let process = rustix::process::Pid::from_child(&child);
    std::thread::sleep(std::time::Duration::from_secs(1));
    for _ in 0..2 {
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        // Further apart than the process needs to take the first, and nearer than two signals of two minds.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let output = child.wait_with_output().unwrap();
    let (summary, said) = (String::from_utf8(output.stdout).unwrap(), reader.join().unwrap());
    assert!(summary.contains("\"balanced\""), "no summary: {summary} {said:?}");
}
