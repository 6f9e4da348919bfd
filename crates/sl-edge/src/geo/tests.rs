use std::time::Duration;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_shipped_file_knows_countries_of_both_address_families() {
    let geo = Geo::shipped();
    assert_eq!(geo.place(ip("8.8.8.8")).country.as_deref(), Some("US"));
    assert_eq!(geo.place(ip("::ffff:8.8.8.8")).country.as_deref(), Some("US"));
    assert_eq!(geo.place(ip("2001:4860:4860::8888")).country.as_deref(), Some("US"));
    assert_eq!(geo.place(ip("127.0.0.1")), Place::default());
    assert_eq!(geo.asn(ip("8.8.8.8")), None);
}

#[test]
fn a_missing_or_broken_file_is_a_warning_and_the_shipped_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.mmdb");
    std::fs::write(&broken, b"no mmdb").unwrap();
    let missing = directory.path().join("missing.mmdb");
    let files = GeoFiles { country: Some(broken), city: Some(missing), asn: None };
    let (geo, warnings) = Geo::open(files);
    let keys: Vec<_> = warnings.iter().map(|warning| warning.key).collect();
    assert_eq!(keys, ["country_db", "city_db"]);
    assert!(warnings[0].to_string().contains("broken.mmdb"), "{}", warnings[0]);
    assert!(warnings[0].to_string().contains("stays in use"));
    assert_eq!(geo.place(ip("8.8.8.8")).country.as_deref(), Some("US"));
    assert_eq!(geo.refresh(), vec![], "one warning per state of the file");
}

#[test]
fn a_cut_file_is_refused_before_an_address_needs_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.mmdb");
    // The metadata at the end is whole, the middle is missing.
    let (head, tail) = (&COUNTRY[..1_000_000], &COUNTRY[COUNTRY.len() - 2000..]);
    std::fs::write(&path, [head, tail].concat()).unwrap();
    let (_, warnings) = Geo::open(GeoFiles { country: Some(path), ..GeoFiles::default() });
    assert_eq!(warnings.len(), 1);
}

#[test]
fn a_replaced_file_is_picked_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("asn.mmdb");
    std::fs::write(&path, b"not yet").unwrap();
    let (geo, warnings) = Geo::open(GeoFiles { country: Some(path.clone()), ..GeoFiles::default() });
    assert_eq!(warnings.len(), 1);
    std::fs::write(&path, COUNTRY).unwrap();
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    assert_eq!(geo.refresh(), vec![]);
    assert_eq!(geo.place(ip("8.8.8.8")).country.as_deref(), Some("US"));
}
