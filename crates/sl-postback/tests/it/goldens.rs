//! Every golden file under `schemas/ad-platforms` is one request, compared as its platform reads it.

use std::{borrow::Cow, fs, path::PathBuf};

use serde_json::Value;
use sl_core::{
    catalog::{HeaderTemplate, Pixel, Postback, PostbackMethod, PostbackScope},
    click::{AdCookies, Click, Params, Place, RequestFacts},
    delivery::{DeliveryKind, RenderedRequest},
    ids::PostbackId,
    money::Cents,
    retry::too_old,
    time::{DayEdge, Timestamp},
};
use sl_postback::{
    AdPlatform, Meta, generic,
    platform::{Event, Skip},
};
use sl_store::suite::sample::{self, HOUR, TEAM};

fn files(platform: &str) -> Vec<(String, Value)> {
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

fn time(value: &Value) -> Timestamp {
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
            ..Params::default()
        },
        cookies: AdCookies { fbc: text(&given["fbc"]), fbp: text(&given["fbp"]), ..AdCookies::default() },
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

fn build(platform: &dyn AdPlatform, input: &Value) -> Result<RenderedRequest, Skip> {
    let event = &input["event"];
    let (name, id) = (text(&event["name"]).unwrap(), text(&event["event_id"]).unwrap());
    let (order, code) = (text(&event["order_id"]), text(&input["config"]["test_event_code"]));
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
        test_code: code.as_deref(),
    };
    let url = input["click"]["url"].as_str().unwrap();
    platform.build(&pixel(&input["config"]), &event, &click(&input["click"]), url)
}

#[test]
fn meta_events_are_written_as_the_golden_files_say() {
    let meta = Meta::new("https://graph.facebook.com", "v26.0");
    let files = files("meta");
    assert_eq!(files.len(), 6);
    for (name, golden) in files {
        let expected = &golden["expected"];
        match build(&meta, &golden["input"]) {
            Err(Skip(why)) => assert_eq!(expected["skip"], why, "{name}"),
            Ok(request) => {
                assert_eq!(request.method, expected["method"], "{name}");
                assert_eq!(request.url, expected["url"], "{name}");
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(body, expected["body"], "{name}");
                assert!(
                    !request.body.windows(5).any(|bytes| bytes == b"TOKEN"),
                    "{name}: the token rests nowhere"
                );
            }
        }
    }
}

#[test]
fn postbacks_are_written_as_the_golden_files_say() {
    let files = files("generic");
    assert_eq!(files.len(), 3);
    for (name, golden) in files {
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
            created_at: HOUR,
            updated_at: HOUR,
        };
        let value = |name: &str| match name {
            "unknown_name" => None,
            known => Some(Cow::Borrowed(
                variables[known].as_str().unwrap_or_else(|| if known == "currency" { "USD" } else { "" }),
            )),
        };
        let request = generic::fill(&postback, value);
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
