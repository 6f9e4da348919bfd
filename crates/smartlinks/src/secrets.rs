//! Secrets of this installation: generated once into `data_dir/secrets`, mode 0600 (surface 5).

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use sl_core::{
    seal::{SealKeys, Secret},
    visitor::InstallationSecret,
};

use crate::failure::Failure;

/// All of them.
pub(crate) struct Secrets {
    /// Seals tokens of others.
    pub(crate) seal: SealKeys,
    /// Visitor keys are derived from it.
    pub(crate) visitors: InstallationSecret,
}

/// Loads or generates. A configured `secrets.key` takes the place of the generated one, which still opens what it sealed.
///
/// # Errors
/// [`Failure::Run`], naming the file.
pub(crate) fn load(data_dir: &Path, configured: Option<&Secret>) -> Result<Secrets, Failure> {
    let dir = data_dir.join("secrets");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(|error| Failure::Run(format!("{dir:?} can't be made: {error}")))?;
    if let Some(why) = lost(data_dir, configured) {
        tracing::error!("{why}");
    }
    let seal_file = dir.join("seal.key");
    let seal = match configured {
        Some(key) => {
            let keys = SealKeys::new(decode("secrets.key", key.expose())?);
            if seal_file.exists() { keys.with_older(kept(&seal_file)?) } else { keys }
        }
        None => SealKeys::new(kept(&seal_file)?),
    };
    Ok(Secrets { seal, visitors: InstallationSecret::new(&kept(&dir.join("visitors.key"))?) })
}

/// A new key beside an old store is no first start: what is lost with the old one.
fn lost(data_dir: &Path, configured: Option<&Secret>) -> Option<String> {
    let missing = |name: &str| !data_dir.join("secrets").join(name).exists();
    let (tokens, visitors) = (configured.is_none() && missing("seal.key"), missing("visitors.key"));
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
    let unfinished = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        writeln!(file, "{}", hex::encode(key))?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    write().map_err(|error| Failure::Run(format!("{path:?} can't be written: {error}")))?;
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

    #[test]
    fn secrets_are_generated_once_and_only_for_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(dir.path(), None).unwrap();
        let second = load(dir.path(), None).unwrap();
        let sealed = first.seal.seal(b"test", &Secret::new("x"), [1; 24]);
        assert_eq!(second.seal.open(b"test", &sealed).unwrap().expose(), "x");
        let mode = fs::metadata(dir.path().join("secrets/seal.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn keys_that_are_gone_beside_a_store_are_missed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(lost(dir.path(), None), None, "a first start");
        load(dir.path(), None).unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        assert_eq!(lost(dir.path(), None), None);
        fs::remove_file(dir.path().join("secrets/seal.key")).unwrap();
        assert!(lost(dir.path(), None).unwrap().contains("tokens"));
        assert_eq!(
            lost(dir.path(), Some(&Secret::new("5e".repeat(32)))),
            None,
            "the configured one opens them"
        );
    }

    #[test]
    fn a_configured_key_opens_what_the_generated_one_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = load(dir.path(), None).unwrap().seal.seal(b"test", &Secret::new("x"), [1; 24]);
        let configured = Secret::new("ab".repeat(32));
        let opened = load(dir.path(), Some(&configured)).unwrap().seal.open(b"test", &sealed).unwrap();
        assert_eq!(opened.expose(), "x");
    }
}
