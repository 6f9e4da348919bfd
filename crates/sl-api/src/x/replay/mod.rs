//! Replays of many deliveries, and of what happened before a destination was there, page by page. A page that is asked for
//! twice changes nothing the second time, so a client that was cut off asks for it again.

mod again;
mod into;
pub(crate) mod trail;

use std::collections::{HashMap, hash_map::Entry};

use serde_json::{Value, json};
use sl_core::{
    attribution::Hearer,
    delivery::{DeliveryKind, Destination},
    ids::{SmartLinkId, TeamId},
    replay::{Replay, Trail},
    retry::Limits,
    time::{DayEdge, Timestamp},
};
use sl_store::{outbox::Renewal, reports::Range};

pub(crate) use again::again;
pub(crate) use into::into;

use crate::{
    access::own_link,
    body::{Body, Given},
    error::{Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
    x::deliveries::read_destination,
};

/// Rows a call looks at unless told otherwise, and at most: other calls that change something wait for it.
const PAGE: (u64, u64) = (1_000, 10_000);

/// What both replays are asked.
struct Asked {
    link: Option<SmartLinkId>,
    kinds: Option<Vec<DeliveryKind>>,
    range: Range,
    again: bool,
    dry_run: bool,
}

impl Asked {
    async fn read(app: &App, team: TeamId, body: &mut Body) -> Result<Self> {
        let link = match body.text("smart_link_id", 64).value() {
            Some(id) => Some(own_link(app, team, &id).await?.id),
            None => None,
        };
        Ok(Self {
            link,
            kinds: kinds(body),
            range: range(body),
            again: body.flag("again").unwrap_or(false),
            dry_run: body.flag("dry_run").unwrap_or(false),
        })
    }

    fn wants(&self, kind: DeliveryKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

fn kinds(body: &mut Body) -> Option<Vec<DeliveryKind>> {
    let mut kinds = Vec::new();
    for word in body.strings("kinds", 64)? {
        match DeliveryKind::ALL.into_iter().find(|kind| kind.as_str() == word) {
            Some(kind) => kinds.push(kind),
            None => {
                let known = DeliveryKind::ALL.map(DeliveryKind::as_str).join(", ");
                body.wrong("kinds", format!("must be some of {known}, not {}.", shown(&word)));
            }
        }
    }
    Some(kinds)
}

/// Both ends are included to the second, as everywhere.
fn range(body: &mut Body) -> Range {
    let from = time(body, "date_start", DayEdge::Start);
    let end = time(body, "date_end", DayEdge::End);
    if from.zip(end).is_some_and(|(from, end)| end < from) {
        body.wrong("date_end", "must not lie before date_start.");
    }
    Range { from, to: end.map(|end| Timestamp::from_seconds(end.seconds() + 1)) }
}

fn time(body: &mut Body, key: &str, edge: DayEdge) -> Option<Timestamp> {
    let Given::Value(text) = body.text(key, 64) else { return None };
    let read = Timestamp::parse(&text, edge);
    if let Err(error) = &read {
        body.wrong(key, format!("is wrong: {error}."));
    }
    read.ok()
}

/// `pixel:9` or `postback:14`.
fn destination(body: &mut Body, key: &str) -> Option<Destination> {
    let Given::Value(word) = body.text(key, 64) else { return None };
    let read = read_destination(&word);
    if read.is_none() {
        body.wrong(key, format!("must be written pixel:9 or postback:14, not {}.", shown(&word)));
    }
    read
}

/// `?limit=` of a replay.
fn limit(query: &mut Query) -> usize {
    let limit = query.number("limit", 1, PAGE.1).unwrap_or(PAGE.0);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Destinations of a team, each read once.
#[derive(Default)]
struct Known(HashMap<Destination, Option<(Hearer, Limits)>>);

impl Known {
    /// The destination with what its receiver takes; `None` when it is gone, or another team's.
    async fn get(&mut self, app: &App, team: TeamId, to: Destination) -> Result<Option<&(Hearer, Limits)>> {
        let known = match self.0.entry(to) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(hearer(app, team, to).await?),
        };
        Ok(known.as_ref())
    }
}

async fn hearer(app: &App, team: TeamId, to: Destination) -> Result<Option<(Hearer, Limits)>> {
    let catalog = &app.store.catalog;
    let hearer = match to {
        Destination::Pixel(id) => {
            let pixel = catalog.pixel(id).await?.filter(|pixel| pixel.team == team);
            pixel.map(|pixel| (Some(pixel.platform), Hearer::Pixel(Box::new(pixel))))
        }
        Destination::Postback(id) => {
            let postback = catalog.postback(id).await?.filter(|postback| postback.team == team);
            postback.map(|postback| (None, Hearer::Postback(Box::new(postback))))
        }
    };
    Ok(hearer.map(|(platform, hearer)| (hearer, (app.settings.acceptance)(platform))))
}

/// What became of the rows of one page.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    examined: usize,
    replayed: usize,
    waiting: usize,
    taken: usize,
    uncertain: usize,
    too_old: usize,
    gone: usize,
    not_wanted: usize,
    reversed: usize,
}

impl Tally {
    /// Counts a decision; gives the progress when it is due again.
    fn decided(&mut self, replay: Replay) -> Option<sl_core::delivery::Progress> {
        match replay {
            Replay::Again(next) => return Some(*next),
            Replay::Waiting => self.waiting += 1,
            Replay::Taken => self.taken += 1,
            Replay::Uncertain => self.uncertain += 1,
            Replay::TooOld => self.too_old += 1,
        }
        None
    }

    /// Writes what is to be done and who asked for it, unless it is a dry run, which leaves no trail; and answers.
    async fn carry_out(
        mut self,
        app: &App,
        trail: Option<Trail>,
        renewals: Vec<Renewal>,
        next: Option<String>,
    ) -> Result<Reply> {
        let (dry_run, id) = (trail.is_none(), trail.as_ref().map(|trail| trail.id));
        self.replayed = match dry_run {
            true => renewals.len(),
            // What changed meanwhile is left to whoever changed it.
            false => app.store.replays.renew(renewals, trail).await?,
        };
        let page = json!({ "next_page": null, "next_cursor": next.map(|next| trail::join(next, id)) });
        let reply = Reply::data(self.object(dry_run)).with("_pagination", page);
        Ok(reply.with_data("replay_id", id.map(|id| id.to_string()).into()))
    }

    fn object(self, dry_run: bool) -> Value {
        json!({
            "dry_run": dry_run,
            "examined": self.examined,
            "replayed": self.replayed,
            "left_alone": {
                "already_waiting": self.waiting, "already_delivered": self.taken, "uncertain": self.uncertain,
                "too_old": self.too_old, "destination_gone": self.gone, "not_wanted": self.not_wanted,
                "reversed": self.reversed,
            },
        })
    }
}
