//! Clicks of a link by the values of one property (decisions 3, 52, 57). Money is not kept by value.

mod days;

use std::cmp::Reverse;

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{ids::SmartLinkId, step::Dimension};
use sl_store::reports::{DimensionSum, Range};

pub(crate) use self::days::Days;
use crate::{
    access::OwnLink,
    error::{Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
};

/// Rows of an answer without a `limit`.
const ROWS: u64 = 100;
/// As many values as are told apart on a day (decisions 52).
const ROWS_MAX: u64 = 1000;

pub(crate) async fn show(State(app): State<App>, OwnLink(link): OwnLink, mut query: Query) -> Result<Reply> {
    let by = required(&mut query);
    let days = Days::read(&mut query, app.now());
    let limit = query.number("limit", 1, ROWS_MAX).unwrap_or(ROWS);
    query.finish()?;
    let by = by.unwrap_or(Dimension::Country);
    let breakdown = read(&app, link.id, by, days.range()).await?;
    let (rows, rest) = breakdown.top(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Reply::data(json!({
        "summary": { "clicks_total": breakdown.clicks },
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "rest": { "rows": rest.len(), "clicks": clicks(rest) },
        "filters": {
            "by": by.as_str(),
            "date_start": days.first_second(&link).iso(),
            "date_end": days.last_second().iso(),
            "limit": limit,
        },
    })))
}

/// The property that is asked for, which must be.
pub(crate) fn required(query: &mut Query) -> Option<Dimension> {
    if query.raw("by").is_none() {
        query.wrong("by", format!("is required: one of {}.", words()));
    }
    asked(query)
}

/// The property that is asked for, if one is.
pub(crate) fn asked(query: &mut Query) -> Option<Dimension> {
    let word = query.raw("by")?.to_owned();
    let dimension = Dimension::from_word(&word);
    if dimension.is_none() {
        query.wrong("by", format!("must be one of {}, not {}.", words(), shown(&word)));
    }
    dimension
}

fn words() -> String {
    Dimension::ALL.map(Dimension::as_str).join(", ")
}

/// Of whole days.
pub(crate) async fn read(app: &App, link: SmartLinkId, by: Dimension, days: Range) -> Result<Breakdown> {
    let sums = app.store.reports.dimensions(link, by, days).await?;
    // Afterwards: a click that is counted meanwhile is in the total, and without a value.
    let hours = app.store.reports.hours(link, days).await?;
    Ok(Breakdown::of(sums, hours.iter().map(|(_, rollup)| rollup.clicks).sum()))
}

/// People's clicks by value, the most first, then by value; those without one come after their equals.
#[derive(Debug)]
pub(crate) struct Breakdown {
    /// Of all rows.
    pub(crate) clicks: u64,
    rows: Vec<Row>,
}

/// Clicks of one value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// `None`: the clicks had none.
    pub(crate) value: Option<String>,
    pub(crate) clicks: u64,
}

/// Their sum.
pub(crate) fn clicks(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.clicks).sum()
}

// === impl Breakdown ===

impl Breakdown {
    /// What no value explains of `clicks` had none.
    fn of(sums: Vec<DimensionSum>, clicks: u64) -> Self {
        let row = |sum: DimensionSum| Row { value: Some(sum.value), clicks: sum.clicks };
        let mut rows: Vec<Row> = sums.into_iter().map(row).collect();
        let named = self::clicks(&rows);
        if clicks > named {
            rows.push(Row { value: None, clicks: clicks - named });
        }
        rows.sort_unstable_by(|left, right| left.place().cmp(&right.place()));
        Self { clicks: clicks.max(named), rows }
    }

    /// The first rows, and those behind them.
    pub(crate) fn top(&self, limit: usize) -> (&[Row], &[Row]) {
        self.rows.split_at(self.rows.len().min(limit))
    }
}

// === impl Row ===

impl Row {
    pub(crate) fn json(&self) -> Value {
        json!({ "value": self.value, "clicks": self.clicks })
    }

    fn place(&self) -> (Reverse<u64>, bool, Option<&str>) {
        (Reverse(self.clicks), self.value.is_none(), self.value.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sums: &[(&str, u64)], clicks: u64) -> Breakdown {
        let sum =
            |(value, clicks): &(&str, u64)| DimensionSum { value: (*value).to_owned(), clicks: *clicks };
        Breakdown::of(sums.iter().map(sum).collect(), clicks)
    }

    fn shown(rows: &[Row]) -> Vec<(Option<&str>, u64)> {
        rows.iter().map(|row| (row.value.as_deref(), row.clicks)).collect()
    }

    #[test]
    fn rows_and_rest_add_up_to_the_clicks_whatever_the_limit() {
        let breakdown = of(&[("DE", 3), ("US", 5), ("FR", 2), ("AT", 3)], 16);
        assert_eq!(
            shown(breakdown.top(9).0),
            [(Some("US"), 5), (Some("AT"), 3), (Some("DE"), 3), (None, 3), (Some("FR"), 2)]
        );
        for limit in 0..=6 {
            let (rows, rest) = breakdown.top(limit);
            assert_eq!((rows.len(), clicks(rows) + clicks(rest)), (limit.min(5), 16));
        }
    }

    #[test]
    fn a_total_that_lags_behind_its_values_is_raised_to_them() {
        let breakdown = of(&[("US", 5)], 4);
        assert_eq!((breakdown.clicks, shown(breakdown.top(9).0)), (5, vec![(Some("US"), 5)]));
        assert_eq!(shown(of(&[], 0).top(9).0), []);
    }
}
