//! Commands and their exit status.

use std::{
    io::{Read, Write},
    process::Output,
};

use crate::{
    creator::{LINK, prepare},
    process::{Service, command},
};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command().args(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_second_process_on_a_directory_ends_with_1_and_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Service::start(dir.path());
    let second = run(&["serve"], &[("SMARTLINKS_DATA_DIR", dir.path().to_str().unwrap())]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("in use by process"), "{}", text(&second.stderr));
}

#[test]
fn keys_are_made_listed_and_revoked_on_a_running_service() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(dir.path());
    let environment = [("SMARTLINKS_DATA_DIR", dir.path().to_str().unwrap())];
    let made = run(&["keys", "create", "--name", "buyer", "--json"], &environment);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let secret = made[0]["secret"].as_str().unwrap();
    assert_eq!(service.api(secret, "/api/whoami")["api_key"]["name"], "buyer");
    let id = made[0]["id"].to_string();
    assert!(run(&["keys", "revoke", &id], &environment).status.success());
    let listed = run(&["keys", "list"], &environment);
    assert!(text(&listed.stdout).contains("revoked"));
}

#[test]
fn keys_work_on_the_directory_of_a_stopped_service() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 0);
    let environment = [("SMARTLINKS_DATA_DIR", dir.path().to_str().unwrap())];
    let first = run(&["keys", "list", "--json"], &environment);
    let listed: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(text(&first.stderr).contains("owner API key (shown once): slk_"));
}

#[test]
fn keys_make_no_second_service_where_none_has_been_started() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let commands: [&[&str]; 3] =
        [&["keys", "create", "--name", "n"], &["keys", "list"], &["keys", "revoke", "1"]];
    for command in commands {
        for place in [&empty, &dir.path().join("absent")] {
            let refused = run(command, &[("SMARTLINKS_DATA_DIR", place.to_str().unwrap())]);
            assert_eq!(refused.status.code(), Some(1), "{command:?}");
            let said = text(&refused.stderr);
            for part in [place.to_str().unwrap(), "--config", "SMARTLINKS_DATA_DIR", "start it once"] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(!said.contains("slk_"), "{said}");
        }
    }
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    assert!(!dir.path().join("absent").exists());
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_flag() {
    let link = "01KZ4M8Q2T7V9W3X5Y6B1C0DEF,acct_a,nova";
    let long = "n".repeat(101);
    let wrong: [(&[&str], &[&str]); 7] = [
        (&["sim", "traffic", "--link", "notanid,acct,h"], &["--link", "smart link id"]),
        (&["sim", "traffic", "--link", "one,two"], &["--link", "separated by commas"]),
        (&["sim", "traffic", "--link", link, "--window", "1ms"], &["--window", "too short"]),
        (&["keys", "create", "--name", ""], &["--name", "1 to 100 characters"]),
        (&["keys", "create", "--name", &long], &["--name", "1 to 100 characters"]),
        (
            &["keys", "create", "--name", "n", "--role", "manager"],
            &["--role", "owner", "admin", "member", "developer", "viewer"],
        ),
        (&["demo", "--config", "x.toml"], &["--config"]),
    ];
    for (command, parts) in wrong {
        let output = run(command, &[]);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output.stderr));
        for part in parts {
            assert!(text(&output.stderr).contains(part), "{command:?}: {}", text(&output.stderr));
        }
    }
    let help = run(&["keys", "create", "--help"], &[]);
    assert!(text(&help.stdout).contains("owner, admin, member, developer, viewer"), "{}", text(&help.stdout));
}

#[test]
fn a_configuration_of_the_environment_is_no_concern_of_the_demo() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let demo = run(&["demo", "--edge", &address], &[("SMARTLINKS_CONFIG", "/nowhere/smartlinks.toml")]);
    // It came as far as its listeners.
    assert_eq!(demo.status.code(), Some(1), "{}", text(&demo.stderr));
    assert!(!text(&demo.stderr).contains("--config"), "{}", text(&demo.stderr));
}

#[test]
fn an_empty_name_of_a_configuration_is_none() {
    let checked = run(&["check-config"], &[("SMARTLINKS_CONFIG", "")]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let given = run(&["check-config", "--config", ""], &[]);
    assert_eq!(given.status.code(), Some(2), "an empty argument is a mistake");
    assert!(text(&given.stderr).contains("--config"), "{}", text(&given.stderr));
}

#[test]
fn a_simulator_whose_address_is_taken_names_it() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    for which in ["platform", "ads"] {
        let told = run(&["sim", which, "--listen", &address], &[]);
        assert_eq!(told.status.code(), Some(1), "{which}");
        let said = text(&told.stderr);
        assert!(said.contains(&format!("--listen {address}")), "{said}");
    }
}

#[test]
fn traffic_that_nobody_answers_is_a_failure() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let edge = format!("http://{nobody}");
    let link = "01KZ4M8Q2T7V9W3X5Y6B1C0DEF,acct_a,nova";
    let told = run(&["sim", "traffic", "--edge", &edge, "--link", link, "--for", "300ms"], &[]);
    assert_eq!(told.status.code(), Some(1), "{}", text(&told.stdout));
    let said = text(&told.stderr);
    assert!(said.contains("--edge") && said.contains(&nobody.to_string()), "{said}");
}

#[test]
fn keys_of_a_cluster_that_does_not_answer_are_an_error_that_names_the_setting() {
    let nowhere = [
        ("SMARTLINKS_STORAGE__BACKEND", "cluster"),
        ("SMARTLINKS_SECRETS__KEY", &*"5e".repeat(32)),
        ("SMARTLINKS_KAFKA__BROKERS", "127.0.0.1:1"),
        ("SMARTLINKS_SCYLLA__NODES", "127.0.0.1:1"),
    ];
    let listed = run(&["keys", "list"], &nowhere);
    assert_eq!(listed.status.code(), Some(1));
    assert!(text(&listed.stderr).contains("scylla.nodes: "), "{}", text(&listed.stderr));
}

#[test]
fn check_config_names_every_problem_and_exits_2() {
    let broken = [("SMARTLINKS_EDGE__DURABLE_WAIT", "0ms"), ("SMARTLINKS_EDGE__COLOUR", "red")];
    let checked = run(&["check-config"], &broken);
    assert_eq!(checked.status.code(), Some(2));
    let said = text(&checked.stderr);
    assert!(said.contains("edge.durable_wait") && said.contains("edge.colour"), "{said}");
    assert_eq!(run(&["check-config"], &[]).status.code(), Some(0));
}

#[test]
fn check_config_reads_the_databases_it_names() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "<html>402 Payment Required</html>").unwrap();
    let checked = run(&["check-config"], &[("SMARTLINKS_GEO__CITY_DB", file.path().to_str().unwrap())]);
    assert_eq!(checked.status.code(), Some(0), "the service starts without it");
    let said = text(&checked.stdout);
    assert!(said.contains("geo.city_db") && said.contains("not a usable mmdb file"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let checked = run(&["check-config"], &[("SMARTLINKS_GEO__ASN_DB", folder.path().to_str().unwrap())]);
    assert!(text(&checked.stdout).contains("geo.asn_db"), "{}", text(&checked.stdout));
}

#[test]
fn the_printed_default_is_a_configuration() {
    let printed = run(&["print-config"], &[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &printed.stdout).unwrap();
    let checked = run(&["check-config", "--config", file.path().to_str().unwrap()], &[]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn other_roles_on_embedded_storage_are_wrong_usage() {
    let output = run(&["serve", "--roles", "edge"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("storage.backend"), "{}", text(&output.stderr));
}

#[test]
fn the_journal_of_a_running_service_is_printed_as_json_lines_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 10);
    let service = Service::start(dir.path());
    assert_eq!(service.visit(&LINK.to_string(), 1).unwrap().status, 302);
    let path = dir.path().to_str().unwrap();
    let dumped = run(&["journal", "dump", path], &[]);
    assert!(dumped.status.success(), "{}", text(&dumped.stderr));
    let printed = text(&dumped.stdout);
    let events = printed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let click = events.map(|line| line["event"]["body"]["Click"].clone()).find(serde_json::Value::is_object);
    assert_eq!(click.unwrap()["link"], LINK.to_string(), "{printed}");
    let verified = run(&["journal", "verify", path, "--json"], &[]);
    let said = text(&verified.stdout);
    let said: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(said["sound"], true, "{said}");
}

#[test]
fn a_directory_without_a_journal_is_not_said_to_be_sound() {
    let dir = tempfile::tempdir().unwrap();
    for what in ["verify", "dump"] {
        let told = run(&["journal", what, dir.path().to_str().unwrap()], &[]);
        assert_eq!(told.status.code(), Some(1), "{what}");
        assert!(text(&told.stderr).contains("there is no journal in it"), "{}", text(&told.stderr));
    }
}

#[test]
fn who_no_longer_reads_makes_no_command_panic() {
    for arguments in [&["print-config"][..], &["check-config", "--json"], &["demo", "--for", "1s", "--json"]]
    {
        let pipes = [std::process::Stdio::piped(), std::process::Stdio::piped()];
        let [out, err] = pipes;
        let mut child = command().args(arguments).stdout(out).stderr(err).spawn().unwrap();
        // The readers are gone before anything is said.
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().unwrap();
        assert_ne!(status.code(), Some(101), "{arguments:?}");
    }
}

#[test]
fn under_nohup_a_terminal_that_goes_away_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut nohup = std::process::Command::new("nohup");
    nohup.arg(command().get_program()).arg("serve");
    let mut service = Service::start_by(nohup, dir.path(), &[]);
    service.hang_up();
    // A signal is there before anything that is asked afterwards.
    service.get("/healthz");
    assert!(service.ended().is_none());
    assert!(!service.has_said("stopping"));
    assert_eq!(service.terminate().code(), Some(0));
}

#[test]
fn a_terminal_that_goes_away_stops_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    // `script` has a terminal made, which goes with it. The log goes past that terminal.
    let serve = format!("exec {} serve 2>&3", command().get_program().display());
    let mut terminal = heeding("script");
    terminal.args(["--quiet", "--return", "--command", &serve, "/dev/null"]);
    let mut logged = std::process::Command::new("sh");
    logged.args(["-c", "exec \"$@\" 3>&2", "sh"]).arg(terminal.get_program()).args(terminal.get_args());
    let mut service = Service::start_by(logged, dir.path(), &[]);
    service.end_terminal();
    service.until_said("SIGHUP came");
    service.until_said("stopped");
}

#[test]
fn a_hangup_without_a_terminal_stops_nothing_and_says_what_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut apart = heeding("setsid");
    apart.arg(command().get_program()).arg("serve");
    let mut service = Service::start_by(apart, dir.path(), &[]);
    service.hang_up();
    service.until_said("restart the service");
    service.get("/healthz");
    assert_eq!(service.terminate().code(), Some(0));
    assert!(service.has_said("stopped"));
}

#[test]
fn what_is_made_in_a_directory_for_everybody_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut service = Service::start(dir.path());
    assert_eq!(service.terminate().code(), Some(0));
    for made in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let mode = made.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}: {mode:o}", made.file_name());
    }
}

/// A command that heeds SIGHUP: the tests themselves may run under `nohup`, which whatever they start would inherit.
fn heeding(program: &str) -> std::process::Command {
    let mut heeding = std::process::Command::new("env");
    heeding.args(["--default-signal=HUP", program]);
    heeding
}

/// A request that is under way for as long as the stream lives, so that a stop waits for it.
fn under_way(service: &Service) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(service.admin).unwrap();
    let head = "POST /webhooks/onlyfansapi HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // Its `100 Continue` says that somebody waits for the body.
    assert_eq!(stream.read(&mut [0; 64]).map(|bytes| bytes > 0).ok(), Some(true));
    stream
}

#[test]
fn a_second_signal_ends_at_once_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path());
    let _request = under_way(&service);
    service.signal();
    service.until_said("a second signal ends at once");
    let began = std::time::Instant::now();
    let status = loop {
        service.signal();
        std::thread::sleep(std::time::Duration::from_millis(50));
        if let Some(status) = service.ended() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(1), "after {:?}", began.elapsed());
}

#[test]
fn the_same_signal_twice_is_an_ordered_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path());
    let request = under_way(&service);
    service.signal();
    service.until_said("a second signal ends at once");
    service.signal();
    drop(request);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn a_first_start_that_fails_still_shows_the_owner_key() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let environment = [
        ("SMARTLINKS_DATA_DIR", dir.path().to_str().unwrap()),
        ("SMARTLINKS_EDGE__LISTEN", "127.0.0.1:0"),
        ("SMARTLINKS_ADMIN__LISTEN", address.as_str()),
    ];
    let failed = run(&["serve"], &environment);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(said.contains("admin.listen") && said.contains("owner API key (shown once): slk_"), "{said}");
}

#[test]
fn an_environment_with_other_peoples_bytes_is_no_concern() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let checked = command().arg("check-config").env("THEIRS", OsStr::from_bytes(&[0xFF])).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

/// Settings without the platform's key; how often a text speaks of it.
fn names_of_the_key(said: &str) -> usize {
    said.matches("platform.api_key").count()
}

#[test]
fn warnings_are_for_who_checks_the_configuration_or_serves_and_each_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let environment: Vec<_> = crate::process::settings(dir.path());
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let checked = run(&["check-config"], &environment);
    assert_eq!(names_of_the_key(&text(&checked.stdout)), 1, "{}", text(&checked.stdout));

    let mut serve = command();
    serve.arg("serve").envs(environment.iter().copied()).stdin(std::process::Stdio::null());
    let mut child =
        serve.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut said = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        said.push_str(&line);
        if line.contains("ready ") {
            break;
        }
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    said.extend(lines.map_while(Result::ok));
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(names_of_the_key(&said), 1, "{said}");

    let listed = run(&["keys", "list"], &environment);
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed.stderr));
    assert_eq!(text(&listed.stderr), "");
}
