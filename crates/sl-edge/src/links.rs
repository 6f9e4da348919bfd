//! The Smart Links this edge answers for: a snapshot that every thread reads without a lock, fed from outside.

use std::{collections::HashMap, fmt, hash::BuildHasher as _, num::NonZero, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, Cache};
use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use http::HeaderValue;
use parking_lot::Mutex;
use sl_core::{
    catalog::{EdgeLink, OverflowLink},
    click::Rung,
    ids::{AccountId, PoolLinkId, SmartLinkId, TeamId},
    pool::{StockKey, moved_with},
};

use crate::stock::{Shelf, Stock};

/// A link with everything the hot path needs prepared, and nothing else: there may be a million.
pub(crate) struct Prepared {
    /// The link.
    pub(crate) id: SmartLinkId,
    /// Owner.
    pub(crate) team: TeamId,
    /// Attribution window in force.
    pub(crate) window: Duration,
    /// Answer 410.
    pub(crate) deleted: bool,
    /// Answer the profile.
    pub(crate) paused: bool,
    /// The shared link's number and place.
    pub(crate) overflow: Option<Box<(PoolLinkId, HeaderValue)>>,
    /// The creator's page.
    page: Arc<HeaderValue>,
    /// Stock of its own links.
    pub(crate) shelf: Arc<Shelf>,
}

impl Prepared {
    /// Creator account.
    pub(crate) fn account(&self) -> &AccountId {
        &self.shelf.stock().account
    }

    /// As it was given.
    fn plain(&self, pages: &mut Texts) -> EdgeLink {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let page = pages.entry(Arc::as_ptr(&self.page)).or_insert_with(|| text(&self.page).into());
        let overflow = self.overflow.as_ref().map(|over| OverflowLink { id: over.0, url: text(&over.1) });
        EdgeLink {
            id: self.id,
            team: self.team,
            stock: self.shelf.stock().clone(),
            window: self.window,
            deleted: self.deleted,
            paused: self.paused,
            overflow,
            profile_url: Arc::clone(page),
        }
    }

    /// Where a rung without a link of the visitor's own leads. Overflow exists when the ladder chose it.
    pub(crate) fn place(&self, rung: Rung) -> &HeaderValue {
        match (&self.overflow, rung) {
            (Some(overflow), Rung::Overflow) => &overflow.1,
            _ => &self.page,
        }
    }
}

/// Texts of pages met in one reading.
type Texts = HashMap<*const HeaderValue, Arc<str>>;

/// One state of the catalog: in parts, so that a change copies a small part of many links.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// `false` until the first catalog: the edge answers 503, not 404 (decisions 53).
    pub(crate) loaded: bool,
    /// By the last byte of the id, which is chance. In a part links are found by their ids; only we make these, so that a quick
    /// hash does.
    parts: Box<[Part]>,
    hasher: DefaultHashBuilder,
}

type Part = Arc<HashTable<Arc<Prepared>>>;

/// One per value of a byte.
const PARTS: usize = 256;

impl Snapshot {
    pub(crate) fn get(&self, id: SmartLinkId) -> Option<&Arc<Prepared>> {
        self.parts.get(part(id))?.find(self.hasher.hash_one(id), |link| link.id == id)
    }
}

fn part(id: SmartLinkId) -> usize {
    let [.., last] = id.to_bytes();
    usize::from(last)
}

/// All links of this process. Clones share them.
#[derive(Clone)]
pub struct LinkTable(Arc<Inner>);

struct Inner {
    stock: Stock,
    now: ArcSwap<Snapshot>,
    /// Held by who writes: snapshots of before that threads may still be reading. A million links are not freed by a thread that
    /// answers.
    before: Mutex<Vec<Arc<Snapshot>>>,
    /// Speculative requests since the start, of the links that had any (decisions 1: counted per link).
    speculative: Mutex<HashMap<SmartLinkId, u64>>,
}

/// A link that can't be answered for: its creator's page is no web address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Smart Link {id}: profile {url:?} is not an http or https address; it stays as it was")]
pub struct BadLink {
    /// Which.
    pub id: SmartLinkId,
    /// As given.
    pub url: String,
}

/// A reader's own view; one per thread.
pub(crate) type LinkCache = Cache<LinkSource, Arc<Snapshot>>;

/// What a view follows.
#[derive(Clone)]
pub(crate) struct LinkSource(LinkTable);

impl std::ops::Deref for LinkSource {
    type Target = ArcSwap<Snapshot>;

    fn deref(&self) -> &ArcSwap<Snapshot> {
        &self.0.0.now
    }
}

impl fmt::Debug for LinkTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkTable({} links)", self.len())
    }
}

impl LinkTable {
    /// Empty and not loaded. Links draw from `stock`.
    #[must_use]
    pub fn new(stock: Stock) -> Self {
        Self(Arc::new(Inner {
            stock,
            now: ArcSwap::from_pointee(Snapshot::default()),
            before: Mutex::default(),
            speculative: Mutex::default(),
        }))
    }

    /// How many links, deleted ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.now.load().parts.iter().map(|part| part.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole catalog: links that are not in it are forgotten (404). Links in the answer were refused.
    pub fn replace(&self, links: impl IntoIterator<Item = EdgeLink>) -> Vec<BadLink> {
        self.write(links, true)
    }

    /// Links that changed. Links in the answer were refused.
    pub fn apply(&self, changed: impl IntoIterator<Item = EdgeLink>) -> Vec<BadLink> {
        self.write(changed, false)
    }

    /// Whether there ever was a catalog.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.0.now.load().loaded
    }

    /// Everything it answers for, as it was given.
    #[must_use]
    pub fn links(&self) -> Vec<EdgeLink> {
        let mut pages = Texts::default();
        let parts = &self.0.now.load().parts;
        parts.iter().flat_map(|part| part.iter()).map(|link| link.plain(&mut pages)).collect()
    }

    /// The stock that a link draws from.
    #[must_use]
    pub fn stock_of(&self, id: SmartLinkId) -> Option<StockKey> {
        self.0.now.load().get(id).map(|link| link.shelf.stock().clone())
    }

    /// Speculative requests (prefetches, previews, HEAD) of a link since the start.
    #[must_use]
    pub fn speculative(&self, id: SmartLinkId) -> u64 {
        self.0.speculative.lock().get(&id).copied().unwrap_or_default()
    }

    pub(crate) fn count_speculative(&self, id: SmartLinkId) {
        *self.0.speculative.lock().entry(id).or_default() += 1;
    }

    /// A view for one thread.
    pub(crate) fn cache(&self) -> LinkCache {
        Cache::new(LinkSource(self.clone()))
    }

    fn write(&self, changed: impl IntoIterator<Item = EdgeLink>, whole: bool) -> Vec<BadLink> {
        let mut before = self.0.before.lock();
        let old = self.0.now.load_full();
        let mut parts: Vec<Part> = if whole { Vec::new() } else { old.parts.to_vec() };
        parts.resize_with(PARTS, Part::default);
        let mut new: Vec<Vec<Arc<Prepared>>> = vec![Vec::new(); PARTS];
        let (mut bad, mut pages, mut last) = (Vec::new(), Pages::default(), None);
        for link in changed {
            let id = link.id;
            let prepared = match self.prepare(link, &mut pages, &mut last) {
                Ok(prepared) => Some(Arc::new(prepared)),
                Err(refused) => {
                    bad.push(refused);
                    old.get(id).cloned()
                }
            };
            if let Some(new) = new.get_mut(part(id)) {
                new.extend(prepared);
            }
        }
        let hasher = old.hasher.clone();
        file(&mut parts, new, &hasher);
        self.0.now.store(Arc::new(Snapshot { loaded: true, parts: parts.into(), hasher }));
        before.push(old);
        let_go(&mut before);
        bad
    }

    /// Frees what no thread reads any more of snapshots of before. Takes its time: not for a thread that answers.
    pub(crate) fn let_go_of_old(&self) {
        let_go(&mut self.0.before.lock());
    }

    /// `last` is the shelf of the link before: neighbours are often of one stock.
    fn prepare(
        &self,
        link: EdgeLink,
        pages: &mut Pages,
        last: &mut Option<Arc<Shelf>>,
    ) -> Result<Prepared, BadLink> {
        let EdgeLink { id, team, stock, window, deleted, paused, overflow, profile_url } = link;
        let Some(page) = pages.of(&profile_url) else {
            return Err(BadLink { id, url: profile_url.as_ref().to_owned() });
        };
        let overflow = overflow.and_then(|over| {
            let url = moved_with(&profile_url, &over.url).unwrap_or(over.url);
            Some(Box::new((over.id, location(&url)?)))
        });
        let shelf = match last {
            Some(shelf) if *shelf.stock() == stock => Arc::clone(shelf),
            _ => {
                let shelf = last.insert(self.0.stock.shelf(&stock));
                // All links of a stock are of one creator.
                shelf.page_is(&profile_url);
                Arc::clone(shelf)
            }
        };
        Ok(Prepared { id, team, window, deleted, paused, overflow, page, shelf })
    }
}

/// Who has a snapshot of before only reads it: the count of one that nobody has does not rise again.
fn let_go(before: &mut Vec<Arc<Snapshot>>) {
    before.retain(|snapshot| Arc::strong_count(snapshot) > 1);
}

/// So many links are worth a second thread.
const MANY: usize = 100_000;

/// Puts links into their parts. A part that is filed into is copied first: somebody may be reading it.
fn file(parts: &mut [Part], new: Vec<Vec<Arc<Prepared>>>, hasher: &DefaultHashBuilder) {
    let count: usize = new.iter().map(Vec::len).sum();
    let threads = if count < MANY { 1 } else { std::thread::available_parallelism().map_or(1, NonZero::get) };
    let share = parts.len().div_ceil(threads);
    let mut new = new.into_iter();
    std::thread::scope(|scope| {
        for parts in parts.chunks_mut(share) {
            let work: Vec<_> = parts.iter_mut().zip(new.by_ref()).collect();
            let file = move || work.into_iter().for_each(|(part, new)| file_part(part, new, hasher));
            if threads == 1 { file() } else { drop(scope.spawn(file)) }
        }
    });
}

fn file_part(part: &mut Part, new: Vec<Arc<Prepared>>, hasher: &DefaultHashBuilder) {
    if new.is_empty() {
        return;
    }
    let hash = |link: &Arc<Prepared>| hasher.hash_one(link.id);
    let part = Arc::make_mut(part);
    part.reserve(new.len(), hash);
    for link in new {
        match part.entry(hash(&link), |other| other.id == link.id, hash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = link,
            Entry::Vacant(entry) => drop(entry.insert(link)),
        }
    }
}

/// Creators' pages met in one writing: links of one creator share one copy.
#[derive(Default)]
struct Pages {
    known: HashMap<Arc<str>, Option<Arc<HeaderValue>>>,
    /// That of the link before: neighbours are often of one creator.
    last: Option<(Arc<str>, Option<Arc<HeaderValue>>)>,
}

impl Pages {
    fn of(&mut self, url: &Arc<str>) -> Option<Arc<HeaderValue>> {
        if let Some((last, page)) = &self.last
            && Arc::ptr_eq(last, url)
        {
            return page.clone();
        }
        let page = self.known.entry(Arc::clone(url)).or_insert_with(|| location(url).map(Arc::new)).clone();
        self.last = Some((Arc::clone(url), page.clone()));
        page
    }
}

/// A URL as the `Location` of an answer: absolute, `http` or `https`, and fit for a header. Never from a request.
pub(crate) fn location(url: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(url).ok().filter(|_| is_location(url))
}

/// The same of many, in one piece of memory that goes with the last of them: who lets go of one gives back nothing that another
/// thread had asked for.
pub(crate) fn locations<'urls>(
    urls: impl Iterator<Item = &'urls str> + Clone,
) -> impl Iterator<Item = Option<HeaderValue>> {
    let all = Bytes::from(urls.clone().collect::<String>());
    let mut end = 0;
    urls.map(move |url| {
        let begin = end;
        end += url.len();
        HeaderValue::from_maybe_shared(all.slice(begin..end)).ok().filter(|_| is_location(url))
    })
}

fn is_location(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    has_host && url.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
