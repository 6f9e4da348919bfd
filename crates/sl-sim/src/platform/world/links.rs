//! Making, deleting, finding and visiting links (contract E.1, E.2).

use std::{collections::BTreeMap, time::Duration};

use rand::RngExt;
use sl_core::{ids::LinkKind, money::Cents, time::Timestamp};

use super::{Account, Link, Refusal, World, whole};

/// A trial link to be made.
#[derive(Debug, Clone)]
pub(crate) struct TrialWish {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) days: u16,
    /// 0: never.
    pub(crate) expires_in_days: u16,
    /// 0: any number.
    pub(crate) limit: u32,
}

/// Where an address of the platform leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `/{username}`.
    Profile {
        /// The creator's account.
        account: String,
    },
    /// `/{username}/c{code}` or `/action/trial/{code}`.
    Link {
        /// The creator's account.
        account: String,
        /// Which of the two number ranges.
        kind: LinkKind,
        /// The platform's id.
        number: u64,
    },
}

const DAY: Duration = Duration::from_secs(86_400);

impl World {
    pub(crate) fn make_tracking_link(
        &mut self,
        account: &str,
        name: &str,
        tags: Vec<String>,
        now: Timestamp,
    ) -> Result<Link, Refusal> {
        let number = self.next_link();
        let account = self.account(account)?;
        // Codes count from 1 in each account.
        let code = (account.tracking.len() + 1).to_string();
        let link = Link { name: name.to_owned(), tags, ..blank(LinkKind::TrackingLink, number, code, now) };
        account.add(link.clone());
        Ok(link)
    }

    pub(crate) fn make_trial_link(
        &mut self,
        account: &str,
        wish: TrialWish,
        now: Timestamp,
    ) -> Result<Link, Refusal> {
        let number = self.next_link();
        let code = trial_code(self.seed, number);
        let account = self.account(account)?;
        if !account.can_create_trial() {
            return Err(Refusal::new(400, "Free trials need a paid subscription price."));
        }
        let expires_at = match wish.expires_in_days {
            0 => None,
            days => Some(whole(now).plus(DAY * u32::from(days))),
        };
        let link = Link {
            name: wish.name,
            tags: wish.tags,
            days: wish.days,
            limit: wish.limit,
            expires_at,
            ..blank(LinkKind::FreeTrial, number, code, now)
        };
        account.trial_codes.insert(link.code.clone(), number);
        account.add(link.clone());
        Ok(link)
    }

    /// The link is deleted: nobody subscribes through it any more, and on its own it is not found. Lists of tracking links can be
    /// asked for it (contract E.1), those of trial links can't (contract E.2).
    pub(crate) fn delete_link(
        &mut self,
        account: &str,
        kind: LinkKind,
        number: u64,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let link = self.account(account)?.link_mut(kind, number);
        link.ok_or_else(|| Refusal::new(404, "The link does not exist."))?.delete(now);
        Ok(())
    }

    /// The creator deletes a link in the site. Whether a list still shows it then is in doubt: `is_gone` where it does not.
    pub(crate) fn delete(&mut self, address: &str, is_gone: bool, now: Timestamp) -> Result<(), Refusal> {
        let link = self.link_at(address)?;
        link.delete(now);
        link.is_gone |= is_gone;
        Ok(())
    }

    /// A list lacks a link that is there, from now on or until now: as a partial or an old one does.
    pub(crate) fn hide(&mut self, address: &str, is_hidden: bool) -> Result<(), Refusal> {
        self.link_at(address)?.is_hidden = is_hidden;
        Ok(())
    }

    /// The creator sets the end of a link in the site: it stays in its list, with that date.
    pub(crate) fn end(&mut self, address: &str, at: Timestamp) -> Result<(), Refusal> {
        let link = self.link_at(address)?;
        let end = match link.kind {
            LinkKind::TrackingLink => &mut link.ended_at,
            LinkKind::FreeTrial => &mut link.expires_at,
        };
        *end = Some(whole(at));
        Ok(())
    }

    fn link_at(&mut self, address: &str) -> Result<&mut Link, Refusal> {
        let nothing = || Refusal::new(404, format!("link: no link is at {address:?}"));
        let Some(Place::Link { account, kind, number }) = self.place(address) else { return Err(nothing()) };
        self.account(&account)?.link_mut(kind, number).ok_or_else(nothing)
    }

    /// Reads an address of the platform: a whole URL or its path.
    pub(crate) fn place(&self, address: &str) -> Option<Place> {
        let path = match url::Url::parse(address) {
            Ok(url) => url.path().to_owned(),
            Err(_) => address.split(['?', '#']).next().unwrap_or_default().to_owned(),
        };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match *parts.as_slice() {
            ["action", "trial", code] => self.accounts.values().find_map(|account| {
                let number = *account.trial_codes.get(code)?;
                let account = account.setup.id.clone();
                Some(Place::Link { account, kind: LinkKind::FreeTrial, number })
            }),
            [username] => self.account_of(username).map(|account| Place::Profile { account }),
            [username, code] => {
                let code: usize = code.strip_prefix('c')?.parse().ok()?;
                let id = self.account_of(username)?;
                let link = self.accounts.get(&id)?.tracking.get(code.checked_sub(1)?)?;
                Some(Place::Link { account: id, kind: LinkKind::TrackingLink, number: link.number })
            }
            _ => None,
        }
    }

    /// Somebody opened the page of a link. Returns whether the offer still stands.
    pub(crate) fn visit(&mut self, place: &Place, now: Timestamp) -> bool {
        let Place::Link { account, kind, number } = place else { return true };
        let link = self.accounts.get_mut(account).and_then(|account| account.link_mut(*kind, *number));
        link.is_some_and(|link| {
            link.visits += 1;
            link.stands(now)
        })
    }

    fn next_link(&mut self) -> u64 {
        self.last_link += 1;
        self.last_link
    }
}

impl Account {
    fn add(&mut self, link: Link) {
        let (kind, number) = (link.kind, link.number);
        let links = match kind {
            LinkKind::TrackingLink => &mut self.tracking,
            LinkKind::FreeTrial => &mut self.trials,
        };
        self.places.insert((kind, number), links.len());
        links.push(link);
    }
}

impl Link {
    /// Whether somebody can still subscribe through it.
    pub(crate) fn stands(&self, now: Timestamp) -> bool {
        let full = self.limit > 0 && self.subscribers.len() >= self.limit as usize;
        let is_over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
        !self.is_deleted && !full && !is_over(self.ended_at) && !is_over(self.expires_at)
    }

    /// The address fans follow: built from the code, as the list gives it (contract E.1).
    pub(crate) fn url(&self, username: &str) -> String {
        match self.kind {
            LinkKind::TrackingLink => format!("https://onlyfans.com/{username}/c{}", self.code),
            LinkKind::FreeTrial => format!("https://onlyfans.com/action/trial/{}", self.code),
        }
    }
}

impl Link {
    fn delete(&mut self, now: Timestamp) {
        self.ended_at.get_or_insert(whole(now));
        self.is_deleted = true;
        self.is_gone |= self.kind == LinkKind::FreeTrial;
    }
}

fn blank(kind: LinkKind, number: u64, code: String, now: Timestamp) -> Link {
    Link {
        kind,
        number,
        code,
        name: String::new(),
        tags: Vec::new(),
        created_at: whole(now),
        ended_at: None,
        is_deleted: false,
        is_gone: false,
        is_hidden: false,
        expires_at: None,
        visits: 0,
        days: 0,
        limit: 0,
        subscribers: Vec::new(),
        revenue: Cents::ZERO,
        chargebacks: Cents::ZERO,
        spent: BTreeMap::new(),
    }
}

/// Trial links can't be guessed from their number.
fn trial_code(seed: u64, number: u64) -> String {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut dice = crate::chance::dice(seed, &["trial", &number.to_string()]);
    let letters = (0..32).filter_map(|_| LETTERS.get(dice.random_range(0..LETTERS.len())));
    letters.map(|byte| char::from(*byte)).collect()
}
