//! Ready-made postbacks (ad-platforms 7): data, not code. What is in capitals is the buyer's to fill in.

use axum::extract::State;
use serde_json::Value;

use crate::{access::Caller, error::Result, parts::App, reply::Reply};

/// The file; a test reads it whole and saves each of them.
const PRESETS: &str = include_str!("../../../../schemas/postback-presets.json");

pub(crate) async fn list(State(_): State<App>, _: Caller) -> Result<Reply> {
    Ok(Reply::data(presets()))
}

fn presets() -> Value {
    // It is compiled in and tested.
    serde_json::from_str(PRESETS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sl_core::{conversion::ConversionKind, lint};

    use super::*;

    #[test]
    fn every_preset_is_whole_and_uses_variables_that_exist() {
        let presets = presets();
        let presets = presets.as_array().unwrap();
        let ids: BTreeSet<_> = presets.iter().map(|preset| preset["id"].as_str().unwrap()).collect();
        assert_eq!((ids.len(), presets.len()), (10, 10));
        for preset in presets {
            let (id, url) = (preset["id"].as_str().unwrap(), preset["url"].as_str().unwrap());
            let template = lint::postback::template(url, None, &[]);
            assert!(template.is_empty(), "{id}: {template:?}");
            assert!(url.contains("{external_click_id}"), "{id}");
            assert!(url::Url::parse(url).is_ok(), "{id}");
            for name in preset["fill_in"].as_array().unwrap() {
                assert!(
                    url.contains(name.as_str().unwrap())
                        || preset["headers"].to_string().contains(name.as_str().unwrap()),
                    "{id}: {name}"
                );
            }
            let ad = preset["destination_query"].as_str().unwrap();
            assert!(ad.starts_with("ecid=") && ad.contains("&utm_source="), "{id}");
            for slug in preset["conversion_types"].as_array().unwrap() {
                assert!(ConversionKind::from_slug(slug.as_str().unwrap()).is_some(), "{id}");
            }
        }
    }
}
