//! The Smart Link object (contract A.5).

use serde_json::{Value, json};
use sl_core::{
    catalog::{Account, SmartLink},
    step::LinkTotals,
};

use crate::{error::Result, parts::App, reply::Reply};

/// One link as create, get and our own PATCH answer it.
pub(crate) async fn reply(app: &App, link: &SmartLink) -> Result<Reply> {
    let totals = app.store.reports.totals(&[link.id]).await?;
    let account = app.store.catalog.account(&link.account).await?;
    Ok(Reply::data(object(app, link, totals.first().copied().unwrap_or_default(), account.as_ref())))
}

/// Without `spenders_count`, which only the list has.
pub(crate) fn object(app: &App, link: &SmartLink, totals: LinkTotals, account: Option<&Account>) -> Value {
    json!({
        "id": link.id.to_string(),
        "name": link.name,
        "link_type": link.kind.as_str(),
        "traffic_redirect_url": format!("{}/go/{}", app.settings.edge_public_url.trim_end_matches('/'), link.id),
        "free_trial_days": link.trial_days,
        "clicks_count": totals.clicks,
        "conversions_count": totals.conversions,
        "subscribers_count": totals.subscribers,
        "revenue": totals.revenue.map(|cents| cents.to_string()),
        "cost": {
            "inputMode": null, "inputValue": null, "perClick": null, "perPromo": null, "perSub": null,
            "clickSourceCount": 0, "subscriberSourceCount": 0,
        },
        "account": {
            "id": link.account.as_str(),
            "display_name": account.map(|account| account.display_name.as_str()).unwrap_or_default(),
            "username": account.and_then(|account| account.username.as_deref()).unwrap_or_default(),
        },
        "created_at": link.created_at.iso(),
        "updated_at": link.updated_at.iso(),
    })
}
