//! What people have configured in another store. No row is entered in the log one by one: nobody follows it yet, and who begins
//! to reads everything.

use std::future::Future;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::catalog::{Account, ApiKey, Pixel, Postback, SmartLink, Team};
use sl_store::{Result, moving::Numbers};

use super::{
    CqlCatalog,
    sort::{self, NO_TEAM, Sort, stamp},
};

/// Rows under way.
const AT_ONCE: usize = 48;

async fn each<T, F: Future<Output = Result<()>>>(rows: Vec<T>, put: impl Fn(T) -> F) -> Result<()> {
    stream::iter(rows).map(put).buffer_unordered(AT_ONCE).try_collect().await
}

// === impl CqlCatalog ===

impl CqlCatalog {
    pub(crate) async fn put_teams(&self, rows: Vec<Team>) -> Result<()> {
        each(
            rows,
            |row| async move { self.rows.put(Sort::Team, NO_TEAM, &sort::number(row.id.0), &row).await },
        )
        .await
    }

    pub(crate) async fn put_keys(&self, rows: Vec<ApiKey>) -> Result<()> {
        each(rows, |row| async move {
            let id = sort::number(row.id.0);
            self.rows.note_owner(Sort::KeyHash, row.team, &row.hash, Some(&id)).await?;
            self.rows.put(Sort::Key, row.team, &id, &row).await
        })
        .await
    }

    pub(crate) async fn put_accounts(&self, rows: Vec<Account>) -> Result<()> {
        each(rows, |row| async move {
            let (id, as_of) = (sort::account(&row.id), Some(stamp(row.usable.as_of)));
            self.rows.put_own(Sort::Account, row.team, &id, &row.usable, as_of).await?;
            self.rows.put(Sort::Account, row.team, &id, &row).await
        })
        .await
    }

    pub(crate) async fn put_links(&self, rows: Vec<SmartLink>) -> Result<()> {
        each(rows, |row| async move { self.rows.put(Sort::Link, row.team, &sort::link(row.id), &row).await })
            .await
    }

    pub(crate) async fn put_pixels(&self, rows: Vec<Pixel>) -> Result<()> {
        each(
            rows,
            |row| async move { self.rows.put(Sort::Pixel, row.team, &sort::number(row.id.0), &row).await },
        )
        .await
    }

    pub(crate) async fn put_postbacks(&self, rows: Vec<Postback>) -> Result<()> {
        each(rows, |row| async move {
            self.rows.put(Sort::Postback, row.team, &sort::number(row.id.0), &row).await
        })
        .await
    }

    /// Numbers go on behind these, and there is a revision, of nothing: who has read everything knows it.
    pub(crate) async fn finish(&self, numbers: &Numbers) -> Result<()> {
        for (name, last) in
            [("key", numbers.keys), ("pixel", numbers.pixels), ("postback", numbers.postbacks)]
        {
            self.numbers.go_on_behind(name, last).await?;
        }
        if self.log.last(true).await? == 0 {
            self.log.enter(Sort::Team, &[]).await?;
        }
        Ok(())
    }
}
