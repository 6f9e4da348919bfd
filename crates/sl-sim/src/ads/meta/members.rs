//! Which members Meta knows: others are accepted and do nothing.

use serde_json::Value;

use super::{super::fields, event::HASHED};

/// Members that are known at each place (ad-platforms 2.2 to 2.4).
const EVENT: [&str; 13] = [
    "event_name",
    "event_time",
    "event_id",
    "action_source",
    "event_source_url",
    "referrer_url",
    "user_data",
    "custom_data",
    "opt_out",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
    "customer_segmentation",
];
const USER: [&str; 12] = [
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "external_id",
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "ctwa_clid",
];

/// Members under a name that Meta does not know. Those of `custom_data` are free.
pub(super) fn read_over(event: &Value) -> Vec<String> {
    let known: Vec<&str> = HASHED.into_iter().chain(USER).collect();
    let mut odd = fields::strangers("", event, &EVENT);
    odd.extend(
        event.get("user_data").map(|user| fields::strangers("user_data", user, &known)).unwrap_or_default(),
    );
    odd
}
