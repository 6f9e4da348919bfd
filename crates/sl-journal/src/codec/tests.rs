//! Every variant round-trips; arbitrary bytes never panic.

use std::{net::IpAddr, time::Duration};

use proptest::{collection::vec, option, prelude::*};
use prost::Message as _;
use sl_core::{
    click::{
        AdCookies, Class, Click, Device, Params, Place, Repeat, RequestFacts, Rung, VisitorId, VisitorKeys,
    },
    conversion::{FanProfile, Transaction},
    event::{Event, EventBody, SubscriberSeen, WebhookReceived},
    ids::{AccountId, ClickId, DeadLetterId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    money::Cents,
    time::Timestamp,
    visitor::Visit,
};

use super::*;

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn at() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn account() -> impl Strategy<Value = AccountId> {
    prop_oneof![Just("acct_a".into()), Just("".into()), text().prop_map(AccountId::from)]
}

fn pool_link() -> impl Strategy<Value = PoolLinkId> {
    (any::<bool>(), any::<u64>()).prop_map(|(trial, number)| PoolLinkId {
        kind: if trial { LinkKind::FreeTrial } else { LinkKind::TrackingLink },
        number,
    })
}

fn visitor() -> impl Strategy<Value = VisitorKeys> {
    let id = || any::<u128>().prop_map(VisitorId);
    (option::of(id()), option::of(id()), id(), option::of(id()))
        .prop_map(|(came_with, given, daily, lasting)| VisitorKeys { came_with, given, daily, lasting })
}

fn profile() -> impl Strategy<Value = FanProfile> {
    (option::of(text()), option::of(text()), option::of(text()))
        .prop_map(|(username, name, avatar)| FanProfile { username, name, avatar })
}

fn request() -> impl Strategy<Value = RequestFacts> {
    (text(), option::of(any::<IpAddr>()), text(), option::of(text()), option::of(text())).prop_map(
        |(target, ip, user_agent, referrer, accept_language)| RequestFacts {
            target,
            ip,
            user_agent,
            referrer,
            accept_language,
        },
    )
}

fn params() -> impl Strategy<Value = Params> {
    vec(option::of(text()), 23).prop_map(|values| {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap();
        Params {
            ecid: next(),
            fbclid: next(),
            gclid: next(),
            gbraid: next(),
            wbraid: next(),
            ttclid: next(),
            sccid: next(),
            twclid: next(),
            rdt_cid: next(),
            epik: next(),
            msclkid: next(),
            fbc: next(),
            fbp: next(),
            aff_s1: next(),
            aff_s2: next(),
            aff_s3: next(),
            aff_s4: next(),
            aff_s5: next(),
            utm_source: next(),
            utm_medium: next(),
            utm_campaign: next(),
            utm_content: next(),
            utm_term: next(),
        }
    })
}

fn click() -> impl Strategy<Value = Click> {
    let ids = (any::<[u8; 16]>(), any::<u64>(), account(), any::<[u8; 16]>(), at(), any::<u64>());
    let class =
        prop_oneof![Just(Class::Person), Just(Class::Repeat), Just(Class::Bot), Just(Class::Speculative)];
    let rung =
        prop_oneof![Just(Rung::Fresh), Just(Rung::Recycled), Just(Rung::Overflow), Just(Rung::Profile)];
    let facts = (visitor(), request(), vec(text(), 4), vec(option::of(text()), 11), params());
    (ids, class, rung, option::of(pool_link()), facts).prop_map(
        |((id, team, account, link, at, window), class, rung, pool_link, facts)| {
            let (visitor, request, device, some, params) = facts;
            Click {
                id: ClickId::from_bytes(id),
                team: TeamId(team),
                account,
                link: SmartLinkId::from_bytes(link),
                at,
                window: Duration::from_millis(window),
                class,
                rung,
                pool_link,
                sent_to: some[10].clone().map(String::into_boxed_str),
                visitor,
                request,
                device: Device {
                    kind: device[0].clone(),
                    browser: device[1].clone(),
                    family: device[2].clone(),
                    platform: device[3].clone(),
                },
                place: Place {
                    country: some[0].clone(),
                    region: some[1].clone(),
                    city: some[2].clone(),
                    postal_code: some[3].clone(),
                },
                params,
                cookies: AdCookies {
                    fbc: some[4].clone(),
                    fbp: some[5].clone(),
                    ttclid: some[6].clone(),
                    ttp: some[7].clone(),
                    scclid: some[8].clone(),
                    scid: some[9].clone(),
                },
            }
        },
    )
}

fn repeat() -> impl Strategy<Value = Repeat> {
    (any::<[u8; 16]>(), any::<[u8; 16]>(), at(), option::of(pool_link()), visitor()).prop_map(
        |(click, link, at, pool_link, visitor)| Repeat {
            click: ClickId::from_bytes(click),
            link: SmartLinkId::from_bytes(link),
            at,
            pool_link,
            visitor,
        },
    )
}

fn webhook() -> impl Strategy<Value = WebhookReceived> {
    (text(), text(), at(), vec(any::<u8>(), 0..64), option::of(any::<[u8; 16]>())).prop_map(
        |(event, key, received_at, body, retry_of)| WebhookReceived {
            event,
            key,
            received_at,
            body,
            retry_of: retry_of.map(DeadLetterId::from_bytes),
        },
    )
}

fn seen() -> impl Strategy<Value = SubscriberSeen> {
    let times = (option::of(at()), at(), option::of(at()));
    (pool_link(), option::of(any::<[u8; 16]>()), text(), profile(), option::of(any::<i64>()), times).prop_map(
        |(pool_link, overflow_of, fan, profile, price, (subscribed_at, seen_at, absent_at))| SubscriberSeen {
            pool_link,
            overflow_of: overflow_of.map(SmartLinkId::from_bytes),
            fan: fan.into(),
            profile,
            subscribed_at,
            price: price.map(Cents),
            seen_at,
            absent_at,
        },
    )
}

fn transaction() -> impl Strategy<Value = Transaction> {
    (vec(text(), 5), profile(), any::<i64>(), any::<i64>(), at(), any::<bool>()).prop_map(
        |(texts, profile, gross, net, at, reconciled)| Transaction {
            id: texts[0].as_str().into(),
            kind: texts[1].clone(),
            fan: texts[2].as_str().into(),
            profile,
            gross: Cents(gross),
            net: Cents(net),
            status: texts[3].clone(),
            description: texts[4].clone(),
            at,
            reconciled,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let body = prop_oneof![
        click().prop_map(EventBody::click),
        repeat().prop_map(EventBody::Repeat),
        webhook().prop_map(EventBody::Webhook),
        seen().prop_map(EventBody::SubscriberSeen),
        transaction().prop_map(EventBody::TransactionSeen),
        Just(EventBody::Tick),
    ];
    (any::<u64>(), account(), at(), body).prop_map(|(team, account, at, body)| Event {
        team: TeamId(team),
        account,
        at,
        body,
    })
}

proptest! {
    #[test]
    fn every_event_reads_back_as_it_was_written(event in event()) {
        let mut bytes = Vec::new();
        encode(event.clone(), &mut bytes);
        prop_assert_eq!(decode(&bytes), Ok(event));
    }

    #[test]
    fn the_bytes_are_those_of_the_schemas_messages(event in event()) {
        let mut bytes = Vec::new();
        encode(event, &mut bytes);
        let message = proto::Event::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes);
    }

    #[test]
    fn a_click_in_parts_is_the_same_record_as_a_click(click in click()) {
        let (mut parts, mut whole) = (Vec::new(), Vec::new());
        let event = ClickView::with(&click, |view| {
            encode_click(view, &mut parts);
            view.to_event()
        });
        encode(event, &mut whole);
        prop_assert_eq!(&parts, &whole);
        prop_assert_eq!(decode(&parts).unwrap().body, EventBody::click(click));
    }

    #[test]
    fn an_edge_reads_of_its_past_what_the_whole_event_says(event in event()) {
        let mut bytes = Vec::new();
        encode(event.clone(), &mut bytes);
        let past = match event.body {
            EventBody::Click(click) => Visit::of(&click).map(Past::Visit),
            EventBody::Repeat(repeat) => Some(Past::Repeat(repeat)),
            _ => None,
        };
        prop_assert_eq!(decode_past(&bytes), Ok((event.at, past)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..256)) {
        let _ = (decode(&bytes), decode_past(&bytes));
    }

    #[test]
    fn a_damaged_event_never_panics(event in event(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = Vec::new();
        encode(event, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = decode(&bytes);
        let _ = decode(&bytes[..at]);
    }
}

#[test]
fn what_a_newer_version_added_is_ignored() {
    let event = Event { team: TeamId(7), account: "acct_a".into(), at: Timestamp(5), body: EventBody::Tick };
    let mut bytes = Vec::new();
    encode(event.clone(), &mut bytes);
    // Field 1000, a text.
    prost::encoding::string::encode(1000, &"new".to_owned(), &mut bytes);
    assert_eq!(decode(&bytes), Ok(event));
}

#[test]
fn a_body_of_a_newer_version_is_a_clear_error() {
    let mut bytes = proto::Event { team: 1, ..proto::Event::default() }.encode_to_vec();
    prost::encoding::bytes::encode(99, &vec![1_u8, 2], &mut bytes);
    assert_eq!(decode(&bytes), Err(DecodeError::UnknownBody));
}

#[test]
fn a_value_of_a_newer_version_is_named() {
    let click = proto::Click {
        id: Some(parts::wide(1)),
        link: Some(parts::wide(2)),
        class: 77,
        ..proto::Click::default()
    };
    let bytes =
        proto::Event { body: Some(Body::Click(Box::new(click))), ..proto::Event::default() }.encode_to_vec();
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "click.class = 77 is not a value this version knows");
}
