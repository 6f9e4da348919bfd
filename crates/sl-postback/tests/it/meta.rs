//! What Meta's answers mean (ad-platforms 2.6), and its click cookie (2.3, 13.5).

use std::time::Duration;

use serde_json::Value;
use sl_core::platforms::{AdPlatform, Channel, Event, Meta};
use sl_core::{
    click::{AdCookies, Click, Params},
    delivery::{DeliveryKind, RenderedRequest},
    retry::Outcome,
    seal::Secret,
    time::Timestamp,
};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{a_pixel, answer};

fn meta() -> Meta {
    Meta::new("https://graph.facebook.com/", "v26.0")
}

fn error(code: u64, subcode: Option<u64>) -> String {
    serde_json::json!({ "error": { "code": code, "error_subcode": subcode, "message": "no" } }).to_string()
}

#[test]
fn every_code_has_its_class() {
    for (status, body, want) in [
        (200, r#"{"events_received":1,"messages":[],"fbtrace_id":"A"}"#.to_owned(), Outcome::Delivered),
        (200, r#"{"events_received":0}"#.to_owned(), Outcome::Unclear),
        (200, "<html>".to_owned(), Outcome::Retry),
        (400, error(190, Some(463)), Outcome::Auth),
        (400, error(200, None), Outcome::Auth),
        (403, error(10, None), Outcome::Auth),
        (400, error(100, Some(33)), Outcome::Config),
        (404, error(803, None), Outcome::Config),
        (400, error(100, Some(2_804_003)), Outcome::Payload),
        (400, error(100, None), Outcome::Payload),
        (500, error(1, None), Outcome::Retry),
        (400, error(21_009, None), Outcome::Retry),
        (400, error(613, None), Outcome::Slow(None)),
        (400, error(80_004, None), Outcome::Slow(None)),
        (400, r#"{"error":{"code":100,"is_transient":true}}"#.to_owned(), Outcome::Retry),
        (400, r#"{"error":{"code":613,"is_transient":true}}"#.to_owned(), Outcome::Slow(None)),
        (400, r#"{"error":{"code":190,"is_transient":true}}"#.to_owned(), Outcome::Auth),
        (502, "<html>bad gateway</html>".to_owned(), Outcome::Retry),
        (400, error(102, Some(467)), Outcome::Auth),
        (400, error(299, None), Outcome::Auth),
        (400, error(3, None), Outcome::Config),
        (400, error(2635, None), Outcome::Config),
        (400, error(100, Some(2_804_009)), Outcome::Payload),
        (400, error(100, Some(2_804_050)), Outcome::Payload),
        (400, error(105, None), Outcome::Payload),
        (400, error(506, None), Outcome::Payload),
        (500, error(2, None), Outcome::Retry),
        (400, error(4, None), Outcome::Slow(None)),
        (400, error(17, None), Outcome::Slow(None)),
        (400, error(341, None), Outcome::Slow(None)),
        (400, error(368, None), Outcome::Slow(None)),
        (400, error(80_000, None), Outcome::Slow(None)),
        (400, error(80_014, None), Outcome::Slow(None)),
        (400, r#"{"error":{"code":999,"is_transient":true}}"#.to_owned(), Outcome::Retry),
        (503, error(999, None), Outcome::Retry),
        (400, error(999, None), Outcome::Payload),
        (200, r#"{"events_received":0,"messages":["x"]}"#.to_owned(), Outcome::Unclear),
        (503, r#"{"events_received":1}"#.to_owned(), Outcome::Retry),
        (200, error(999, None), Outcome::Unclear),
        (200, error(190, None), Outcome::Auth),
        (200, r#"{"error":null}"#.to_owned(), Outcome::Unclear),
    ] {
        assert_eq!(meta().verdict(&a_pixel(), &answer(status, &body), 1).outcome, want, "{status} {body}");
    }
}

#[test]
fn a_throttled_app_waits_as_long_as_meta_says() {
    let mut throttled = answer(400, &error(4, None));
    let usage = r#"{"1":[{"type":"ads_management","estimated_time_to_regain_access":7}]}"#;
    throttled.headers.insert("x-business-use-case-usage", usage.parse().unwrap());
    let want = Outcome::Slow(Some(Duration::from_secs(420)));
    assert_eq!(meta().verdict(&a_pixel(), &throttled, 1).outcome, want);
    for body in ["", "<html>slow down</html>", r#"{"error":{"message":"slow down"}}"#] {
        let mut page = answer(429, body);
        page.headers.insert("x-business-use-case-usage", usage.parse().unwrap());
        assert_eq!(meta().verdict(&a_pixel(), &page, 1).outcome, want, "{body}");
    }
    // Without that header, as HTTP says it.
    throttled.headers.clear();
    throttled.headers.insert("retry-after", "90".parse().unwrap());
    assert_eq!(
        meta().verdict(&a_pixel(), &throttled, 1).outcome,
        Outcome::Slow(Some(Duration::from_secs(90)))
    );
}

#[test]
fn the_token_is_added_to_the_body_that_was_stored() {
    let stored = RenderedRequest {
        method: "POST".to_owned(),
        url: String::new(),
        headers: Vec::new(),
        body: br#"{"data":[]}"#.to_vec(),
        ..RenderedRequest::default()
    };
    let sent = meta().authorise(stored, &Secret::new("a\"b"));
    assert_eq!(sent.body, br#"{"access_token":"a\"b","data":[]}"#);
}

#[test]
fn the_click_cookie_is_sent_when_it_belongs_to_the_click() {
    for (fbclid, cookie, want) in [
        (Some("AbC-1"), None, Some("fb.1.1795196412345.AbC-1")),
        (Some("AbC-1"), Some("fb.1.1795000000000.AbC-1"), Some("fb.1.1795000000000.AbC-1")),
        (Some("AbC-1"), Some("fb.1.1795000000000.OLD"), Some("fb.1.1795196412345.AbC-1")),
        (None, Some("fb.2.1795000000000.OLD.Bg"), Some("fb.2.1795000000000.OLD.Bg")),
        (Some("{{fbclid}}"), None, None),
        (Some("AbC-1"), Some("fb.x.broken"), Some("fb.1.1795196412345.AbC-1")),
    ] {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let click = Click {
            at: Timestamp(1_795_196_412_345),
            params: Params { fbclid: owned(fbclid), ..Params::default() },
            cookies: AdCookies { fbc: owned(cookie), ..AdCookies::default() },
            ..Click::clone(&sample::click(1, sample::link_id(1), HOUR).click)
        };
        let event = Event {
            kind: DeliveryKind::Click,
            name: "ViewContent",
            event_id: "clk_1",
            occurred_at: click.at,
            value: None,
            order_id: None,
            renewal: false,
            channel: Channel::Live,
        };
        let request =
            meta().build(&sample::pixel(1, TEAM), &event, &click, "https://go.example/go/A").unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["data"][0]["user_data"]["fbc"].as_str(), want, "{fbclid:?} {cookie:?}");
    }
}
