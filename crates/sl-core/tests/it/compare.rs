//! What the state machine shows against what the model says.

use std::{collections::BTreeMap, fmt::Debug};

use sl_core::{
    conversion::{Conversion, ConversionKind},
    delivery::{Destination, Job},
    ids::{FanId, SmartLinkId},
    money::Cents,
    step::{LinkTotals, Rollup, RollupKey},
    time::Timestamp,
};

use crate::{
    driver::Shown,
    model::{Account, Line, Model, Standing},
};

/// The first difference, told so that a person can follow it.
pub(crate) fn difference(shown: &Shown, model: &Model) -> Option<String> {
    let accounts: Vec<&Account> = model.accounts.values().collect();
    rows(shown, &accounts)
        .or_else(|| conversions(shown, &accounts))
        .or_else(|| jobs(shown, &accounts))
        .or_else(|| fans(shown, &accounts))
        .or_else(|| sums(shown, &accounts))
}

/// Both as sorted texts: what only one of them has.
fn differ<T: Debug>(
    what: &str,
    shown: impl Iterator<Item = T>,
    said: impl Iterator<Item = T>,
) -> Option<String> {
    let texts = |items: Vec<T>| {
        let mut texts: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
        texts.sort();
        texts
    };
    let (mut shown, mut said) = (texts(shown.collect()), texts(said.collect()));
    let mut common = Vec::new();
    said.retain(|text| match shown.iter().position(|other| other == text) {
        Some(index) => {
            common.push(shown.remove(index));
            false
        }
        None => true,
    });
    let same = shown.is_empty() && said.is_empty();
    // The first few tell enough.
    shown.truncate(3);
    said.truncate(3);
    (!same).then(|| {
        format!("{what}\n  shown: {}\n  model: {}", shown.join("\n         "), said.join("\n         "))
    })
}

fn rows(shown: &Shown, accounts: &[&Account]) -> Option<String> {
    let said = accounts.iter().flat_map(|account| {
        let people = account.rows.iter().map(|row| (row.click.id, row.gross, row.original.is_some()));
        people.chain(account.bots.iter().map(|bot| (bot.id, 1, false)))
    });
    let rows = shown.clicks.values().map(|row| (row.click.id, row.gross_clicks, row.is_duplicate));
    differ("rows", rows, said).or_else(|| {
        let said = accounts.iter().flat_map(|account| account.given());
        let given =
            shown.given.iter().map(|((_, link), given)| (*link, given.click, given.at, given.last_hit_at));
        differ("given", given, said)
    })
}

fn line(row: &Conversion) -> Line {
    let facts = row.transaction.as_ref();
    Line {
        kind: row.kind,
        fan: row.fan.clone(),
        link: row.link,
        click: row.click,
        at: row.at,
        gross: row.gross,
        net: row.net,
        purchase: row.purchase,
        transaction: facts.map(|facts| (facts.id.to_string(), facts.kind.clone(), facts.status.clone())),
    }
}

fn conversions(shown: &Shown, accounts: &[&Account]) -> Option<String> {
    let said = accounts.iter().flat_map(|account| account.outcome.lines.iter().cloned());
    differ("conversions", shown.conversions.values().map(line), said).or_else(|| {
        let said = accounts.iter().flat_map(|account| account.outcome.lists.iter().cloned());
        differ("lists", shown.lists.iter().cloned(), said)
    })
}

fn jobs(shown: &Shown, accounts: &[&Account]) -> Option<String> {
    let said = accounts.iter().flat_map(|account| account.outcome.jobs.iter().cloned());
    let mut wrong = None;
    let jobs = shown.jobs.values().map(|job| {
        let to = destination(job);
        let event = job.conversion.map(|id| id.to_string());
        let skip = job.skip.as_deref();
        match (&event, job.conversion.and_then(|id| shown.conversions.get(&id))) {
            (Some(event), Some(row)) if *event == job.event_id && row.click == job.click => {
                let word = job.kind.as_str();
                format!(
                    "{:?}",
                    (
                        &*to,
                        word,
                        job.link,
                        job.click,
                        job.fan.as_ref(),
                        job.occurred_at,
                        job.created_at,
                        skip
                    )
                )
            }
            (None, _) => {
                let word = job.kind.as_str();
                format!(
                    "{:?}",
                    (&*to, word, job.link, job.click, &job.event_id, job.occurred_at, job.created_at)
                )
            }
            _ => {
                wrong = Some(format!("a job without its conversion: {job:?}"));
                String::new()
            }
        }
    });
    let jobs: Vec<String> = jobs.collect();
    wrong.or_else(|| differ("jobs", jobs.into_iter(), said))
}

fn destination(job: &Job) -> String {
    match job.destination {
        Destination::Pixel(id) => format!("pixel:{}", id.0),
        Destination::Postback(id) => format!("postback:{}", id.0),
    }
}

fn fans(shown: &Shown, accounts: &[&Account]) -> Option<String> {
    let fans = shown.fans.values().map(|row| {
        let standing = Standing {
            click: row.click,
            converted_at: row.converted_at,
            is_subscriber: row.is_subscriber,
            gross: row.gross,
            net: row.net,
            messages: row.messages,
        };
        ((row.link, row.fan.clone()), standing, row.tips_net)
    });
    let said = accounts.iter().flat_map(|account| {
        let standings = account.outcome.standings();
        standings.into_iter().map(|((link, fan), standing)| {
            let tips = account.tips(link, &fan);
            ((link, fan), standing, tips)
        })
    });
    differ("fans", fans, said)
}

fn sums(shown: &Shown, accounts: &[&Account]) -> Option<String> {
    let mut hours: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
    let mut totals: BTreeMap<SmartLinkId, LinkTotals> = BTreeMap::new();
    let mut days: BTreeMap<(SmartLinkId, FanId, Timestamp), (Cents, Cents)> = BTreeMap::new();
    for account in accounts {
        for bot in &account.bots {
            hours.entry(RollupKey { link: bot.link, hour: bot.at.hour() }).or_default().bots += 1;
        }
        for row in &account.rows {
            let hour =
                hours.entry(RollupKey { link: row.click.link, hour: row.click.at.hour() }).or_default();
            match row.original {
                Some(_) => hour.duplicates += 1,
                None => {
                    hour.clicks += 1;
                    totals.entry(row.click.link).or_default().clicks += 1;
                }
            }
        }
        for line in &account.outcome.lines {
            let hour = hours.entry(RollupKey { link: line.link, hour: line.at.hour() }).or_default();
            hour.conversions += 1;
            hour.subscribers += u64::from(line.kind == ConversionKind::NewSubscriber);
            totals.entry(line.link).or_default().conversions += 1;
        }
        for (link, fan, on, gross, net) in &account.outcome.moves {
            let hour = hours.entry(RollupKey { link: *link, hour: on.hour() }).or_default();
            hour.gross += *gross;
            hour.net += *net;
            let day = days.entry((*link, fan.clone(), on.day())).or_default();
            (day.0, day.1) = (day.0 + *gross, day.1 + *net);
            let total = totals.entry(*link).or_default();
            total.revenue = Some(total.revenue.unwrap_or_default() + *gross);
        }
        for ((link, _), standing) in account.outcome.standings() {
            let total = totals.entry(link).or_default();
            total.subscribers += u64::from(standing.is_subscriber);
            total.spenders += u64::from(standing.net.0 > 0);
        }
    }
    let shown_days =
        shown.fan_days.values().map(|day| ((day.link, day.fan.clone(), day.day), (day.gross, day.net)));
    differ("hours", shown.rollups.clone().into_iter(), hours.into_iter())
        .or_else(|| differ("totals", shown.totals.clone().into_iter(), totals.into_iter()))
        .or_else(|| differ("days", shown_days, days.into_iter()))
        .or_else(|| rebuilt(shown))
}

/// All rollups can be rebuilt from raw rows (decisions 57), what was taken back in the hour in which it was (19).
fn rebuilt(shown: &Shown) -> Option<String> {
    let mut hours: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
    let key = |link, at: Timestamp| RollupKey { link, hour: at.hour() };
    for row in shown.clicks.values() {
        hours.entry(key(row.click.link, row.click.at)).or_default().add_click(row);
    }
    for row in shown.conversions.values() {
        hours.entry(key(row.link, row.at)).or_default().add_conversion(row);
        for (when, sign) in row.moves() {
            hours.entry(key(row.link, when)).or_default().add_money(row, sign);
        }
    }
    let is_something = |(_, rollup): &(RollupKey, Rollup)| *rollup != Rollup::default();
    let kept = shown.rollups.clone().into_iter().filter(is_something);
    differ("hours, rebuilt", kept, hours.into_iter().filter(is_something))
}
