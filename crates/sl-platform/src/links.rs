//! Making links so that none is made twice (contract E.6).

use sl_core::{
    catalog::Account,
    ids::{AccountId, LinkKind},
};

use crate::{
    error::{PlatformError, Result},
    pacer::Priority,
    platform::{CreatorPlatform, LinkPage, LinkSeen, LinkWish, PAGE},
};

/// Newest pages that are searched for a link whose making went unanswered.
const NEWEST_PAGES: u32 = 3;

/// How a making ended.
#[derive(Debug)]
pub(crate) enum Making {
    /// There it is.
    Made(LinkSeen),
    /// Certainly not made.
    Failed(PlatformError),
    /// Nobody knows: it may still turn up under its name.
    Doubtful(PlatformError),
}

/// Makes one link. When no answer comes it is looked for by its name before anybody makes another.
pub(crate) async fn make(
    platform: &dyn CreatorPlatform,
    account: &Account,
    wish: &LinkWish,
    priority: Priority,
) -> Making {
    let error = match platform.create(&account.id, wish, priority).await {
        Ok(link) => return made(account, link),
        Err(error) if error.is_unsure() => error,
        Err(error) => return Making::Failed(error),
    };
    match find(platform, &account.id, wish.kind, &[wish.name.as_str()], priority).await {
        Ok(found) => found.into_iter().next().map_or(Making::Doubtful(error), |link| made(account, link)),
        Err(_) => Making::Doubtful(error),
    }
}

/// A link nobody can be sent to is a failure: the account waits, instead of having another made at once.
fn made(account: &Account, link: LinkSeen) -> Making {
    if link.address(account.username.as_deref()).is_some() {
        return Making::Made(link);
    }
    Making::Failed(PlatformError::Unreadable(
        "a link was made, but its address is not in the answer; nobody gets it",
    ))
}

/// Links of these names among the newest.
pub(crate) async fn find(
    platform: &dyn CreatorPlatform,
    account: &AccountId,
    kind: LinkKind,
    names: &[&str],
    priority: Priority,
) -> Result<Vec<LinkSeen>> {
    let mut found = Vec::new();
    for page in 0..NEWEST_PAGES {
        let ask = LinkPage { kind, offset: page * PAGE, newest_first: true };
        let page = platform.links(account, ask, priority).await?;
        let named = |link: &LinkSeen| link.name.as_deref().is_some_and(|name| names.contains(&name));
        found.extend(page.rows.into_iter().filter(named));
        if found.len() >= names.len() || !page.has_more {
            break;
        }
    }
    Ok(found)
}
