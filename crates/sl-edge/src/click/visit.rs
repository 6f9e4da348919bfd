//! One visit: what the hot path knows of it, and the records it makes.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
};

use sl_core::{
    click::{AdCookies, Class, Params, Repeat, Rung, VisitorKeys},
    event::{Event, EventBody},
    ids::{ClickId, PoolLinkId},
    time::Timestamp,
    visitor::{Target, Traits},
};
use sl_journal::{ClickView, LostReason, Ticket};

use super::{
    facts::{self, Query},
    headers::Asked,
    worker::Worker,
};
use crate::{
    agents::Known,
    links::Prepared,
    stock::Taken,
    window::{Remembered, Seen},
};

/// One visit of a person or bot.
pub(super) struct Visit<'a> {
    pub(super) worker: &'a std::rc::Rc<Worker>,
    pub(super) link: &'a Arc<Prepared>,
    pub(super) params: Params<&'a str>,
    /// By what the window finds this visitor, and with what.
    pub(super) seen: Seen,
    pub(super) target: Target,
    asked: &'a Asked<'a>,
    ip: IpAddr,
    agent: &'a Known,
    now: Timestamp,
    /// This click's, should it become one.
    id: ClickId,
    keys: VisitorKeys,
    cookies: AdCookies<&'a str>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        worker: &'a std::rc::Rc<Worker>,
        link: &'a Arc<Prepared>,
        asked: &'a Asked<'a>,
        query: &'a Query<'a>,
        ip: IpAddr,
        agent: &'a Known,
        now: Timestamp,
    ) -> Self {
        let (cookie, cookies) = facts::cookies(&asked.headers.cookies);
        let came_with = cookie.filter(|_| worker.shared.cookie);
        let traits = Traits::of(&asked.headers.features(ip, agent.digest));
        let id = worker.mint(now);
        let params = query.params();
        let target = Target::new(link.id, params.ecid);
        let (keys, yesterday) = worker.keys(now, |keys| {
            // A visitor's own cookie goes on; a new one comes from its first click (decisions 49).
            let given = worker.shared.cookie.then(|| came_with.unwrap_or_else(|| keys.cookie(id)));
            // Yesterday's salt matters only while yesterday's clicks do.
            let recent = now.since(keys.day()) < worker.shared.window.span();
            let yesterday = recent.then(|| keys.yesterday(&traits));
            let (daily, lasting) = (keys.daily(&traits), Some(keys.lasting(&traits)));
            (VisitorKeys { came_with, given, daily, lasting }, yesterday)
        });
        let seen = Seen { came_with, daily: keys.daily, yesterday };
        Self { worker, link, params, seen, target, asked, ip, agent, now, id, keys, cookies }
    }

    /// What the window remembers, should this visit become a click of `rung`.
    pub(super) fn remembered(&self, rung: Rung, own: Option<Taken>) -> Remembered {
        Remembered {
            click: self.id,
            at: self.now,
            target: self.target,
            daily: self.keys.daily,
            given: self.keys.given,
            rung,
            pool_link: self.pool_link(rung, own.as_ref()),
            own: own.map(|own| own.location),
            stored: AtomicBool::new(false),
        }
    }

    fn pool_link(&self, rung: Rung, own: Option<&Taken>) -> Option<PoolLinkId> {
        match rung {
            Rung::Overflow => self.link.overflow.as_ref().map(|overflow| overflow.0),
            Rung::Fresh | Rung::Recycled => own.map(|own| own.id),
            Rung::Profile => None,
        }
    }

    /// Hands the row of this visit to the journal. Bots get no cookie.
    pub(super) fn hand_over(
        &self,
        class: Class,
        rung: Rung,
        own: Option<&Taken>,
    ) -> Result<Ticket, LostReason> {
        let (referrer, language) = (self.asked.headers.referrer(), self.asked.headers.language());
        let (link, place) = (self.link, self.worker.shared.geo.place(self.ip));
        let click = ClickView {
            id: self.id,
            team: link.team,
            account: link.account(),
            link: link.id,
            at: self.now,
            window: link.window,
            class,
            rung,
            pool_link: self.pool_link(rung, own),
            // Made from text.
            sent_to: own.and_then(|own| own.location.to_str().ok()),
            visitor: VisitorKeys { given: self.keys.given.filter(|_| class == Class::Person), ..self.keys },
            target: self.asked.target,
            ip: Some(self.ip),
            user_agent: &self.agent.text,
            referrer: referrer.as_deref(),
            accept_language: language.as_deref(),
            device: &self.agent.device,
            place: &place,
            params: &self.params,
            cookies: &self.cookies,
        };
        let ticket = self.worker.shared.log.append_click_held(&click)?;
        self.worker.commits.hold(&*self.worker.shared.log);
        Ok(ticket)
    }

    /// A repeat raises the hits of its click (decisions 3), and is given that click's cookie.
    pub(super) fn hand_over_repeat(&self, of: &Remembered) -> Result<Ticket, LostReason> {
        let link = self.link;
        let body = EventBody::Repeat(Repeat {
            click: of.click,
            link: link.id,
            at: self.now,
            pool_link: of.pool_link,
            visitor: VisitorKeys { given: of.given, ..self.keys },
        });
        let event = Event { team: link.team, account: link.account().clone(), at: self.now, body };
        let ticket = self.worker.shared.log.append_held(event)?;
        self.worker.commits.hold(&*self.worker.shared.log);
        Ok(ticket)
    }
}
