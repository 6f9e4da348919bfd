//! A day in small: of 20 records 13 new visitors, 3 repeats, a bot, a visitor who comes back by another link, a
//! subscriber, a payment.

use sl_core::{
    click::{Class, Click, Repeat, Rung},
    conversion::FanProfile,
    event::{Event, EventBody, JournalId, Recorded, SubscriberSeen, WebhookReceived},
    ids::{FanId, SmartLinkId},
    money::Cents,
    time::Timestamp,
};

use crate::records::record;

const ROUND: u64 = 20;

fn click(number: u64) -> (Event, Click) {
    let event = record(number).event;
    let EventBody::Click(click) = &event.body else { unreachable!("records are clicks") };
    let click = Click::clone(click);
    (event, click)
}

/// A click some rounds before, by a new visitor.
fn earlier(number: u64) -> Click {
    click(number.saturating_sub(50 * ROUND) / ROUND * ROUND + number % 13).1
}

/// The record with this number.
pub(crate) fn mixed(number: u64) -> Recorded {
    let (event, own) = click(number);
    let at = event.at;
    let before = earlier(number);
    let body = match number % ROUND {
        0..=12 => event.body,
        13..=15 => EventBody::Repeat(Repeat {
            click: before.id,
            link: before.link,
            at,
            pool_link: before.pool_link,
            visitor: before.visitor,
        }),
        16 => {
            EventBody::Click(Click { class: Class::Bot, rung: Rung::Overflow, pool_link: None, ..own }.into())
        }
        17 => {
            let mut visitor = before.visitor;
            visitor.came_with = visitor.given;
            EventBody::Click(Click { visitor, link: other(before.link), ..own }.into())
        }
        18 => EventBody::SubscriberSeen(seen(&before, number, at)),
        _ => EventBody::Webhook(payment(number, at)),
    };
    let event = Event { body, ..event };
    Recorded { journal: JournalId(1), sequence: number, event }
}

fn other(link: SmartLinkId) -> SmartLinkId {
    SmartLinkId(ulid::Ulid(link.0.0 % 20 + 1))
}

fn fan(number: u64) -> FanId {
    FanId::from(format!("{}", 400_000_000 + number / ROUND))
}

fn seen(click: &Click, number: u64, at: Timestamp) -> SubscriberSeen {
    SubscriberSeen {
        pool_link: click.pool_link.unwrap_or_else(|| unreachable!("a new visitor has one")),
        overflow_of: None,
        fan: fan(number),
        profile: FanProfile { username: Some(format!("u{number}")), ..FanProfile::default() },
        subscribed_at: Some(at),
        price: Some(Cents(999)),
        seen_at: at,
        absent_at: None,
    }
}

fn payment(number: u64, at: Timestamp) -> WebhookReceived {
    let body = format!(
        r#"{{"event":"transactions.new","account_id":"acct_7f3a8c2d91e04b6fa5c3d2e1f0a9b8c7","payload":{{"id":"t{number}","type":"tip","amount":12.5,"net_amount":10,"status":"done","created_at":"{}","fan":{{"id":"{}"}}}}}}"#,
        at.iso(),
        fan(number),
    );
    WebhookReceived {
        event: "transactions.new".to_owned(),
        key: format!("evt_{number}"),
        received_at: at,
        body: body.into_bytes(),
        retry_of: None,
    }
}
