//! Reports that count the conversions they hand out, which is what an answer costs, and may know no totals.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use sl_core::{
    click::ClickRow,
    conversion::{Conversion, FanProfile},
    ids::{AccountId, ClickId, ConversionId, DeadLetterId, FanId, SmartLinkId, TeamId},
    step::{DeadLetter, Dimension, FanDay, FanUnderLink, LinkTotals, Rollup},
    time::Timestamp,
};
use sl_store::{
    Reports, Result, StoreError,
    reports::{ClickFilter, ConversionFilter, DimensionSum, Range},
};
use tokio::sync::Notify;

pub(crate) struct Watched {
    pub(crate) inner: Arc<dyn Reports>,
    pub(crate) conversions: Arc<AtomicUsize>,
    /// Totals can't be read.
    pub(crate) broken: bool,
    /// Conversions before a time never come; told when nobody waits for them any more.
    pub(crate) left: Option<Arc<Notify>>,
}

/// Tells when it is dropped.
struct Waits(Arc<Notify>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait]
impl Reports for Watched {
    async fn conversions(&self, link: SmartLinkId, filter: ConversionFilter) -> Result<Vec<Conversion>> {
        if let (Some(left), Some(_)) = (&self.left, filter.range.to) {
            let _waits = Waits(Arc::clone(left));
            std::future::pending::<()>().await;
        }
        let rows = self.inner.conversions(link, filter).await?;
        self.conversions.fetch_add(rows.len(), Ordering::Relaxed);
        Ok(rows)
    }

    async fn totals(&self, links: &[SmartLinkId]) -> Result<Vec<LinkTotals>> {
        if self.broken {
            return Err(StoreError::Unavailable("no totals".to_owned()));
        }
        self.inner.totals(links).await
    }

    async fn hours(&self, link: SmartLinkId, range: Range) -> Result<Vec<(Timestamp, Rollup)>> {
        self.inner.hours(link, range).await
    }

    async fn dimensions(&self, link: SmartLinkId, of: Dimension, range: Range) -> Result<Vec<DimensionSum>> {
        self.inner.dimensions(link, of, range).await
    }

    async fn fan_days(&self, link: SmartLinkId, range: Range) -> Result<Vec<FanDay>> {
        self.inner.fan_days(link, range).await
    }

    async fn clicks(&self, link: SmartLinkId, filter: ClickFilter) -> Result<Vec<ClickRow>> {
        self.inner.clicks(link, filter).await
    }

    async fn fans(&self, link: SmartLinkId) -> Result<Vec<FanUnderLink>> {
        self.inner.fans(link).await
    }

    async fn click(&self, team: TeamId, id: ClickId) -> Result<Option<ClickRow>> {
        self.inner.click(team, id).await
    }

    async fn conversion(&self, team: TeamId, id: ConversionId) -> Result<Option<Conversion>> {
        self.inner.conversion(team, id).await
    }

    async fn conversions_of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Conversion>> {
        self.inner.conversions_of_click(team, click).await
    }

    async fn fan(&self, account: &AccountId, fan: &FanId) -> Result<Option<FanProfile>> {
        self.inner.fan(account, fan).await
    }

    async fn dead_letters(
        &self,
        team: TeamId,
        limit: usize,
        after: Option<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(team, limit, after).await
    }

    async fn dead_letter(&self, team: TeamId, id: DeadLetterId) -> Result<Option<DeadLetter>> {
        self.inner.dead_letter(team, id).await
    }

    async fn dead_letter_count(&self) -> Result<u64> {
        self.inner.dead_letter_count().await
    }
}
