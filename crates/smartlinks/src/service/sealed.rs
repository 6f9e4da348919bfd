//! Tokens of pixels that the present key can't open: said at every start, since nothing is told to such a pixel.

use sl_core::seal::SealKeys;
use sl_store::{Result, Store};

/// Counts them and says what helps. The start goes on, whatever the store answers.
pub(super) async fn tell(store: &Store, keys: &SealKeys) {
    match closed(store, keys).await {
        Ok(0) => {}
        Ok(pixels) => tracing::error!(
            pixels,
            "tokens of pixels were sealed with a key that is not here any more: what is for these pixels is parked as \
             token_missing; put data_dir/secrets/seal.key (or secrets.key) back from a backup, or give each its pixel_access_token \
             again; GET /api/x/pixels shows which"
        ),
        Err(error) => tracing::warn!(%error, "whether the tokens of pixels can be opened can't be read"),
    }
}

/// How many pixels have a token that does not open.
async fn closed(store: &Store, keys: &SealKeys) -> Result<usize> {
    let mut closed = 0;
    for team in store.catalog.teams().await? {
        closed +=
            store.catalog.pixels(team.id).await?.iter().filter(|pixel| pixel.is_closed_to(keys)).count();
    }
    Ok(closed)
}

#[cfg(test)]
mod tests {
    use sl_core::{
        catalog::{Pixel, Team},
        ids::TeamId,
        seal::{PIXEL_TOKEN, Secret},
    };
    use sl_fjall::FjallOptions;
    use sl_store::suite::sample;

    use super::*;

    #[tokio::test]
    async fn tokens_that_another_key_sealed_are_counted_in_every_team() {
        let dir = tempfile::tempdir().unwrap();
        let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
        let (old, new) = (SealKeys::new([1; 32]), SealKeys::new([2; 32]));
        let seal = |keys: &SealKeys| keys.seal(PIXEL_TOKEN, &Secret::new("T"), [3; 24]);
        for id in [1, 2].map(TeamId) {
            let team = Team { id, name: "Team".into(), slug: id.0.to_string(), created_at: sample::after(0) };
            store.catalog.put_team(team).await.unwrap();
        }
        for (id, team, sealed_token) in
            [(1, 1, seal(&old)), (2, 2, seal(&old)), (3, 2, seal(&new)), (4, 1, Vec::new())]
        {
            let pixel = Pixel { sealed_token, ..sample::pixel(id, TeamId(team)) };
            store.catalog.put_pixel(pixel).await.unwrap();
        }
        assert_eq!(closed(&store, &new).await, Ok(2));
        assert_eq!(closed(&store, &new.with_older([1; 32])).await, Ok(0));
    }
}
