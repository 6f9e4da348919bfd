//! The first look at a slice: most of what it needs, at little cost (decisions 45).

use hashbrown::HashSet;

use super::{
    Memory,
    key::{Key, Who},
    record::{HolderRecord, PrintRecord, VisitorRecord},
};
use crate::{
    click::{Class, VisitorKeys},
    event::{EventBody, Recorded, WebhookReceived},
    ids::AccountId,
    webhook::{Parsed, parse},
};

/// Keys that the records are sure to touch and memory does not know: load them in one go, then call
/// [`needs_behind`] and [`super::decide`], which ask for what only shows on the way. Webhooks are parsed here and there:
/// that is far less work than deciding twice about a whole slice.
#[must_use]
pub fn needs(records: &[Recorded], memory: &Memory) -> Vec<Key> {
    // Most records are clicks, which need three.
    let mut wanted = HashSet::with_capacity(3 * records.len());
    let mut want = |key: Key| {
        if !memory.knows(&key) {
            wanted.insert(key);
        }
    };
    let mut last: Option<&AccountId> = None;
    for record in records {
        let account = &record.event.account;
        if account.as_str().is_empty() {
            continue;
        }
        if last != Some(account) {
            want(Key::Account(account.clone()));
            last = Some(account);
        }
        match &record.event.body {
            EventBody::Click(click) if click.class == Class::Person => {
                visitor(account, &click.visitor, &mut want);
                if let Some(link) = click.own_link() {
                    want(Key::Holder(account.clone(), link));
                }
            }
            EventBody::Repeat(repeat) => {
                visitor(account, &repeat.visitor, &mut want);
                if let Some(link) = repeat.pool_link {
                    want(Key::Holder(account.clone(), link));
                }
            }
            EventBody::SubscriberSeen(seen) => {
                want(Key::Fan(account.clone(), seen.fan.clone()));
                want(Key::Holder(account.clone(), seen.pool_link));
            }
            EventBody::TransactionSeen(transaction) => {
                want(Key::Fan(account.clone(), transaction.fan.clone()));
                want(Key::Transaction(account.clone(), transaction.id.clone()));
            }
            EventBody::Webhook(received) => webhook(account, received, &mut want),
            EventBody::Click(_) | EventBody::Tick => {}
        }
    }
    wanted.into_iter().collect()
}

/// What the pieces that [`needs`] asked for lead to: fans of visitors who come back, visitors of pool links through which
/// somebody subscribed.
#[must_use]
pub fn needs_behind(records: &[Recorded], memory: &Memory) -> Vec<Key> {
    let mut wanted = HashSet::new();
    let mut want = |key: Key| {
        if !memory.knows(&key) {
            wanted.insert(key);
        }
    };
    for record in records {
        let account = &record.event.account;
        match &record.event.body {
            EventBody::Click(click) if click.class == Class::Person => {
                fans(account, &click.visitor, memory, &mut want);
            }
            EventBody::Repeat(repeat) => fans(account, &repeat.visitor, memory, &mut want),
            EventBody::SubscriberSeen(seen) => {
                let key = Key::Holder(account.clone(), seen.pool_link);
                let holders =
                    memory.record::<HolderRecord>(&key).into_iter().flat_map(|record| &record.holders);
                for holder in holders {
                    want(Key::Visitor(account.clone(), holder.who));
                    if let Some(print) = holder.print {
                        want(Key::Print(account.clone(), print));
                    }
                }
            }
            _ => {}
        }
    }
    wanted.into_iter().collect()
}

fn fans(account: &AccountId, keys: &VisitorKeys, memory: &Memory, want: &mut impl FnMut(Key)) {
    let visitor = memory.record::<VisitorRecord>(&Key::Visitor(account.clone(), Who::of(keys)));
    if let Some(fan) = visitor.and_then(|visitor| visitor.fans.last()) {
        want(Key::Fan(account.clone(), fan.clone()));
    } else if let Some(lasting) = keys.lasting.filter(|_| keys.came_with.is_none()) {
        let print = memory.record::<PrintRecord>(&Key::Print(account.clone(), lasting));
        if let Some(fan) = print.and_then(|print| print.fans.first()) {
            want(Key::Fan(account.clone(), fan.clone()));
        }
    }
}

fn webhook(account: &AccountId, received: &WebhookReceived, want: &mut impl FnMut(Key)) {
    want(Key::Applied(account.clone(), format!("webhook:{}", received.key).into()));
    match parse(&received.body) {
        Ok(Parsed::Transaction(transaction)) => {
            want(Key::Fan(account.clone(), transaction.fan));
            want(Key::Transaction(account.clone(), transaction.id));
        }
        Ok(Parsed::Message(message)) => {
            want(Key::Applied(account.clone(), format!("message:{}", message.id).into()));
            want(Key::Fan(account.clone(), message.fan));
        }
        Ok(Parsed::Subscription(subscription)) => want(Key::Fan(account.clone(), subscription.fan)),
        Ok(Parsed::Account(_) | Parsed::Ignored) | Err(_) => {}
    }
}

fn visitor(account: &AccountId, keys: &VisitorKeys, want: &mut impl FnMut(Key)) {
    want(Key::Visitor(account.clone(), Who::of(keys)));
    if let Some(lasting) = keys.lasting {
        want(Key::Print(account.clone(), lasting));
    }
}
