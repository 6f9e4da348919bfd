//! What people read: sums from rollups, lists from raw rows.

#![expect(unused_variables, reason = "not built yet")]

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::{
    click::ClickRow,
    conversion::{Conversion, FanProfile},
    ids::{AccountId, ClickId, ConversionId, DeadLetterId, FanId, SmartLinkId, TeamId},
    step::{DeadLetter, Dimension, FanDay, FanUnderLink, LinkTotals, Rollup},
    time::Timestamp,
};
use sl_store::{
    Result, StoreError,
    reports::{ClickFilter, ConversionFilter, DimensionSum, Range, Reports},
};

use crate::cql::Cql;

/// Reports over CQL.
pub(crate) struct CqlReports {
    cql: Arc<Cql>,
}

impl CqlReports {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        Ok(Self { cql })
    }
}

fn pending<T>() -> Result<T> {
    Err(StoreError::Unavailable("not built yet".to_owned()))
}

#[async_trait]
impl Reports for CqlReports {
    async fn totals(&self, links: &[SmartLinkId]) -> Result<Vec<LinkTotals>> {
        pending()
    }
    async fn hours(&self, link: SmartLinkId, range: Range) -> Result<Vec<(Timestamp, Rollup)>> {
        pending()
    }
    async fn dimensions(
        &self,
        link: SmartLinkId,
        dimension: Dimension,
        range: Range,
    ) -> Result<Vec<DimensionSum>> {
        pending()
    }
    async fn fan_days(&self, link: SmartLinkId, range: Range) -> Result<Vec<FanDay>> {
        pending()
    }
    async fn clicks(&self, link: SmartLinkId, filter: ClickFilter) -> Result<Vec<ClickRow>> {
        pending()
    }
    async fn conversions(&self, link: SmartLinkId, filter: ConversionFilter) -> Result<Vec<Conversion>> {
        pending()
    }
    async fn fans(&self, link: SmartLinkId) -> Result<Vec<FanUnderLink>> {
        pending()
    }
    async fn click(&self, team: TeamId, id: ClickId) -> Result<Option<ClickRow>> {
        pending()
    }
    async fn conversion(&self, team: TeamId, id: ConversionId) -> Result<Option<Conversion>> {
        pending()
    }
    async fn conversions_of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Conversion>> {
        pending()
    }
    async fn fan(&self, account: &AccountId, fan: &FanId) -> Result<Option<FanProfile>> {
        pending()
    }
    async fn dead_letters(
        &self,
        team: TeamId,
        limit: usize,
        after: Option<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>> {
        pending()
    }
    async fn dead_letter(&self, team: TeamId, id: DeadLetterId) -> Result<Option<DeadLetter>> {
        pending()
    }
    async fn dead_letter_count(&self) -> Result<u64> {
        pending()
    }
}
