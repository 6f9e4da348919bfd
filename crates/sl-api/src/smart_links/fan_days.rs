//! Money per fan and day of a link, exact also where a range cuts a day: there the conversions of that day are counted, as
//! those of a cut hour are (decisions 57).

use std::{collections::HashMap, time::Duration};

use sl_core::{
    conversion::{Conversion, ConversionKind},
    ids::{FanId, SmartLinkId},
    money::Cents,
    step::FanDay,
    time::Timestamp,
};
use sl_store::reports::{ConversionFilter, Range};

use crate::{error::Result, parts::App};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Rows in which money moved inside `range`, by day.
pub(crate) async fn fan_days(app: &App, link: SmartLinkId, range: Range) -> Result<Vec<FanDay>> {
    let reports = &app.store.reports;
    let whole = Range { from: range.from.map(Timestamp::day), to: range.to };
    let mut rows = reports.fan_days(link, whole).await?;
    for day in cut_days(range) {
        let (of_day, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.day == day);
        rows = others;
        if of_day.is_empty() {
            continue;
        }
        let mut cut = CutDay::new(day, range, of_day);
        let read = |range| reports.conversions(link, transactions(range));
        read(cut.day).await?.iter().for_each(|row| cut.count(row));
        if cut.is_open() {
            let earlier = Range { from: None, to: Some(day) };
            read(earlier).await?.iter().for_each(|row| cut.count(row));
        }
        rows.extend(cut.finish());
    }
    Ok(rows)
}

fn transactions(range: Range) -> ConversionFilter {
    let kind = Some(ConversionKind::NewTransaction);
    ConversionFilter { kind, ..ConversionFilter::all(range) }
}

/// The days, at most two, of which a range holds a part only.
fn cut_days(range: Range) -> impl Iterator<Item = Timestamp> {
    let cut = |end: Option<Timestamp>| end.filter(|at| at.day() != *at).map(Timestamp::day);
    let (first, last) = (cut(range.from), cut(range.to));
    first.into_iter().chain(last.filter(|day| Some(*day) != first))
}

/// A day of which a part is wanted.
struct CutDay {
    day: Range,
    part: Range,
    fans: HashMap<FanId, Moved>,
}

/// Money of one fan, gross and net.
#[derive(Clone)]
struct Moved {
    whole: FanDay,
    /// What moved on the day less what the rows so far explain.
    open: (Cents, Cents),
    /// What moved in the part, if anything did.
    part: Option<(Cents, Cents)>,
}

impl CutDay {
    fn new(day: Timestamp, part: Range, rows: Vec<FanDay>) -> Self {
        let moved = |row: FanDay| Moved { open: (row.gross, row.net), part: None, whole: row };
        let fans = rows.into_iter().map(|row| (row.fan.clone(), moved(row))).collect();
        Self { day: Range { from: Some(day), to: Some(day.plus(DAY)) }, part, fans }
    }

    fn count(&mut self, row: &Conversion) {
        let Some(fan) = self.fans.get_mut(&row.fan) else { return };
        for (at, sign) in row.moves().filter(|(at, _)| self.day.contains(*at)) {
            let (gross, net) = (Cents(sign * row.gross.0), Cents(sign * row.net.0));
            fan.open = (fan.open.0 - gross, fan.open.1 - net);
            if self.part.contains(at) {
                fan.add((gross, net));
            }
        }
    }

    /// Whether something was taken back, or given again, that had come before the day.
    fn is_open(&self) -> bool {
        self.fans.values().any(Moved::is_open)
    }

    /// What no row explains (those of older versions do not say when they were taken back) counts at the start of the day.
    fn finish(self) -> impl Iterator<Item = FanDay> {
        let starts = self.day.from.is_some_and(|start| self.part.contains(start));
        self.fans.into_values().filter_map(move |mut fan| {
            if starts && fan.is_open() {
                fan.add(fan.open);
            }
            fan.part.map(|(gross, net)| FanDay { gross, net, ..fan.whole })
        })
    }
}

impl Moved {
    fn is_open(&self) -> bool {
        self.open != (Cents::ZERO, Cents::ZERO)
    }

    fn add(&mut self, (gross, net): (Cents, Cents)) {
        let part = self.part.get_or_insert((Cents::ZERO, Cents::ZERO));
        *part = (part.0 + gross, part.1 + net);
    }
}
