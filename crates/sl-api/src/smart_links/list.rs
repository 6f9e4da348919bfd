//! List (contract A.6.2).

use std::collections::HashMap;

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    catalog::{Account, Pixel, SmartLink},
    ids::{AccountId, PixelId, SmartLinkId, TeamId},
    step::LinkTotals,
};

use crate::{
    access::Caller, error::Result, parts::App, query::Query, reply::Reply, smart_links::object::object,
};

pub(crate) async fn list(State(app): State<App>, caller: Caller, mut query: Query) -> Result<Reply> {
    let filter = Filter::read(&mut query);
    let (limit, offset) = query.paging(50);
    query.finish()?;
    let pixels = match filter.pixels.is_empty() {
        true => Vec::new(),
        false => filter.pixel_ids(&app.store.catalog.pixels(caller.team()).await?),
    };
    let links = app.store.catalog.links(caller.team()).await?;
    let links: Vec<SmartLink> =
        links.into_iter().filter(|link| filter.takes(link, &pixels)).skip(offset).take(limit).collect();
    let rows = rows(&app, caller.team(), &links).await?;
    Ok(Reply::data(rows.into_iter().map(|(row, _)| row).collect::<Vec<_>>()))
}

/// Objects with `spenders_count`, and the totals they were made of.
pub(crate) async fn rows(app: &App, team: TeamId, links: &[SmartLink]) -> Result<Vec<(Value, LinkTotals)>> {
    let ids: Vec<SmartLinkId> = links.iter().map(|link| link.id).collect();
    let totals = app.store.reports.totals(&ids).await?;
    let accounts = app.store.catalog.accounts(team).await?;
    let accounts: HashMap<&AccountId, &Account> = accounts.iter().map(|one| (&one.id, one)).collect();
    let row = |(link, totals): (&SmartLink, &LinkTotals)| {
        let mut row = object(app, link, *totals, accounts.get(&link.account).copied());
        if let Some(row) = row.as_object_mut() {
            row.insert("spenders_count".to_owned(), json!(totals.spenders));
        }
        (row, *totals)
    };
    Ok(links.iter().zip(&totals).map(row).collect())
}

struct Filter {
    accounts: Vec<String>,
    tags: Vec<String>,
    name: Option<String>,
    pixels: Vec<String>,
}

impl Filter {
    fn read(query: &mut Query) -> Self {
        let tags = query.list("filter[tags]");
        if tags.iter().any(|tag| tag.chars().count() > 50) {
            query.wrong("filter[tags]", "must hold tags of at most 50 characters.");
        }
        Self {
            accounts: query.list("account_ids"),
            tags,
            name: query.text("name", 255).map(|name| name.to_lowercase()),
            pixels: query.list("pixel_ids"),
        }
    }

    /// Our number or the platform's id (contract I.11).
    fn pixel_ids(&self, pixels: &[Pixel]) -> Vec<PixelId> {
        let wanted = |pixel: &&Pixel| {
            self.pixels.iter().any(|asked| *asked == pixel.pixel_id || *asked == pixel.id.to_string())
        };
        pixels.iter().filter(wanted).map(|pixel| pixel.id).collect()
    }

    /// Tags match any (contract I.10), names anywhere in any letter case (I.9).
    fn takes(&self, link: &SmartLink, pixels: &[PixelId]) -> bool {
        (self.accounts.is_empty() || self.accounts.iter().any(|id| id == link.account.as_str()))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| link.tags.contains(tag)))
            && self.name.as_ref().is_none_or(|name| link.name.to_lowercase().contains(name))
            && (self.pixels.is_empty() || link.pixels.iter().any(|pixel| pixels.contains(pixel)))
    }
}
