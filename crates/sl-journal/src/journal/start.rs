//! Opening a journal: recovery, the first segment, the threads.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use parking_lot::Mutex;
use sl_core::{
    event::{JournalId, Position},
    time::Clock,
};
use tokio::sync::Notify;

use super::{
    Journal, JournalConfig, JournalError, Threads, consumers,
    fates::Fates,
    keeper,
    open_segment::{Opener, make_spare},
    queue::Queue,
    recovery::{self, Found},
    shared::{Bell, Shared},
    shelf::Shelf,
    writer::Writer,
};
use crate::disk::Disk;

/// What recovery found out.
struct Recovered {
    journal: JournalId,
    shelf: Shelf,
    /// Ordinal of the next segment.
    ordinal: u64,
    /// One more than the last good sequence.
    good: u64,
    next: Position,
    was_clean: bool,
    damages: Vec<(String, String)>,
}

pub(super) fn start(
    disk: Arc<dyn Disk>,
    config: JournalConfig,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Journal>, JournalError> {
    config.check()?;
    let found = recover(&*disk, &config)?;
    let Position { epoch, offset } = found.next;
    let shared = Arc::new(Shared {
        disk,
        clock,
        id: found.journal,
        opened_at: offset,
        queue: Queue::new(found.journal, epoch, offset, config.queue_bytes),
        fates: Fates::new(offset),
        shelf: Mutex::new(found.shelf),
        synced: AtomicU64::new(offset),
        grown: Notify::new(),
        keeper: Bell::default(),
        consumers_file: Mutex::default(),
        trouble: Mutex::default(),
        damaged: AtomicU64::new(0),
        config,
    });
    for (segment, what) in &found.damages {
        shared.note_damage(segment, what);
    }
    if let Err(error) = make_spare(&shared) {
        tracing::warn!(%error, "no journal segment can be prepared");
    }
    let opener = Opener::new(Arc::clone(&shared), found.ordinal, found.good);
    let mut writer = Writer::new(Arc::clone(&shared), opener, epoch)?;
    writer.prepare(offset);
    let threads = Threads {
        writer: thread::Builder::new().name("journal-writer".to_owned()).spawn(move || writer.run())?,
        keeper: spawn_keeper(&shared)?,
    };
    Ok(Arc::new(Journal { shared, was_clean: found.was_clean, threads: Mutex::new(Some(threads)) }))
}

fn spawn_keeper(shared: &Arc<Shared>) -> io::Result<thread::JoinHandle<()>> {
    let mine = Arc::clone(shared);
    let spawned = thread::Builder::new().name("journal-keeper".to_owned()).spawn(move || keeper::run(&mine));
    // Without a keeper the writer must not wait for ever either.
    spawned.inspect_err(|_| shared.queue.close())
}

fn recover(disk: &dyn Disk, config: &JournalConfig) -> Result<Recovered, JournalError> {
    for name in disk.list()?.iter().filter(|name| name.ends_with(".tmp")) {
        disk.remove(name)?;
    }
    let found = recovery::find(disk)?;
    let is_new = found.segments.is_empty();
    let journal = found.journal.or(config.new_id).unwrap_or_else(draw_id);
    let mut recovered = put_on_shelf(disk, journal, &found)?;
    recovered.was_clean = consumers::take_clean(disk, journal, recovered.good)? || is_new;
    recovered.shelf.consumers = consumers::load(disk)?;
    let furthest = recovered.shelf.furthest();
    if furthest.offset > recovered.next.offset || furthest.epoch > recovered.next.epoch {
        tracing::error!(?furthest, head = ?recovered.next, "the journal is shorter than a consumer: a new epoch begins");
        recovered.next = Position {
            epoch: recovered.next.epoch.max(furthest.epoch) + 1,
            offset: recovered.next.offset.max(furthest.offset),
        };
    }
    Ok(recovered)
}

fn put_on_shelf(disk: &dyn Disk, journal: JournalId, found: &Found) -> Result<Recovered, JournalError> {
    let mut recovered = Recovered {
        journal,
        shelf: Shelf::default(),
        ordinal: 0,
        good: 0,
        next: Position::default(),
        was_clean: false,
        damages: Vec::new(),
    };
    let header_damages = found.segments.iter().filter(|segment| segment.header_damaged);
    recovered.damages =
        header_damages.map(|segment| (segment.name.clone(), "the header".to_owned())).collect();
    let Some((last, earlier)) = found.segments.split_last() else { return Ok(recovered) };
    for segment in earlier {
        recovered.shelf.segments.push_back(segment.shelve(segment.end, segment.bytes));
    }
    let tail = recovery::tail(disk, journal, last)?;
    for damage in &tail.damages {
        recovered.damages.push((last.name.clone(), format!("bytes {:?} hold no record", damage.bytes)));
    }
    let shelved = last.shelve(tail.end, tail.length);
    shelved.resize(tail.length);
    recovered.shelf.segments.push_back(shelved);
    recovered.ordinal = last.header.ordinal + 1;
    recovered.good = if tail.records { tail.end } else { last.header.sealed_at };
    recovered.next = Position { epoch: last.header.epoch, offset: tail.end };
    Ok(recovered)
}

/// The operating system seeds std's hashers; nothing else of the name matters than that it is its own.
fn draw_id() -> JournalId {
    JournalId(RandomState::new().hash_one("journal"))
}
