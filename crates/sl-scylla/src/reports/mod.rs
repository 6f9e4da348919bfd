//! What people read: sums from rollups, lists from raw rows.

mod clicks;
mod conversions;
mod hours;
mod letters;
mod newest;

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    click::ClickRow,
    conversion::{Conversion, FanProfile},
    ids::{AccountId, ClickId, ConversionId, DeadLetterId, FanId, SmartLinkId, TeamId},
    money::Cents,
    step::{DeadLetter, Dimension, FanDay, FanUnderLink, LinkTotals, Rollup},
    time::Timestamp,
};
use sl_store::{
    Result,
    reports::{ClickFilter, ConversionFilter, DimensionSum, Range, Reports},
};

use self::{clicks::Clicks, conversions::Conversions, letters::Letters, newest::Spans};
use crate::{
    codec::decode,
    cql::Cql,
    days::{PartKind, start, whole_days},
    ledger::FAN_SLICES,
    statements::statements,
};

/// Questions under way for one report.
const IN_FLIGHT: usize = 16;

statements!(Statements {
    hours: Read "SELECT hour, value FROM link_hours WHERE link = ? AND hour >= ? AND hour < ?";
    dimensions: Read "SELECT value, clicks FROM link_dimensions
        WHERE link = ? AND dimension = ? AND span = ? AND day >= ? AND day <= ?";
    fan_days: Read "SELECT day, fan, net, gross FROM link_fan_days
        WHERE link = ? AND span = ? AND day >= ? AND day <= ?";
    link_fans: Read "SELECT value FROM link_fans WHERE link = ? AND slice = ?";
    fan: Read "SELECT profile FROM fans WHERE account = ? AND fan = ?";
    totals: Read "SELECT value FROM link_totals WHERE link = ?";
});

/// Reports over CQL.
pub(crate) struct CqlReports {
    cql: Arc<Cql>,
    spans: Spans,
    clicks: Clicks,
    conversions: Conversions,
    letters: Letters,
    statements: Statements,
}

// === impl CqlReports ===

impl CqlReports {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        Ok(Self {
            spans: Spans::new(&cql).await?,
            clicks: Clicks::prepare(&cql).await?,
            conversions: Conversions::prepare(&cql).await?,
            letters: Letters::prepare(&cql).await?,
            statements: Statements::prepare(&cql).await?,
            cql,
        })
    }
}

#[async_trait]
impl Reports for CqlReports {
    async fn totals(&self, links: &[SmartLinkId]) -> Result<Vec<LinkTotals>> {
        let one = |link: SmartLinkId| async move {
            let row: Option<(Vec<u8>,)> =
                self.cql.row(&self.statements.totals, (link.to_bytes().as_slice(),)).await?;
            row.map_or(Ok(LinkTotals::default()), |(value,)| decode(&value))
        };
        stream::iter(links.to_vec()).map(one).buffered(IN_FLIGHT).try_collect().await
    }

    async fn hours(&self, link: SmartLinkId, range: Range) -> Result<Vec<(Timestamp, Rollup)>> {
        hours::of_link(self, link, range).await
    }

    async fn dimensions(
        &self,
        link: SmartLinkId,
        dimension: Dimension,
        range: Range,
    ) -> Result<Vec<DimensionSum>> {
        let sort = PartKind::of(dimension);
        let (from, to) = whole_days(range);
        let spans = self.spans.of(&self.cql, link, sort, sort.spans(range)).await?;
        let ask = |span: i32| {
            let key = (link.to_bytes().to_vec(), dimension.code().cast_signed(), span, from, to);
            self.cql.rows::<(String, i64)>(&self.statements.dimensions, key)
        };
        let found: Vec<_> =
            stream::iter(spans.into_keys()).map(ask).buffered(IN_FLIGHT).try_collect().await?;
        let mut sums: HashMap<String, u64> = HashMap::new();
        for (value, clicks) in found.into_iter().flatten() {
            *sums.entry(value).or_default() += u64::try_from(clicks).unwrap_or(0);
        }
        let mut sums: Vec<_> =
            sums.into_iter().map(|(value, clicks)| DimensionSum { value, clicks }).collect();
        sums.sort_unstable_by(|left, right| {
            (Reverse(left.clicks), &left.value).cmp(&(Reverse(right.clicks), &right.value))
        });
        Ok(sums)
    }

    async fn fan_days(&self, link: SmartLinkId, range: Range) -> Result<Vec<FanDay>> {
        let (from, to) = whole_days(range);
        let spans = self.spans.of(&self.cql, link, PartKind::FanDays, PartKind::FanDays.spans(range)).await?;
        let ask = |span: i32| {
            let key = (link.to_bytes().to_vec(), span, from, to);
            self.cql.rows::<(i32, String, i64, i64)>(&self.statements.fan_days, key)
        };
        let found: Vec<_> =
            stream::iter(spans.into_keys()).map(ask).buffered(IN_FLIGHT).try_collect().await?;
        let one = |(day, fan, net, gross): (i32, String, i64, i64)| FanDay {
            link,
            fan: FanId::from(fan),
            day: start(day),
            net: Cents(net),
            gross: Cents(gross),
        };
        Ok(found.into_iter().flatten().map(one).collect())
    }

    async fn clicks(&self, link: SmartLinkId, filter: ClickFilter) -> Result<Vec<ClickRow>> {
        self.clicks.list(&self.cql, &self.spans, link, filter).await
    }

    async fn conversions(&self, link: SmartLinkId, filter: ConversionFilter) -> Result<Vec<Conversion>> {
        self.conversions.list(&self.cql, &self.spans, &self.clicks, link, &filter).await
    }

    async fn fans(&self, link: SmartLinkId) -> Result<Vec<FanUnderLink>> {
        let ask = |slice: i8| {
            let key = (link.to_bytes().to_vec(), slice);
            self.cql.rows::<(Vec<u8>,)>(&self.statements.link_fans, key)
        };
        let found: Vec<_> = stream::iter(0..FAN_SLICES).map(ask).buffered(IN_FLIGHT).try_collect().await?;
        found.into_iter().flatten().map(|(value,)| decode(&value)).collect()
    }

    async fn click(&self, team: TeamId, id: ClickId) -> Result<Option<ClickRow>> {
        Ok(self.clicks.get(&self.cql, id).await?.filter(|row| row.click.team == team))
    }

    async fn conversion(&self, team: TeamId, id: ConversionId) -> Result<Option<Conversion>> {
        Ok(self.conversions.get(&self.cql, id).await?.filter(|row| row.team == team))
    }

    async fn conversions_of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Conversion>> {
        self.conversions.of_click(&self.cql, team, click).await
    }

    async fn fan(&self, account: &AccountId, fan: &FanId) -> Result<Option<FanProfile>> {
        let row: Option<(Vec<u8>,)> =
            self.cql.row(&self.statements.fan, (account.as_str(), fan.as_str())).await?;
        row.map(|(profile,)| decode(&profile)).transpose()
    }

    async fn dead_letters(
        &self,
        team: TeamId,
        limit: usize,
        after: Option<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>> {
        self.letters.list(&self.cql, team, limit, after).await
    }

    async fn dead_letter(&self, team: TeamId, id: DeadLetterId) -> Result<Option<DeadLetter>> {
        self.letters.get(&self.cql, team, id).await
    }

    async fn dead_letter_count(&self) -> Result<u64> {
        self.letters.count(&self.cql).await
    }
}
