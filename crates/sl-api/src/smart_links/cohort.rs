//! Revenue per subscriber after so many days (contract A.6.6).

use std::{collections::HashMap, time::Duration};

use axum::extract::State;
use serde_json::{Map, Value, json};
use sl_core::{
    conversion::{Conversion, ConversionKind},
    ids::{ClickId, FanId},
    money::Cents,
    time::Timestamp,
};
use sl_store::reports::{ConversionFilter, Range};

use crate::{
    access::OwnLink,
    error::{Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
    smart_links::conversions::says_when,
};

const DAY: u64 = 24 * 3600;

/// Name and length of each window; 21 days beside the published ones (contract I.19).
const WINDOWS: [(&str, Option<Duration>); 6] = [
    ("48h", Some(Duration::from_secs(2 * DAY))),
    ("7d", Some(Duration::from_secs(7 * DAY))),
    ("14d", Some(Duration::from_secs(14 * DAY))),
    ("21d", Some(Duration::from_secs(21 * DAY))),
    ("30d", Some(Duration::from_secs(30 * DAY))),
    ("all_time", None),
];

pub(crate) async fn arps(State(app): State<App>, OwnLink(link): OwnLink, mut query: Query) -> Result<Reply> {
    let acquired = query.dates("acquisition_start", "acquisition_end").range();
    let basis = query.raw("revenue_basis").unwrap_or("net").to_owned();
    if !["net", "gross"].contains(&basis.as_str()) {
        query.wrong("revenue_basis", format!("must be net or gross, not {}.", shown(&basis)));
    }
    query.finish()?;
    let filter = ConversionFilter::all(Range::default());
    let rows = app.store.reports.conversions(link.id, filter).await?;
    let amount = |row: &Conversion| if basis == "gross" { row.gross } else { row.net };
    Ok(Reply::data(cohort(&rows, acquired, amount)))
}

/// When a fan first subscribed, and by which click.
#[derive(Clone, Copy)]
struct Since {
    at: Timestamp,
    click: Option<ClickId>,
}

impl Since {
    /// What a row brought within `window`: what came since the subscription, or before it by the same click (decisions 25). What
    /// was taken back counts until then (decisions 19).
    fn spent(self, row: &Conversion, amount: Cents, window: Option<Duration>) -> Cents {
        if row.click != self.click && row.at.seconds() < self.at.seconds() {
            return Cents::ZERO;
        }
        let inside =
            |at: Timestamp| window.is_none_or(|window| at.seconds() < self.at.plus(window).seconds());
        row.moves().filter(|(at, _)| inside(*at)).map(|(_, sign)| Cents(sign * amount.0)).sum()
    }
}

/// Fans who first subscribed inside `acquired`, and what they spent since. Younger ones count with what they spent so far
/// (contract I.20).
fn cohort(rows: &[Conversion], acquired: Range, amount: impl Fn(&Conversion) -> Cents) -> Value {
    let mut since: HashMap<&FanId, Since> = HashMap::new();
    for row in rows.iter().filter(|row| row.kind == ConversionKind::NewSubscriber) {
        let first = Since { at: row.at, click: row.click };
        let known = since.entry(&row.fan).or_insert(first);
        if row.at < known.at {
            *known = first;
        }
    }
    since.retain(|_, since| acquired.contains(since.at));
    let count = since.len();
    let mut data = Map::new();
    data.insert("subscribers_count".to_owned(), json!(count));
    for (name, window) in WINDOWS {
        let spent = |row: &Conversion| {
            since.get(&row.fan).map_or(Cents::ZERO, |since| since.spent(row, amount(row), window))
        };
        let total: Cents = rows.iter().filter(|row| says_when(row)).map(spent).sum();
        data.insert(format!("revenue_{name}_total"), total.to_json());
        data.insert(format!("arps_{name}"), per_subscriber(total, count).to_json());
    }
    data.insert("source_subscribers_total".to_owned(), json!(count));
    // Every attributed subscriber's revenue is known here.
    data.insert("coverage_percent".to_owned(), json!(u8::from(count > 0)));
    Value::Object(data)
}

/// Rounded half up to the cent; 0 without subscribers.
fn per_subscriber(total: Cents, count: usize) -> Cents {
    match i64::try_from(count) {
        Ok(count) if count > 0 => Cents((2 * total.0 + count).div_euclid(2 * count)),
        _ => Cents::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revenue_per_subscriber_is_rounded_to_the_cent() {
        assert_eq!(per_subscriber(Cents(21_240), 40), Cents(531));
        assert_eq!(per_subscriber(Cents(28_120), 40), Cents(703));
        assert_eq!(per_subscriber(Cents(100), 3), Cents(33));
        assert_eq!(per_subscriber(Cents(100), 0), Cents::ZERO);
    }
}
