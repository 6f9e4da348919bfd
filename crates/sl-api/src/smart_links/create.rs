//! Create (contract A.6.1).

use axum::extract::State;
use serde_json::Value;
use sl_core::{
    catalog::{Account, SmartLink},
    ids::{AccountId, LinkKind, SmartLinkId, TeamId},
    step::LinkTotals,
};

use crate::{
    access::Caller,
    body::Body,
    error::{Result, shown},
    parts::App,
    reply::Reply,
    smart_links::object,
};

/// What the creator platform can make (contract E.2).
const TRIAL_DAYS: [u16; 8] = [1, 3, 7, 14, 30, 90, 180, 360];

pub(crate) async fn create(State(app): State<App>, caller: Caller, mut body: Body) -> Result<Reply> {
    let account = account(&app, caller.team(), &mut body).await?;
    let name = body.required("name", 255);
    let kind = body.choice("link_type", "free_trial, tracking_link", |word| {
        [LinkKind::FreeTrial, LinkKind::TrackingLink].into_iter().find(|kind| kind.as_str() == word)
    });
    let trial_days = if kind == Some(LinkKind::FreeTrial) { trial_days(&mut body) } else { None };
    if kind == Some(LinkKind::FreeTrial)
        && account.as_ref().and_then(|one| one.can_create_trial) == Some(false)
    {
        body.wrong(
            "link_type",
            "cannot be free_trial: the page of this account allows no trials; use tracking_link.",
        );
    }
    body.finish()?;
    let (Some(account), Some(name), Some(kind)) = (account, name, kind) else {
        return Err(crate::error::ApiError::Fault);
    };
    let now = app.now();
    let link = SmartLink {
        id: SmartLinkId(app.ulid()),
        team: caller.team(),
        account: account.id.clone(),
        name,
        kind,
        trial_days,
        window: None,
        user_list_id: None,
        paused: false,
        deleted_at: None,
        overflow: None,
        pixels: Vec::new(),
        tags: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    // Nothing is read once it is written: a client that is told of a failure creates another one (contract A.13).
    let answer = object::object(&app, &link, LinkTotals::default(), Some(&account));
    app.store.catalog.put_link(link).await?;
    Ok(Reply::data(answer))
}

/// A connected account. One of another team is as unknown as one that does not exist; one that was connected is refused for as
/// long as it isn't again: nobody could make subscription links for its visitors.
async fn account(app: &App, team: TeamId, body: &mut Body) -> Result<Option<Account>> {
    let Some(id) = body.required("account_id", 255) else { return Ok(None) };
    let found = app.store.catalog.account(&AccountId::from(id.as_str())).await?;
    match found.filter(|account| account.team == team) {
        Some(own) if own.usable.yes => return Ok(Some(own)),
        Some(_) => {
            let what = format!(
                "names an account that is not connected now: {}; log it in again at the creator platform, then try again.",
                shown(&id)
            );
            body.wrong("account_id", what);
        }
        None => {
            let has_some = !app.store.catalog.accounts(team).await?.is_empty();
            let remedy = match has_some {
                true => "GET /api/accounts lists them",
                false => {
                    "no account of this team has been read from the creator platform yet; the log says when it can't be reached"
                }
            };
            let what = format!("names no connected account: {}; {remedy}.", shown(&id));
            body.wrong("account_id", what);
        }
    }
    Ok(None)
}

/// The documented range first, then what the platform can do (contract I.15).
fn trial_days(body: &mut Body) -> Option<u16> {
    let value = match body.raw("free_trial_days") {
        None | Some(Value::Null) => return body.missing("free_trial_days"),
        Some(value) => value.clone(),
    };
    let days = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    match days.and_then(|days| u16::try_from(days).ok()).filter(|days| (1..=360).contains(days)) {
        None => {
            let what = format!("must be a whole number from 1 to 360, not {}.", shown(&value.to_string()));
            body.wrong("free_trial_days", what);
            None
        }
        Some(days) if !TRIAL_DAYS.contains(&days) => {
            let what = format!("must be one of 1, 3, 7, 14, 30, 90, 180, 360, not {days}.");
            body.wrong("free_trial_days", what);
            None
        }
        days => days,
    }
}
