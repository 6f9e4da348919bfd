//! What is told to whom: every delivery, by link and state, and what of it is still to be sent.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    delivery::{Delivery, DeliveryState},
    ids::{DeliveryId, SmartLinkId, TeamId},
    time::Timestamp,
};
use sl_store::{
    Result,
    outbox::{Counts, DeliveryFilter},
};

use super::{Found, Sides, View};

/// Deliveries of a page.
const PAGE: usize = 1_000;
/// Bodies asked for at once.
const AT_ONCE: usize = 32;

type ByLink = BTreeMap<(SmartLinkId, &'static str), u64>;

pub(super) async fn compare(
    sides: &Sides<'_>,
    now: Timestamp,
    found: &mut Found,
    view: &mut View,
) -> Result<()> {
    let (old, new) = (&*sides.old.outbox, &*sides.new.outbox);
    let (was, is) = (sides.old.deliveries.counts(now).await?, sides.new.deliveries.counts(now).await?);
    found.same("deliveries", (&was, &is), in_words);
    found.waiting = was.waiting;
    let due = (old.due_destinations(now).await?, new.due_destinations(now).await?);
    found.same_rows("destinations with something due", &due.0, &due.1);
    let next = (old.next_due().await?, new.next_due().await?);
    found.same("when the next delivery is due", (&next.0, &next.1), |at| {
        format!("{:?}", at.map(Timestamp::iso))
    });
    found.same_rows("destinations that rest", &old.resting().await?, &new.resting().await?);
    view.begin_comparing("deliveries compared");
    for team in sides.old.catalog.teams().await? {
        of_team(sides, team.id, found, view).await?;
        let (old, new) = (&sides.old.replays, &sides.new.replays);
        let trails = (old.trails(team.id, 1_000, None).await?, new.trails(team.id, 1_000, None).await?);
        found.same_rows(format!("replays of team {}", team.id.0), &trails.0, &trails.1);
    }
    view.end(found.deliveries);
    Ok(())
}

async fn of_team(sides: &Sides<'_>, team: TeamId, found: &mut Found, view: &mut View) -> Result<()> {
    let (old, new) = (&sides.old.deliveries, &sides.new.deliveries);
    let (mut was, mut is) = (ByLink::new(), ByLink::new());
    let mut after: Option<DeliveryId> = None;
    loop {
        let filter = DeliveryFilter { limit: PAGE, after, ..DeliveryFilter::default() };
        let (page, twins) = (old.list(team, filter.clone()).await?, new.list(team, filter).await?);
        count(&page, &mut was);
        count(&twins, &mut is);
        if page != twins {
            found.differences.push(differing(&page, &twins));
        }
        let unsent = page.iter().filter(|one| is_unfinished(one.progress.state)).map(|one| one.job.id);
        let unlike: Vec<String> = stream::iter(unsent)
            .map(|id| is_unlike(sides, id))
            .buffered(AT_ONCE)
            .try_filter_map(|unlike| async move { Ok(unlike) })
            .try_collect()
            .await?;
        found.differences.extend(unlike);
        found.deliveries += page.len() as u64;
        view.total(found.deliveries);
        after = page.last().map(|last| last.job.id);
        if page.len() < PAGE || twins.len() < PAGE {
            break;
        }
    }
    for (link, state) in was.keys().chain(is.keys()).copied().collect::<std::collections::BTreeSet<_>>() {
        let count = |side: &ByLink| side.get(&(link, state)).copied().unwrap_or(0);
        found.same(format!("link {link}, {state} deliveries"), (&count(&was), &count(&is)), u64::to_string);
    }
    Ok(())
}

fn count(page: &[Delivery], of: &mut ByLink) {
    for delivery in page {
        *of.entry((delivery.job.link, delivery.progress.state.as_str())).or_default() += 1;
    }
}

/// Whether a delivery in this state may be sent again, with the same bytes.
fn is_unfinished(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Waiting | DeliveryState::Parked)
}

/// Whether body or attempts differ.
async fn is_unlike(sides: &Sides<'_>, id: DeliveryId) -> Result<Option<String>> {
    let (was, is) = (sides.old.outbox.body(id).await?, sides.new.outbox.body(id).await?);
    let attempts = (sides.old.deliveries.attempts(id).await?, sides.new.deliveries.attempts(id).await?);
    Ok((was != is || attempts.0 != attempts.1).then(|| format!("delivery {id}: body or attempts differ")))
}

fn differing(page: &[Delivery], twins: &[Delivery]) -> String {
    let first = page.iter().zip(twins).find(|(one, twin)| one != twin);
    match first {
        Some((one, _)) => format!("deliveries: the first that differs is {}", one.job.id),
        None => format!("deliveries: a page has {} here and {} there", page.len(), twins.len()),
    }
}

fn in_words(counts: &Counts) -> String {
    let Counts { due_now, waiting, delivered, parked, expired, skipped } = counts;
    format!(
        "{waiting} waiting ({due_now} due), {delivered} delivered, {parked} parked, {expired} expired, {skipped} skipped"
    )
}
