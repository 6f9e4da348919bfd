//! The image. It is not built here.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
};

use super::{default_ports, text};
use crate::process::Service;

/// Instructions, continued lines joined, comments left out.
fn instructions() -> Vec<String> {
    let lines: Vec<String> =
        text("Dockerfile").lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    lines.join("\n").replace("\\\n", " ").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn last(word: &str) -> String {
    let found = instructions().into_iter().rfind(|line| line.starts_with(&format!("{word} ")));
    found.unwrap_or_else(|| panic!("no {word}")).split_once(' ').unwrap().1.to_owned()
}

/// The command of HEALTHCHECK.
fn health_check() -> Vec<String> {
    let line = last("HEALTHCHECK");
    let (_, command) = line.split_once("CMD ").unwrap();
    serde_json::from_str(command).unwrap()
}

#[test]
fn the_image_is_nobodys_root_and_has_the_ports_of_the_default() {
    let (edge, admin) = default_ports();
    assert_eq!(last("EXPOSE"), format!("{edge} {admin}"));
    // Kubernetes refuses a name under runAsNonRoot.
    let user = last("USER");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    assert_eq!(last("ENTRYPOINT"), r#"["smartlinks"]"#);
    assert!(instructions().iter().filter(|line| line.starts_with("FROM ")).count() == 2, "not multi-stage");
}

/// A port at which one caller gets this answer.
fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer.as_bytes());
    });
    port
}

#[test]
fn the_health_check_tells_a_service_that_is_ready_from_one_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(dir.path());
    let [program, arguments @ ..] = <[String; 3]>::try_from(health_check()).unwrap();
    let check = |port: u16| {
        let arguments = arguments.clone().map(|text| text.replace("/8081", &format!("/{port}")));
        Command::new(&program).args(arguments).output().unwrap().status.success()
    };
    assert!(check(service.admin.port()));
    assert!(!check(answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")));
    assert!(!check(answering("")), "hung up");
}
