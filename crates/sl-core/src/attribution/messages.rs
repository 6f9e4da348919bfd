//! Messages from fans (contract B.5, decisions 29).

use std::sync::Arc;

use super::{
    Decider, HOLD, REMEMBER, derive,
    fans::{Binding, binding},
    key::Key,
    record::{AppliedRecord, FanRecord, Held, Later},
};
use crate::{
    conversion::{Conversion, ConversionKind, Purchase},
    ids::{ConversionId, FanId, MessageId},
    money::Cents,
    time::Timestamp,
    webhook::Message,
};

/// Bindings whose messages are counted, per fan: the newest.
const COUNTERS: usize = 32;

impl Decider<'_> {
    pub(super) fn message(&mut self, message: &Message) {
        let name: Arc<str> = format!("message:{}", message.id).into();
        let applied = Key::Applied(self.account.clone(), Arc::clone(&name));
        if self.memory.read::<AppliedRecord>(&applied).is_some() {
            return;
        }
        self.memory.put(&applied, AppliedRecord {});
        self.forget_at(self.moment().plus(REMEMBER), Later::Applied(name));
        let key = Key::Fan(self.account.clone(), message.fan.clone());
        let mut fan: Box<FanRecord> = self.memory.take(&key);
        self.profile(&message.fan, &mut fan, &message.profile);
        match binding(&fan.touches, message.at) {
            Some(bound) => self.credit_message(&message.fan, &mut fan, &message.id, message.at, bound),
            None => {
                let until = self.moment().plus(HOLD);
                self.hold_back(&mut fan, Held::Message { id: message.id.clone(), at: message.at, until });
                self.forget_at(until, Later::Fan(message.fan.clone()));
            }
        }
        self.memory.put(&key, fan);
    }

    /// Every message is a conversion; the first and the third since the binding are one more each.
    pub(super) fn credit_message(
        &mut self,
        id: &FanId,
        fan: &mut FanRecord,
        message: &MessageId,
        at: Timestamp,
        bound: Binding,
    ) {
        let count = count(fan, bound);
        let extra = match count {
            1 => Some(ConversionKind::FanSent1Message),
            3 => Some(ConversionKind::FanSent3Messages),
            _ => None,
        };
        for kind in [Some(ConversionKind::MessageReceived), extra].into_iter().flatten() {
            let cause: [&[u8]; 4] = [
                b"message",
                self.account.as_str().as_bytes(),
                message.as_str().as_bytes(),
                kind.as_str().as_bytes(),
            ];
            let conversion = Conversion {
                id: ConversionId(derive::ulid(at, &cause)),
                team: self.team,
                account: self.account.clone(),
                link: bound.link,
                click: bound.click,
                fan: id.clone(),
                kind,
                at,
                gross: Cents::ZERO,
                net: Cents::ZERO,
                purchase: Purchase::None,
                transaction: None,
            };
            self.convert(conversion);
        }
        if let Some(standing) = Self::standing(fan, bound.link, bound.click, at) {
            standing.messages = standing.messages.saturating_add(1);
        }
        self.list_fan(id, fan, bound.link);
    }
}

/// Counts a message for a binding; beyond three it does not matter how many.
fn count(fan: &mut FanRecord, bound: Binding) -> u8 {
    if let Some((_, _, count)) =
        fan.messages.iter_mut().find(|(from, link, _)| (*from, *link) == (bound.from, bound.link))
    {
        *count = (*count + 1).min(4);
        return *count;
    }
    fan.messages.push((bound.from, bound.link, 1));
    if fan.messages.len() > COUNTERS {
        fan.messages.remove(0);
    }
    1
}
