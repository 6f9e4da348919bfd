//! The first look at a slice: most of what it needs, at little cost (decisions 45).

use hashbrown::HashSet;

use super::{
    Memory,
    key::{Key, Who},
};
use crate::{
    click::{Class, Rung, VisitorKeys},
    event::{EventBody, Recorded},
    ids::AccountId,
};

/// Keys that the records are sure to touch and memory does not know: load them in one go, then call
/// [`super::decide`], which asks for what only shows on the way (webhooks are parsed there, once).
#[must_use]
pub fn needs(records: &[Recorded], memory: &Memory) -> Vec<Key> {
    let mut wanted = HashSet::new();
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
                if let Some(link) =
                    click.pool_link.filter(|_| matches!(click.rung, Rung::Fresh | Rung::Recycled))
                {
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
            EventBody::Click(_) | EventBody::Webhook(_) | EventBody::Tick => {}
        }
    }
    wanted.into_iter().collect()
}

fn visitor(account: &AccountId, keys: &VisitorKeys, want: &mut impl FnMut(Key)) {
    want(Key::Visitor(account.clone(), Who::of(keys)));
    if let Some(lasting) = keys.lasting {
        want(Key::Print(account.clone(), lasting));
    }
}
