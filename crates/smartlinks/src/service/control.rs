//! `data_dir/control.sock`: commands against a running service. Who can reach the directory may use it (decisions 11).

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sl_core::time::Clock;
use sl_store::Store;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Failure,
    keys::{self, KeyAnswer, KeyCommand},
};

/// Longest request, in bytes: one line of JSON.
const LINE: u64 = 16 * 1024;
/// Longest time to answer a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Path of the socket.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Whether the system takes that for the address of a socket: on Linux 107 bytes at most.
pub(crate) fn fits(data_dir: &Path) -> bool {
    std::os::unix::net::SocketAddr::from_pathname(path(data_dir)).is_ok()
}

/// The listening side.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Takes the place of a socket that a killed process left; the caller holds the directory's lock.
    ///
    /// # Errors
    /// [`Failure::Run`], naming the path.
    pub(crate) fn bind(data_dir: &Path) -> Result<Self, Failure> {
        let path = path(data_dir);
        let bind = || -> io::Result<UnixListener> {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let listener = bind().map_err(|error| Failure::Run(format!("{path:?}: {error}")))?;
        Ok(Self { listener, path })
    }

    /// Answers until `stop`.
    pub(crate) async fn run(self: Arc<Self>, store: Store, clock: Arc<dyn Clock>, stop: CancellationToken) {
        loop {
            let stream = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let Ok((stream, _)) = stream else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (store, clock) = (store.clone(), Arc::clone(&clock));
            tokio::spawn(async move {
                let _ = tokio::time::timeout(PATIENCE, answer(stream, &store, &*clock)).await;
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, store: &Store, clock: &dyn Clock) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(LINE)).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<KeyCommand>(&line) {
        Ok(command) => keys::execute(store, command, clock).await,
        Err(error) => KeyAnswer::Refused(format!("not a command: {error}")),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await
}

/// Asks the service that runs on `data_dir`.
///
/// # Errors
/// [`Failure::Run`] when it does not answer.
pub(crate) async fn ask(data_dir: &Path, command: &KeyCommand) -> Result<KeyAnswer, Failure> {
    let path = path(data_dir);
    let talk = async {
        let mut stream = UnixStream::connect(&path).await?;
        let mut text = serde_json::to_string(command)?;
        text.push('\n');
        stream.write_all(text.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok::<_, io::Error>(serde_json::from_str(&line)?)
    };
    match tokio::time::timeout(PATIENCE, talk).await {
        Ok(answer) => answer.map_err(|error| {
            Failure::Run(format!("the running service does not answer at {path:?}: {error}"))
        }),
        Err(_) => {
            Err(Failure::Run(format!("the running service does not answer at {path:?} within {PATIENCE:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, config, roles::RoleSet, service::starting::Starting};

    #[tokio::test]
    async fn a_service_without_its_socket_says_so_before_it_answers_anybody() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(path(dir.path()).join("in the way")).unwrap();
        let settings = [
            ("SMARTLINKS_DATA_DIR", dir.path().as_os_str()),
            ("SMARTLINKS_EDGE__LISTEN", "127.0.0.1:0".as_ref()),
        ];
        let settings = settings.map(|(key, value)| (std::ffi::OsString::from(key), value.to_owned()));
        let (config, _) = config::load(None, settings.into_iter()).unwrap();
        let begun = Starting::begin(&config, &RoleSet::all(), &clock::system()).await;
        let failure = begun.err().unwrap().to_string();
        assert!(failure.contains("control.sock"), "{failure}");
    }

    #[tokio::test]
    async fn the_socket_goes_with_whoever_listens() {
        let dir = tempfile::tempdir().unwrap();
        drop(Control::bind(dir.path()).unwrap());
        assert!(!path(dir.path()).exists());
    }
}
