//! The layouts of mmdb records: MaxMind's nested one and the flat one of public files.

use std::{collections::HashSet, net::IpAddr};

use maxminddb::{MaxMindDbError, PathElement, Reader, WithinOptions};
use serde::de::IgnoredAny;
use sl_core::click::Place;

/// Walks every network and reads every record, each once.
pub(super) fn check<S: AsRef<[u8]>>(database: &Reader<S>) -> Result<(), MaxMindDbError> {
    let mut read = HashSet::new();
    for network in database.networks(WithinOptions::default())? {
        let found = network?;
        if found.offset().is_some_and(|offset| read.insert(offset)) {
            found.decode::<IgnoredAny>()?;
        }
    }
    Ok(())
}

/// A text at a path of the record of `ip`.
fn text<'db, S: AsRef<[u8]>>(
    database: &'db Reader<S>,
    ip: IpAddr,
    path: &[PathElement<'_>],
) -> Option<&'db str> {
    let found = database.lookup(ip).ok()?;
    let text: &str = found.decode_path(path).ok()??;
    Some(text.trim()).filter(|text| !text.is_empty())
}

use PathElement::{Index, Key};

/// ISO 3166-1 alpha-2, upper case; `ZZ` and `XX` mean nowhere.
pub(super) fn country<S: AsRef<[u8]>>(database: &Reader<S>, ip: IpAddr) -> Option<String> {
    let code = text(database, ip, &[Key("country_code")])
        .or_else(|| text(database, ip, &[Key("country"), Key("iso_code")]))?;
    let two_letters = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    let nowhere = code.eq_ignore_ascii_case("ZZ") || code.eq_ignore_ascii_case("XX");
    (two_letters && !nowhere).then(|| code.to_ascii_uppercase())
}

/// Everything a city database says.
#[inline(never)]
pub(super) fn city<S: AsRef<[u8]>>(database: &Reader<S>, ip: IpAddr) -> Place {
    let either = |flat: &str, nested: &[PathElement<'_>]| {
        text(database, ip, nested).or_else(|| text(database, ip, &[Key(flat)])).map(str::to_owned)
    };
    Place {
        country: country(database, ip),
        region: either("state1", &[Key("subdivisions"), Index(0), Key("iso_code")]),
        city: either("city", &[Key("city"), Key("names"), Key("en")]),
        postal_code: either("postcode", &[Key("postal"), Key("code")]),
    }
}

/// The number of the autonomous system.
pub(super) fn asn<S: AsRef<[u8]>>(database: &Reader<S>, ip: IpAddr) -> Option<u32> {
    let found = database.lookup(ip).ok()?;
    found.decode_path(&[Key("autonomous_system_number")]).ok()?
}
