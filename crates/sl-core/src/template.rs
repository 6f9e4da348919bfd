//! Postback templates: `{name}` in URL, body and header values (contract C).
//!
//! One pass: a substituted value is never scanned again. A known variable without a value is empty, an unknown `{word}`
//! stays as it is written, so that the braces of a JSON body survive.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters (contract C.4).
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a value is written into its surroundings (contract C.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Percent-encoded: URLs and form bodies.
    Percent,
    /// The inside of a JSON string; text that is not ASCII stays UTF-8.
    Json,
    /// The value as it is.
    Raw,
    /// A header value: control characters are dropped.
    Header,
}

/// Renders `template`. `value` answers `None` for a name it does not know.
#[must_use]
pub fn render<'v>(
    template: &str,
    encoding: Encoding,
    value: impl Fn(&str) -> Option<Cow<'v, str>>,
) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}').filter(|(name, _)| is_name(name)) {
            Some((name, behind)) => {
                match value(name) {
                    Some(value) => push(&mut out, &value, encoding),
                    None => out.extend(["{", name, "}"]),
                }
                rest = behind;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The encoding of a body (contract C.4): JSON by its configured `Content-Type` or when it looks like it, a form by its type, else
/// raw.
#[must_use]
pub fn body_encoding(template: &str, content_type: Option<&str>) -> Encoding {
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    if content_type.contains("application/x-www-form-urlencoded") {
        return Encoding::Percent;
    }
    let text = template.trim_start();
    // A text of another type may begin with a variable.
    let variable = text.strip_prefix('{').and_then(|text| text.split_once('}'));
    let is_text = !content_type.is_empty() && variable.is_some_and(|(name, _)| is_name(name));
    let looks_like_json = text.starts_with(['{', '[']) && !is_text;
    // Without any type the rendered text decides its own: what is no JSON is sent as a form (contract C.4, default type).
    match (content_type.contains("json") || looks_like_json, content_type.is_empty()) {
        (true, _) => Encoding::Json,
        (false, true) => Encoding::Percent,
        (false, false) => Encoding::Raw,
    }
}

/// Whether a header belongs to the connection or says where a body ends: whoever sets it sends half a body, or to somebody else.
#[must_use]
pub fn is_reserved_header(header: &str) -> bool {
    const OURS: [&str; 11] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    OURS.iter().any(|ours| header.eq_ignore_ascii_case(ours))
}

/// Names in braces, variables or not, in order.
pub fn names(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('{')?;
            match after.split_once('}').filter(|(name, _)| is_name(name)) {
                Some((name, behind)) => {
                    rest = behind;
                    return Some(name);
                }
                None => rest = after,
            }
        }
    })
}

/// A variable that is begun and not ended: behind its name comes something else than `}`, so it is sent as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun<'t> {
    /// The variable.
    pub name: &'t str,
    /// Nothing closes it before the next brace opens, or the text ends. Otherwise it may be a word of somebody else's, as in a body
    /// of JSON.
    pub is_open: bool,
}

/// Variables that are begun and not ended, in order.
pub fn begun(template: &str) -> impl Iterator<Item = Begun<'_>> {
    let behind_braces = template.split('{').skip(1);
    behind_braces.filter_map(|text| {
        let end = text.bytes().position(|byte| !is_of_name(byte)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let is_begun = VARIABLES.contains(&name) && !rest.starts_with('}');
        is_begun.then(|| Begun { name, is_open: !rest.contains('}') })
    })
}

/// Every variable (contract C.1, ad-platforms 6, and what the click row has beside).
pub const VARIABLES: [&str; 48] = [
    "ofapi_account_id",
    "creator_onlyfans_id",
    "creator_onlyfans_username",
    "creator_onlyfans_name",
    "smart_link_id",
    "smart_link_name",
    "conversion_type",
    "event_id",
    "conversion_at",
    "amount_gross",
    "amount_net",
    "currency",
    "fan_onlyfans_id",
    "fan_onlyfans_username",
    "fan_onlyfans_name",
    "transaction_type",
    "transaction_description",
    "transaction_status",
    "click_id",
    "external_click_id",
    "fbclid",
    "gclid",
    "gbraid",
    "wbraid",
    "ttclid",
    "sccid",
    "sc_click_id",
    "twclid",
    "rdt_cid",
    "msclkid",
    "epik",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "aff_s1",
    "aff_s2",
    "aff_s3",
    "aff_s4",
    "aff_s5",
    "country",
    "region",
    "city",
    "postal_code",
    "ip",
    "user_agent",
    "referrer",
];

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_of_name)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn push(out: &mut String, value: &str, encoding: Encoding) {
    match encoding {
        Encoding::Percent => out.extend(utf8_percent_encode(value, NOT_UNRESERVED)),
        Encoding::Raw => out.push_str(value),
        Encoding::Header => out.extend(value.chars().filter(|char| !char.is_control())),
        Encoding::Json => {
            // Serialising text can't fail; its quotes are the template's.
            let quoted = serde_json::to_string(value).unwrap_or_default();
            out.push_str(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(name: &str) -> Option<Cow<'static, str>> {
        match name {
            "name" => Some(Cow::Borrowed("Jürgen & Co/{click_id}")),
            "at" => Some(Cow::Borrowed("2026-01-04T04:40:40+00:00")),
            "quote" => Some(Cow::Borrowed("g-\"1\"\n")),
            "fan_sent_1_message" => Some(Cow::Borrowed("one")),
            "empty" => Some(Cow::Borrowed("")),
            _ => None,
        }
    }

    #[test]
    fn a_variable_that_is_not_ended_is_found_and_nothing_else_is() {
        let found = |text| begun(text).map(|one| (one.name, one.is_open)).collect::<Vec<_>>();
        assert_eq!(found("https://t.example/?c={click_id&e={event_id}"), [("click_id", true)]);
        assert_eq!(found("https://t.example/?e={event_id}&c={click_id"), [("click_id", true)]);
        assert_eq!(found("{ip{city"), [("ip", true), ("city", true)]);
        assert_eq!(found("{click_id }{ip|none}"), [("click_id", false), ("ip", false)]);
        assert_eq!(found("{\"c\":\"{click_id\"}"), [("click_id", false)]);
        for whole in
            ["", "{", "{click_id}", "{{click_id}}", "{click", "{click_ids", "{clickid&x", "{ click_id", "{é"]
        {
            assert_eq!(found(whole), [], "{whole}");
        }
    }

    #[test]
    fn a_value_is_never_scanned_again() {
        assert_eq!(render("{name}", Encoding::Raw, values), "Jürgen & Co/{click_id}");
    }

    #[test]
    fn urls_take_only_unreserved_characters_as_they_are() {
        assert_eq!(
            render("?a={name}&t={at}&e={empty}&x={unknown}", Encoding::Percent, values),
            "?a=J%C3%BCrgen%20%26%20Co%2F%7Bclick_id%7D&t=2026-01-04T04%3A40%3A40%2B00%3A00&e=&x={unknown}"
        );
    }

    #[test]
    fn the_braces_of_a_json_body_survive() {
        let template = r#"{"a":{"b":"{quote}"},"c":[{}],"d":"{fan_sent_1_message}"}"#;
        let body = render(template, Encoding::Json, values);
        assert_eq!(body, r#"{"a":{"b":"g-\"1\"\n"},"c":[{}],"d":"one"}"#);
    }

    #[test]
    fn a_header_value_can_not_end_its_line() {
        assert_eq!(render("x{quote}y", Encoding::Header, values), "xg-\"1\"y");
    }

    #[test]
    fn the_body_is_encoded_as_its_type_asks() {
        for (template, content_type, want) in [
            ("{\"a\":1}", None, Encoding::Json),
            ("[1]", None, Encoding::Json),
            ("a={name}", None, Encoding::Percent),
            ("a={name}", Some("application/x-www-form-urlencoded; charset=utf-8"), Encoding::Percent),
            ("a", Some("application/vnd.api+JSON"), Encoding::Json),
            ("{name}", Some("text/plain"), Encoding::Raw),
            ("{name} said {quote}", Some("text/plain"), Encoding::Raw),
            ("{\"a\":\"{name}\"}", Some("text/plain"), Encoding::Json),
            (" [\"{name}\"]", Some("text/plain"), Encoding::Json),
        ] {
            assert_eq!(body_encoding(template, content_type), want, "{template} {content_type:?}");
        }
    }

    proptest! {
        #[test]
        fn text_without_known_names_stays_as_it_is(text in "[a-z{}\" ]{0,40}") {
            prop_assert_eq!(render(&text, Encoding::Json, |_| None), text);
        }

        #[test]
        fn the_names_that_are_listed_are_those_that_are_asked_for(text in "[a-z{}_0 ]{0,40}") {
            let asked = std::cell::RefCell::new(Vec::new());
            let _ = render(&text, Encoding::Raw, |name| { asked.borrow_mut().push(name.to_owned()); None });
            prop_assert_eq!(names(&text).map(str::to_owned).collect::<Vec<_>>(), asked.into_inner());
        }

        #[test]
        fn a_json_body_stays_json_whatever_the_value(value in any::<String>()) {
            let body = render("{\"a\":\"{v}\"}", Encoding::Json, |name| (name == "v").then(|| Cow::Borrowed(&*value)));
            let read: serde_json::Value = serde_json::from_str(&body).unwrap();
            prop_assert_eq!(read["a"].as_str(), Some(&*value));
        }

        #[test]
        fn a_query_value_reads_back(value in any::<String>()) {
            let url = render("v={v}", Encoding::Percent, |name| (name == "v").then(|| Cow::Borrowed(&*value)));
            let mut read = form_urlencoded::parse(url.as_bytes());
            prop_assert_eq!(read.next().map(|(_, value)| value.into_owned()), Some(value));
        }
    }
}
