//! The columns of each list: the fields of its JSON rows, in their order. `click.id` is the field `id` of the object `click`.

/// Contract A.6.9.
pub(super) const CLICK: [&str; 30] = [
    "id",
    "created_at",
    "referrer",
    "ip_address",
    "user_agent",
    "browser_device_type",
    "browser_name",
    "browser_family",
    "browser_platform",
    "is_bot",
    "is_duplicate",
    "country_code",
    "gross_clicks",
    "external_click_id",
    "fbclid",
    "gclid",
    "gbraid",
    "wbraid",
    "ttclid",
    "sccid",
    "aff_s1",
    "aff_s2",
    "aff_s3",
    "aff_s4",
    "aff_s5",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
];

/// Contract A.6.10, without the click.
const CONVERSION: [&str; 13] = [
    "id",
    "conversion_type",
    "amount_gross",
    "amount_net",
    "conversion_at",
    "fan_onlyfans_id",
    "fan.onlyfans_id",
    "fan.username",
    "fan.name",
    "fan.avatar_url",
    "fan.onlyfans_url",
    "status",
    "transaction_type",
];

/// Contract A.6.10.
pub(super) fn conversion() -> Vec<String> {
    let click = CLICK.map(|column| format!("click.{column}"));
    CONVERSION.map(str::to_owned).into_iter().chain(click).collect()
}

/// Contract A.6.7, without `subscription_insights`, of which nothing is known.
pub(super) const FAN: [&str; 12] = [
    "fan_id",
    "onlyfans_id",
    "username",
    "name",
    "avatar_url",
    "revenue_net",
    "tips_net",
    "messages_sent_by_fan",
    "converted_at",
    "conversion_id",
    "click_id",
    "external_click_id",
];

/// Of the days of contract A.6.5.
pub(super) const DAY: [&str; 5] = ["timestamp", "clicks", "subs", "revenue", "spenders"];

pub(super) const BREAKDOWN: [&str; 2] = ["value", "clicks"];

pub(super) const DELIVERY: [&str; 22] = [
    "id",
    "event_id",
    "kind",
    "smart_link_id",
    "conversion_id",
    "click_id",
    "destination.kind",
    "destination.id",
    "destination.platform",
    "destination.label",
    "destination.deleted",
    "state",
    "reason",
    "attempts",
    "next_attempt_at",
    "created_at",
    "last.status_code",
    "last.error_type",
    "last.message",
    "warnings",
    "match_quality",
    "identifiers",
];
