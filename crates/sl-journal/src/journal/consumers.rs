//! How far each consumer has come, on disk: what retention and a shortened journal are judged by.

use std::{collections::BTreeMap, io};

use prost::Message as _;
use sl_core::event::{JournalId, Position};

use super::shared::Shared;
use crate::{
    disk::{Disk, read_small, remove_if_there, replace_small},
    proto,
    segment::{seal_small, unseal_small},
};

const CONSUMERS: &str = "consumers";
const CLEAN: &str = "clean-stop";

/// The stored positions. A damaged file counts as none: consumers bring their own positions along.
pub(super) fn load(disk: &dyn Disk) -> io::Result<BTreeMap<String, Position>> {
    let bytes = match read_small(disk, CONSUMERS) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let Some(stored) = unseal_small(&bytes).and_then(|bytes| proto::Consumers::decode(bytes).ok()) else {
        tracing::error!("the file of the journal's consumers is damaged and starts anew");
        return Ok(BTreeMap::new());
    };
    let entry = |consumer: proto::Consumer| {
        (consumer.name, Position { epoch: consumer.epoch, offset: consumer.offset })
    };
    Ok(stored.consumers.into_iter().map(entry).collect())
}

/// Stores the positions if they changed.
pub(super) fn store(shared: &Shared) -> io::Result<()> {
    let consumers = {
        let mut shelf = shared.shelf.lock();
        if !std::mem::take(&mut shelf.consumers_changed) {
            return Ok(());
        }
        let entry = |(name, position): (&String, &Position)| proto::Consumer {
            name: name.clone(),
            epoch: position.epoch,
            offset: position.offset,
        };
        shelf.consumers.iter().map(entry).collect()
    };
    let sealed = seal_small(&proto::Consumers { consumers }.encode_to_vec());
    let _one_at_a_time = shared.consumers_file.lock();
    replace_small(&*shared.disk, CONSUMERS, &sealed)
        .inspect_err(|_| shared.shelf.lock().consumers_changed = true)
}

/// Says that the stop was orderly and nothing below `head` is missing.
pub(super) fn mark_clean(disk: &dyn Disk, journal: JournalId, head: u64) -> io::Result<()> {
    replace_small(disk, CLEAN, &seal_small(&proto::CleanStop { journal: journal.0, head }.encode_to_vec()))
}

/// Whether the last stop was orderly. The mark is gone afterwards, durably, before anything is written.
pub(super) fn take_clean(disk: &dyn Disk, journal: JournalId, head: u64) -> io::Result<bool> {
    let bytes = match read_small(disk, CLEAN) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    remove_if_there(disk, CLEAN)?;
    disk.sync()?;
    let mark = unseal_small(&bytes).and_then(|bytes| proto::CleanStop::decode(bytes).ok());
    Ok(mark == Some(proto::CleanStop { journal: journal.0, head }))
}
