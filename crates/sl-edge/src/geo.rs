//! Country, city and network of an address, from mmdb files. A country file ships with the program; a broken or missing
//! file is a warning, not a stop, and a replaced file is picked up while running.

use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwapOption;
use maxminddb::Reader;
use parking_lot::Mutex;
use sl_core::click::Place;

mod record;
#[cfg(test)]
mod tests;

/// The shipped country database: CC0, made from NRO data (see `data/README.md`).
static COUNTRY: &[u8] = include_bytes!("../data/country.mmdb");

/// Files of the operator (`geo.country_db`, `geo.city_db`, `geo.asn_db`).
#[derive(Debug, Clone, Default)]
pub struct GeoFiles {
    /// Instead of the shipped country file.
    pub country: Option<PathBuf>,
    /// City, region, postal code.
    pub city: Option<PathBuf>,
    /// Network numbers.
    pub asn: Option<PathBuf>,
}

/// A database that can't be used. What was read before stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("geo.{key} = {path:?}: {reason}; {consequence}")]
pub struct GeoWarning {
    /// Key under `geo.`.
    pub key: &'static str,
    /// The configured path.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
    /// What happens instead.
    pub consequence: &'static str,
}

type Database = Reader<Cow<'static, [u8]>>;

/// The databases of this process. Clones share them.
#[derive(Clone)]
pub struct Geo(Arc<Inner>);

struct Inner {
    country: Slot,
    city: Slot,
    asn: Slot,
}

/// One database, replaceable while it is read.
struct Slot {
    key: &'static str,
    path: Option<PathBuf>,
    database: ArcSwapOption<Database>,
    /// Time and size of the file that was last tried.
    tried: Mutex<Option<Stamp>>,
}

type Stamp = Option<(SystemTime, u64)>;

impl fmt::Debug for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Geo")
    }
}

impl Geo {
    /// Only the shipped country file.
    #[must_use]
    pub fn shipped() -> Self {
        Self::open(GeoFiles::default()).0
    }

    /// Opens the operator's files. Each one that can't be used is named in the answer.
    #[must_use]
    pub fn open(files: GeoFiles) -> (Self, Vec<GeoWarning>) {
        let geo = Self(Arc::new(Inner {
            country: Slot::new("country_db", files.country, Some(COUNTRY)),
            city: Slot::new("city_db", files.city, None),
            asn: Slot::new("asn_db", files.asn, None),
        }));
        let warnings = geo.refresh();
        (geo, warnings)
    }

    /// Reads every file that was replaced since the last call. Reads whole files: not for a thread that answers.
    #[must_use]
    pub fn refresh(&self) -> Vec<GeoWarning> {
        let Inner { country, city, asn } = &*self.0;
        [country, city, asn].into_iter().filter_map(Slot::refresh).collect()
    }

    /// Where an address is, as far as the databases know.
    #[must_use]
    pub fn place(&self, ip: IpAddr) -> Place {
        let ip = ip.to_canonical();
        let mut place = Place::default();
        if self.0.city.is_configured()
            && let Some(city) = &*self.0.city.database.load()
        {
            place = record::city(city, ip);
        }
        if place.country.is_none()
            && let Some(country) = &*self.0.country.database.load()
        {
            place.country = record::country(country, ip);
        }
        place
    }

    /// The autonomous system of an address, when its database is configured.
    #[must_use]
    pub fn asn(&self, ip: IpAddr) -> Option<u32> {
        if !self.0.asn.is_configured() {
            return None;
        }
        let database = self.0.asn.database.load();
        record::asn((*database).as_ref()?, ip.to_canonical())
    }
}

impl Slot {
    fn new(key: &'static str, path: Option<PathBuf>, shipped: Option<&'static [u8]>) -> Self {
        let database = ArcSwapOption::empty();
        if let Some(bytes) = shipped
            && let Ok(reader) = Reader::from_source(Cow::Borrowed(bytes))
        {
            database.store(Some(Arc::new(reader)));
        }
        Self { key, path, database, tried: Mutex::new(None) }
    }

    /// Without a file there is never anything in it, and a click does not look.
    fn is_configured(&self) -> bool {
        self.path.is_some()
    }

    fn refresh(&self) -> Option<GeoWarning> {
        let path = self.path.as_ref()?;
        let stamp = stamp(path);
        let mut tried = self.tried.lock();
        if *tried == Some(stamp) {
            return None;
        }
        *tried = Some(stamp);
        let read = std::fs::read(path).map_err(|error| error.to_string());
        match read.and_then(|bytes| open(bytes).map_err(|reason| format!("not a usable mmdb file: {reason}")))
        {
            Ok(database) => {
                self.database.store(Some(Arc::new(database)));
                None
            }
            Err(reason) => {
                let consequence = match (self.database.load().is_some(), self.key) {
                    (true, "country_db") => "the country database that was in use stays in use",
                    (true, _) => "the database that was in use stays in use",
                    (false, _) => "this part of a click's place stays empty until the file is replaced",
                };
                Some(GeoWarning { key: self.key, path: path.clone(), reason, consequence })
            }
        }
    }
}

/// Whether a file is a database of addresses that can be used, all of it.
///
/// # Errors
/// What is wrong with it.
pub fn check_database(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| format!("can't be read: {error}"))?;
    open(bytes).map(|_| ()).map_err(|reason| format!("not a usable mmdb file: {reason}"))
}

/// Opens and checks the whole of it: a file cut short would otherwise fail on the address that needs its end. The
/// library's own check also refuses files without a description, as public ones are.
fn open(bytes: Vec<u8>) -> Result<Database, String> {
    let reader = Reader::from_source(Cow::Owned(bytes)).map_err(|error| error.to_string())?;
    record::check(&reader).map_err(|error| error.to_string())?;
    Ok(reader)
}

fn stamp(path: &Path) -> Stamp {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}
