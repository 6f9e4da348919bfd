//! What people read, click rows aside, and what the matcher has to do.

use std::sync::Arc;

use sl_core::{
    ids::{AccountId, FanId, SmartLinkId},
    step::{Dimension, DimensionKey, RollupKey},
};
use sl_store::{
    Result,
    moving::{Kind, Page, Rows},
};

use super::scan::Scan;
use crate::{
    codec::decode,
    db::{Db, damaged},
    layout::{
        CONVERSION, DEAD_LETTER, DIMENSION, FAN_DAY, Key, LINK_FAN, LIST_ADD, PROFILE, ROLLUP, Reader,
        TOTALS, UNMATCHED,
    },
};

pub(super) fn page(db: &Db, kind: Kind, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let tag = match kind {
        Kind::Conversions => CONVERSION,
        Kind::Fans => LINK_FAN,
        Kind::Profiles => PROFILE,
        Kind::Hours => ROLLUP,
        Kind::Dimensions => DIMENSION,
        Kind::FanDays => FAN_DAY,
        Kind::Totals => TOTALS,
        Kind::DeadLetters => DEAD_LETTER,
        Kind::Unmatched => UNMATCHED,
        Kind::ListAdds => LIST_ADD,
        _ => return Err(damaged("a kind of rows that is elsewhere")),
    };
    let all = Key::table(tag);
    let scan = Scan { all: &all, after, limit };
    macro_rules! values {
        ($rows:ident) => {{
            let found = scan.values(&db.reports, db)?;
            Ok(Page { rows: Rows::$rows(found.rows), next: found.next })
        }};
    }
    macro_rules! keyed {
        ($rows:ident, $key:ident) => {{
            let found = scan.raw(&db.reports, db)?.map(|(key, value)| {
                let mut fields = Reader(&key);
                let named = fields.skip(1).and_then(|()| $key(&mut fields));
                Ok((named.ok_or_else(|| damaged("the key of a report's row"))?, decode(&value)?))
            })?;
            Ok(Page { rows: Rows::$rows(found.rows), next: found.next })
        }};
    }
    match kind {
        Kind::Conversions => values!(Conversions),
        Kind::Fans => values!(Fans),
        Kind::FanDays => values!(FanDays),
        Kind::DeadLetters => values!(DeadLetters),
        Kind::Unmatched => values!(Unmatched),
        Kind::ListAdds => values!(ListAdds),
        Kind::Hours => keyed!(Hours, rollup),
        Kind::Dimensions => keyed!(Dimensions, dimension),
        Kind::Totals => keyed!(Totals, link),
        _ => {
            let found = scan.raw(&db.reports, db)?.map(|(key, value)| {
                let mut fields = Reader(&key);
                let named = fields.skip(1).and_then(|()| fields.text().zip(fields.text()));
                let (account, fan) = named.ok_or_else(|| damaged("the key of a profile"))?;
                Ok((AccountId::from(account), FanId::from(fan), decode(&value)?))
            })?;
            Ok(Page { rows: Rows::Profiles(found.rows), next: found.next })
        }
    }
}

fn link(fields: &mut Reader<'_>) -> Option<SmartLinkId> {
    fields.id().map(SmartLinkId::from_bytes)
}

fn rollup(fields: &mut Reader<'_>) -> Option<RollupKey> {
    let (link, hour) = link(fields).zip(fields.at())?;
    Some(RollupKey { link, hour })
}

fn dimension(fields: &mut Reader<'_>) -> Option<DimensionKey> {
    let (link, byte) = link(fields).zip(fields.byte())?;
    let (day, value) = fields.at().zip(fields.text())?;
    let dimension = Dimension::ALL.into_iter().find(|dimension| dimension.code() == byte)?;
    Some(DimensionKey { link, day, dimension, value: Arc::from(value) })
}
