//! What each variable of a postback stands for, as it arrives (contract C.1, C.4).

use axum::response::IntoResponse;
use sl_core::{
    click::{Click, Params, Place},
    conversion::{Conversion, ConversionKind, FanProfile},
    delivery::DeliveryState,
    money::Cents,
    step::FanUnderLink,
    template::VARIABLES,
    time::{DayEdge, Timestamp},
};
use sl_store::suite::sample::{self, TEAM};
use url::form_urlencoded::parse;

use crate::world::{Received, Receiver, World, postback};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// Of a tip through a click that knows everything. `*`: said by the test, since it depends on ids.
const TIP: [(&str, &str); 48] = [
    ("ofapi_account_id", "acct_sample"),
    ("creator_onlyfans_id", "120034567"),
    ("creator_onlyfans_username", "nova.example"),
    ("creator_onlyfans_name", "Nova & Söhne"),
    ("smart_link_id", "*"),
    ("smart_link_name", "TT / Nova / hook-3"),
    ("conversion_type", "new_transaction"),
    ("event_id", "*"),
    ("conversion_at", "2026-03-05T07:02:44+00:00"),
    ("amount_gross", "20.00"),
    ("amount_net", "16.00"),
    ("currency", "USD"),
    ("fan_onlyfans_id", "440012345"),
    ("fan_onlyfans_username", "u440012345"),
    ("fan_onlyfans_name", "Sam {click_id}"),
    ("transaction_type", "tip"),
    ("transaction_description", "Tip from <a href=\"https://x.example/u1\">Sam</a>"),
    ("transaction_status", "undo"),
    ("click_id", "*"),
    ("external_click_id", "ad-7781"),
    ("fbclid", "IwAR-fb"),
    ("gclid", "Cj0-g"),
    ("gbraid", "0AAA-gb"),
    ("wbraid", "Cl-wb"),
    ("ttclid", "E.C.P.tt"),
    ("sccid", "sc-Id"),
    ("sc_click_id", "sc-Id"),
    ("twclid", "23op-tw"),
    ("rdt_cid", "734-rd"),
    ("msclkid", "dd4a-ms"),
    ("epik", "dj0y-ep"),
    ("utm_source", "tiktok"),
    ("utm_medium", "cpc"),
    ("utm_campaign", "März=1&2"),
    ("utm_term", "term"),
    ("utm_content", "content"),
    ("aff_s1", "one"),
    ("aff_s2", "two"),
    ("aff_s3", "three"),
    ("aff_s4", "four"),
    ("aff_s5", "five"),
    ("country", "GB"),
    ("region", "England"),
    ("city", "São Paulo"),
    ("postal_code", "SW1A 1AA"),
    ("ip", "2001:db8::7"),
    ("user_agent", "Mozilla/5.0 (Linux; Android 15) 100%+"),
    ("referrer", "l.instagram.com"),
];

fn everything(click: &mut Click) {
    let some = |text: &str| Some(text.to_owned());
    click.request.ip = "2001:db8::7".parse().ok();
    "Mozilla/5.0 (Linux; Android 15) 100%+".clone_into(&mut click.request.user_agent);
    click.place = Place {
        country: some("GB"),
        region: some("England"),
        city: some("São Paulo"),
        postal_code: some("SW1A 1AA"),
    };
    click.params = Params {
        ecid: some("ad-7781"),
        fbclid: some("IwAR-fb"),
        gclid: some("Cj0-g"),
        gbraid: some("0AAA-gb"),
        wbraid: some("Cl-wb"),
        ttclid: some("E.C.P.tt"),
        sccid: some("sc-Id"),
        twclid: some("23op-tw"),
        rdt_cid: some("734-rd"),
        msclkid: some("dd4a-ms"),
        epik: some("dj0y-ep"),
        utm_source: some("tiktok"),
        utm_medium: some("cpc"),
        utm_campaign: some("März=1&2"),
        utm_term: some("term"),
        utm_content: some("content"),
        aff_s1: some("one"),
        aff_s2: some("two"),
        aff_s3: some("three"),
        aff_s4: some("four"),
        aff_s5: some("five"),
        ..Params::default()
    };
}

/// A world with a postback that asks for every variable, of a creator and a link with names of their own.
async fn world(receiver: &Receiver) -> World {
    let world = World::new(receiver.address).await;
    let mut account = sample::account_row("acct_sample", TEAM);
    account.onlyfans_id = Some(120_034_567);
    account.username = Some("nova.example".to_owned());
    account.name = Some("Nova & Söhne".to_owned());
    world.store.catalog.put_account(account).await.unwrap();
    let mut link = world.store.catalog.link(sample::link_id(1)).await.unwrap().unwrap();
    "TT / Nova / hook-3".clone_into(&mut link.name);
    world.store.catalog.put_link(link).await.unwrap();
    let pairs: Vec<String> = VARIABLES.iter().map(|name| format!("{name}={{{name}}}")).collect();
    let url = format!("http://{}/in?{}", receiver.address, pairs.join("&"));
    world.save_postback(1, url, None).await;
    world
}

/// What arrived under each name, and the ids that no table knows.
async fn arrived(
    kind: ConversionKind,
    change: impl Fn(&mut Click, &mut Conversion),
) -> (Vec<(String, String)>, [String; 3]) {
    let receiver = Receiver::start(|_, _: &Received| "ok".into_response()).await;
    let mut world = world(&receiver).await;
    let id = world.told(1..2, &[postback(1)], kind, change).await[0];
    let mut step = sample::step(9);
    let profile = FanProfile {
        username: Some("u440012345".to_owned()),
        name: Some("Sam {click_id}".to_owned()),
        avatar: None,
    };
    let under = sample::fan_under(sample::link_id(1), 1, 0);
    step.fans.push(FanUnderLink { profile, fan: "440012345".into(), ..under });
    world.store.ledger.apply(step).await.unwrap();
    world.work(LOOPBACK).await;
    let job = world.until_state(id, DeliveryState::Delivered).await.job;
    let uri = receiver.all()[0].uri.clone();
    let pairs = parse(uri.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    world.close().await;
    (pairs, [sample::link_id(1).to_string(), job.event_id, job.click.unwrap().to_string()])
}

#[tokio::test]
async fn every_variable_of_a_transaction_has_its_value() {
    let (arrived, ids) = arrived(ConversionKind::NewTransaction, |click, row| {
        everything(click);
        row.at = Timestamp::parse("2026-03-05T07:02:44Z", DayEdge::Start).unwrap();
        (row.gross, row.net) = (Cents(2_000), Cents(1_600));
        row.fan = "440012345".into();
        let transaction = row.transaction.as_mut().unwrap();
        "Tip from <a href=\"https://x.example/u1\">Sam</a>".clone_into(&mut transaction.description);
        // Taken back before anybody was told.
        "undo".clone_into(&mut transaction.status);
    })
    .await;
    let mut ids = ids.into_iter();
    let want: Vec<(String, String)> = TIP
        .iter()
        .map(|(name, value)| {
            ((*name).to_owned(), if *value == "*" { ids.next().unwrap() } else { (*value).to_owned() })
        })
        .collect();
    assert_eq!(arrived, want);
}

#[tokio::test]
async fn what_a_subscriber_without_parameters_has_no_value_for_is_empty_and_amounts_are_zero() {
    let (arrived, _) = arrived(ConversionKind::NewSubscriber, |click, _| {
        click.params = Params::default();
        click.place = Place::default();
        click.request.ip = None;
        click.request.referrer = None;
    })
    .await;
    let of = |name: &str| arrived.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(
        (of("conversion_type"), of("amount_gross"), of("amount_net")),
        ("new_subscriber".into(), "0.00".into(), "0.00".into())
    );
    for (name, value) in TIP {
        let is_of_click =
            TIP.iter().position(|(one, _)| *one == name) > TIP.iter().position(|(one, _)| *one == "click_id");
        if name.starts_with("transaction_") || (is_of_click && name != "user_agent") {
            assert_eq!(of(name), "", "{name}, not {value}");
        }
    }
}

#[tokio::test]
async fn a_macro_that_was_not_replaced_is_no_click_id_and_ecid_goes_as_it_came() {
    let (arrived, _) = arrived(ConversionKind::NewSubscriber, |click, _| {
        everything(click);
        click.params.ttclid = Some("__CLICKID__".to_owned());
        click.params.fbclid = Some("{{fbclid}}".to_owned());
        click.params.sccid = Some(" {click_id} ".to_owned());
        click.params.ecid = Some("{{ad.id}}".to_owned());
        click.params.utm_source = Some("{{site}}".to_owned());
    })
    .await;
    let of = |name: &str| arrived.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(["ttclid", "fbclid", "sccid", "sc_click_id"].map(of), ["", "", "", ""]);
    assert_eq!(["external_click_id", "utm_source", "gclid"].map(of), ["{{ad.id}}", "{{site}}", "Cj0-g"]);
}
