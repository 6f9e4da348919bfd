//! On which page of the platform's link list a link is (decisions 48).
//!
//! The list is read oldest first, so that numbers grow from page to page, with deleted links in it where the platform shows them:
//! there places never change. Where a deleted link leaves the list later ones move up, and the page below is read again. What
//! was read is remembered; an unknown place is bisected, and its neighbours then cost nothing.

use std::{collections::BTreeMap, ops::Range};

use crate::platform::PAGE;

/// Pages read so far of one list.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pages: BTreeMap<u32, Span>,
    /// The list had no rows from this page on when it was last read there.
    empty_from: Option<u32>,
}

/// What a page held.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
    is_full: bool,
}

/// Where a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// On this page, as far as is known.
    On(u32),
    /// Read this page and ask again.
    Unknown(u32),
    /// Between two pages that were read, and no page between them can be: the platform does not list it, or it is there.
    Missing,
}

// === impl Places ===

impl Places {
    /// Takes over what a page held: the numbers of its links, and how many rows it had, those without a number too.
    pub(super) fn learn(&mut self, page: u32, numbers: impl Iterator<Item = u64> + Clone, rows: usize) {
        let (Some(first), Some(last)) = (numbers.clone().min(), numbers.max()) else {
            self.pages.split_off(&page);
            self.empty_from = Some(self.empty_from.map_or(page, |known| known.min(page)));
            return;
        };
        if self.empty_from.is_some_and(|from| from <= page) {
            self.empty_from = None;
        }
        let is_full = rows >= PAGE as usize;
        if !is_full {
            self.empty_from = Some(page + 1);
        }
        self.drop_old(page, first);
        self.pages.insert(page, Span { first, last, is_full });
    }

    /// The last page that begins at or before the number, when it ends before it.
    pub(super) fn page_below(&self, number: u64) -> Option<u32> {
        self.below(number).filter(|(_, span)| span.last < number).map(|(page, _)| page)
    }

    /// The last number of a page, as far as is known.
    pub(super) fn last_on(&self, page: u32) -> Option<u64> {
        self.pages.get(&page).map(|span| span.last)
    }

    /// Whether a page had no room left when it was read: others follow, or soon will.
    pub(super) fn is_full(&self, page: u32) -> bool {
        self.pages.get(&page).is_some_and(|span| span.is_full)
    }

    /// What begins before a page below it was read before links left the list.
    fn drop_old(&mut self, page: u32, first: u64) {
        let number = |(other, _): (&u32, &Span)| *other;
        let above = |pages: &BTreeMap<u32, Span>| {
            pages.range(page + 1..).next().filter(|(_, span)| span.first <= first).map(number)
        };
        let below = |pages: &BTreeMap<u32, Span>| {
            pages.range(..page).next_back().filter(|(_, span)| span.first >= first).map(number)
        };
        while let Some(other) = above(&self.pages).or_else(|| below(&self.pages)) {
            self.pages.remove(&other);
        }
    }

    /// Where the link of that number is. What is aside can't be read: the search goes around it.
    pub(super) fn find(&self, number: u64, is_aside: impl Fn(u32) -> bool) -> Whereabouts {
        let unread = |gap: Range<u32>, wish: u32| {
            let mut near = (wish..gap.end).chain((gap.start..wish).rev());
            near.find(|page| !is_aside(*page)).map_or(Whereabouts::Missing, Whereabouts::Unknown)
        };
        let below = self.below(number);
        let Some((page, span)) = below else {
            let above = self.pages.keys().next().copied();
            return unread(0..above.unwrap_or(u32::MAX), above.map_or(0, |above| above / 2));
        };
        if number <= span.last {
            return Whereabouts::On(page);
        }
        let low = page + 1;
        let above = self.pages.range(low..).next().map(|(page, _)| *page);
        match above {
            Some(above) => unread(low..above, low + (above - low) / 2),
            // The last page has grown since.
            None if !span.is_full => unread(page..low, page),
            None => match self.empty_from.filter(|from| *from > low) {
                Some(end) => unread(low..end, low + (end - low) / 2),
                // Twice as far each time; next to a known end, one further.
                None if self.empty_from.is_some() => unread(low..u32::MAX, low),
                None => unread(low..u32::MAX, low + self.run_below(page)),
            },
        }
    }

    /// The last page that begins at or before the number.
    fn below(&self, number: u64) -> Option<(u32, Span)> {
        // Numbers grow from page to page, so that the pages are in the order of their first number.
        let (mut low, mut high) = (0_u32, self.pages.keys().next_back().map_or(0, |last| last + 1));
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            // The nearest known page at or after the middle.
            match self.pages.range(middle..high).next() {
                Some((page, span)) if span.first <= number => {
                    found = Some((*page, *span));
                    low = page + 1;
                }
                _ => high = middle,
            }
        }
        found
    }

    /// How far to leap beyond the last known page: as far as we have come without a leap in between.
    fn run_below(&self, page: u32) -> u32 {
        if page == 0 {
            return 0;
        }
        self.pages.range(..page).next_back().map_or(0, |(before, _)| (page - before) * 2 - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The numbers of page `page` of a list.
    fn rows(list: &[u64], page: u32) -> &[u64] {
        let from = (page * PAGE) as usize;
        list.get(from..list.len().min(from + PAGE as usize)).unwrap_or(&[])
    }

    /// Reads until the place is known; how many pages that took.
    fn look_for(places: &mut Places, list: &[u64], number: u64) -> (Option<u32>, u32) {
        for reads in 0..64 {
            match places.find(number, |_| false) {
                Whereabouts::On(page) => return (Some(page), reads),
                Whereabouts::Missing => return (None, reads),
                Whereabouts::Unknown(page) => {
                    let rows = rows(list, page);
                    places.learn(page, rows.iter().copied(), rows.len());
                }
            }
            if rows(list, 0).is_empty() {
                return (None, reads);
            }
        }
        panic!("{number} is not found in {} links", list.len());
    }

    #[test]
    fn a_place_is_found_in_a_few_reads_and_its_neighbours_in_none() {
        let list: Vec<u64> = (0..250_000).map(|n| 1000 + n * 3).collect();
        let mut places = Places::default();
        let (page, reads) = look_for(&mut places, &list, 1000 + 200_050 * 3);
        assert_eq!(page, Some(2000));
        assert!(reads <= 26, "{reads}");
        assert_eq!(look_for(&mut places, &list, 1000 + 200_099 * 3), (Some(2000), 0));
        assert_eq!(look_for(&mut places, &list, 1000 + 200_100 * 3).0, Some(2001));
    }

    #[test]
    fn a_list_that_grows_costs_one_read_for_each_hundred_links() {
        let mut list: Vec<u64> = Vec::new();
        let mut places = Places::default();
        let mut reads = 0;
        for number in 0..1000 {
            list.push(number);
            reads += look_for(&mut places, &list, number).1;
        }
        // Each link here is sought the moment it is made; a look at its page would have to be taken anyway.
        assert!(reads <= 1020, "{reads}");
        assert_eq!(look_for(&mut places, &list, 999), (Some(9), 0));
    }

    proptest! {
        #[test]
        fn every_link_is_found_where_it_is(gaps in prop::collection::vec(1_u64..50, 1..900), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..8)) {
            let list: Vec<u64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
            let mut places = Places::default();
            for pick in picks {
                let index = pick.index(list.len());
                let (page, _) = look_for(&mut places, &list, list[index]);
                prop_assert_eq!(page, Some(index as u32 / PAGE));
            }
        }

        #[test]
        fn a_number_that_is_not_listed_is_told_and_ends_the_search(gaps in prop::collection::vec(2_u64..50, 1..900), pick in any::<prop::sample::Index>()) {
            let list: Vec<u64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
            let absent = list[pick.index(list.len())] - 1;
            let mut places = Places::default();
            let (page, _) = look_for(&mut places, &list, absent);
            // Inside a page only reading it shows that it is not there.
            if let Some(page) = page {
                prop_assert!(!rows(&list, page).contains(&absent));
            }
        }
    }
}
