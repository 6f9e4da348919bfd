//! One visit: what the hot path knows of it, and the records it makes.

use std::net::IpAddr;

use http::Request;
use sl_core::{
    click::{AdCookies, Class, Click, Params, Repeat, RequestFacts, Rung, VisitorId, VisitorKeys},
    event::{Event, EventBody},
    ids::ClickId,
    time::Timestamp,
    visitor::Traits,
};
use sl_journal::{LostReason, Ticket};

use super::{facts, worker::Worker};
use crate::{
    agents::Known,
    links::Prepared,
    stock::Taken,
    window::{Remembered, Seen},
};

/// One visit of a person or bot.
pub(super) struct Visit<'a, B> {
    pub(super) worker: &'a std::rc::Rc<Worker>,
    pub(super) link: &'a Prepared,
    pub(super) params: Params,
    /// By what the window finds this visitor.
    pub(super) seen: Seen,
    request: &'a Request<B>,
    ip: IpAddr,
    agent: &'a Known,
    now: Timestamp,
    /// This click's, should it become one.
    id: ClickId,
    keys: VisitorKeys,
    cookies: AdCookies,
}

impl<'a, B> Visit<'a, B> {
    pub(super) fn new(
        worker: &'a std::rc::Rc<Worker>,
        link: &'a Prepared,
        request: &'a Request<B>,
        ip: IpAddr,
        agent: &'a Known,
        now: Timestamp,
    ) -> Self {
        let (cookie, cookies) = facts::cookies(request.headers());
        let came_with = cookie.filter(|_| worker.shared.cookie);
        let traits = Traits::of(&facts::features(request.headers(), ip));
        let id = worker.mint(now);
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
        let params = facts::params(request.uri().query());
        Self { worker, link, params, seen, request, ip, agent, now, id, keys, cookies }
    }

    /// The row of this visit, which takes its parameters and cookies along. Bots get no cookie.
    pub(super) fn click(&mut self, class: Class, rung: Rung, own: Option<&Taken>) -> Click {
        let headers = self.request.headers();
        let target = self.request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let pool_link = match rung {
            Rung::Overflow => self.link.overflow.as_ref().map(|(id, _)| *id),
            Rung::Fresh | Rung::Recycled => own.map(|own| own.id),
            Rung::Profile => None,
        };
        Click {
            id: self.id,
            team: self.link.link.team,
            account: self.link.link.stock.account.clone(),
            link: self.link.link.id,
            at: self.now,
            window: self.link.link.window,
            class,
            rung,
            pool_link,
            visitor: VisitorKeys { given: self.keys.given.filter(|_| class == Class::Person), ..self.keys },
            request: RequestFacts {
                target: target.to_owned(),
                ip: Some(self.ip),
                user_agent: self.agent.text.clone(),
                referrer: facts::referrer(headers),
                accept_language: facts::language(headers),
            },
            device: self.agent.device.clone(),
            place: self.worker.shared.geo.place(self.ip),
            params: std::mem::take(&mut self.params),
            cookies: std::mem::take(&mut self.cookies),
        }
    }

    pub(super) fn hand_over(&self, click: Click) -> Result<Ticket, LostReason> {
        self.append(EventBody::Click(Box::new(click)))
    }

    /// A repeat raises the hits of its click (decisions 3), and is given that click's cookie.
    pub(super) fn hand_over_repeat(&self, of: &Remembered) -> Result<Ticket, LostReason> {
        self.append(EventBody::Repeat(Repeat {
            click: of.click,
            link: self.link.link.id,
            at: self.now,
            pool_link: of.pool_link,
            visitor: VisitorKeys { given: of.given, ..self.keys },
        }))
    }

    fn append(&self, body: EventBody) -> Result<Ticket, LostReason> {
        let link = &self.link.link;
        let event = Event { team: link.team, account: link.stock.account.clone(), at: self.now, body };
        let ticket = self.worker.shared.log.append_held(event)?;
        self.worker.commits.hold();
        Ok(ticket)
    }

    /// The cookie this visit is answered with.
    pub(super) fn cookie(&self, class: Class, entry: Option<&Remembered>) -> Option<VisitorId> {
        match class {
            Class::Person => self.keys.given,
            Class::Repeat => entry.and_then(|entry| entry.given),
            Class::Bot | Class::Speculative => None,
        }
    }
}
