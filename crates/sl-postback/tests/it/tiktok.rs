//! What TikTok's answers mean (ad-platforms 3.5, 14): the code of the body, whatever the status.

use std::time::Duration;

use serde_json::{Value, json};
use sl_core::platforms::{AdPlatform, Channel, Event, Skip, TikTok};
use sl_core::{
    click::{AdCookies, Click, Params, RequestFacts},
    delivery::DeliveryKind,
    retry::Outcome,
    time::Timestamp,
};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{WEEK, a_pixel, answer};

fn tiktok() -> TikTok {
    TikTok::new("https://business-api.tiktok.com", WEEK)
}

fn coded(status: u16, code: u64) -> Outcome {
    let body = json!({ "code": code, "message": "m", "request_id": "r", "data": {} });
    tiktok().verdict(&a_pixel(), &answer(status, &body.to_string()), 1).outcome
}

#[test]
fn every_code_has_its_class_whatever_the_status_says() {
    let rows: [(Outcome, &[u64]); 7] = [
        (Outcome::Delivered, &[0, 20_001]),
        (Outcome::Payload, &[40_000, 40_002, 40_061, 40_062, 40_063]),
        (Outcome::Config, &[40_006, 40_051, 40_400, 41_001, 41_002]),
        (
            Outcome::Auth,
            &[40_001, 40_003, 40_101, 40_102, 40_104, 40_105, 40_110, 40_113, 40_119, 40_124, 40_125, 40_130],
        ),
        (Outcome::Slow(None), &[40_100, 40_132, 61_000, 40_016, 41_000, 60_001]),
        (Outcome::Retry, &[40_201, 40_202, 50_000, 50_002, 51_000, 52_010, 53_999]),
        (Outcome::Unclear, &[1, 20_002, 40_111, 40_999, 99_999]),
    ];
    for (want, codes) in rows {
        for code in codes {
            for status in [200, 400, 401, 403] {
                assert_eq!(coded(status, *code), want, "{code} with {status}");
            }
        }
    }
    assert_eq!(coded(500, 0), Outcome::Retry, "a success from a broken server is none");
    assert_eq!(coded(502, 40_002), Outcome::Payload);
    assert_eq!(coded(503, 40_999), Outcome::Retry);
}

#[test]
fn what_is_no_answer_of_tiktok_is_tried_again() {
    for (status, body) in [
        (200, "<html>login</html>"),
        (200, ""),
        (200, "{}"),
        (200, r#"{"code":"0"}"#),
        (403, "<html>blocked</html>"),
        (404, "not found"),
        (502, "<html>bad gateway</html>"),
        (504, ""),
    ] {
        assert_eq!(
            tiktok().verdict(&a_pixel(), &answer(status, body), 1).outcome,
            Outcome::Retry,
            "{status} {body}"
        );
    }
    let mut limited = answer(429, "");
    limited.headers.insert("retry-after", "30".parse().unwrap());
    assert_eq!(
        tiktok().verdict(&a_pixel(), &limited, 1).outcome,
        Outcome::Slow(Some(Duration::from_secs(30)))
    );
    limited.status = 503;
    assert_eq!(
        tiktok().verdict(&a_pixel(), &limited, 1).outcome,
        Outcome::Slow(Some(Duration::from_secs(30)))
    );
}

/// Of a minute: five minutes, which is the schedule's own (ad-platforms 3.5).
#[test]
fn the_limit_of_a_day_lasts_until_midnight_utc() {
    let limited = |message: &str, date: Option<&str>| {
        let mut said = answer(401, &json!({ "code": 40_100, "message": message }).to_string());
        if let Some(date) = date {
            said.headers.insert("date", date.parse().unwrap());
        }
        tiktok().verdict(&a_pixel(), &said, 1).outcome
    };
    let evening = Some("Sat, 28 Nov 2026 21:30:00 GMT");
    let until_midnight = Outcome::Slow(Some(Duration::from_secs(9_000)));
    assert_eq!(limited("Too many requests: the daily limit of the app is reached.", evening), until_midnight);
    assert_eq!(limited("You have made 86400000 requests in a day", evening), until_midnight);
    assert_eq!(limited("Too many requests. Please retry in some time.", evening), Outcome::Slow(None));
    assert_eq!(limited("Too many requests today", evening), Outcome::Slow(None), "says nothing of a limit");
    assert_eq!(limited("daily limit", None), Outcome::Slow(None), "nobody knows what time it is there");
}

#[test]
fn its_own_words_are_kept() {
    let body = r#"{"code":40002,"message":"event_id must be a string","request_id":"2026","data":{}}"#;
    let words = tiktok().verdict(&a_pixel(), &answer(200, body), 1).words.unwrap();
    assert_eq!(words, "code 40002; message event_id must be a string; request_id 2026");
}

fn build(params: Params, cookies: AdCookies, name: &str) -> Result<Value, Skip> {
    let click = Click {
        at: Timestamp(1_795_196_412_345),
        request: RequestFacts { user_agent: "Mozilla/5.0".to_owned(), ..RequestFacts::default() },
        params,
        cookies,
        ..Click::clone(&sample::click(1, sample::link_id(1), HOUR).click)
    };
    let event = Event {
        kind: DeliveryKind::NewSubscriber,
        name,
        event_id: "1",
        occurred_at: click.at,
        value: None,
        order_id: None,
        renewal: false,
        channel: Channel::Live,
    };
    let request = tiktok().build(&sample::pixel(1, TEAM), &event, &click, "https://go.example/go/A")?;
    Ok(serde_json::from_slice(&request.body).unwrap())
}

#[test]
fn a_click_id_goes_whole_or_not_at_all() {
    let ttclid = |id: &str| Params { ttclid: Some(id.to_owned()), ..Params::default() };
    let cookie = |id: &str| AdCookies { ttclid: Some(id.to_owned()), ..AdCookies::default() };
    let sent =
        |params, cookies| build(params, cookies, "Subscribe").map(|body| body["data"][0]["user"].clone());
    let (longest, longer) = ("x".repeat(1000), "x".repeat(1001));
    assert_eq!(sent(ttclid(&longest), AdCookies::default()).unwrap()["ttclid"], longest);
    assert_eq!(sent(ttclid(&longer), AdCookies::default()), Err(Skip::INSUFFICIENT_USER_DATA));
    assert_eq!(sent(Params::default(), cookie("E.C.P.Cookie")).unwrap()["ttclid"], "E.C.P.Cookie");
    assert_eq!(sent(ttclid("__CLICKID__"), cookie("E.C.P.Cookie")).unwrap()["ttclid"], "E.C.P.Cookie");
    assert_eq!(sent(ttclid("E.C.P.Url"), cookie("E.C.P.Cookie")).unwrap()["ttclid"], "E.C.P.Url");
}

#[test]
fn nobody_and_a_purchase_without_amount_are_not_told() {
    assert_eq!(
        build(Params::default(), AdCookies::default(), "Subscribe"),
        Err(Skip::INSUFFICIENT_USER_DATA),
        "a browser alone is nobody"
    );
    let click = Params { ttclid: Some("E.C.P.a".to_owned()), ..Params::default() };
    for name in ["Purchase", "CompletePayment", "PlaceAnOrder"] {
        assert_eq!(build(click.clone(), AdCookies::default(), name), Err(Skip::MISSING_VALUE), "{name}");
    }
}
