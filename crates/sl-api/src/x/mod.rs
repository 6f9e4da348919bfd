//! Our own endpoints below `/api/x/` (surface 2, decisions 24), in the usual envelope.

pub(crate) mod breakdown;
pub(crate) mod clicks;
pub(crate) mod csv;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod pool;
pub(crate) mod presets;
pub(crate) mod progress;
pub(crate) mod replay;
pub(crate) mod settings;

use crate::{error::shown, query::Query};

/// `?limit=&cursor=` of our lists.
pub(crate) fn paging<C: std::str::FromStr>(query: &mut Query) -> (usize, Option<C>) {
    let (limit, _) = query.paging(50);
    let cursor = query.raw("cursor").map(str::to_owned);
    let after = cursor.as_deref().and_then(|text| text.parse().ok());
    if let (Some(cursor), None) = (&cursor, &after) {
        query.wrong("cursor", format!("must be a next_cursor of this list, not {}.", shown(cursor)));
    }
    (limit, after)
}
