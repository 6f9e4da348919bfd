//! What a link is, out of its facts and the blocks that are out.

use sl_core::{
    ids::LinkKind,
    matching::last_look,
    pool::{PoolFacts, PoolState},
    time::Timestamp,
};
use sl_store::pool::PoolRules;

use super::{
    book::{BlockRow, Leased},
    links::Entry,
};

/// The block that names a link, if one does.
pub(super) type Lease<'book> = Option<(&'book BlockRow, &'book Leased)>;

/// All facts of a link.
pub(super) fn facts(entry: &Entry, lease: Lease<'_>) -> PoolFacts {
    let until = lease.filter(|(_, leased)| leased.is_in(entry)).map(|(block, _)| block.until);
    PoolFacts { leased_until: until, rounds: handouts(entry, lease).saturating_sub(1), ..entry.facts.clone() }
}

/// Visitors that have had a link. A block that ends writes down what its links had; until then it is counted here.
pub(super) fn handouts(entry: &Entry, lease: Lease<'_>) -> u32 {
    let known = entry.handouts.max(u32::from(entry.facts.given.is_some()));
    match lease {
        Some((_, leased)) if !leased.is_in(entry) => known.max(leased.handouts + 1),
        _ => known,
    }
}

/// Where a link stands.
pub(super) fn state(entry: &Entry, lease: Lease<'_>, now: Timestamp, rules: PoolRules) -> PoolState {
    facts(entry, lease).state(entry.link.id.kind, now, rules.window, rules.quarantine)
}

/// Whether the matcher must still look at a link. A retired one is followed as long as whoever has it may subscribe.
pub(super) fn is_watched(facts: &PoolFacts, kind: LinkKind, rules: PoolRules) -> bool {
    let used = facts.used_at.is_some();
    if !used && facts.leased_until.is_some() {
        return false;
    }
    let comes_back = !used && facts.retired_at.is_none();
    let open_until = facts.quarantine_ends(rules.window, std::time::Duration::ZERO);
    let last = open_until.map(|until| last_look(kind, comes_back, until, rules.quarantine));
    last.is_some_and(|from| facts.last_look_at.is_none_or(|look| look < from))
}
