//! Creating links (contract E.1, E.2): a tracking link comes back in an array and without its address, a trial link as
//! an object and with it.

use serde_json::json;
use sl_core::ids::LinkKind;

use super::{
    super::{
        reply::{Reply, invalid},
        wire,
        world::TrialWish,
    },
    Call,
    ask::Body,
};

/// The durations of contract E.2, in days.
const DURATIONS: [u64; 8] = [1, 3, 7, 14, 30, 90, 180, 360];

pub(super) fn create(call: &mut Call<'_>, kind: LinkKind) -> Result<Reply, Reply> {
    let body = Body::of(call.request)?;
    match kind {
        LinkKind::TrackingLink => tracking(call, &body),
        LinkKind::FreeTrial => trial(call, &body),
    }
}

fn tracking(call: &mut Call<'_>, body: &Body) -> Result<Reply, Reply> {
    let name = body.text("name", 255)?.ok_or_else(|| invalid("name", "is required"))?;
    let tags = body.texts("tags")?;
    let link = call.world.make_tracking_link(call.account, name, tags, call.now)?;
    Ok(Reply::Data(json!([{
        "id": link.number,
        "campaignCode": link.code.parse::<u64>().unwrap_or_default(),
        "campaignName": link.name,
        "countSubscribers": 0,
        "countTransitions": 0,
        "createdAt": link.created_at.iso(),
        "endDate": null,
    }])))
}

fn trial(call: &mut Call<'_>, body: &Body) -> Result<Reply, Reply> {
    let days = body.number("duration")?;
    if !DURATIONS.contains(&days) {
        return Err(invalid("duration", "must be one of 1, 3, 7, 14, 30, 90, 180, 360"));
    }
    let expires = body.number("offerExpiration")?;
    if expires > 30 {
        return Err(invalid("offerExpiration", "must be between 0 and 30"));
    }
    let limit = body.number("offerLimit")?;
    if limit > 10 && limit != 50 && limit != 100 {
        return Err(invalid("offerLimit", "must be 0 to 10, 50 or 100"));
    }
    let wish = TrialWish {
        name: body.text("name", 64)?.unwrap_or_default().to_owned(),
        tags: body.texts("tags")?,
        days: u16::try_from(days).unwrap_or(u16::MAX),
        expires_in_days: u16::try_from(expires).unwrap_or(u16::MAX),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
    };
    let link = call.world.make_trial_link(call.account, wish, call.now)?;
    let username = call.world.account(call.account)?.setup.username.clone();
    Ok(Reply::Page(wire::new_trial(&link, &username, call.now), None))
}
