//! Bindings of fans: what binds them, what moves them, which one is in force (contract B.4, decisions 25, 27, 46).

use super::{
    Decider,
    key::{Key, Who},
    record::{FanRecord, Hit, PrintRecord, Standing, Touch, VisitorRecord},
};
use crate::{
    click::VisitorKeys,
    ids::{ClickId, FanId, SmartLinkId},
    step::FanUnderLink,
    time::Timestamp,
};

/// Touches kept per fan before those that bind nothing are thinned out.
const TOUCHES: usize = 128;

/// What a fan is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding {
    /// In force from this time on.
    pub(super) from: Timestamp,
    pub(super) click: Option<ClickId>,
    pub(super) link: SmartLinkId,
    ecid: u64,
}

/// The binding in force in the second of `at`. What lies before the first bound click has none.
pub(super) fn binding(touches: &[Touch], at: Timestamp) -> Option<Binding> {
    let mut bound: Option<Binding> = None;
    for touch in touches.iter().take_while(|touch| touch.at.seconds() <= at.seconds()) {
        if binds(bound, touch) {
            bound = Some(Binding { from: touch.at, click: touch.click, link: touch.link, ecid: touch.ecid });
        }
    }
    bound
}

/// Whether a touch changes what is bound: a subscription always, a hit when it came over another link or `ecid`.
fn binds(bound: Option<Binding>, touch: &Touch) -> bool {
    touch.subscription || bound.is_some_and(|bound| (bound.link, bound.ecid) != (touch.link, touch.ecid))
}

/// Puts `new` in its place by time, behind touches of the same time.
pub(super) fn touch(touches: &mut Vec<Touch>, new: Touch) {
    let place = touches.partition_point(|other| other.at <= new.at);
    touches.insert(place, new);
    if touches.len() > TOUCHES {
        thin(touches);
    }
}

/// Drops the oldest touches that bind nothing; when there are none, the oldest half of the moves.
fn thin(touches: &mut Vec<Touch>) {
    let mut bound: Option<Binding> = None;
    let before = touches.len();
    let newest = touches.last().copied();
    touches.retain(|touch| {
        let keeps = binds(bound, touch) || Some(*touch) == newest;
        if keeps {
            bound = Some(Binding { from: touch.at, click: touch.click, link: touch.link, ecid: touch.ecid });
        }
        keeps
    });
    if touches.len() == before {
        let mut spare = TOUCHES / 2;
        touches.retain(|touch| {
            let goes = !touch.subscription && spare > 0;
            spare -= usize::from(goes);
            !goes
        });
    }
    touches.truncate(4 * TOUCHES);
}

impl Decider<'_> {
    /// Moves the fan of the visitor to a hit, if there is one to move.
    pub(super) fn moves(&mut self, hit: &Hit, keys: &VisitorKeys) {
        if hit.original.is_some() {
            return;
        }
        let who = Who::of(keys);
        let visitor_key = Key::Visitor(self.account.clone(), who);
        let visitor = self.memory.read::<VisitorRecord>(&visitor_key);
        let by_cookie =
            visitor.filter(|_| who.cookie().is_some()).and_then(|visitor| visitor.fans.last().cloned());
        let fan = match by_cookie {
            Some(fan) => fan,
            None => {
                let Some(fan) = self.fan_by_print(keys) else { return };
                if who.cookie().is_some() {
                    self.know_visitor(who, &fan);
                }
                fan
            }
        };
        let fan_key = Key::Fan(self.account.clone(), fan);
        let mut record: Box<FanRecord> = self.memory.take(&fan_key);
        let new = Touch {
            at: hit.at,
            click: Some(hit.credited()),
            link: hit.link,
            ecid: hit.ecid,
            subscription: false,
        };
        touch(&mut record.touches, new);
        self.memory.put(&fan_key, record);
    }

    /// A fingerprint names a fan only for a cookieless hit, and while it belongs to no second visitor or fan.
    fn fan_by_print(&mut self, keys: &VisitorKeys) -> Option<FanId> {
        if keys.came_with.is_some() {
            return None;
        }
        let key = Key::Print(self.account.clone(), keys.lasting?);
        let print = self.memory.read::<PrintRecord>(&key)?;
        match print.fans.as_slice() {
            [fan] if print.visitors.len() <= 1 => Some(fan.clone()),
            _ => None,
        }
    }

    /// The visitor is the fan's from now on, and the fan is the one bound last (decisions 27).
    pub(super) fn know_visitor(&mut self, who: Who, fan: &FanId) {
        let key = Key::Visitor(self.account.clone(), who);
        let mut visitor: VisitorRecord = self.memory.take(&key);
        visitor.fans.retain(|other| other != fan);
        visitor.fans.push(fan.clone());
        if visitor.fans.len() > 8 {
            visitor.fans.remove(0);
        }
        self.memory.put(&key, visitor);
    }

    /// The fan's standing under a link, made when it is not listed there yet.
    pub(super) fn standing(
        fan: &mut FanRecord,
        link: SmartLinkId,
        click: Option<ClickId>,
        at: Timestamp,
    ) -> Option<&mut Standing> {
        if !fan.standings.iter().any(|(other, _)| *other == link) {
            let fresh = Standing {
                click,
                converted_at: at,
                is_subscriber: false,
                gross: crate::money::Cents::ZERO,
                net: crate::money::Cents::ZERO,
                tips_net: crate::money::Cents::ZERO,
                messages: 0,
            };
            fan.standings.push((link, fresh));
        }
        fan.standings.iter_mut().find(|(other, _)| *other == link).map(|(_, standing)| standing)
    }

    /// Lists the fan under a link as it stands now.
    pub(super) fn list_fan(&mut self, id: &FanId, fan: &FanRecord, link: SmartLinkId) {
        let Some((_, standing)) = fan.standings.iter().find(|(other, _)| *other == link) else { return };
        self.effects.fan(FanUnderLink {
            team: self.team,
            account: self.account.clone(),
            link,
            fan: id.clone(),
            profile: fan.profile.clone(),
            click: standing.click,
            converted_at: standing.converted_at,
            is_subscriber: standing.is_subscriber,
            gross: standing.gross,
            net: standing.net,
            tips_net: standing.tips_net,
            messages: standing.messages,
        });
    }

    /// Takes over a newer profile and shows it wherever the fan is listed.
    pub(super) fn profile(&mut self, id: &FanId, fan: &mut FanRecord, newer: &crate::conversion::FanProfile) {
        let before = fan.profile.clone();
        fan.profile.update(newer);
        if fan.profile != before {
            let links: Vec<SmartLinkId> = fan.standings.iter().map(|(link, _)| *link).collect();
            for link in links {
                self.list_fan(id, fan, link);
            }
        }
    }
}
