//! The hot path (architecture 4). No configuration, no backend, no `.await` before the hand-over to the journal.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use sl_core::{
    click::{Class, Rung},
    ladder,
    verdict::{How, Verdict, judge},
};

use super::{
    Answering,
    answer::{self, Found, Reply},
    facts::Query,
    headers::Asked,
    visit::Visit,
    waiting::Hit,
    worker::Worker,
};
use crate::{links::Prepared, window::Meeting};

/// One visit of a link that exists.
pub(super) fn redirect(
    worker: &Rc<Worker>,
    link: &Arc<Prepared>,
    peer: IpAddr,
    asked: &Asked<'_>,
) -> Answering {
    let headers = &asked.headers;
    // 1. The request's time by the clock, and by the stop-watch, which also says which leases still hold.
    let (now, began) = (worker.now(), worker.began());
    // 2. The link came from this thread's snapshot; so do the visitor's address and agent.
    let ip = worker.shared.proxies.client(peer, &headers.forwarded);
    let agent = worker.agents.borrow_mut().read(headers.user_agent());
    // 3. The class of the request.
    let class = match judge(&headers.shape(asked.method, worker.shared.geo.asn(ip)), agent.agent) {
        Verdict::Person => Class::Person,
        Verdict::Bot(_) => Class::Bot,
        Verdict::Speculative(how) => return speculative(worker, link, how),
    };
    // 4. The visitor's keys: the cookie it came with, and fingerprints.
    let query = Query::of(asked.query());
    let visit = Visit::new(worker, link, asked, &query, ip, &agent, now);
    let paused = link.paused;
    let shared = ladder::rung(paused, None, link.overflow.is_some());
    if class == Class::Bot {
        // Bots end where people do, without a link of their own and without a place in the window.
        return Hit::of(worker, link, class, shared, None, began).wait(visit.hand_over(class, shared, None));
    }
    // 5. The window: this visitor, link and `ecid`, lately?
    let meeting = worker.shared.window.meet(&visit.seen, visit.target, now, || {
        // 6. Otherwise the next pool link, by the ladder.
        let own = ladder::wants_own(class, paused).then(|| link.shelf.take(began)).flatten();
        let rung = own.as_ref().map_or(shared, |own| ladder::rung(paused, Some(own.recycled), true));
        // 7. The click; 8. handed to the journal, so that its record precedes that of any repeat.
        let handed = visit.hand_over(class, rung, own.as_ref());
        let click = match (handed, own) {
            (Ok(_), own) => Some(visit.remembered(rung, own)),
            // Nobody was sent there: a refused click gets the shared link (decisions 4).
            (Err(_), own) => {
                if let Some(own) = own {
                    link.shelf.put_back(own);
                }
                None
            }
        };
        ((rung, handed), click)
    });
    // 9. Wait for the disk, at most the cap, and 10. answer 302: the business of what is returned here.
    match meeting {
        Meeting::New((rung, handed), entry) => Hit::of(worker, link, class, rung, entry, began).wait(handed),
        Meeting::Again(entry) => {
            let rung = if paused { Rung::Profile } else { entry.rung };
            let handed = visit.hand_over_repeat(&entry);
            Hit::of(worker, link, Class::Repeat, rung, Some(entry), began).wait(handed)
        }
    }
}

/// Counted per link, never a row, never a pool link (decisions 1).
#[cold]
#[inline(never)]
fn speculative(worker: &Worker, link: &Arc<Prepared>, how: How) -> Answering {
    worker.shared.links.count_speculative(link.id);
    let rung = ladder::rung(link.paused, None, link.overflow.is_some());
    Answering::ready(match how {
        How::Prefetch => {
            worker.meters.hit(Class::Speculative, None);
            answer::no_prefetch().into()
        }
        How::Head => {
            worker.meters.hit(Class::Speculative, Some(rung));
            Reply::Found(Found { link: Arc::clone(link), rung, click: None })
        }
    })
}
