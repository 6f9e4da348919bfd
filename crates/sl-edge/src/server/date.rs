//! The `Date` of answers, made once a second.

use std::time::{Duration, UNIX_EPOCH};

use sl_core::time::Timestamp;

/// The second last asked for.
#[derive(Default)]
pub(super) struct Date {
    second: i64,
    text: String,
}

/// The end of the year 9999, the last a date can name.
const LAST: u64 = 253_402_300_799;

impl Date {
    /// The `Date` header's value at `now`, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub(super) fn at(&mut self, now: Timestamp) -> &[u8] {
        let second = now.0.div_euclid(1000);
        if second != self.second || self.text.is_empty() {
            let since = Duration::from_secs(u64::try_from(second).unwrap_or(0).min(LAST));
            (self.second, self.text) = (second, httpdate::fmt_http_date(UNIX_EPOCH + since));
        }
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_its_second_and_never_fails() {
        let mut date = Date::default();
        for (at, text) in [
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date.at(Timestamp(at)), text.as_bytes());
        }
    }
}
