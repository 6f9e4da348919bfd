//! Pool links by state, and what the matcher has to do.

use sl_core::{pool::PoolState, time::Timestamp};
use sl_store::{
    Result,
    pool::{Level, PoolRules},
};

use super::{Found, Sides};

pub(super) async fn compare(
    sides: &Sides<'_>,
    now: Timestamp,
    rules: PoolRules,
    found: &mut Found,
) -> Result<()> {
    let (old, new) = (&*sides.old.pool, &*sides.new.pool);
    let (was, is) = (old.levels(now, rules).await?, new.levels(now, rules).await?);
    let names = |levels: &[Level]| levels.iter().map(|level| level.stock.clone()).collect::<Vec<_>>();
    found.same_rows("stocks of pool links", &names(&was), &names(&is));
    for level in &was {
        let twin = is.iter().find(|twin| twin.stock == level.stock);
        let sorted = |level: &Level| {
            let count =
                |state| level.counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
            (PoolState::ALL.map(|state| (state, count(state))), level.given_total)
        };
        if let Some(twin) = twin {
            let words = |(counts, given): &([(PoolState, u64); 7], u64)| {
                let counts: Vec<_> =
                    counts.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
                format!("{}, given {given} times", counts.join(", "))
            };
            found.same(format!("stock {}", level.stock), (&sorted(level), &sorted(twin)), words);
        }
        found.pool_links += level.counts.iter().map(|(_, count)| count).sum::<u64>();
        let account = &level.stock.account;
        found.same_rows(
            format!("links of {account} to be looked at"),
            &old.live(account).await?,
            &new.live(account).await?,
        );
    }
    found.same_rows("subscribers to be found", &old.unmatched().await?, &new.unmatched().await?);
    found.same_rows(
        "fans to be listed",
        &old.list_adds(None, usize::MAX).await?,
        &new.list_adds(None, i32::MAX as usize).await?,
    );
    Ok(())
}
