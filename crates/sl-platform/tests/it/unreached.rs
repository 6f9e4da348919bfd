//! Why the platform can't be reached, from real sockets.

use std::{net::TcpListener, time::Duration};

use sl_core::seal::Secret;
use sl_platform::{CreatorPlatform as _, OfApi, OfApiConfig, PlatformError, Priority, Unreached};

use crate::{upstream::KEY, world::World};

async fn why(base_url: &str) -> Unreached {
    let client = OfApi::new(OfApiConfig {
        base_url: base_url.parse().unwrap(),
        api_key: Secret::new(KEY),
        requests_per_minute: 60_000,
        timeout: Duration::from_secs(20),
    })
    .unwrap();
    let error = client.accounts(Priority::Rest).await.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("the platform can't be reached: ") && !said.contains(KEY), "{said}");
    let PlatformError::Unreachable(why) = error else { panic!("{said}") };
    why
}

#[tokio::test]
async fn a_name_a_closed_port_and_a_port_without_tls_are_told_apart() {
    let world = World::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let [name, refused, tls] = [
        "http://no-such-host.invalid".to_owned(),
        format!("http://{closed}"),
        format!("https://{}", world.upstream.address),
    ];
    let (name, refused, tls) = tokio::join!(why(&name), why(&refused), why(&tls));
    assert_eq!((name.to_string().as_str(), name.label()), ("dns: the name does not resolve", "dns"));
    assert_eq!((refused.to_string().as_str(), refused.label()), ("the connection was refused", "refused"));
    assert!(matches!(tls, Unreached::Tls(_)) && tls.to_string().starts_with("tls: "), "{tls:?}");
}
