//! Every answered click once: in the topic, among the rows, in the sums.

use std::collections::{HashMap, HashSet};

use sl_core::ids::{ClickId, SmartLinkId};
use sl_store::{
    Reports,
    reports::{ClickFilter, Range},
};

use crate::{
    Outcome,
    places::{Place, distinct},
};

const EVERY: ClickFilter = ClickFilter::all(Range { from: None, to: None });

/// Whether the topic has what was answered, each click once.
pub(crate) fn of_topic(answered: u64, places: &[Place]) -> bool {
    let found = (places.len() as u64, distinct(places) as u64);
    println!("  answered with 302: {answered}; clicks in Kafka: {}, different ones: {}", found.0, found.1);
    found == (answered, answered)
}

/// Whether the store has what the topic has, each click once: as a row, and in the sums of its link.
pub(crate) async fn of_store(
    reports: &dyn Reports,
    links: &[SmartLinkId],
    places: &[Place],
) -> Outcome<bool> {
    let mut sent: HashMap<SmartLinkId, HashSet<ClickId>> = HashMap::new();
    for place in places {
        sent.entry(place.link).or_default().insert(place.id);
    }
    let (mut rows, mut wrong) = (0, 0);
    for (link, totals) in links.iter().zip(reports.totals(links).await?) {
        let clicks = reports.clicks(*link, EVERY).await?;
        let ids: HashSet<_> = clicks.iter().map(|row| row.click.id).collect();
        let marked = clicks.iter().any(|row| row.is_duplicate || row.gross_clicks != 1);
        rows += clicks.len();
        let expected = sent.remove(link).unwrap_or_default();
        let right = ids == expected && clicks.len() == expected.len() && !marked;
        wrong += u64::from(!right || totals.clicks != expected.len() as u64);
    }
    println!("  attributed: {rows} rows; links whose rows or sums are not what Kafka has: {wrong}");
    Ok(wrong == 0 && sent.is_empty())
}
