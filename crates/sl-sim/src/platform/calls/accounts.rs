//! Who am I, which creators are there (contract A.11, A.12, E.3).

use serde_json::json;

use super::{super::reply::Reply, super::wire, Call, ask::Query};

/// The key that asks. The answer has no envelope.
pub(super) fn whoami(call: &Call<'_>) -> Reply {
    Reply::Bare(json!({
        "api_key": {
            "name": "simulated", "created_at": call.world.started_at.iso(), "last_used_at": call.now.iso(),
        },
        "team": {"name": "Simulated team", "slug": "simulated-team"},
    }))
}

/// A bare array; ids are numbers here.
pub(super) fn list(call: &Call<'_>) -> Reply {
    let query = Query::of(call.request);
    let fits = |name: &str, value: &str| query.text(name).is_none_or(|want| want == value);
    let setups = call.world.accounts.values().map(|account| &account.setup);
    let found = setups.filter(|setup| {
        fits("onlyfans_id", &setup.onlyfans_id.to_string())
            && fits("onlyfans_username", &setup.username)
            && fits("onlyfans_email", &wire::email(setup))
    });
    Reply::Bare(found.map(wire::account).collect())
}

/// The live profile.
pub(super) fn me(call: &mut Call<'_>) -> Result<Reply, Reply> {
    let account = call.world.account(call.account)?;
    let subscribers = account.fans.len();
    Ok(Reply::Data(json!({
        "id": account.setup.onlyfans_id,
        "username": account.setup.username,
        "name": account.setup.display_name,
        "avatar": null,
        "isPerformer": true,
        "isAuth": true,
        "subscribersCount": subscribers,
        "subscribePrice": account.setup.price.to_json(),
        "canCreateTrial": account.can_create_trial(),
        "trialMaxDays": 360,
        "trialMaxExpiresDays": 30,
    })))
}
