//! An edge of a few lines, which writes down what a real one would have journaled.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use axum::{body::Body, response::Response};
use http::Method;
use parking_lot::Mutex;
use sl_core::{
    click::{
        AdCookies, Class, Click, Device, Params, Place, Repeat, RequestFacts, Rung, VisitorId, VisitorKeys,
    },
    event::{Event, EventBody},
    ids::{AccountId, ClickId, PoolLinkId, SmartLinkId, TeamId},
    time::{Clock, Timestamp},
};
use sl_sim::{
    server::{Server, Whole},
    traffic::Target,
};

use crate::people::{ACCOUNT, localhost};

/// A pool link and its address.
pub(crate) type Link = (PoolLinkId, String);

/// What an edge knows.
pub(crate) struct Edge {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) targets: Vec<Target>,
    /// Shared link of each target.
    pub(crate) overflow: Vec<Link>,
    /// Links for people.
    pub(crate) pool: Mutex<Vec<Link>>,
    /// Every so many clicks find the pool dry: 0 for never.
    pub(crate) dry_every: usize,
    pub(crate) clicks: Mutex<HashMap<(String, SmartLinkId, String), Remembered>>,
    pub(crate) seen: Mutex<Vec<Whole>>,
    /// What the journal would hold.
    pub(crate) log: Mutex<Vec<Event>>,
}

#[derive(Clone)]
pub(crate) struct Remembered {
    click: ClickId,
    rung: Rung,
    pool_link: Option<PoolLinkId>,
    location: String,
    given: VisitorId,
}

impl Edge {
    pub(crate) async fn listen(self: &Arc<Self>) -> Server {
        Server::bind(localhost(), Arc::clone(self), |edge, request| async move { edge.answer(request) })
            .await
            .unwrap()
    }

    pub(crate) fn append(&self, at: Timestamp, body: EventBody) {
        self.log.lock().push(Event { team: TeamId(1), account: AccountId::from(ACCOUNT), at, body });
    }

    fn answer(&self, request: Whole) -> Response {
        self.seen.lock().push(request.clone());
        let response = Response::builder();
        if !request.header("sec-purpose").is_empty() {
            return response.status(503).body(Body::empty()).unwrap();
        }
        let id: SmartLinkId = request.segments()[1].parse().unwrap();
        let index = self.targets.iter().position(|target| target.id == id).unwrap();
        // Browsers of people say what they want to do with the page.
        let program = request.method == Method::HEAD || request.header("sec-fetch-mode").is_empty();
        let (location, cookie) =
            if program { (self.overflow[index].1.clone(), None) } else { self.person(&request, index) };
        let mut response = response.status(302).header("location", location);
        if let Some(cookie) = cookie {
            response = response.header("set-cookie", format!("sl_v={cookie}; Path=/; Secure; HttpOnly"));
        }
        response.body(Body::empty()).unwrap()
    }

    fn person(&self, request: &Whole, index: usize) -> (String, Option<VisitorId>) {
        let now = self.clock.now();
        let target = &self.targets[index];
        let ecid = request.query().into_iter().find(|(key, _)| key == "ecid").map(|(_, ecid)| ecid);
        let came_with = request.header("cookie").strip_prefix("sl_v=").map(|text| text.parse().unwrap());
        let print = hash(&[request.header("x-forwarded-for"), request.header("user-agent")]);
        // A device keeps its address and agent here, so that both find the same click.
        let who = print.to_string();
        let bound = ecid.clone().filter(|ecid| !ecid.starts_with("{{")).unwrap_or_default();
        let mut clicks = self.clicks.lock();
        let key = (who, target.id, bound);
        let keys = |given| VisitorKeys { came_with, given: Some(given), daily: print, lasting: Some(print) };
        if let Some(known) = clicks.get(&key) {
            self.append(
                now,
                EventBody::Repeat(Repeat {
                    click: known.click,
                    link: target.id,
                    at: now,
                    pool_link: known.pool_link.filter(|_| known.rung == Rung::Fresh),
                    visitor: keys(known.given),
                }),
            );
            return (known.location.clone(), Some(known.given));
        }
        let number = clicks.len() + 1;
        let click = ClickId::from_bytes((0x0190_0000_u128 << 96 | number as u128).to_be_bytes());
        let given = came_with.unwrap_or_else(|| hash(&[&click.to_string()]));
        let (rung, pool_link, location) = self.ladder(index, number);
        let visitor = keys(given);
        let known = Remembered { click, rung, pool_link, location: location.clone(), given };
        clicks.insert(key, known);
        self.append(
            now,
            EventBody::click(Click {
                id: click,
                team: TeamId(1),
                account: AccountId::from(ACCOUNT),
                link: target.id,
                at: now,
                window: target.window,
                class: Class::Person,
                rung,
                pool_link,
                sent_to: None,
                visitor,
                request: RequestFacts::default(),
                device: Device::default(),
                place: Place::default(),
                params: Params { ecid, ..Params::default() },
                cookies: AdCookies::default(),
            }),
        );
        (location, Some(given))
    }

    fn ladder(&self, index: usize, number: usize) -> (Rung, Option<PoolLinkId>, String) {
        let dry = self.dry_every > 0 && number.is_multiple_of(self.dry_every);
        if dry && number.is_multiple_of(2) {
            let profile = format!("https://onlyfans.com/{}", self.targets[index].username);
            return (Rung::Profile, None, profile);
        }
        if dry {
            let (id, location) = self.overflow[index].clone();
            return (Rung::Overflow, Some(id), location);
        }
        let (id, location) = self.pool.lock().pop().expect("enough links for this test");
        (Rung::Fresh, Some(id), location)
    }
}

fn hash(parts: &[&str]) -> VisitorId {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let (high, low) = (hasher.hash_one((1, parts)), hasher.hash_one((2, parts)));
    VisitorId(u128::from(high) << 64 | u128::from(low))
}
