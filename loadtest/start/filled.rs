//! The full data directory.

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sl_core::{
    click::{Click, VisitorId},
    event::{Event, EventBody},
    time::{Clock, Timestamp},
};
use sl_fjall::FjallOptions;
use sl_journal::{ClickLog, Durability, Journal, JournalConfig, LostReason};
use sl_store::suite::sample;
use tokio::{
    runtime::{Builder, LocalOptions},
    task::JoinSet,
};

/// The visitors came in the last hours.
const SPAN: Duration = Duration::from_secs(3 * 3600);
const LINKS_AT_ONCE: u64 = 10_000;

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, which owns its clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A visitor the service must know again.
pub(crate) struct Known {
    pub(crate) number: u64,
    pub(crate) target: String,
    pub(crate) cookie: String,
    pub(crate) place: String,
}

/// One from the middle.
pub(crate) fn known(visitors: u64) -> Known {
    let number = visitors / 2;
    Known {
        number,
        target: format!("/go/{}?ecid={number}", sample::link_id(0)),
        cookie: format!("{:032x}", cookie(number)),
        place: sample::new_links(&sample::stock(), number..number + 1)
            .pop()
            .map_or_else(String::new, |link| link.url),
    }
}

/// Spread out like the hashes they stand for.
fn cookie(number: u64) -> u128 {
    u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(number)
}

fn portions(count: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    let first = (0..count).step_by(usize::try_from(LINKS_AT_ONCE).unwrap_or(usize::MAX));
    first.map(move |first| first..(first + LINKS_AT_ONCE).min(count))
}

pub(crate) fn fill(dir: &Path, links: u64, visitors: u64) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let handle = sl_fjall::open(dir.join("store"), FjallOptions::default())?;
        let store = handle.store();
        store.catalog.put_account(sample::account_row("acct_sample", sample::TEAM)).await?;
        for numbers in portions(links) {
            // Together, so that they share a sync.
            let mut under_way = JoinSet::new();
            for number in numbers {
                let catalog = Arc::clone(&store.catalog);
                under_way.spawn_local(async move {
                    catalog.put_link(sample::smart_link(number, sample::TEAM)).await
                });
            }
            for done in under_way.join_all().await {
                done?;
            }
        }
        for numbers in portions(visitors) {
            store.pool.add(sample::new_links(&sample::stock(), numbers)).await?;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    let config = JournalConfig {
        dir: dir.join("journal"),
        durability: Durability::Buffered,
        ..JournalConfig::default()
    };
    let journal = Journal::open(config, Arc::new(SystemClock))?;
    let begin = SystemClock.now().minus(SPAN);
    for number in 0..visitors {
        let share = u32::try_from(number * 1_000_000 / visitors)?;
        let at = begin.plus(SPAN * share / 1_000_000);
        let mut click = Click::clone(&sample::click(number, sample::link_id(0), at).click);
        click.visitor.given = Some(VisitorId(cookie(number)));
        click.visitor.daily = VisitorId(!cookie(number));
        click.sent_to =
            sample::new_links(&sample::stock(), number..number + 1).pop().map(|link| link.url.into());
        let (team, account) = (click.team, click.account.clone());
        let event = Event { team, account, at, body: EventBody::Click(Arc::new(click)) };
        while let Err(LostReason::QueueFull) = journal.append(event.clone()) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    journal.close()?;
    Ok(())
}
