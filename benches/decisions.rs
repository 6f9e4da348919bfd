//! Decisions of `sl-core` that belong to no loop of their own: rendering a postback, the next attempt of a delivery. The other
//! parts are measured beside their crates: `cargo bench -p sl-edge` (verdict, visitor key, window, pool take), `-p sl-journal`
//! (encode, append), `-p sl-attribution` (step), `-p sl-fjall` (store).

use std::{borrow::Cow, hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use sl_core::{
    delivery::{Attempt, Progress},
    retry::{Limits, Outcome, after},
    template::{Encoding, render},
    time::Timestamp,
};

const URL: &str = "https://tracker.example/pb?cid={external_click_id}&type={conversion_type}&gross={amount_gross}&\
                   net={amount_net}&at={conversion_at}&fan={fan_onlyfans_name}&link={smart_link_name}&x={unknown}";
const BODY: &str =
    r#"{"click":"{external_click_id}","value":{amount_net},"note":"{fan_onlyfans_name}","tags":[{}]}"#;

fn value(name: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match name {
        "external_click_id" => "meta-click-12345",
        "conversion_type" => "new_subscriber",
        "amount_gross" => "10.00",
        "amount_net" => "8.00",
        "conversion_at" => "2026-01-04T04:40:40+00:00",
        "fan_onlyfans_name" => "Jürgen & Co/\"J\"",
        "smart_link_name" => "Meta Ads / Madison / Creative A",
        _ => return None,
    }))
}

fn templates(criterion: &mut Criterion) {
    criterion.bench_function("template/url", |bench| {
        bench.iter(|| render(black_box(URL), Encoding::Percent, value));
    });
    criterion.bench_function("template/json body", |bench| {
        bench.iter(|| render(black_box(BODY), Encoding::Json, value));
    });
}

fn schedule(criterion: &mut Criterion) {
    let limits = Limits { age: Duration::from_secs(72 * 3600), ambiguous: None };
    let progress = Progress::fresh(Timestamp(0));
    let attempt =
        Attempt { at: Timestamp(0), millis: 12, status: Some(503), error_type: None, message: None };
    criterion.bench_function("retry/after a failure", |bench| {
        bench
            .iter(|| after(black_box(&progress), attempt.clone(), Outcome::Retry, Timestamp(0), limits, 0.5));
    });
}

criterion_group!(benches, templates, schedule);
criterion_main!(benches);
