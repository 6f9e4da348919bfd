//! Every golden file under `schemas/ad-platforms` is one request, compared as its platform reads it.

use std::{borrow::Cow, fs, path::PathBuf};

use serde_json::Value;
use sl_core::platforms::{AdPlatform, Channel, CreatorTraffic, Event, Meta, Skip, Snapchat, TikTok};
use sl_core::{
    batch,
    catalog::{AnswerTexts, HeaderTemplate, Pixel, Postback, PostbackMethod, PostbackScope},
    click::{AdCookies, Click, Params, Place, RequestFacts},
    delivery::{DeliveryKind, RenderedRequest},
    ids::PostbackId,
    money::Cents,
    retry::{Outcome, too_old},
    seal::Secret,
    time::{DayEdge, Timestamp},
};
use sl_postback::{batch::join, generic};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{WEEK, a_pixel, answer};

pub(crate) fn files(platform: &str) -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas/ad-platforms").join(platform);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub(crate) fn time(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap(), DayEdge::Start).unwrap()
}

fn click(given: &Value) -> Click {
    let url = given["url"].as_str().unwrap();
    Click {
        at: time(&given["clicked_at"]),
        request: RequestFacts {
            target: url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap(),
            ip: given["ip"].as_str().and_then(|ip| ip.parse().ok()),
            user_agent: text(&given["user_agent"]).unwrap(),
            ..RequestFacts::default()
        },
        place: Place {
            country: text(&given["country"]),
            region: text(&given["region"]),
            city: text(&given["city"]),
            postal_code: text(&given["postal_code"]),
        },
        params: Params {
            ecid: text(&given["external_id"]),
            fbclid: text(&given["fbclid"]),
            ttclid: text(&given["ttclid"]),
            sccid: text(&given["sc_click_id"]),
            ..Params::default()
        },
        cookies: AdCookies {
            fbc: text(&given["fbc"]),
            fbp: text(&given["fbp"]),
            ttp: text(&given["ttp"]),
            scid: text(&given["sc_cookie1"]),
            ..AdCookies::default()
        },
        ..Click::clone(&sample::click(1, sample::link_id(1), HOUR).click)
    }
}

fn pixel(config: &Value) -> Pixel {
    Pixel {
        pixel_id: text(&config["pixel_id"]).unwrap(),
        event_source_url: text(&config["event_source_url"]),
        limited_data_use: config["limited_data_use"].as_bool().unwrap_or_default(),
        api_version: text(&config["api_version"]),
        ..sample::pixel(1, TEAM)
    }
}

pub(crate) fn build(platform: &dyn AdPlatform, input: &Value) -> Result<RenderedRequest, Skip> {
    let event = &input["event"];
    let (name, id) = (text(&event["name"]).unwrap(), text(&event["event_id"]).unwrap());
    let config = &input["config"];
    let (order, code) = (text(&event["order_id"]), text(&config["test_event_code"]));
    let is_test = code.is_some() || config["test_mode"] == true;
    let occurred_at = time(&event["occurred_at"]);
    let now = input.get("now").map_or(occurred_at, time);
    if too_old(occurred_at, now, platform.limits()) {
        return Err(Skip::TOO_OLD);
    }
    let event = Event {
        kind: DeliveryKind::NewSubscriber,
        name: &name,
        event_id: &id,
        occurred_at,
        value: event["value"].as_str().map(|value| Cents::parse(value).unwrap()),
        order_id: order.as_deref(),
        renewal: false,
        channel: if is_test { Channel::Test(code.as_deref()) } else { Channel::Live },
    };
    let url = input["click"]["url"].as_str().unwrap();
    platform.build(&pixel(config), &event, &click(&input["click"]), url)
}

/// Members at the root of a body that do not count (ad-platforms 18).
const IGNORED: [&str; 4] = ["access_token", "partner_agent", "partner_name", "integration"];

/// Numbers by value, to the cent; everything else as it is.
fn same(got: &Value, want: &Value) -> bool {
    match (got, want) {
        (Value::Number(_), Value::Number(_)) => Cents::from_json(got) == Cents::from_json(want),
        (Value::Array(got), Value::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(got, want)| same(got, want))
        }
        (Value::Object(got), Value::Object(want)) => {
            got.len() == want.len()
                && got.iter().all(|(key, got)| want.get(key).is_some_and(|want| same(got, want)))
        }
        _ => got == want,
    }
}

fn headers(request: &RenderedRequest) -> Vec<(String, String)> {
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    headers.sort();
    headers
}

/// Every file of the platform: the request as it leaves, token included, or the reason why none does.
fn compare(platform: &dyn AdPlatform, count: usize) {
    let files = files(platform.kind().as_str());
    assert_eq!(files.len(), count);
    for (name, golden) in files {
        let expected = &golden["expected"];
        let request = match build(platform, &golden["input"]) {
            Err(Skip(why)) => {
                assert_eq!(expected["skip"], why, "{name}");
                continue;
            }
            Ok(request) => request,
        };
        let token = text(&golden["input"]["config"]["access_token"]).unwrap();
        leaves_as(platform, request, token, expected, &name);
    }
}

fn leaves_as(
    platform: &dyn AdPlatform,
    request: RenderedRequest,
    token: String,
    expected: &Value,
    name: &str,
) {
    let rests = format!("{request:?}{}", String::from_utf8_lossy(&request.body));
    assert!(!rests.contains(&token), "{name}: the token rests nowhere");
    let sent = platform.authorise(request, &Secret::new(token));
    assert_eq!(sent.method, expected["method"], "{name}");
    assert_eq!(sent.url, expected["url"], "{name}");
    let want = expected["headers"].as_object().unwrap().iter();
    let mut want: Vec<_> =
        want.map(|(name, value)| (name.to_ascii_lowercase(), text(value).unwrap())).collect();
    want.sort();
    assert_eq!(headers(&sent), want, "{name}");
    let mut body: Value = serde_json::from_slice(&sent.body).unwrap();
    body.as_object_mut().unwrap().retain(|key, _| !IGNORED.contains(&key.as_str()));
    assert!(same(&body, &expected["body"]), "{name}: {body:#} is not {:#}", expected["body"]);
}

/// Several events in one request, and what each answer to it means for each of them.
#[test]
fn several_events_in_one_request_are_written_and_answered_as_the_golden_files_say() {
    let platforms: [Box<dyn AdPlatform>; 3] = [
        Box::new(Meta::new("https://graph.facebook.com", "v26.0")),
        Box::new(TikTok::new("https://business-api.tiktok.com/", WEEK)),
        Box::new(Snapchat::new("https://tr.snapchat.com", WEEK)),
    ];
    let files = files("batches");
    assert_eq!(files.len(), platforms.len());
    for platform in platforms {
        let name = platform.kind().as_str();
        let golden = &files.iter().find(|(file, _)| file == name).unwrap().1;
        let inputs = golden["events"].as_array().unwrap();
        let alone: Vec<_> = inputs.iter().map(|input| build(&*platform, input).unwrap()).collect();
        let joined = join(&alone, platform.batching().unwrap()).unwrap();
        let bytes = String::from_utf8(joined.body.clone()).unwrap();
        for request in &alone {
            let one = String::from_utf8(request.body.clone()).unwrap();
            let event = one.split_once("[").unwrap().1.rsplit_once("]").unwrap().0;
            assert!(bytes.contains(event), "{name}: each as it is stored, to the byte");
        }
        let token = text(&inputs[0]["config"]["access_token"]).unwrap();
        leaves_as(&*platform, joined, token, &golden["expected"], name);
        for told in golden["answers"].as_array().unwrap() {
            let body = told["body"].as_str().map_or_else(|| told["body"].to_string(), str::to_owned);
            let status = told["status"].as_u64().unwrap() as u16;
            let verdict = platform.verdict(&a_pixel(), &answer(status, &body), inputs.len());
            let means = batch::of_each(verdict.outcome).map_or("each alone", Outcome::as_str);
            assert_eq!(means, told["means"], "{name}: {status} {body}");
        }
    }
}

#[test]
fn meta_events_are_written_as_the_golden_files_say() {
    compare(&Meta::new("https://graph.facebook.com", "v26.0"), 6);
}

#[test]
fn tiktok_events_are_written_as_the_golden_files_say() {
    compare(&TikTok::new("https://business-api.tiktok.com/", WEEK), 3);
}

#[test]
fn snapchat_events_are_written_as_the_golden_files_say() {
    compare(&Snapchat::new("https://tr.snapchat.com", WEEK), 4);
}

/// Its vectors are templates with variables (ad-platforms 18.4): they become a click of the same words.
#[test]
fn creatortraffic_conversions_are_written_as_the_golden_files_say() {
    let files = files("creatortraffic");
    assert_eq!(files.len(), 2);
    for (name, golden) in files {
        let (config, variables) = (&golden["input"]["config"], &golden["input"]["variables"]);
        let template = config["url"].as_str().unwrap();
        let plain = template.split('?').next().unwrap();
        let click = Click {
            params: Params {
                ecid: text(&variables["external_click_id"]),
                utm_source: text(&variables["utm_source"]),
                ..Params::default()
            },
            ..Click::clone(&sample::click(1, sample::link_id(1), HOUR).click)
        };
        let event_id = text(&variables["event_id"]).unwrap();
        let event = Event {
            kind: DeliveryKind::NewSubscriber,
            name: "new_subscriber",
            event_id: &event_id,
            occurred_at: time(&variables["conversion_at"]),
            value: None,
            order_id: None,
            renewal: false,
            channel: Channel::Live,
        };
        let token = config["headers"][0]["value"].as_str().unwrap().strip_prefix("Bearer ").unwrap();
        // The address alone, to which the usual query is added, and the address with its own.
        for address in [plain, template] {
            let platform = CreatorTraffic::new(address);
            let expected = &golden["expected"];
            match platform.build(&sample::pixel(1, TEAM), &event, &click, "https://go.example/go/A") {
                Err(Skip(why)) => assert_eq!(expected["skip"], why, "{name}"),
                Ok(request) => {
                    let sent = platform.authorise(request, &Secret::new(token));
                    assert_eq!(
                        (sent.method.as_str(), sent.url.as_str()),
                        ("GET", expected["url"].as_str().unwrap())
                    );
                    let want = &expected["headers"]["Authorization"];
                    assert_eq!(headers(&sent), [("authorization".to_owned(), text(want).unwrap())], "{name}");
                    assert!(sent.body.is_empty());
                }
            }
        }
    }
}

#[test]
fn the_comparison_finds_what_is_off() {
    let want = serde_json::json!({ "a": [1, { "b": "x" }], "v": 20.0 });
    assert!(same(&serde_json::json!({ "v": 20, "a": [1, { "b": "x" }] }), &want));
    for off in [
        serde_json::json!({ "a": [1, { "b": "x" }], "v": 20.01 }),
        serde_json::json!({ "a": [1, { "b": "x" }], "v": "20" }),
        serde_json::json!({ "a": [1, { "b": "x", "c": null }], "v": 20 }),
        serde_json::json!({ "a": [1], "v": 20 }),
        serde_json::json!({ "a": [1, {}], "v": 20 }),
    ] {
        assert!(!same(&off, &want), "{off}");
    }
}

/// The postback of a vector and the values of its variables.
fn filled(golden: &Value) -> RenderedRequest {
    let (config, variables) = (&golden["input"]["config"], &golden["input"]["variables"]);
    let headers = config["headers"].as_array().cloned().unwrap_or_default();
    let header = |row: &Value| HeaderTemplate {
        name: text(&row["name"]).unwrap(),
        value: text(&row["value"]).unwrap(),
    };
    let postback = Postback {
        id: PostbackId(1),
        team: TEAM,
        url: text(&config["url"]).unwrap(),
        method: if config["http_method"] == "POST" { PostbackMethod::Post } else { PostbackMethod::Get },
        body: text(&config["body"]),
        headers: headers.iter().map(header).collect(),
        scope: PostbackScope::Global,
        conversion_types: Vec::new(),
        answers: AnswerTexts::default(),
        in_order: false,
        pace: None,
        created_at: HOUR,
        updated_at: HOUR,
    };
    let value = |name: &str| match name {
        "unknown_name" => None,
        known => Some(Cow::Borrowed(
            variables[known].as_str().unwrap_or_else(|| if known == "currency" { "USD" } else { "" }),
        )),
    };
    generic::fill(&postback, value)
}

#[test]
fn postbacks_are_written_as_the_golden_files_say() {
    let files = files("generic");
    assert_eq!(files.len(), 3);
    for (name, golden) in files {
        let request = filled(&golden);
        let expected = &golden["expected"];
        assert_eq!(request.method, expected["method"], "{name}");
        assert_eq!(request.url, expected["url"], "{name}");
        for (header, want) in expected["headers"].as_object().unwrap() {
            let found = request.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(header));
            assert_eq!(found.map(|(_, value)| value.as_str()), want.as_str(), "{name}: {header}");
        }
        let body = expected["body_text"].as_str().unwrap_or_default();
        assert_eq!(String::from_utf8(request.body).unwrap(), body, "{name}");
    }
}

/// What the vectors fill in for a preset's capitals.
const FILLED: [(&str, &str); 6] = [
    ("GOAL", "0123456789abcdef0123456789abcdef"),
    ("key=KEY", "key=KEY123"),
    ("TRACKER", "1000000001"),
    ("MEMBER", "1000000002"),
    ("=AID", "=1111111"),
    ("=TID", "=222222"),
];

#[test]
fn presets_are_filled_in_as_the_golden_files_say() {
    let all = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas/postback-presets.json");
    let all: Value = serde_json::from_str(&fs::read_to_string(all).unwrap()).unwrap();
    let files = files("presets");
    assert_eq!(files.len(), 4);
    for (name, golden) in files {
        let preset = all.as_array().unwrap().iter().find(|preset| preset["id"] == name.as_str()).unwrap();
        let url = preset["url"].as_str().unwrap().to_owned();
        let url = FILLED.iter().fold(url, |url, (word, value)| url.replace(word, value));
        assert_eq!(url, golden["input"]["config"]["url"].as_str().unwrap(), "{name}");
        let (request, expected) = (filled(&golden), &golden["expected"]);
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("GET", expected["url"].as_str().unwrap())
        );
        assert!(request.headers.is_empty() && request.body.is_empty());
    }
}
