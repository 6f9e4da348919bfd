//! A disk in memory that fails on command and forgets what was not synced.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use sl_journal::disk::{Disk, DiskFile};

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A write stops half-way without an error.
    ShortWrite,
    /// A write stops half-way with an error.
    TornWrite,
    /// A sync fails; the pages are gone and the next sync would succeed.
    SyncFails,
    /// A sync fails although everything reached the disk.
    SyncLies,
}

#[derive(Default)]
struct Content {
    /// What readers see.
    cached: Vec<u8>,
    /// What survives a power cut.
    durable: Vec<u8>,
    /// Cached pages were dropped after a failed sync: a later sync makes nothing of them durable.
    poisoned: bool,
}

type Shared = Arc<Mutex<State>>;

#[derive(Default)]
struct State {
    /// Live names, and those that survive a power cut.
    names: BTreeMap<String, Arc<Mutex<Content>>>,
    durable_names: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Every file ever created, in order.
    created: Vec<String>,
    faults: VecDeque<Fault>,
    room: Option<u64>,
    dead: bool,
}

/// The disk; clones share it.
#[derive(Clone, Default)]
pub(crate) struct SimDisk(Shared, Arc<Mutex<()>>, Arc<AtomicU64>);

impl SimDisk {
    /// The next fitting operation on a segment fails like this.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.0.lock().faults.push_back(fault);
    }

    /// Faults that did not happen yet.
    pub(crate) fn faults_ahead(&self) -> usize {
        self.0.lock().faults.len()
    }

    /// Faults that did not happen yet don't happen.
    pub(crate) fn heal(&self) {
        let mut state = self.0.lock();
        state.faults.clear();
        state.room = None;
    }

    /// No sync returns until the guard is gone.
    pub(crate) fn stall(&self) -> parking_lot::MutexGuard<'_, ()> {
        self.1.lock()
    }

    /// Syncs of segments that were begun so far.
    pub(crate) fn syncs_begun(&self) -> u64 {
        self.2.load(SeqCst)
    }

    /// Bytes that can still be written to new places.
    pub(crate) fn set_room(&self, bytes: u64) {
        self.0.lock().room = Some(bytes);
    }

    /// Nothing works any more on this handle: the process is gone.
    pub(crate) fn stop(&self) {
        self.0.lock().dead = true;
    }

    /// What the next process finds. After a power cut only what was synced, with `keep` saying for each byte range of
    /// 512 that was not synced whether it made it to disk.
    pub(crate) fn reborn(&self, power_cut: bool, mut keep: impl FnMut() -> bool) -> Self {
        let state = self.0.lock();
        let source = if power_cut { &state.durable_names } else { &state.names };
        let copy = |(name, content): (&String, &Arc<Mutex<Content>>)| {
            let content = content.lock();
            let bytes = if power_cut { survived(&content, &mut keep) } else { content.cached.clone() };
            let content = Content { cached: bytes.clone(), durable: bytes, poisoned: false };
            (name.clone(), Arc::new(Mutex::new(content)))
        };
        let names: BTreeMap<_, _> = source.iter().map(copy).collect();
        let state = State { durable_names: names.clone(), names, ..State::default() };
        Self(Arc::new(Mutex::new(state)), Arc::default(), Arc::default())
    }

    /// Changes a file behind the journal's back.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let content = Arc::clone(&self.0.lock().names[name]);
        let mut content = content.lock();
        change(&mut content.cached);
        content.durable = content.cached.clone();
    }

    /// Bytes of a file: as it is, and what of it survives a power cut.
    pub(crate) fn sizes(&self, name: &str) -> [usize; 2] {
        let content = Arc::clone(&self.0.lock().names[name]);
        let content = content.lock();
        [content.cached.len(), content.durable.len()]
    }

    /// Names of all files created so far, in order.
    pub(crate) fn created(&self) -> Vec<String> {
        self.0.lock().created.clone()
    }

    /// Names of segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.0.lock().names.keys().filter(|name| name.ends_with(".segment")).cloned().collect()
    }
}

fn survived(content: &Content, keep: &mut impl FnMut() -> bool) -> Vec<u8> {
    let mut bytes = content.durable.clone();
    for (n, sector) in content.cached.chunks(512).enumerate() {
        let at = n * 512;
        let differs = content.durable.get(at..at + sector.len()) != Some(sector);
        if differs && !content.poisoned && keep() {
            bytes.resize(bytes.len().max(at + sector.len()), 0);
            bytes[at..at + sector.len()].copy_from_slice(sector);
        }
    }
    bytes
}

fn eio() -> io::Error {
    io::Error::other("input/output error")
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(eio()) } else { Ok(()) }
    }

    fn take_fault(&mut self, wanted: &[Fault]) -> Option<Fault> {
        let fault = *self.faults.front()?;
        if wanted.contains(&fault) { self.faults.pop_front() } else { None }
    }

    /// How many of `bytes` new bytes fit.
    fn take_room(&mut self, bytes: u64) -> io::Result<u64> {
        let Some(room) = &mut self.room else { return Ok(bytes) };
        if bytes > 0 && *room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let took = bytes.min(*room);
        *room -= took;
        Ok(took)
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        state.alive()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.alive()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Arc::new(Mutex::new(Content::default()));
        state.names.insert(name.to_owned(), Arc::clone(&content));
        state.created.push(name.to_owned());
        Ok(Arc::new(SimFile { disk: self.clone(), content }))
    }

    fn open(&self, name: &str, _writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.0.lock();
        state.alive()?;
        let content = state.names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), content }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.alive()?;
        let content = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.alive()?;
        let content = state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if let Some(room) = &mut state.room {
            *room += content.lock().cached.len() as u64;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.alive()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    content: Arc<Mutex<Content>>,
}

impl SimFile {
    /// Faults are meant for segments, not for files being prepared.
    fn is_segment(&self, state: &State) -> bool {
        let mine = |(name, content): (&String, &Arc<Mutex<Content>>)| {
            Arc::ptr_eq(content, &self.content) && name.ends_with(".segment")
        };
        state.names.iter().any(mine)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.lock();
        let from = content.cached.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let length = from.len().min(buffer.len());
        buffer[..length].copy_from_slice(&from[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        state.alive()?;
        let fault = if self.is_segment(&state) && bytes.len() > 1 {
            state.take_fault(&[Fault::ShortWrite, Fault::TornWrite])
        } else {
            None
        };
        let mut content = self.content.lock();
        let offset = usize::try_from(offset).unwrap();
        let wanted = if fault.is_some() { bytes.len() / 2 } else { bytes.len() };
        let grows = (offset + wanted).saturating_sub(content.cached.len());
        let fits = state.take_room(grows as u64)?;
        let length = wanted - (grows - usize::try_from(fits).unwrap());
        let end = offset + length;
        if content.cached.len() < end {
            content.cached.resize(end, 0);
        }
        content.cached[offset..end].copy_from_slice(&bytes[..length]);
        if fault == Some(Fault::TornWrite) { Err(eio()) } else { Ok(length) }
    }

    fn sync(&self) -> io::Result<()> {
        if self.is_segment(&self.disk.0.lock()) {
            self.disk.2.fetch_add(1, SeqCst);
        }
        let _not_stalled = self.disk.1.lock();
        let mut state = self.disk.0.lock();
        state.alive()?;
        let fault = if self.is_segment(&state) {
            state.take_fault(&[Fault::SyncFails, Fault::SyncLies])
        } else {
            None
        };
        let mut content = self.content.lock();
        if fault == Some(Fault::SyncFails) {
            content.poisoned = true;
            return Err(eio());
        }
        if !content.poisoned {
            content.durable = content.cached.clone();
        }
        if fault.is_some() { Err(eio()) } else { Ok(()) }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.alive()?;
        let mut content = self.content.lock();
        let length = usize::try_from(bytes).unwrap();
        assert!(
            length <= content.cached.len(),
            "a file grows by written bytes, never by a hole (decisions 60)"
        );
        let freed = content.cached.len().saturating_sub(length);
        if let Some(room) = &mut state.room {
            *room += freed as u64;
        }
        content.cached.resize(length, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().cached.len() as u64)
    }
}
