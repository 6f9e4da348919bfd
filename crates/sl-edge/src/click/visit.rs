//! One visit: what the hot path knows of it, and the records it makes.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use sl_core::{
    click::{AdCookies, Class, Params, Place, Repeat, Rung, VisitorKeys},
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
    window::{Record, Remembered, Seen},
};

/// One visit of a person or bot.
pub(super) struct Visit<'a> {
    pub(super) worker: &'a std::rc::Rc<Worker>,
    pub(super) link: &'a Arc<Prepared>,
    pub(super) params: Params<&'a str>,
    /// The keys by which the window finds this visitor.
    pub(super) seen: Seen,
    pub(super) target: Target,
    asked: &'a Asked<'a>,
    ip: IpAddr,
    agent: &'a Known,
    place: Place,
    referrer: Option<Cow<'a, str>>,
    language: Option<Cow<'a, str>>,
    now: Timestamp,
    /// The id of the click, should the visit become one.
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
        let window = &worker.shared.window;
        let params = query.params();
        let target = Target::new(link.id, params.ecid);
        let traits = Traits::of(&asked.headers.features(ip, agent.digest));
        let daily = worker.keys(now, |keys| keys.daily(&traits));
        // What follows takes as long as fetching these from far away memory, and needs neither.
        let daily = window.seek(daily, target);
        let (cookie, cookies) = facts::cookies(&asked.headers.cookies);
        let came_with = cookie.filter(|_| worker.shared.cookie);
        let id = worker.mint(now);
        // A visitor's own cookie goes on; a new one comes from its first click (decisions 49).
        let new = || worker.keys(now, |keys| keys.cookie(id));
        let given = worker.shared.cookie.then(|| came_with.unwrap_or_else(new));
        let given = given.map(|given| window.seek(given, target));
        let (yesterday, lasting) = worker.keys(now, |keys| {
            // Yesterday's salt matters only while yesterday's clicks do.
            let recent = now.since(keys.day()) < window.span();
            (recent.then(|| keys.yesterday(&traits)), keys.lasting(&traits))
        });
        let keys = VisitorKeys {
            came_with,
            given: given.map(|given| given.visitor),
            daily: daily.visitor,
            lasting: Some(lasting),
        };
        let seen = Seen { came_with, daily, yesterday, given };
        let place = worker.shared.geo.place(ip);
        let (referrer, language) = (asked.headers.referrer(), asked.headers.language());
        Self {
            worker,
            link,
            params,
            seen,
            target,
            asked,
            ip,
            agent,
            place,
            referrer,
            language,
            now,
            id,
            keys,
            cookies,
        }
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
            record: Record::default(),
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
        let link = self.link;
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
            referrer: self.referrer.as_deref(),
            accept_language: self.language.as_deref(),
            device: &self.agent.device,
            place: &self.place,
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
            pool_link: of.pool_link.filter(|_| of.rung.is_own()),
            visitor: VisitorKeys { given: of.given, ..self.keys },
        });
        let event = Event { team: link.team, account: link.account().clone(), at: self.now, body };
        let ticket = self.worker.shared.log.append_held(event)?;
        self.worker.commits.hold(&*self.worker.shared.log);
        Ok(ticket)
    }
}
