//! What a step writes for reports, beside click rows.

use std::sync::Arc;

use scylla::{
    statement::prepared::PreparedStatement,
    value::CqlValue::{BigInt, Int, TinyInt},
};
use sl_core::{
    conversion::{Conversion, FanProfile},
    ids::{AccountId, FanId},
    step::FanUnderLink,
};
use sl_store::Result;

use super::redo::Redo;
use crate::{
    codec::encode,
    cql::Cql,
    days::{PartKind, day, hour},
    profiles::Kind,
    writes::{Write, blob, text},
};

/// Slices of a link's fans.
pub(crate) const FAN_SLICES: i8 = 16;

type Statement = Arc<PreparedStatement>;

/// Statements on the tables of reports.
pub(super) struct Sums {
    conversion: Statement,
    conversion_id: Statement,
    click_conversion: Statement,
    fan: Statement,
    link_fan: Statement,
    hour: Statement,
    dimension: Statement,
    fan_day: Statement,
    total: Statement,
    letter: Statement,
    letter_hour: Statement,
    letter_place: Statement,
    letter_count: Statement,
    drop_letter: Statement,
    drop_letter_place: Statement,
}

/// The slice of a fan: FNV-1a, which stays the same in every version.
pub(crate) fn fan_slice(fan: &str) -> i8 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = fan.bytes().fold(2_166_136_261, mix);
    i8::try_from((hash ^ (hash >> 16)) & 15).unwrap_or(0)
}

// === impl Sums ===

impl Sums {
    pub(super) async fn new(cql: &Cql) -> Result<Self> {
        /// An insert with a timestamp behind its values.
        async fn insert(cql: &Cql, table: &str, columns: &str) -> Result<Statement> {
            let marks = vec!["?"; columns.split(',').count()].join(", ");
            let text = format!("INSERT INTO {table} ({columns}) VALUES ({marks}) USING TIMESTAMP ?");
            Ok(Arc::new(cql.prepare(Kind::Write, &text).await?))
        }
        async fn remove(cql: &Cql, table: &str, key: &str) -> Result<Statement> {
            let text = format!("DELETE FROM {table} USING TIMESTAMP ? WHERE {key}");
            Ok(Arc::new(cql.prepare(Kind::Write, &text).await?))
        }
        let letter_key = "team = ? AND hour = ? AND at = ? AND id = ?";
        Ok(Self {
            conversion: insert(cql, "conversions", "link, day, part, at, id, value").await?,
            conversion_id: insert(cql, "conversion_ids", "id, value").await?,
            click_conversion: insert(cql, "click_conversions", "click, at, id").await?,
            fan: insert(cql, "fans", "account, fan, profile").await?,
            link_fan: insert(cql, "link_fans", "link, slice, fan, value").await?,
            hour: insert(cql, "link_hours", "link, hour, value").await?,
            dimension: insert(cql, "link_dimensions", "link, dimension, span, day, value, clicks").await?,
            fan_day: insert(cql, "link_fan_days", "link, span, day, fan, net, gross").await?,
            total: insert(cql, "link_totals", "link, value").await?,
            letter: insert(cql, "dead_letters", "team, hour, at, id, value").await?,
            letter_hour: insert(cql, "dead_letter_hours", "team, hour").await?,
            letter_place: insert(cql, "dead_letter_places", "id, team, at").await?,
            letter_count: insert(cql, "dead_letter_counts", "always, stream, count").await?,
            drop_letter: remove(cql, "dead_letters", letter_key).await?,
            drop_letter_place: remove(cql, "dead_letter_places", "id = ?").await?,
        })
    }

    pub(super) fn writes(
        &self,
        stream: i32,
        redo: &Redo,
        number: i64,
        writes: &mut Vec<Write>,
    ) -> Result<()> {
        for (conversion, part) in &redo.conversions {
            self.conversion(conversion, *part, number, writes)?;
        }
        for fan in &redo.fans {
            self.fan(fan, number, writes)?;
        }
        let at = BigInt(number);
        for (key, rollup) in &redo.rollups {
            let hour = BigInt(key.hour.0);
            writes.push(Write::new(
                &self.hour,
                [blob(key.link.to_bytes()), hour, blob(encode(rollup)?), at.clone()],
            ));
        }
        for (key, rollup) in &redo.dimensions {
            let dimension = TinyInt(key.dimension.code().cast_signed());
            let span = Int(PartKind::of(key.dimension).span(key.day));
            let clicks = BigInt(i64::try_from(rollup.clicks).unwrap_or(i64::MAX));
            let place = [blob(key.link.to_bytes()), dimension, span, Int(day(key.day)), text(&*key.value)];
            writes.push(Write::new(&self.dimension, place.into_iter().chain([clicks, at.clone()])));
        }
        for sum in &redo.fan_days {
            let span = Int(PartKind::FanDays.span(sum.day));
            let place = [blob(sum.link.to_bytes()), span, Int(day(sum.day)), text(sum.fan.as_str())];
            let sums = [BigInt(sum.net.0), BigInt(sum.gross.0), at.clone()];
            writes.push(Write::new(&self.fan_day, place.into_iter().chain(sums)));
        }
        for (link, totals) in &redo.totals {
            writes.push(Write::new(&self.total, [blob(link.to_bytes()), blob(encode(totals)?), at.clone()]));
        }
        self.letters(stream, redo, number, writes)
    }

    fn conversion(&self, row: &Conversion, part: i32, number: i64, writes: &mut Vec<Write>) -> Result<()> {
        let (id, value, at) = (blob(row.id.to_bytes()), blob(encode(row)?), BigInt(number));
        let place = [blob(row.link.to_bytes()), Int(day(row.at)), Int(part), BigInt(row.at.0), id.clone()];
        writes.push(Write::new(&self.conversion, place.into_iter().chain([value.clone(), at.clone()])));
        writes.push(Write::new(&self.conversion_id, [id.clone(), value, at.clone()]));
        if let Some(click) = row.click {
            writes
                .push(Write::new(&self.click_conversion, [blob(click.to_bytes()), BigInt(row.at.0), id, at]));
        }
        Ok(())
    }

    /// What is known of a fan, whatever it is listed under.
    pub(super) fn profile(
        &self,
        account: &AccountId,
        fan: &FanId,
        profile: &FanProfile,
        number: i64,
    ) -> Result<Write> {
        let values = [text(account.as_str()), text(fan.as_str()), blob(encode(profile)?), BigInt(number)];
        Ok(Write::new(&self.fan, values))
    }

    fn fan(&self, row: &FanUnderLink, number: i64, writes: &mut Vec<Write>) -> Result<()> {
        let (fan, at) = (row.fan.as_str(), BigInt(number));
        writes.push(self.profile(&row.account, &row.fan, &row.profile, number)?);
        let place = [blob(row.link.to_bytes()), TinyInt(fan_slice(fan)), text(fan)];
        writes.push(Write::new(&self.link_fan, place.into_iter().chain([blob(encode(row)?), at])));
        Ok(())
    }

    fn letters(&self, stream: i32, redo: &Redo, number: i64, writes: &mut Vec<Write>) -> Result<()> {
        let at = BigInt(number);
        for letter in &redo.dead_letters {
            let (id, value) = (blob(letter.id.to_bytes()), blob(encode(letter)?));
            let team = BigInt(letter.team.0.cast_signed());
            let (hour, arrived) = (Int(hour(letter.received_at)), BigInt(letter.received_at.0));
            let row = [team.clone(), hour.clone(), arrived.clone(), id.clone(), value, at.clone()];
            writes.push(Write::new(&self.letter, row));
            writes.push(Write::new(&self.letter_hour, [team.clone(), hour, at.clone()]));
            writes.push(Write::new(&self.letter_place, [id, team, arrived, at.clone()]));
        }
        for (id, team, arrived) in &redo.revived {
            let (id, team) = (blob(id.to_bytes()), BigInt(team.0.cast_signed()));
            let place = [at.clone(), team, Int(hour(*arrived)), BigInt(arrived.0), id.clone()];
            writes.push(Write::new(&self.drop_letter, place));
            writes.push(Write::new(&self.drop_letter_place, [at.clone(), id]));
        }
        if let Some(count) = redo.dead_letter_count {
            writes.push(Write::new(&self.letter_count, [TinyInt(0), Int(stream), BigInt(count), at]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fans_spread_over_every_slice_and_stay_there() {
        let slices: std::collections::BTreeSet<_> =
            (0..500).map(|fan| fan_slice(&format!("{fan}"))).collect();
        assert_eq!(slices.len(), usize::from(FAN_SLICES.unsigned_abs()));
        assert_eq!(fan_slice(""), 9);
    }
}
