//! A directory of its own for every case.

use parking_lot::Mutex;
use sl_fjall::{FjallHandle, FjallOptions};
use sl_store::{Store, suite::Backend};
use tempfile::TempDir;

/// fjall in a temporary directory.
pub(crate) struct Fjall {
    dir: TempDir,
    options: FjallOptions,
    handle: Mutex<Option<FjallHandle>>,
}

impl Fjall {
    pub(crate) fn fresh() -> Self {
        Self::with(FjallOptions::default())
    }

    pub(crate) fn with(options: FjallOptions) -> Self {
        Self { dir: TempDir::new().unwrap(), options, handle: Mutex::new(None) }
    }
}

#[async_trait::async_trait]
impl Backend for Fjall {
    async fn open(&self) -> Store {
        let mut handle = self.handle.lock();
        let open = || sl_fjall::open(self.dir.path(), self.options).unwrap();
        handle.get_or_insert_with(open).store()
    }

    async fn restart(&self) {
        drop(self.handle.lock().take());
    }
}
