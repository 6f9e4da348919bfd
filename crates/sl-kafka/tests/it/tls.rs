//! Through a broker's door with TLS and passwords. Run with the feature: `cargo test -p sl-kafka --features tls`.

use std::path::Path;

use sl_kafka::{Cluster, KafkaConfig};

use crate::{
    broker::Broker,
    world::{self, Edge, Reading, clock},
};

fn config(broker: &Broker, mechanism: &str, password: &str, certificate: &Path) -> KafkaConfig {
    let keys = [
        ("security.protocol", "sasl_ssl"),
        ("ssl.ca.location", &*certificate.to_string_lossy()),
        ("sasl.mechanisms", mechanism),
        ("sasl.username", "smartlinks"),
        ("sasl.password", password),
    ];
    let security = keys.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    KafkaConfig { security, ..world::config(&broker.door(), 2) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster's servers: deploy/dev-cluster"]
async fn records_travel_through_tls_and_who_knows_no_password_is_not_let_in() {
    let broker = Broker::with_tls();
    let certificate = broker.certificate();
    for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
        let right = config(&broker, mechanism, "smartlinks", &certificate);
        assert_eq!(right.problems(), []);
        let cluster = world::cluster_of(right).await;
        let edge = Edge::start(&cluster);
        for n in 0..50 {
            edge.append(world::event("acct_1", n));
        }
        let mut readings = Reading::all(&cluster).await;
        world::expect_complete(&mut readings, &["acct_1".to_owned()], 50).await;
    }

    let stranger = broker.certificate().with_file_name("stranger.pem");
    std::fs::write(&stranger, STRANGER).unwrap();
    for (password, certificate) in [("hunter2", &certificate), ("smartlinks", &stranger)] {
        let wrong = config(&broker, "SCRAM-SHA-256", password, certificate);
        assert_eq!(wrong.problems(), []);
        let refused = Cluster::new(wrong).unwrap().make_topics(clock().now()).await.unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains("kafka.security") && !refused.contains("hunter2"), "{refused}");
    }
}

/// The certificate of somebody else, `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=stranger`.
const STRANGER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBfjCCASOgAwIBAgIUZ3nCE/Xy0sqoQGwjNepelM+fUKQwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIc3RyYW5nZXIwIBcNMjYxMTI4MTYzMjU5WhgPMjEyNjExMDQx
NjMyNTlaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEyM8pYLS/XGzXrhdzmh8jCgYHl4qW0WOfL5NGlX3YqPOHMrlAiDpW14Mw
J5AFLXZmvq7vod8Jj8TCWGYCBL6TjqNTMFEwHQYDVR0OBBYEFFDr5kCiChaRUwrl
EXqRCV1N7yIGMB8GA1UdIwQYMBaAFFDr5kCiChaRUwrlEXqRCV1N7yIGMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAPRRSs74c0P4Y/5OHxksVXsp
I0DJYurRUW2rz52MgRdZAiEAunXNq+8T0A4iLCr5hGgJzwstew2yba8JgFwV42pL
L5s=
-----END CERTIFICATE-----
";
