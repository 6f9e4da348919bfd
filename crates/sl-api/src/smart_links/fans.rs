//! Fans and spenders of a link (contract A.6.7, A.6.8): net amounts (contract I.6).

use std::{cmp::Ordering, time::Duration};

use axum::extract::State;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sl_core::{
    conversion::ConversionKind,
    ids::{ClickId, ConversionId, FanId, SmartLinkId, TeamId},
    money::Cents,
    step::FanUnderLink,
};
use sl_store::reports::{ConversionFilter, Range};

use crate::{
    access::{Caller, OwnLink},
    error::{self, Result},
    parts::App,
    query::Query,
    reply::Reply,
};

/// Fans of a page that are read at once.
const IN_FLIGHT: usize = 16;

const SORTS: [&str; 4] = ["revenue_net", "tips_net", "messages_sent_by_fan", "converted_at"];

/// Filters that need what no list of the platform tells us (contract A.6.7 `subscription_insights`): nobody is known to
/// be either, so `true` finds nobody and `false` everybody.
const UNKNOWN: [&str; 2] = ["previously_subscribed", "subscribed_using_promo"];

pub(crate) async fn fans(
    State(app): State<App>,
    caller: Caller,
    OwnLink(link): OwnLink,
    mut query: Query,
) -> Result<Reply> {
    let wanted = Wanted::read(&mut query);
    let (limit, offset) = query.paging(100);
    query.finish()?;
    let fans = listed(&app, link.id, &wanted).await?;
    let rows = shown(&app, caller.team(), fans.iter().skip(offset).take(limit)).await?;
    let with_messages = |least: u32| fans.iter().filter(|fan| fan.messages >= least).count();
    Ok(Reply::data(json!({
        "summary": {
            "fans_total": fans.len(),
            "revenue_net_total": fans.iter().map(|fan| fan.net).sum::<Cents>().to_json(),
            "tips_net_total": fans.iter().map(|fan| fan.tips_net).sum::<Cents>().to_json(),
            "fans_with_1_plus_messages_total": with_messages(1),
            "fans_with_3_plus_messages_total": with_messages(3),
        },
        "rows": rows,
        "filters": wanted.echo(limit, offset),
    })))
}

/// Which fans of a link, in the order they are asked for.
pub(crate) async fn listed(app: &App, link: SmartLinkId, wanted: &Wanted) -> Result<Vec<FanUnderLink>> {
    let mut fans = app.store.reports.fans(link).await?;
    fans.retain(|fan| wanted.takes(fan));
    fans.sort_by(|a, b| wanted.order(a, b));
    Ok(fans)
}

/// What is asked for.
pub(crate) struct Wanted {
    sort: String,
    has_messages: Option<bool>,
    min_messages: Option<u64>,
    min_revenue: Option<Cents>,
    min_tips: Option<Cents>,
    unknown: [Option<bool>; 2],
}

impl Wanted {
    pub(crate) fn read(query: &mut Query) -> Self {
        let sort = query.raw("sort").unwrap_or("-revenue_net").to_owned();
        if !SORTS.contains(&sort.trim_start_matches('-')) {
            let known = SORTS.join(", ");
            query.wrong(
                "sort",
                format!("must be one of {known}, each also with a leading -, not {}.", error::shown(&sort)),
            );
        }
        Self {
            sort,
            has_messages: query.flag("has_messages"),
            min_messages: query.number("min_messages_sent_by_fan", 0, u64::MAX),
            min_revenue: query.money("min_revenue_net"),
            min_tips: query.money("min_tips_net"),
            unknown: UNKNOWN.map(|key| query.flag(key)),
        }
    }

    fn takes(&self, fan: &FanUnderLink) -> bool {
        self.has_messages.is_none_or(|wanted| wanted == (fan.messages > 0))
            && self.min_messages.is_none_or(|least| u64::from(fan.messages) >= least)
            && self.min_revenue.is_none_or(|least| fan.net >= least)
            && self.min_tips.is_none_or(|least| fan.tips_net >= least)
            && !self.unknown.contains(&Some(true))
    }

    /// Equal ones by fan, so that pages don't overlap.
    fn order(&self, a: &FanUnderLink, b: &FanUnderLink) -> Ordering {
        let by = match self.sort.trim_start_matches('-') {
            "tips_net" => a.tips_net.cmp(&b.tips_net),
            "messages_sent_by_fan" => a.messages.cmp(&b.messages),
            "converted_at" => a.converted_at.cmp(&b.converted_at),
            _ => a.net.cmp(&b.net),
        };
        let by = if self.sort.starts_with('-') { by.reverse() } else { by };
        by.then_with(|| a.fan.cmp(&b.fan))
    }

    /// Values as text, `null` when not given (contract A.6.7).
    fn echo(&self, limit: usize, offset: usize) -> Value {
        let [previously, promo] = self.unknown.map(|flag| flag.map(|flag| flag.to_string()));
        json!({
            "limit": limit,
            "offset": offset,
            "sort": self.sort,
            "has_messages": self.has_messages.map(|flag| flag.to_string()),
            "min_messages_sent_by_fan": self.min_messages.map(|least| least.to_string()),
            "min_revenue_net": self.min_revenue.map(|least| least.to_json().to_string()),
            "min_tips_net": self.min_tips.map(|least| least.to_json().to_string()),
            "previously_subscribed": previously,
            "subscribed_using_promo": promo,
        })
    }
}

/// Rows of these fans, some read at once.
pub(crate) async fn shown(
    app: &App,
    team: TeamId,
    fans: impl Iterator<Item = &FanUnderLink>,
) -> Result<Vec<Value>> {
    let rows: Vec<_> = fans.map(|fan| one(app, team, fan)).collect();
    stream::iter(rows).buffered(IN_FLIGHT).try_collect().await
}

/// A fan with its first click and conversion under the link.
async fn one(app: &App, team: TeamId, fan: &FanUnderLink) -> Result<Value> {
    let click = match fan.click {
        Some(id) => app.store.reports.click(team, id).await?,
        None => None,
    };
    let ecid = click.and_then(|row| row.click.params.ecid.clone());
    Ok(row(fan, first_conversion(app, fan).await?, ecid))
}

/// The conversion by which the fan came to be listed: looked for at its own time, not among all of the link.
async fn first_conversion(app: &App, fan: &FanUnderLink) -> Result<Option<ConversionId>> {
    let moment =
        Range { from: Some(fan.converted_at), to: Some(fan.converted_at.plus(Duration::from_millis(1))) };
    let filter = ConversionFilter { fan: Some(fan.fan.clone()), ..ConversionFilter::all(moment) };
    let newest_first = app.store.reports.conversions(fan.link, filter).await?;
    // A subscription and its payment share their second; which of them is known first must not matter.
    let subscribed = newest_first.iter().rfind(|row| row.kind == ConversionKind::NewSubscriber);
    Ok(subscribed.or(newest_first.last()).map(|row| row.id))
}

fn row(fan: &FanUnderLink, conversion: Option<ConversionId>, ecid: Option<String>) -> Value {
    json!({
        "fan_id": fan_number(&fan.fan),
        "onlyfans_id": fan.fan.as_str(),
        "username": fan.profile.username,
        "name": fan.profile.name,
        "avatar_url": fan.profile.avatar,
        "revenue_net": fan.net.to_json(),
        "tips_net": fan.tips_net.to_json(),
        "messages_sent_by_fan": fan.messages,
        "converted_at": fan.converted_at.iso(),
        "conversion_id": conversion.map(|id| short(id.to_bytes())),
        "click_id": fan.click.as_ref().map(ClickId::to_string),
        "external_click_id": ecid,
        "subscription_insights": {
            "has_subscription_data": false,
            "previously_subscribed": null,
            "subscribed_using_promo": null,
            "current_subscription_from_smart_link": null,
            "current_subscription": null,
        },
    })
}

/// 53 bits of the hash in a derived id: every JSON reader keeps them (decisions 21).
pub(crate) fn short(ulid: [u8; 16]) -> u64 {
    u64::try_from(u128::from_be_bytes(ulid) & ((1 << 53) - 1)).unwrap_or(0)
}

/// The platform's number when it is one that JSON readers keep, else 53 bits of its hash.
fn fan_number(fan: &FanId) -> u64 {
    let number = fan.as_str().parse::<u64>().ok().filter(|number| *number < 1 << 53);
    number.unwrap_or_else(|| {
        let hash: [u8; 32] = Sha256::digest(fan.as_str().as_bytes()).into();
        hash.first_chunk::<16>().map_or(0, |bytes| short(*bytes))
    })
}

pub(crate) async fn spenders(
    State(app): State<App>,
    OwnLink(link): OwnLink,
    mut query: Query,
) -> Result<Reply> {
    let least = query.money("minSpend").unwrap_or(Cents(100));
    let (limit, offset) = query.paging(50);
    query.finish()?;
    let now = app.now().iso();
    let mut fans = app.store.reports.fans(link.id).await?;
    fans.retain(|fan| fan.net > Cents::ZERO && fan.net >= least);
    fans.sort_by(|a, b| b.net.cmp(&a.net).then_with(|| a.fan.cmp(&b.fan)));
    let row = |fan: &FanUnderLink| {
        json!({
            "onlyfans_id": fan.fan.as_str(),
            "username": fan.profile.handle(&fan.fan),
            "revenue": { "total": fan.net.to_json(), "calculated_at": now },
        })
    };
    Ok(Reply::data(fans.iter().skip(offset).take(limit).map(row).collect::<Vec<_>>()))
}
