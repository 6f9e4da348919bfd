//! Query strings as clients really send them (contract A.4).

use std::{convert::Infallible, fmt::Display};

use axum::extract::FromRequestParts;
use http::request::Parts;
use sl_core::{
    money::Cents,
    time::{DayEdge, Timestamp},
};
use sl_store::reports::Range;

use crate::{
    body::MOST_UNKNOWN,
    error::{Problems, Result, shown},
};

/// The query of a request, with what was wrong in it so far. Unknown keys are ignored (contract I.46); an empty value is
/// an absent one (A.4.2); of repeated keys the last counts.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    problems: Problems,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(crate) fn read(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self { pairs, problems: Problems::default() }
    }

    /// The value as sent.
    pub(crate) fn raw(&self, key: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Everything but `key`, to be followed by another one: `state=parked&`, or nothing.
    pub(crate) fn without(&self, key: &str) -> String {
        let others = self.pairs.iter().filter(|(name, _)| name != key);
        let mut text = form_urlencoded::Serializer::new(String::new()).extend_pairs(others).finish();
        if !text.is_empty() {
            text.push('&');
        }
        text
    }

    /// Text of at most `max` characters.
    pub(crate) fn text(&mut self, key: &str, max: usize) -> Option<String> {
        let value = self.raw(key)?.to_owned();
        if value.chars().count() > max {
            self.problems.add(key, format!("must not be longer than {max} characters."));
            return None;
        }
        Some(value)
    }

    /// A list in any spelling: `k=a,b`, `k[]=a&k[]=b`, `k[0]=a&k[1]=b` (contract A.4.1), `k=["a","b"]` (A.4.3), mixed ones
    /// merged. Where each item has a pair or quotes of its own, a comma belongs to it.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        let mut items: Vec<String> = Vec::new();
        for (name, value) in &self.pairs {
            let Some(rest) = name.strip_prefix(key) else { continue };
            let index = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let found = match index {
                None if rest.is_empty() => several(value),
                Some(index) if index.bytes().all(|byte| byte.is_ascii_digit()) => vec![value.clone()],
                _ => continue,
            };
            for item in found.iter().map(|item| item.trim()).filter(|item| !item.is_empty()) {
                if !items.iter().any(|known| known == item) {
                    items.push(item.to_owned());
                }
            }
        }
        items
    }

    /// `true`/`false` or `1`/`0` (contract A.4.2).
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.raw(key)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            other => {
                let what = format!("must be true or false, not {}.", shown(other));
                self.problems.add(key, what);
                None
            }
        }
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn number(&mut self, key: &str, min: u64, max: u64) -> Option<u64> {
        let value = self.raw(key)?;
        match value.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                let what = match max {
                    u64::MAX => format!("must be a whole number of at least {min}, not {}.", shown(value)),
                    _ => format!("must be a whole number from {min} to {max}, not {}.", shown(value)),
                };
                self.problems.add(key, what);
                None
            }
        }
    }

    /// `limit` (1 to 1000) and `offset` (contract A.4.4).
    pub(crate) fn paging(&mut self, default_limit: u64) -> (usize, usize) {
        let limit = self.number("limit", 1, 1000).unwrap_or(default_limit);
        let offset = self.number("offset", 0, u64::from(u32::MAX)).unwrap_or(0);
        (usize::try_from(limit).unwrap_or(1000), usize::try_from(offset).unwrap_or(usize::MAX))
    }

    /// An amount in dollars, such as `12.50`.
    pub(crate) fn money(&mut self, key: &str) -> Option<Cents> {
        let value = self.raw(key)?;
        match Cents::parse(value) {
            Ok(cents) => Some(cents),
            Err(error) => {
                let what = format!("is wrong: {error}.");
                self.problems.add(key, what);
                None
            }
        }
    }

    /// A time in any accepted form.
    pub(crate) fn time(&mut self, key: &str, edge: DayEdge) -> Option<Timestamp> {
        let value = self.raw(key)?;
        // A `+` that was not encoded has become a blank: `2026-03-04T17:04:02 00:00`.
        let plus = || value.rsplit_once(' ').map(|(time, zone)| format!("{time}+{zone}"));
        let parsed = Timestamp::parse(value, edge);
        match parsed.or_else(|error| plus().and_then(|text| Timestamp::parse(&text, edge).ok()).ok_or(error))
        {
            Ok(at) => Some(at),
            Err(error) => {
                let what = format!("is wrong: {error}.");
                self.problems.add(key, what);
                None
            }
        }
    }

    /// Two ends of a range, both included to the second.
    pub(crate) fn dates(&mut self, start: &str, end: &str) -> Dates {
        let dates = Dates { start: self.time(start, DayEdge::Start), end: self.time(end, DayEdge::End) };
        if let (Some(from), Some(to)) = (dates.start, dates.end)
            && to < from
        {
            self.problems.add(end, format!("must not lie before {start}."));
        }
        dates
    }

    /// Names the keys, ten at most, that are none of these: where a misspelt one would widen what is answered.
    pub(crate) fn only(&mut self, known: &[&str]) {
        let unknown = self.pairs.iter().filter(|(key, _)| !known.contains(&key.as_str()));
        for (key, _) in unknown.take(MOST_UNKNOWN) {
            let key: String = key.chars().take(64).collect();
            self.problems.add(key, format!("is no parameter here; there are {}.", known.join(", ")));
        }
    }

    /// Notes a problem that only the handler sees.
    pub(crate) fn wrong(&mut self, key: &str, what: impl Display) {
        self.problems.add(key, what.to_string());
    }

    /// # Errors
    /// 422 with everything that was wrong.
    pub(crate) fn finish(self) -> Result<()> {
        self.problems.finish()
    }
}

/// Items of one value: a JSON array, or separated by commas.
fn several(value: &str) -> Vec<String> {
    serde_json::from_str(value).unwrap_or_else(|_| value.split(',').map(str::to_owned).collect())
}

/// The asked range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dates {
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
}

impl Dates {
    pub(crate) fn is_given(self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    /// Half-open: the second of `end` is the last one inside.
    pub(crate) fn range(self) -> Range {
        Range { from: self.start, to: self.end.map(|end| Timestamp::from_seconds(end.seconds() + 1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_arrives_in_three_spellings() {
        for text in [
            "filter%5Btags%5D=IG%2CTT",
            "filter[tags][]=IG&filter[tags][]=TT",
            "filter[tags][0]=IG&filter[tags][1]=TT",
            "filter[tags]=IG&filter[tags][]=TT&filter[tagsX]=no&filter[tags][a]=no",
        ] {
            assert_eq!(Query::read(text).list("filter[tags]"), ["IG", "TT"], "{text}");
        }
    }

    #[test]
    fn a_time_is_read_as_our_answers_write_it_also_with_its_plus_not_encoded() {
        let second = |text: &str| {
            let mut query = Query::read(text);
            let dates = query.dates("date_start", "date_end");
            query.finish().is_ok().then(|| dates.start.map(Timestamp::seconds)).flatten()
        };
        let want = second("date_start=2026-03-04T17:04:02Z");
        assert!(want.is_some());
        for text in ["2026-03-04T17:04:02%2B00:00", "2026-03-04T17:04:02+00:00", "2026-03-04+17:04:02"] {
            assert_eq!(second(&format!("date_start={text}")), want, "{text}");
        }
        assert_eq!(second("date_start=2026-03-04T17:04:02+noon"), None);
        assert!(second("date_start=2026-03-04&date_end=9999-12-31").is_some(), "no end");
    }

    #[test]
    fn booleans_are_words_or_digits_and_nothing_else() {
        let mut query = Query::read("a=true&b=1&c=false&d=0&e=&f=yes");
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(|key| query.flag(key)),
            [Some(true), Some(true), Some(false), Some(false), None]
        );
        assert_eq!(query.flag("f"), None);
        assert!(query.finish().is_err());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let mut query = Query::read("limit=0&offset=-1&date_start=soon");
        query.paging(50);
        query.dates("date_start", "date_end");
        let error = query.finish().unwrap_err();
        let sentence = error.sentence();
        assert!(sentence.contains("limit") && sentence.contains("(and 2 more errors)"), "{sentence}");
    }

    #[test]
    fn a_bare_end_date_includes_its_day() {
        let mut query = Query::read("date_start=2026-03-04&date_end=2026-03-04");
        let range = query.dates("date_start", "date_end").range();
        let noon = Timestamp::parse("2026-03-04T23:59:59Z", DayEdge::Start).unwrap();
        assert!(range.contains(noon));
        assert!(!range.contains(noon.plus(std::time::Duration::from_secs(1))));
    }
}
