//! Transactions and fans (contract E.5). The list speaks another dialect than the webhook.

use std::time::Duration;

use serde_json::{Value, json};
use sl_core::time::DayEdge;

use super::{
    super::{
        reply::{Reply, invalid, refused},
        wire,
    },
    Call,
    ask::Query,
};

/// Without `startDate`, 30 days back.
const LOOK_BACK: Duration = Duration::from_secs(30 * 86_400);

/// Newest first. `marker` is the id of the last transaction of the page before, so that new ones shift nothing.
pub(super) fn transactions(call: &mut Call<'_>) -> Result<Reply, Reply> {
    let query = Query::of(call.request);
    let limit = query.limit(Some(10), 100)?;
    let from = query.time("startDate", DayEdge::Start)?.unwrap_or(call.now.minus(LOOK_BACK));
    let kind = query.word("type", &wire::LIST_KINDS)?.map(str::to_owned);
    let account = call.world.account(call.account)?;
    let end = match query.text("marker") {
        None => account.transactions.len(),
        Some(marker) => {
            let place = account.transaction_places.get(marker);
            *place.ok_or_else(|| invalid("marker", "is none of this list"))?
        }
    };
    let before = account.transactions.iter().take(end).rev();
    let mut rest = before
        .filter(|one| one.at >= from && kind.as_ref().is_none_or(|kind| wire::list_kind(&one.kind) == kind));
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let more = rest.next().is_some();
    let marker = page.last().filter(|_| more).map(|last| last.id.clone());
    let rows: Vec<Value> = page
        .iter()
        .filter_map(|one| Some(wire::listed_transaction(one, account.fans.get(&one.fan)?)))
        .collect();
    let next = marker.as_ref().map(|marker| query.with("marker", marker));
    let data = json!({
        "list": rows, "hasMore": more, "marker": query.text("marker"), "nextMarker": marker,
    });
    Ok(Reply::Page(data, next))
}

pub(super) fn latest_fans(call: &mut Call<'_>) -> Result<Reply, Reply> {
    let query = Query::of(call.request);
    let (limit, offset) = (query.limit(Some(10), 100)?, query.offset(Some(0))?);
    let account = call.world.account(call.account)?;
    let mut fans: Vec<_> = account.fans.values().collect();
    fans.sort_by_key(|fan| std::cmp::Reverse(fan.subscriptions.last().map(|last| last.at)));
    let more = fans.len() > offset.saturating_add(limit);
    let page: Vec<Value> = fans.into_iter().skip(offset).take(limit).map(wire::fan).collect();
    Ok(Reply::Data(json!({"list": page, "hasMore": more})))
}

pub(super) fn history(call: &mut Call<'_>, fan: &str) -> Result<Reply, Reply> {
    let account = call.world.account(call.account)?;
    let fan = fan.parse().ok().and_then(|fan: u64| account.fans.get(&fan));
    let fan = fan.ok_or_else(|| refused(404, "The fan does not exist."))?;
    let rows: Vec<Value> = fan.subscriptions.iter().rev().map(wire::past_subscription).collect();
    Ok(Reply::Data(Value::Array(rows)))
}
