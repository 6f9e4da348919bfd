//! How pages write figures and times.

use minijinja::{HtmlEscape, Value};
use sl_core::money::Cents;

/// `$1,250.00`.
pub(crate) fn dollars(cents: Cents) -> String {
    let text = cents.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "00"));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}${grouped}.{fraction}")
}

/// What a click brought, `$0.42`, rounded to the nearest cent; `–` without clicks.
pub(crate) fn per_click(revenue: Cents, clicks: u64) -> String {
    let clicks = i128::from(clicks);
    let half = if revenue.0 < 0 { -(clicks / 2) } else { clicks / 2 };
    let cents =
        (i128::from(revenue.0) + half).checked_div(clicks).and_then(|cents| i64::try_from(cents).ok());
    cents.map_or_else(|| "–".to_owned(), |cents| dollars(Cents(cents)))
}

/// `12.5 %`, rounded to the nearest.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let thousandths = (part * 1000 + whole / 2).checked_div(whole).unwrap_or(0);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// `2026-03-01 13:08:22` out of the API's `2026-03-01T13:08:22+00:00`, which stays in the element; nothing out of nothing.
pub(super) fn when(at: &Value) -> Value {
    let Some(text) = at.as_str() else { return Value::from("") };
    let Some((day, time)) = text.split_once('T').and_then(|(day, time)| Some((day, time.get(..8)?))) else {
        return Value::from(text);
    };
    let [text, day, time] = [text, day, time].map(HtmlEscape);
    Value::from_safe_string(format!("<time datetime=\"{text}\">{day} {time}</time>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped() {
        assert_eq!(dollars(Cents(125_000)), "$1,250.00");
        assert_eq!(dollars(Cents(-99)), "-$0.99");
        assert_eq!(dollars(Cents(123_456_789)), "$1,234,567.89");
    }

    #[test]
    fn what_a_click_brought_is_rounded_and_nothing_of_none() {
        let of = [(1000, 3), (2000, 3), (-2000, 3), (0, 7), (500, 0), (i64::MAX, 1)]
            .map(|(cents, clicks)| per_click(Cents(cents), clicks));
        assert_eq!(of, ["$3.33", "$6.67", "-$6.67", "$0.00", "–", "$92,233,720,368,547,758.07"]);
    }

    #[test]
    fn shares_are_rounded_and_none_of_nothing_is_no_fault() {
        let shares = [(1, 3), (2, 3), (5, 5), (1, 100_000), (0, 0)].map(|(part, whole)| share(part, whole));
        assert_eq!(shares, ["33.3 %", "66.7 %", "100.0 %", "0.0 %", "0.0 %"]);
    }

    #[test]
    fn a_time_is_short_on_the_page_and_whole_in_its_element() {
        let shown = when(&Value::from("2026-03-01T13:08:22+00:00")).to_string();
        assert_eq!(shown, "<time datetime=\"2026-03-01T13:08:22+00:00\">2026-03-01 13:08:22</time>");
        assert_eq!(
            when(&Value::from("<b>T13:08:22")).to_string(),
            "<time datetime=\"&lt;b&gt;T13:08:22\">&lt;b&gt; 13:08:22</time>"
        );
        for (odd, as_it_is) in [("", ""), ("noon", "noon"), ("2026T1", "2026T1")] {
            assert_eq!(when(&Value::from(odd)).to_string(), as_it_is);
        }
        assert_eq!(when(&Value::from(())).to_string(), "");
    }
}
