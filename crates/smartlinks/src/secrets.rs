//! Secrets of this installation: generated once into `data_dir/secrets`, mode 0600 (surface 5).

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use sl_core::{
    seal::{SealKeys, Secret},
    visitor::InstallationSecret,
};

use crate::{
    config::{Backend, Secrets as Configured},
    failure::Failure,
    files,
};

/// The secrets of one installation.
pub(crate) struct Secrets {
    /// Seals tokens of others.
    pub(crate) seal: SealKeys,
    /// Visitor keys are derived from it.
    pub(crate) visitors: InstallationSecret,
}

/// Loads or generates. A configured `secrets.key` takes the place of the generated one, which still opens what it sealed.
/// Visitors must be known to every edge of a cluster: there their keys come from `secrets.key` too, unless
/// `secrets.visitors_key` says otherwise.
///
/// # Errors
/// [`Failure::Run`], naming the file.
pub(crate) fn load(data_dir: &Path, configured: &Configured, backend: Backend) -> Result<Secrets, Failure> {
    let (key, visitors) = (configured.key.0.as_ref(), configured.visitors_key.0.as_ref());
    let dir = data_dir.join("secrets");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(|error| Failure::Run(format!("{dir:?} can't be made: {error}")))?;
    if let Some(why) = lost(data_dir, key, visitors) {
        tracing::error!("{why}");
    }
    let seal = match key {
        Some(key) => seals_of(data_dir, key)?.0,
        None => SealKeys::new(kept(&dir.join("seal.key"))?),
    };
    let visitors = match (visitors, backend, key) {
        (Some(visitors), ..) => decode("secrets.visitors_key", visitors.expose())?,
        (None, Backend::Cluster, Some(key)) => decode("secrets.key", key.expose())?,
        _ => kept(&dir.join("visitors.key"))?,
    };
    Ok(Secrets { seal, visitors: InstallationSecret::new(&visitors) })
}

/// What opens tokens that were sealed here, and the configured key alone, which every machine of a cluster has.
///
/// # Errors
/// [`Failure::Usage`] when none is configured, [`Failure::Run`] naming the file.
pub(crate) fn seals(data_dir: &Path, configured: &Configured) -> Result<(SealKeys, SealKeys), Failure> {
    let missing = || Failure::Usage("error: secrets.key: not set".to_owned());
    seals_of(data_dir, configured.key.0.as_ref().ok_or_else(missing)?)
}

fn seals_of(data_dir: &Path, key: &Secret) -> Result<(SealKeys, SealKeys), Failure> {
    let (file, own) =
        (data_dir.join("secrets/seal.key"), SealKeys::new(decode("secrets.key", key.expose())?));
    let all = if file.exists() { own.clone().with_older(kept(&file)?) } else { own.clone() };
    Ok((all, own))
}

/// Whether a cluster with this configuration recognises the visitors of this directory.
///
/// # Errors
/// [`Failure::Usage`] with the remedy when it does not.
pub(crate) fn same_visitors(data_dir: &Path, configured: &Configured) -> Result<(), Failure> {
    let file = data_dir.join("secrets/visitors.key");
    if !file.exists() {
        return Ok(());
    }
    let visitors = configured.visitors_key.0.as_ref().or(configured.key.0.as_ref());
    if visitors.map(|key| decode("secrets.visitors_key", key.expose())).transpose()? == Some(kept(&file)?) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "error: secrets.visitors_key: the cluster would take every visitor without a cookie for a new one; set \
         secrets.visitors_key_file = {file:?} here, and the same key on every machine of the cluster"
    )))
}

/// A new key beside an old store is no first start: what is lost with the old one.
fn lost(data_dir: &Path, key: Option<&Secret>, visitors: Option<&Secret>) -> Option<String> {
    let missing = |name: &str| !data_dir.join("secrets").join(name).exists();
    let (tokens, visitors) =
        (key.is_none() && missing("seal.key"), visitors.is_none() && missing("visitors.key"));
    if !data_dir.join("store").exists() || !(tokens || visitors) {
        return None;
    }
    let tokens = if tokens { "tokens of pixels and of the platform can't be opened; " } else { "" };
    let visitors = if visitors { "visitors of before are new ones; " } else { "" };
    Some(format!(
        "{data_dir:?} has a store, but keys of secrets/ are gone: {tokens}{visitors}put them back from a backup"
    ))
}

/// Reads the key, or draws one and writes it down for good before it is used.
fn kept(path: &Path) -> Result<[u8; 32], Failure> {
    match fs::read_to_string(path) {
        Ok(text) => return decode(&path.display().to_string(), text.trim()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::Run(format!("{path:?} can't be read: {error}"))),
    }
    let mut key = [0; 32];
    rand::fill(&mut key);
    let written = files::replace(path, format!("{}\n", hex::encode(key)).as_bytes());
    written.map_err(|error| Failure::Run(format!("{path:?} can't be written: {error}")))?;
    Ok(key)
}

fn decode(name: &str, text: &str) -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key)
        .map_err(|_| Failure::Run(format!("{name}: it must be 64 hex digits")))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::MaybeSecret;

    fn with(key: Option<&str>, visitors: Option<&str>) -> Configured {
        let secret = |text: Option<&str>| MaybeSecret(text.map(|text| Secret::new(text.repeat(32))));
        Configured {
            key: secret(key),
            key_file: None,
            visitors_key: secret(visitors),
            visitors_key_file: None,
        }
    }

    fn none() -> Configured {
        with(None, None)
    }

    #[test]
    fn secrets_are_generated_once_and_only_for_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(dir.path(), &none(), Backend::Embedded).unwrap();
        let second = load(dir.path(), &none(), Backend::Embedded).unwrap();
        let sealed = first.seal.seal(b"test", &Secret::new("x"), [1; 24]);
        assert_eq!(second.seal.open(b"test", &sealed).unwrap().expose(), "x");
        let mode = fs::metadata(dir.path().join("secrets/seal.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn keys_that_are_gone_beside_a_store_are_missed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(lost(dir.path(), None, None), None, "a first start");
        load(dir.path(), &none(), Backend::Embedded).unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        assert_eq!(lost(dir.path(), None, None), None);
        fs::remove_file(dir.path().join("secrets/seal.key")).unwrap();
        assert!(lost(dir.path(), None, None).unwrap().contains("tokens"));
        assert_eq!(
            lost(dir.path(), Some(&Secret::new("5e".repeat(32))), None),
            None,
            "the configured one opens them"
        );
    }

    #[test]
    fn a_configured_key_opens_what_the_generated_one_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = load(dir.path(), &none(), Backend::Embedded).unwrap().seal.seal(
            b"test",
            &Secret::new("x"),
            [1; 24],
        );
        let opened = load(dir.path(), &with(Some("ab"), None), Backend::Embedded)
            .unwrap()
            .seal
            .open(b"test", &sealed)
            .unwrap();
        assert_eq!(opened.expose(), "x");
    }

    #[test]
    fn a_cluster_must_recognise_the_visitors_of_the_directory_that_is_moved() {
        let dir = tempfile::tempdir().unwrap();
        same_visitors(dir.path(), &with(Some("ab"), None)).unwrap();
        load(dir.path(), &none(), Backend::Embedded).unwrap();
        let file = dir.path().join("secrets/visitors.key");
        let said = same_visitors(dir.path(), &with(Some("ab"), None)).unwrap_err().to_string();
        assert!(said.contains("secrets.visitors_key_file") && said.contains("visitors.key"), "{said}");
        let known = fs::read_to_string(&file).unwrap();
        let known = Configured {
            visitors_key: MaybeSecret(Some(Secret::new(known.trim()))),
            ..with(Some("ab"), None)
        };
        same_visitors(dir.path(), &known).unwrap();
        let (here, there) = seals(dir.path(), &known).unwrap();
        let sealed = load(dir.path(), &none(), Backend::Embedded).unwrap().seal.seal(
            b"test",
            &Secret::new("x"),
            [1; 24],
        );
        assert_eq!(here.open(b"test", &sealed).unwrap().expose(), "x");
        assert!(there.open(b"test", &sealed).is_err(), "no other machine has the generated key");
    }
}
