//! The configuration as its users meet it.

use std::io::Write;

use sl_core::platforms::PlatformKind;

use super::*;

fn with(text: &str, environment: &[(&str, &str)]) -> Result<(Config, Vec<Problem>), LoadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    load(Some(file.path()), environment)
}

fn errors(text: &str) -> Vec<(String, String)> {
    let LoadError(problems) = with(text, &[]).unwrap_err();
    problems.into_iter().filter(Problem::is_error).map(|problem| (problem.key, problem.text)).collect()
}

#[test]
fn the_printed_default_is_a_configuration_that_works() {
    let (config, problems) = with(DEFAULT, &[]).unwrap();
    assert_eq!(config.edge.listen.port(), 8080);
    assert_eq!(config.journal.segment.as_u64(), 64 << 20);
    assert!(problems.iter().all(|problem| problem.level == super::check::Level::Warning));
}

#[test]
fn a_file_changes_only_the_keys_it_names() {
    let (config, _) = with("[edge]\nvisitor_window = \"90m\"\n", &[]).unwrap();
    assert_eq!(config.edge.visitor_window.as_secs(), 5400);
    assert_eq!(config.edge.max_connections, 20_000);
}

#[test]
fn the_environment_wins_over_the_file() {
    let variables = [
        ("SMARTLINKS_EDGE__LISTEN", "127.0.0.1:0"),
        ("SMARTLINKS_EDGE__THREADS", "3"),
        ("SMARTLINKS_EDGE__TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1/32"),
        ("SMARTLINKS_PLATFORM__API_KEY", "12345"),
        ("SMARTLINKS_DATA_DIR", "/tmp/elsewhere"),
        ("SMARTLINKS_AD_PLATFORMS__META__BASE_URL", "http://127.0.0.1:1"),
        ("PATH", "/bin"),
    ];
    let (config, _) = with("[edge]\nlisten = \"127.0.0.1:9\"\n", &variables).unwrap();
    assert_eq!(config.edge.listen.port(), 0);
    assert_eq!(config.edge.threads, Some(3));
    assert_eq!(config.edge.trusted_proxies.len(), 2);
    assert_eq!(config.platform.api_key.0.unwrap().expose(), "12345");
    assert_eq!(config.data_dir.to_str(), Some("/tmp/elsewhere"));
    assert_eq!(config.ad_platforms[&PlatformKind::Meta].base_url, "http://127.0.0.1:1");
}

#[test]
fn every_problem_is_named_with_its_key() {
    let found = errors(
        "data_dri = \"x\"\n[edge]\nlistne = \"x\"\nthreads = \"many\"\ndurable_wait = \"0ms\"\n[nonsense]\na = 1\n",
    );
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["data_dri", "edge.listne", "edge.threads", "nonsense.a", "edge.durable_wait"]);
    assert!(found[1].1.contains("listen"), "{}", found[1].1);
    assert!(found[2].1.contains("many"), "{}", found[2].1);
}

#[test]
fn a_secret_comes_from_a_file_and_never_out_again() {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"hush-hush\n").unwrap();
    let text = format!("[platform]\napi_key_file = {:?}\n", secret.path());
    let (config, _) = with(&text, &[]).unwrap();
    assert_eq!(config.platform.api_key.0.as_ref().unwrap().expose(), "hush-hush");
    assert!(!format!("{config:?}").contains("hush"));
    let both = format!("[platform]\napi_key = \"a\"\napi_key_file = {:?}\n", secret.path());
    assert!(errors(&both)[0].1.contains("keep one"));
}

#[test]
fn a_secret_that_is_written_wrong_is_not_repeated_in_the_error() {
    let cases = [
        ("[platform]\napi_key = [\"hush\"]\n", "platform.api_key", "write \"…\""),
        ("[platform]\nwebhook_secrets = \"hush, expected\"\n", "platform.webhook_secrets", "write [\"…\""),
        ("[admin]\nmetrics_token = 4711\n", "admin.metrics_token", "type integer"),
        ("[admin]\n\n[platform]\napi_key = hush_4711\n", "--config", "line 4, column 11"),
        ("[platform]\napi_key = \"hush 4711\n", "--config", "line 2"),
    ];
    for (text, key, says) in cases {
        let found = errors(text);
        assert_eq!(found[0].0, key);
        assert!(found[0].1.contains(says), "{}", found[0].1);
        assert!(!found[0].1.contains("hush") && !found[0].1.contains("4711"), "{}", found[0].1);
    }
}

#[test]
fn contradictions_are_errors_with_their_consequence() {
    let found = errors("[pool]\nmin = 9\nmax = 3\n[journal]\nmax_disk = \"64MiB\"\n");
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["journal.max_disk", "pool.min"]);
}

#[test]
fn kafka_is_checked_whatever_the_backend_and_its_secrets_never_come_out() {
    let text = "[kafka]\nbrokers = \"a:9092, b:9092\"\n[kafka.security]\nsecurity.protocol = \"sasl_plaintext\"\n\
                \"sasl.mechanisms\" = \"PLAIN\"\nsasl.username = \"u\"\n";
    let (config, _) = with(text, &[("SMARTLINKS_KAFKA__SECURITY__SASL__PASSWORD", "hush-hush")]).unwrap();
    let settings = config.kafka.settings();
    assert_eq!(settings.security["security.protocol"], "sasl_plaintext");
    assert_eq!(settings.security["sasl.password"], "hush-hush");
    assert!(!format!("{config:?}").contains("hush"));
    let found = errors("[kafka]\nbrokers = \"nowhere\"\npartitions = 0\n[kafka.security]\nacks = \"0\"\n");
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["kafka.brokers", "kafka.partitions", "kafka.security.acks"]);
    let found = errors("[kafka.security]\nsasl.passwort = \"hush-hush\"\n");
    assert_eq!(found[0].0, "kafka.security.sasl.passwort");
    assert!(!found[0].1.contains("hush"), "{}", found[0].1);
}

#[test]
fn a_file_that_is_empty_is_no_secret() {
    for text in ["", "\n \n"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        for key in ["platform.api_key", "platform.webhook_secrets", "admin.metrics_token", "kafka.security"] {
            let (section, name) = key.split_once('.').unwrap();
            let found = errors(&format!("[{section}]\n{name}_file = {:?}\n", file.path()));
            assert!(found.len() == 1 && found[0].0 == key && found[0].1.contains("is empty"), "{found:?}");
        }
    }
}

#[test]
fn trust_in_everybody_is_warned_of() {
    for (networks, is_wide) in
        [("0.0.0.0/0", true), ("::/0", true), ("10.0.0.0/8", false), ("fd00::/8", false)]
    {
        for (section, key) in [("edge", "trusted_proxies"), ("egress", "allow")] {
            let (_, problems) = with(&format!("[{section}]\n{key} = [{networks:?}]\n"), &[]).unwrap();
            let warned = problems.iter().any(|problem| problem.key == format!("{section}.{key}"));
            assert_eq!(warned, is_wide, "{section}.{key} = {networks}: {problems:?}");
        }
    }
}

#[test]
fn keys_of_kafka_may_stand_in_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(
        b"# the team's\nsecurity.protocol = sasl_plaintext\nsasl.mechanisms=PLAIN\nsasl.username=u\nsasl.password=a=b\n",
    )
    .unwrap();
    let (config, _) = with(&format!("[kafka]\nsecurity_file = {:?}\n", file.path()), &[]).unwrap();
    assert_eq!(config.kafka.settings().security["sasl.password"], "a=b");
    file.write_all(b"hush\n").unwrap();
    let found = errors(&format!("[kafka]\nsecurity_file = {:?}\n", file.path()));
    assert!(found[0].1.contains("line 6") && !found[0].1.contains("hush"), "{}", found[0].1);
}

#[test]
fn where_the_tests_servers_are_is_no_key() {
    assert!(with("", &[("SMARTLINKS_TEST_KAFKA", "127.0.0.1:1")]).is_ok());
}

#[test]
fn ad_platforms_have_ages_that_make_sense_and_an_address_that_is_one() {
    let found = errors(
        "[ad_platforms.tiktok]\nmax_age = \"29d\"\n[ad_platforms.snapchat]\nmax_age = \"1h\"\n\
         [ad_platforms.creatortraffic]\nbase_url = \"ask them\"\n",
    );
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    let want = [
        "ad_platforms.tiktok.max_age",
        "ad_platforms.snapchat.max_age",
        "ad_platforms.creatortraffic.base_url",
    ];
    assert_eq!(keys, want);
    let found = errors("[ad_platforms.meta]\nversion = \"\"\nbase_url = \"https://graph.facebook.com \"\n");
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["ad_platforms.meta.base_url", "ad_platforms.meta.version"]);
    // Keys that a platform does not know, and platforms that nobody knows.
    let found = errors("[ad_platforms.meta]\nmax_age = \"2d\"\n[ad_platforms.tiktok]\nversion = \"v2\"\n");
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["ad_platforms.meta.max_age", "ad_platforms.tiktok.version"]);
    let found = errors("[ad_platforms.myspace]\nbase_url = \"https://x.example\"\n");
    assert!(found.iter().any(|(_, text)| text.contains("myspace") && text.contains("tiktok")), "{found:?}");
    let good = "[ad_platforms.snapchat]\nmax_age = \"37d\"\n\
                [ad_platforms.creatortraffic]\nbase_url = \"https://ct.example/in?adv=7\"\n";
    assert!(with(good, &[]).is_ok());
}

#[test]
fn a_variable_that_is_no_text_is_named_when_it_is_ours_and_ignored_otherwise() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let bytes = || OsString::from_vec(vec![0xFF]);
    let others = [(OsString::from("THEIRS"), bytes()), (bytes(), bytes())];
    assert!(load(None, others.into_iter()).is_ok());
    let LoadError(problems) =
        load(None, [(OsString::from("SMARTLINKS_TEAM__NAME"), bytes())].into_iter()).unwrap_err();
    assert!(problems.iter().any(|problem| problem.is_error() && problem.key == "team.name"), "{problems:?}");
}

#[test]
fn what_would_stop_the_service_or_be_ignored_is_said_before_it_starts() {
    for (key, line) in [
        ("admin.listen", "admin.listen = \"0.0.0.0:8080\""),
        ("edge.client_ip_header", "edge.client_ip_header = \"x real ip\""),
        ("edge.threads", "edge.threads = 100000"),
        ("log.level", "log.level = \"sl_core=loud\""),
        ("log.level", "log.level = \"warning\""),
        ("log.level", "log.level = \"sl_core=debug,loud\""),
        ("platform.webhook_secrets", "platform.webhook_secrets = [\"s3cret\", \"\"]"),
        ("edge.public_url", "edge.public_url = \"https://go.example/?y=1\""),
        ("ad_platforms.meta.version", "ad_platforms.meta.version = \"26\""),
        ("ad_platforms.meta.base_url", "ad_platforms.meta.base_url = \"https://graph.example/v3\""),
        ("platform.base_url", "platform.base_url = \"https://platform.example/api/\""),
        ("otel.endpoint", "otel.endpoint = \"ftp://collector\""),
        ("postback.max_batch", "postback.max_batch = 0"),
        ("postback.max_batch", "postback.max_batch = 1001"),
        ("ad_platforms.meta.base_url", "ad_platforms.meta.base_url = \"ftp://graph.example\""),
        ("ad_platforms.tiktok.base_url", "ad_platforms.tiktok.base_url = \"mailto:x@example\""),
        ("ad_platforms.snapchat.base_url", "ad_platforms.snapchat.base_url = \"file:///x\""),
        ("retention.clicks", "retention.clicks = \"0s\""),
        ("retention.deliveries", "retention.deliveries = \"0s\""),
    ] {
        assert_eq!(errors(line).into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key], "{line}");
    }
    for level in ["warn,sl_core=debug", "warn,sl_core", "sl_core=debug"] {
        assert!(with(&format!("log.level = {level:?}"), &[]).is_ok(), "{level}");
    }
    assert!(with("edge.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"", &[]).is_ok());
    assert!(with("edge.listen = \"127.0.0.1:80\"\nadmin.listen = \"127.0.0.2:80\"", &[]).is_ok());
    let (_, problems) = with("journal.segment = \"64KiB\"", &[]).unwrap();
    assert!(problems.iter().any(|problem| problem.key == "journal.segment"), "{problems:?}");
    for line in ["pool.quarantine = \"1h\"", "pool.quarantine = \"23h\"\nedge.visitor_window = \"24h\""] {
        let (_, problems) = with(line, &[]).unwrap();
        assert!(problems.iter().any(|problem| problem.key == "pool.quarantine"), "{line}: {problems:?}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    for dir in [String::new(), file.path().to_str().unwrap().to_owned()] {
        assert_eq!(errors(&format!("data_dir = {dir:?}"))[0].0, "data_dir", "{dir:?}");
    }
    // Of a file not even root can make a directory.
    for (under, odd) in [(file.path(), true), (file.path().parent().unwrap(), false)] {
        let (_, problems) = with(&format!("data_dir = {:?}", under.join("new/data")), &[]).unwrap();
        assert_eq!(problems.iter().any(|problem| problem.key == "data_dir"), odd, "{under:?}: {problems:?}");
    }
    let public = "edge.public_url = \"https://go.example\"";
    for (line, odd) in
        [(public.to_owned(), true), (format!("{public}\nedge.trusted_proxies = [\"10.0.0.0/8\"]"), false)]
    {
        let (_, problems) = with(&line, &[]).unwrap();
        assert_eq!(
            problems.iter().any(|problem| problem.key == "edge.trusted_proxies"),
            odd,
            "{line}: {problems:?}"
        );
    }
    let (_, problems) = with("geo.city_db = \"/nonexistent.mmdb\"", &[]).unwrap();
    assert!(problems.iter().any(|problem| problem.key == "geo.city_db"), "{problems:?}");
}

#[test]
fn a_data_dir_whose_socket_has_no_room_in_an_address_is_named() {
    let dir = |length: usize| format!("data_dir = \"/{}\"", "d".repeat(length - 1));
    // 107 bytes with /control.sock behind it.
    assert!(with(&dir(94), &[]).is_ok());
    let found = errors(&dir(95));
    assert!(found[0].0 == "data_dir" && found[0].1.contains("108 bytes"), "{found:?}");
}

#[test]
fn a_cluster_names_what_it_needs() {
    let found = errors(
        "[storage]\nbackend = \"cluster\"\n[scylla]\nnodes = \"db\"\nkeyspace = \"1st\"\nuser = \"me\"\nlocal_dc = \"a'b\"\n",
    );
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    let want = ["secrets.key", "scylla.nodes", "scylla.keyspace", "scylla.local_dc", "scylla.user"];
    assert_eq!(keys, want);
    let good = format!("[storage]\nbackend = \"cluster\"\n[secrets]\nkey = \"{}\"\n", "5e".repeat(32));
    assert!(with(&good, &[]).is_ok());
}
