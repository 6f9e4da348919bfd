//! What Snapchat's answers mean (ad-platforms 4.5, 14): `status` of the body, whatever HTTP says.

use std::time::Duration;

use serde_json::Value;
use sl_core::platforms::{AdPlatform, Channel, Event, Skip, Snapchat};
use sl_core::{
    click::{AdCookies, Click, Params, RequestFacts},
    delivery::{DeliveryKind, RenderedRequest},
    money::Cents,
    pace::{Meter, Pace},
    retry::Outcome,
    seal::Secret,
};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{WEEK, a_pixel, answer};

fn snapchat() -> Snapchat {
    Snapchat::new("https://tr.snapchat.com", WEEK)
}

#[test]
fn every_answer_has_its_class() {
    let invalid = r#"{"status":"INVALID","event":1,"errors":{"codes":["1004"],"error_msgs":["no value"]}}"#;
    for (status, body, want) in [
        (200, r#"{"status":"VALID","reason":"ok"}"#, Outcome::Delivered),
        (200, invalid, Outcome::Payload),
        (200, r#"{"status":"INVALID","reason":"too little"}"#, Outcome::Payload),
        (400, invalid, Outcome::Payload),
        (400, r#"{"message":"what?"}"#, Outcome::Payload),
        (400, "<html>", Outcome::Unclear),
        (400, r#"{"status":"VALID"}"#, Outcome::Unclear),
        (200, "{}", Outcome::Unclear),
        (200, r#"{"status":"QUEUED"}"#, Outcome::Unclear),
        (200, "<html>login</html>", Outcome::Retry),
        (200, "", Outcome::Retry),
        (401, invalid, Outcome::Auth),
        (403, "", Outcome::Auth),
        (404, "", Outcome::Config),
        (301, "", Outcome::Config),
        (429, "", Outcome::Slow(None)),
        (500, invalid, Outcome::Retry),
        (502, "<html>", Outcome::Retry),
        (503, r#"{"status":"VALID"}"#, Outcome::Retry),
    ] {
        assert_eq!(snapchat().verdict(&a_pixel(), &answer(status, body), 1).outcome, want, "{status} {body}");
    }
}

/// It judges each event for itself (ad-platforms 0), and names the first that it refuses.
#[test]
fn of_several_events_others_than_the_refused_one_may_have_been_taken() {
    let invalid = r#"{"status":"INVALID","event":2,"errors":{"codes":["1004"],"error_msgs":["no value"]}}"#;
    for status in [200, 400] {
        assert_eq!(snapchat().verdict(&a_pixel(), &answer(status, invalid), 3).outcome, Outcome::Unclear);
    }
    let valid = answer(200, r#"{"status":"VALID"}"#);
    assert_eq!(snapchat().verdict(&a_pixel(), &valid, 3).outcome, Outcome::Delivered);
}

#[test]
fn no_second_has_more_than_ten_requests() {
    let pace = snapchat().pace().unwrap();
    let (mut meter, mut sent) = (Meter::default(), Vec::new());
    // A queue that wants all it may have, after a rest, looked at every millisecond.
    for after in 0..5_000 {
        let now = HOUR.plus(Duration::from_millis(after));
        while meter.take(pace, now) {
            sent.push(after);
        }
    }
    assert!(sent.len() > 20);
    assert!(sent.windows(11).all(|eleven| eleven[10] - eleven[0] >= 1_000), "{sent:?}");
    let pace = |requests| Pace::per_minute(requests);
    assert_eq!(Pace::slower(pace(300), pace(60)), pace(60), "the operator's, when it is slower");
    assert_eq!((Pace::slower(pace(300), None), Pace::slower(None, pace(60))), (pace(300), pace(60)));
}

#[test]
fn its_own_words_are_kept_codes_included() {
    let words = |body: &str| snapchat().verdict(&a_pixel(), &answer(400, body), 1).words.unwrap();
    let event = r#"{"status":"INVALID","event":1,"errors":{"codes":["1004"],"error_msgs":["no value"]}}"#;
    assert_eq!(words(event), "status INVALID; codes 1004; error_msgs no value");
    let validate = r#"{"status":"INVALID","reason":"bad","test_event":true,"event_logs":[{"event":1,
        "status":"INVALID","errors":{"codes":[7],"error_msgs":["hashed IP"]},"warnings":["w1","w2"]}]}"#;
    assert_eq!(words(validate), "status INVALID; reason bad; codes 7; error_msgs hashed IP; warnings w1, w2");
}

#[test]
fn the_token_is_a_query_value_and_rests_nowhere() {
    let stored = RenderedRequest {
        method: "POST".to_owned(),
        url: "https://tr.snapchat.com/v3/p/events".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        ..RenderedRequest::default()
    };
    let sent = snapchat().authorise(stored, &Secret::new("a+b/c="));
    assert_eq!(sent.url, "https://tr.snapchat.com/v3/p/events?access_token=a%2Bb%2Fc%3D");
}

fn build(click: &Click, name: &str, value: Option<i64>) -> Result<Value, Skip> {
    let event = Event {
        kind: DeliveryKind::NewSubscriber,
        name,
        event_id: "1",
        occurred_at: click.at,
        value: value.map(Cents),
        order_id: Some("tx-1"),
        renewal: false,
        channel: Channel::Live,
    };
    let request = snapchat().build(
        &sample::pixel(1, TEAM),
        &event,
        click,
        "https://go.example/go/A?SCCID=Aa&ecid=1",
    )?;
    Ok(serde_json::from_slice(&request.body).unwrap())
}

fn click() -> Click {
    Click {
        request: RequestFacts {
            user_agent: "Mozilla/5.0".to_owned(),
            ip: "203.0.113.7".parse().ok(),
            ..RequestFacts::default()
        },
        params: Params::default(),
        cookies: AdCookies { scclid: Some("FromCookie".to_owned()), ..AdCookies::default() },
        ..Click::clone(&sample::click(1, sample::link_id(1), HOUR).click)
    }
}

#[test]
fn a_purchase_needs_an_amount_and_a_person_needs_address_and_browser() {
    assert_eq!(build(&click(), "PURCHASE", None), Err(Skip::MISSING_VALUE));
    assert_eq!(build(&click(), "PURCHASE", Some(-1)), Err(Skip::NEGATIVE_VALUE));
    assert!(build(&click(), "SIGN_UP", None).is_ok());
    for spoil in [|c: &mut Click| c.request.ip = None, |c: &mut Click| c.request.user_agent = String::new()] {
        let mut nobody = click();
        spoil(&mut nobody);
        assert_eq!(build(&nobody, "SIGN_UP", None), Err(Skip::INSUFFICIENT_USER_DATA));
    }
}

#[test]
fn the_click_id_keeps_its_case_wherever_it_came_from() {
    let body = build(&click(), "PURCHASE", Some(1000)).unwrap();
    let event = &body["data"][0];
    assert_eq!(event["user_data"]["sc_click_id"], "FromCookie");
    assert_eq!(event["event_source_url"], "https://go.example/go/A?SCCID=Aa", "the name in any case");
    assert_eq!((&event["action_source"], &event["custom_data"]["order_id"]), (&"WEB".into(), &"tx-1".into()));
}
