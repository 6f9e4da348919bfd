//! What a step writes for reports and the matcher.

use std::collections::HashSet;

use fjall::OwnedWriteBatch;
use sl_core::{conversion::Conversion, step::Step};
use sl_store::Result;

use crate::{
    codec::encode_into,
    db::{Db, failed, put},
    layout::{
        CLICK_CONVERSION, CONVERSION, CONVERSION_ID, DEAD_LETTER, DEAD_LETTER_ID, DIMENSION, FAN_DAY, Key,
        LINK_FAN, PROFILE, ROLLUP, Reader, TOTALS, place,
    },
    pool::{list_add_key, unmatched_key},
};

/// Counter of dead letters that are there.
pub(crate) const DEAD_LETTERS: &str = "dead_letters";

/// Conversions, fans, sums, and what the matcher has to do.
pub(crate) fn stage_reports(db: &Db, batch: &mut OwnedWriteBatch, step: &Step) -> Result<()> {
    for conversion in &step.conversions {
        stage_conversion(db, batch, conversion)?;
    }
    for fan in &step.fans {
        let profile = Key::table(PROFILE).text(fan.account.as_str()).text(fan.fan.as_str());
        put(batch, &db.reports, profile, &fan.profile)?;
        put(batch, &db.reports, Key::table(LINK_FAN).id(fan.link.to_bytes()).text(fan.fan.as_str()), fan)?;
    }
    let mut buffer = Vec::with_capacity(128);
    for (key, rollup) in &step.rollups {
        let key = Key::table(ROLLUP).id(key.link.to_bytes()).at(key.hour);
        batch.insert(&db.reports, key, encode_into(rollup, &mut buffer)?);
    }
    for (key, rollup) in &step.dimensions {
        let of_link = Key::table(DIMENSION).id(key.link.to_bytes());
        let key = of_link.byte(key.dimension.code()).at(key.day).text(&key.value);
        batch.insert(&db.reports, key, encode_into(rollup, &mut buffer)?);
    }
    for day in &step.fan_days {
        let key = Key::table(FAN_DAY).id(day.link.to_bytes()).at(day.day).text(day.fan.as_str());
        put(batch, &db.reports, key, day)?;
    }
    for (link, totals) in &step.totals {
        put(batch, &db.reports, Key::table(TOTALS).id(link.to_bytes()), totals)?;
    }
    for waiting in &step.unmatched {
        put(batch, &db.reports, unmatched_key(&waiting.account, &waiting.fan), waiting)?;
    }
    for (account, fan) in &step.matched {
        batch.remove(&db.reports, unmatched_key(account, fan));
    }
    for add in &step.list_adds {
        put(batch, &db.reports, list_add_key(add), add)?;
    }
    Ok(())
}

fn stage_conversion(db: &Db, batch: &mut OwnedWriteBatch, conversion: &Conversion) -> Result<()> {
    let Conversion { link, at, .. } = *conversion;
    let id = conversion.id.to_bytes();
    put(batch, &db.reports, Key::table(CONVERSION).id(link.to_bytes()).at(at).id(id), conversion)?;
    batch.insert(&db.reports, Key::table(CONVERSION_ID).id(id), place(link, at));
    if let Some(click) = conversion.click {
        let key = Key::table(CLICK_CONVERSION).id(click.to_bytes()).at(at).id(id);
        batch.insert(&db.reports, key, link.to_bytes());
    }
    Ok(())
}

/// New and revived dead letters; returns how many there are then. A letter that is there is not counted again.
pub(crate) fn stage_dead_letters(
    db: &Db,
    batch: &mut OwnedWriteBatch,
    step: &Step,
    mut count: u64,
) -> Result<u64> {
    if step.dead_letters.is_empty() && step.revived.is_empty() {
        return Ok(count);
    }
    let mut fresh = HashSet::new();
    for letter in &step.dead_letters {
        let pointer = Key::table(DEAD_LETTER_ID).id(letter.id.to_bytes());
        if fresh.contains(&letter.id) || db.reports.contains_key(&pointer).map_err(failed)? {
            continue;
        }
        fresh.insert(letter.id);
        count += 1;
        let place = Key::bare().u64(letter.team.0).at(letter.received_at);
        let key = Key::table(DEAD_LETTER).raw(place.bytes()).id(letter.id.to_bytes());
        put(batch, &db.reports, key, letter)?;
        batch.insert(&db.reports, pointer, place);
    }
    let mut gone = HashSet::new();
    for id in &step.revived {
        let pointer = Key::table(DEAD_LETTER_ID).id(id.to_bytes());
        let Some(place) = db.reports.get(&pointer).map_err(failed)? else { continue };
        if gone.insert(*id) {
            count = count.saturating_sub(1);
            batch.remove(&db.reports, Key::table(DEAD_LETTER).raw(&place).id(id.to_bytes()));
            batch.remove(&db.reports, pointer);
        }
    }
    db.set_counter(batch, DEAD_LETTERS, count)?;
    Ok(count)
}

/// Where the pointer of a dead letter leads.
pub(crate) fn dead_letter_place(pointer: &[u8]) -> Option<(u64, sl_core::time::Timestamp)> {
    let mut fields = Reader(pointer);
    Some((fields.u64()?, fields.at()?))
}
