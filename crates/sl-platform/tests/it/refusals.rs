//! What the client does when the platform says no (contract A.3, E.6).

use std::time::Duration;

use sl_core::ids::LinkKind;
use sl_platform::{
    CreatorPlatform as _, PlatformError, Priority,
    platform::{LinkPage, LinkWish},
};

use crate::{upstream::Fault, world::World};

const PAGE: LinkPage = LinkPage { kind: LinkKind::TrackingLink, offset: 0, newest_first: false };

fn wish() -> LinkWish {
    LinkWish { kind: LinkKind::TrackingLink, trial_days: None, single_use: true, name: "one".into() }
}

#[tokio::test]
async fn a_refused_key_stops_every_call_until_a_probe_succeeds() {
    let world = World::start().await;
    let client = world.of_api();
    let account = "acct_1".into();
    world.upstream.change(|rows| rows.key = "another".into());
    assert_eq!(client.links(&account, PAGE, Priority::Rest).await, Err(PlatformError::KeyRefused));
    assert!(client.is_refused());
    for _ in 0..5 {
        let refused = client.create(&account, &wish(), Priority::RunningDry).await;
        assert_eq!(refused, Err(PlatformError::KeyRefused));
    }
    assert_eq!(
        world.upstream.count(""),
        2,
        "after the first refusal only the question whether it is the key"
    );
    let minute = async || {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
    };
    for asked in 3..5 {
        minute().await;
        for _ in 0..3 {
            assert_eq!(client.links(&account, PAGE, Priority::Rest).await, Err(PlatformError::KeyRefused));
        }
        assert_eq!(world.upstream.count("GET /api/accounts"), asked - 1, "one a minute goes out to see");
        assert_eq!(world.upstream.count(""), asked);
    }
    world.upstream.change(|rows| rows.key = crate::upstream::KEY.into());
    minute().await;
    client.links(&account, PAGE, Priority::Rest).await.unwrap();
    assert!(!client.is_refused());
    client.create(&account, &wish(), Priority::Rest).await.unwrap();
}

#[tokio::test]
async fn an_account_that_answers_401_keeps_no_other_account_from_being_served() {
    let world = World::start().await;
    let client = world.of_api();
    world.upstream.refuse("/acct_1/", 401);
    for _ in 0..5 {
        let refused = client.create(&"acct_1".into(), &wish(), Priority::Rest).await.unwrap_err();
        assert!(matches!(refused, PlatformError::Refused { status: 401, .. }), "{refused}");
        assert!(!refused.is_about_what_was_asked(), "the account waits, whatever is asked for it");
        client.create(&"acct_2".into(), &wish(), Priority::Rest).await.unwrap();
    }
    assert!(!client.is_refused());
    assert_eq!(
        world.upstream.count("GET /api/accounts"),
        1,
        "asked once a minute at most, not with every call"
    );
    assert_eq!(world.upstream.count("POST"), 10, "no call is sent twice");
}

#[tokio::test]
async fn a_key_that_the_list_of_accounts_refuses_is_refused_without_another_question() {
    let world = World::start().await;
    let client = world.of_api();
    world.upstream.change(|rows| rows.key = "another".into());
    assert_eq!(client.accounts(Priority::Rest).await, Err(PlatformError::KeyRefused));
    assert_eq!(client.me(&"acct_1".into(), Priority::Rest).await, Err(PlatformError::KeyRefused));
    assert_eq!(world.upstream.count(""), 1);
}

#[tokio::test]
async fn an_account_that_logs_in_again_is_left_to_the_caller_at_once() {
    let world = World::start().await;
    let client = world.of_api();
    world.upstream.fault("POST", Fault::Status(503));
    let refused = client.create(&"acct_1".into(), &wish(), Priority::Rest).await;
    assert_eq!(refused, Err(PlatformError::AccountBusy));
    assert!(!PlatformError::AccountBusy.is_unsure() && PlatformError::AccountBusy.is_temporary());
    assert_eq!(world.upstream.count("POST"), 1);
}

#[tokio::test]
async fn a_limit_is_obeyed_for_as_long_as_it_says_and_the_call_goes_out_again() {
    let world = World::start().await;
    let client = world.of_api();
    world.upstream.fault("POST", Fault::Limit(1));
    let start = tokio::time::Instant::now();
    client.create(&"acct_1".into(), &wish(), Priority::Rest).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(world.upstream.count("POST"), 2);
    assert_eq!(world.upstream.links("tracking-links").len(), 1);
}

#[tokio::test]
async fn a_call_without_effect_is_repeated_and_one_that_may_have_had_it_is_not() {
    let world = World::start().await;
    let client = world.of_api();
    world.upstream.fault("GET", Fault::Status(502));
    client.links(&"acct_1".into(), PAGE, Priority::Rest).await.unwrap();
    assert_eq!(world.upstream.count("GET"), 2);
    world.upstream.fault("POST", Fault::Broken);
    let unsure = client.create(&"acct_1".into(), &wish(), Priority::Rest).await.unwrap_err();
    assert!(unsure.is_unsure(), "{unsure}");
    assert_eq!(world.upstream.count("POST"), 1);
}

#[tokio::test]
async fn neither_the_key_nor_an_address_is_in_a_debug_text_or_an_error() {
    let world = World::start().await;
    let client = world.of_api();
    assert!(!format!("{client:?}").contains(crate::upstream::KEY));
    world.upstream.fault("POST", Fault::Mute);
    let error = client.create(&"acct_1".into(), &wish(), Priority::Rest).await.unwrap_err();
    assert_eq!(error, PlatformError::Unsure);
    assert!(!error.to_string().contains("127.0.0.1"));
}
