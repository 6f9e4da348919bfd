//! From a step to its redo record: what has to be looked up so that every value is absolute.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    click::ClickRow,
    conversion::Conversion,
    ids::{DeadLetterId, SmartLinkId, TeamId},
    step::{ClickMark, DeadLetter, Step},
    time::Timestamp,
};
use sl_store::{Result, StoreError};

use super::{
    Owned,
    parts::{LAST, Parts, Span},
    place_key,
    redo::{Redo, State},
};
use crate::{
    cql::Cql,
    days::{PartKind, day},
    effects::Effects,
    statements::statements,
};

/// Questions under way.
const IN_FLIGHT: usize = 64;

statements!(
    /// What a step asks before it is made.
    Begin {
        parts: Read LAST;
        click: Read "SELECT part FROM click_places WHERE second = ? AND slice = ? AND id = ?";
        letter: Read "SELECT team, at FROM dead_letter_places WHERE id = ?";
        letters: Read "SELECT count FROM dead_letter_counts WHERE always = 0 AND stream = ?";
    }
);

type Place = (TeamId, Timestamp);

// === impl Begin ===

impl Begin {
    /// How many dead letters a stream partition has brought.
    pub(super) async fn dead_letters(&self, cql: &Cql, stream: i32) -> Result<i64> {
        let row: Option<(i64,)> = cql.row(&self.letters, (stream,)).await?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Everything but the raw click rows, which come back as they are.
    pub(super) async fn redo(
        &self,
        cql: &Cql,
        effects: &Effects,
        owned: &mut Owned,
        mut step: Step,
    ) -> Result<(Redo, Vec<Placed>)> {
        owned.parts.ask(cql, &self.parts, spans(&step)).await?;
        let clicks = placed(&mut owned.parts, std::mem::take(&mut step.clicks));
        let marks = self.marks(cql, &owned.parts, &clicks, std::mem::take(&mut step.click_marks)).await?;
        let reports = reports(&mut owned.parts, &mut step);
        let (dead_letters, revived) = self.letters(cql, step.dead_letters, step.revived).await?;
        let change = count(dead_letters.len()) - count(revived.len());
        let changed = !(dead_letters.is_empty() && revived.is_empty());
        let redo = Redo {
            state: State(step.state),
            marks,
            jobs: effects.unknown_jobs(step.jobs).await?,
            dead_letters,
            revived,
            dead_letter_count: changed.then(|| owned.dead_letters.saturating_add(change)),
            given: step.given,
            unmatched: step.unmatched,
            matched: step.matched,
            signals: step.signals,
            list_adds: step.list_adds,
            ..reports
        };
        Ok((redo, clicks))
    }

    /// Where the rows are that are said something of. One whose place is not known any more has gone.
    async fn marks(
        &self,
        cql: &Cql,
        parts: &Parts,
        clicks: &[Placed],
        marks: Vec<ClickMark>,
    ) -> Result<Vec<(ClickMark, i32)>> {
        if marks.is_empty() {
            return Ok(Vec::new());
        }
        let new: HashMap<_, _> = clicks.iter().map(|placed| (placed.row.click.id, placed.part)).collect();
        let place = |mark: ClickMark| {
            let known = new.get(&mark.click).copied();
            let known = known.or_else(|| parts.only((mark.link, PartKind::Clicks, day(mark.at))));
            async move {
                if let Some(part) = known {
                    return Ok::<_, StoreError>(Some((mark, part)));
                }
                let (second, slice, id) = place_key(mark.click);
                let found: Option<(i32,)> = cql.row(&self.click, (second, slice, id.as_slice())).await?;
                Ok(found.map(|(part,)| (mark, part)))
            }
        };
        let found = stream::iter(marks).map(place).buffer_unordered(IN_FLIGHT);
        Ok(found.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
    }

    /// Letters that are not there yet, and those that were, with their places; each once.
    async fn letters(
        &self,
        cql: &Cql,
        letters: Vec<DeadLetter>,
        revived: Vec<DeadLetterId>,
    ) -> Result<(Vec<DeadLetter>, Vec<(DeadLetterId, TeamId, Timestamp)>)> {
        if letters.is_empty() && revived.is_empty() {
            return Ok(Default::default());
        }
        let ids: HashSet<_> = letters.iter().map(|letter| letter.id).chain(revived.iter().copied()).collect();
        let place = |id: DeadLetterId| async move {
            let row: Option<(i64, i64)> = cql.row(&self.letter, (id.to_bytes().as_slice(),)).await?;
            let place = row.map(|(team, at)| (TeamId(team.cast_unsigned()), Timestamp(at)));
            Ok::<_, StoreError>(place.map(|place| (id, place)))
        };
        let known = stream::iter(ids).map(place).buffer_unordered(IN_FLIGHT);
        let known: HashMap<DeadLetterId, Place> =
            known.try_collect::<Vec<_>>().await?.into_iter().flatten().collect();
        let mut seen = HashSet::new();
        let new = |letter: &DeadLetter| !known.contains_key(&letter.id) && seen.insert(letter.id);
        let letters = letters.into_iter().filter(new).collect();
        let mut seen = HashSet::new();
        let gone = |id: DeadLetterId| {
            let (team, at) = known.get(&id).copied()?;
            seen.insert(id).then_some((id, team, at))
        };
        Ok((letters, revived.into_iter().filter_map(gone).collect()))
    }
}

/// A click row and where it goes.
pub(super) struct Placed {
    pub(super) row: ClickRow,
    pub(super) part: i32,
    /// The part is to be listed.
    pub(super) is_new: bool,
}

/// Rows with the parts they go to. Their spans must have been asked for, as for [`reports`].
pub(super) fn placed(parts: &mut Parts, clicks: Vec<ClickRow>) -> Vec<Placed> {
    let one = |row: ClickRow| {
        let (part, is_new) = parts.place((row.click.link, PartKind::Clicks, day(row.click.at)));
        Placed { row, part, is_new }
    };
    clicks.into_iter().map(one).collect()
}

/// Conversions, fans and sums of a step, laid out; they are taken out of it.
pub(super) fn reports(parts: &mut Parts, step: &mut Step) -> Redo {
    let mut new = Vec::new();
    let conversions = conversions(parts, std::mem::take(&mut step.conversions), &mut new);
    for day in &step.fan_days {
        list(parts, (day.link, PartKind::FanDays, PartKind::FanDays.span(day.day)), &mut new);
    }
    for (key, _) in &step.dimensions {
        let sort = PartKind::of(key.dimension);
        list(parts, (key.link, sort, sort.span(key.day)), &mut new);
    }
    Redo {
        conversions,
        parts: new,
        fans: std::mem::take(&mut step.fans),
        rollups: std::mem::take(&mut step.rollups),
        dimensions: std::mem::take(&mut step.dimensions),
        fan_days: std::mem::take(&mut step.fan_days),
        totals: std::mem::take(&mut step.totals),
        ..Redo::default()
    }
}

/// Every span that the step writes to.
pub(super) fn spans(step: &Step) -> impl Iterator<Item = Span> {
    let clicks = step.clicks.iter().map(|row| (row.click.link, PartKind::Clicks, day(row.click.at)));
    let marks = step.click_marks.iter().map(|mark| (mark.link, PartKind::Clicks, day(mark.at)));
    let conversions = step.conversions.iter().map(|row| (row.link, PartKind::Conversions, day(row.at)));
    let days = step.fan_days.iter().map(|sum| (sum.link, PartKind::FanDays, PartKind::FanDays.span(sum.day)));
    let dimensions = step.dimensions.iter().map(|(key, _)| {
        let sort = PartKind::of(key.dimension);
        (key.link, sort, sort.span(key.day))
    });
    clicks.chain(marks).chain(conversions).chain(days).chain(dimensions)
}

fn conversions(
    parts: &mut Parts,
    rows: Vec<Conversion>,
    new: &mut Vec<(SmartLinkId, i8, i32, i32)>,
) -> Vec<(Conversion, i32)> {
    let one = |row: Conversion| {
        let span = day(row.at);
        let (part, is_new) = parts.place((row.link, PartKind::Conversions, span));
        if is_new {
            new.push((row.link, PartKind::Conversions.number(), span, part));
        }
        (row, part)
    };
    rows.into_iter().map(one).collect()
}

/// Lists a span that has one part.
fn list(parts: &mut Parts, (link, sort, span): Span, new: &mut Vec<(SmartLinkId, i8, i32, i32)>) {
    if parts.list((link, sort, span)) {
        new.push((link, sort.number(), span, 0));
    }
}

fn count(letters: usize) -> i64 {
    i64::try_from(letters).unwrap_or(i64::MAX)
}
