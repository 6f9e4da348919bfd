//! What people configure.

use sl_core::{
    catalog::{Pixel, SmartLink},
    seal::{PIXEL_TOKEN, SealKeys},
};
use sl_store::{Result, Store};

use super::{Found, Router, Sides};

pub(super) async fn compare(sides: &Sides<'_>, router: &Router, found: &mut Found) -> Result<()> {
    let Sides { old, new } = *sides;
    let teams = old.catalog.teams().await?;
    found.same_rows("teams", &teams, &new.catalog.teams().await?);
    for team in teams {
        let name = |what: &str| format!("{what} of team {}", team.id.0);
        let id = team.id;
        found.same_rows(name("api keys"), &old.catalog.keys(id).await?, &new.catalog.keys(id).await?);
        found.same_rows(name("accounts"), &old.catalog.accounts(id).await?, &new.catalog.accounts(id).await?);
        found.same_rows(
            name("postbacks"),
            &old.catalog.postbacks(id).await?,
            &new.catalog.postbacks(id).await?,
        );
        let (was, is) = (old.catalog.pixels(id).await?, new.catalog.pixels(id).await?);
        found.same_rows(name("pixels"), &opened(was, &router.old), &opened(is, &router.new));
    }
    found.same_rows("smart links", &links(old).await?, &links(new).await?);
    Ok(())
}

/// Every link, deleted ones included.
async fn links(store: &Store) -> Result<Vec<SmartLink>> {
    let links = store.catalog.changes_since(0).await?.links;
    let mut links: Vec<SmartLink> = links.into_iter().map(|link| SmartLink::clone(&link)).collect();
    links.sort_unstable_by_key(|link| link.id);
    Ok(links)
}

/// Each with what its token says in place of the token, if it opens.
fn opened(pixels: Vec<Pixel>, keys: &SealKeys) -> Vec<Pixel> {
    let open = |mut pixel: Pixel| {
        if let Ok(token) = keys.open(PIXEL_TOKEN, &pixel.sealed_token) {
            pixel.sealed_token = token.expose().as_bytes().to_vec();
        }
        pixel
    };
    pixels.into_iter().map(open).collect()
}
