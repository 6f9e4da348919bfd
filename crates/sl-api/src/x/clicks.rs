//! One click with everything that hangs on it.

use axum::extract::State;
use serde_json::json;
use sl_core::ids::ClickId;

use crate::{
    access::{Caller, PathId},
    error::{ApiError, Result},
    parts::App,
    reply::Reply,
    smart_links::{clicks, conversions},
    x::deliveries,
};

pub(crate) async fn show(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let missing = || ApiError::NotFound("click");
    let id: ClickId = id.parse().map_err(|_| missing())?;
    let row = app.store.reports.click(caller.team(), id).await?.ok_or_else(missing)?;
    let credited = app.store.reports.conversions_of_click(caller.team(), id).await?;
    let told = app.store.deliveries.of_click(caller.team(), id).await?;
    let click = &row.click;
    let params = &click.params;
    Ok(Reply::data(json!({
        "click": clicks::row(&row),
        // What the row of the contract has no field for.
        "parameters": {
            "twclid": params.twclid, "rdt_cid": params.rdt_cid, "epik": params.epik, "msclkid": params.msclkid,
            "fbc": params.fbc, "fbp": params.fbp,
        },
        "smart_link_id": click.link.to_string(),
        "account_id": click.account.as_str(),
        "class": click.class.as_str(),
        "rung": click.rung.as_str(),
        "pool_link": click.pool_link.map(|link| link.to_string()),
        "window_seconds": click.window.as_secs(),
        "conversions": conversions::rows(&app, credited.iter().collect()).await?,
        "deliveries": deliveries::objects(&app, caller.team(), &told).await?,
    })))
}
