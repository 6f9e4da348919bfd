//! Reading links, and who came through them (contract E.1, E.2, E.5).

use serde_json::{Value, json};
use sl_core::{ids::LinkKind, time::DayEdge};

use super::{
    super::{
        reply::{Reply, invalid, refused},
        wire,
        world::{Account, Link},
    },
    Call,
    ask::Query,
};

pub(super) fn list(call: &mut Call<'_>, kind: LinkKind) -> Result<Reply, Reply> {
    let query = Query::of(call.request);
    let (limit, offset) = (query.limit(Some(10), 100)?, query.offset(Some(0))?);
    let oldest_first = query.word("sort", &["asc", "desc"])? == Some("asc");
    let key = match kind {
        LinkKind::TrackingLink => query.word("sortby", &["claims", "created_date"])?,
        LinkKind::FreeTrial => query.word("field", &TRIAL_FIELDS)?,
    };
    // Of trial links nothing says that deleted ones can be shown (contract E.2).
    let deleted = match kind {
        LinkKind::TrackingLink => query.flag("with_deleted")?.unwrap_or(true),
        LinkKind::FreeTrial => false,
    };
    query.flag("pagination")?;
    query.flag("synchronous")?;
    let from = query.time("startDate", DayEdge::Start)?;
    let to = query.time("endDate", DayEdge::End)?;
    let (now, address) = (call.now, base(call));
    let account = call.world.account(call.account)?;
    let links = account.links(kind).iter().filter(|link| {
        (deleted || !link.is_deleted)
            && !link.is_gone
            && !link.is_hidden
            && from.is_none_or(|from| link.created_at >= from)
            && to.is_none_or(|to| link.created_at <= to)
    });
    let mut links: Vec<&Link> = links.collect();
    match key {
        // Already in order of creation.
        None | Some("created_date" | "create_date") => {}
        Some("claims" | "claims_count" | "subscribe_counts") => {
            links.sort_by_key(|link| link.subscribers.len())
        }
        Some("subscribe_days") => links.sort_by_key(|link| link.days),
        Some(_) => links.sort_by_key(|link| link.expires_at),
    }
    if !oldest_first {
        links.reverse();
    }
    let view = wire::LinkView { username: &account.setup.username, address: &address, now };
    let more = links.len() > offset.saturating_add(limit);
    let page: Vec<Value> = links.into_iter().skip(offset).take(limit).map(|link| view.item(link)).collect();
    let next = more.then(|| query.with("offset", offset + limit));
    Ok(Reply::Page(json!({"list": page, "hasMore": more}), next))
}

const TRIAL_FIELDS: [&str; 5] =
    ["create_date", "expire_date", "subscribe_counts", "subscribe_days", "claims_count"];

/// Upstream's own copy: bigger pages, filters, never a call to the platform.
pub(super) fn stored(call: &mut Call<'_>, kind: LinkKind) -> Result<Reply, Reply> {
    let query = Query::of(call.request);
    let (limit, offset) = (query.limit(Some(10), 1000)?, query.offset(Some(0))?);
    query.flag("filter[include_smart_links]")?;
    let search = query.text("filter[search]").unwrap_or_default().to_lowercase();
    if search.chars().count() > 255 {
        return Err(invalid("filter.search", "must not be greater than 255 characters"));
    }
    let tags = query.many("filter[tags]");
    if tags.len() > 50 {
        return Err(invalid("filter.tags", "must not have more than 50 items"));
    }
    let (now, address) = (call.now, base(call));
    let account = call.world.account(call.account)?;
    let view = wire::LinkView { username: &account.setup.username, address: &address, now };
    let links = account.links(kind).iter().rev().filter(|link| {
        link.name.to_lowercase().contains(&search)
            && (tags.is_empty() || link.tags.iter().any(|tag| tags.contains(tag)))
    });
    let mut rest = links.skip(offset);
    let page: Vec<Value> = rest.by_ref().take(limit).map(|link| view.stored(link)).collect();
    let more = rest.next().is_some();
    let next = more.then(|| query.with("offset", offset + limit));
    Ok(Reply::Page(json!({"list": page, "hasMore": more}), next))
}

pub(super) fn get(call: &mut Call<'_>, kind: LinkKind, id: &str) -> Result<Reply, Reply> {
    let (now, address) = (call.now, base(call));
    let account = call.world.account(call.account)?;
    let link = one(account, kind, id)?;
    if link.is_deleted {
        return Err(unknown());
    }
    let view = wire::LinkView { username: &account.setup.username, address: &address, now };
    Ok(Reply::Data(view.one(link)))
}

pub(super) fn delete(call: &mut Call<'_>, kind: LinkKind, id: &str) -> Result<Reply, Reply> {
    let number = one(call.world.account(call.account)?, kind, id)?.number;
    call.world.delete_link(call.account, kind, number, call.now)?;
    Ok(Reply::Data(json!({"success": true})))
}

/// `limit` and `offset` are required here. Newest first.
pub(super) fn subscribers(call: &mut Call<'_>, kind: LinkKind, id: &str) -> Result<Reply, Reply> {
    let query = Query::of(call.request);
    let (limit, offset) = (query.limit(None, 100)?, query.offset(None)?);
    let now = call.now;
    let account = call.world.account(call.account)?;
    let link = one(account, kind, id)?;
    let mut rest = link.subscribers.iter().rev().skip(offset);
    let page: Vec<Value> = rest
        .by_ref()
        .take(limit)
        .filter_map(|subscription| {
            let fan = account.fans.get(&subscription.fan)?;
            Some(wire::subscriber(fan, subscription, kind, account.setup.price, now))
        })
        .collect();
    let more = rest.next().is_some();
    let next = more.then(|| query.with("offset", offset + limit));
    Ok(Reply::Page(json!({"list": page, "hasMore": more, "marker": null}), next))
}

pub(super) fn spenders(call: &mut Call<'_>, kind: LinkKind, id: &str) -> Result<Reply, Reply> {
    let query = Query::of(call.request);
    let (limit, offset) = (query.limit(Some(50), 100)?, query.offset(Some(0))?);
    let least = match query.text("minSpend") {
        None => 1,
        Some(text) => text
            .parse::<i64>()
            .ok()
            .filter(|least| *least >= 1)
            .ok_or_else(|| invalid("minSpend", "must be at least 1"))?,
    };
    let account = call.world.account(call.account)?;
    let link = one(account, kind, id)?;
    let spenders = link.spent.iter().filter(|(_, cents)| cents.0 >= least * 100);
    let page: Vec<Value> = spenders
        .skip(offset)
        .take(limit)
        .filter_map(|(fan, cents)| Some(wire::spender(account.fans.get(fan)?, *cents)))
        .collect();
    Ok(Reply::Data(json!({"list": page})))
}

fn one<'a>(account: &'a Account, kind: LinkKind, id: &str) -> Result<&'a Link, Reply> {
    let number = id.parse().ok();
    let link = number.and_then(|number| account.link(kind, number));
    link.filter(|link| !link.is_gone).ok_or_else(unknown)
}

fn unknown() -> Reply {
    refused(404, "The link does not exist.")
}

/// `https://host/api/{account}`, for addresses inside answers.
fn base(call: &Call<'_>) -> String {
    format!("http://{}/api/{}", call.request.header("host"), call.account)
}
