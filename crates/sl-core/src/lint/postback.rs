//! Templates of postbacks, when they are saved and when they are filled in.

use super::{Warning, rules, word};
use crate::{
    click::Click,
    template::{VARIABLES, begun, names},
    visitor::is_unexpanded_macro,
};

/// Parameters in which trackers take the currency of an amount.
const CURRENCY: [&str; 4] = ["currency", "cur", "ccy", "currency_code"];

/// A template as it is saved: variables that are not closed and names that are none, which both stay as written, and a currency that
/// amounts are not in.
#[must_use]
pub fn template(url: &str, body: Option<&str>, headers: &[&str]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let (mut unknown, mut open): (Vec<&str>, Vec<&str>) = Default::default();
    for text in [Some(url), body].into_iter().flatten().chain(headers.iter().copied()) {
        unknown.extend(names(text).filter(|name| !VARIABLES.contains(name)));
        open.extend(begun(text).map(|variable| variable.name));
    }
    open.sort_unstable();
    open.dedup();
    for name in open {
        let why = format!("behind {{{name} there is no }}, so it is sent as it stands; write {{{name}}}");
        warnings.push(Warning::new(word::UNCLOSED_VARIABLE, why));
    }
    unknown.sort_unstable();
    unknown.dedup();
    for name in unknown {
        let why = format!("{{{}}} is no variable and is sent as it stands", rules::shown(name));
        warnings.push(Warning::new(word::UNKNOWN_VARIABLE, why));
    }
    warnings.extend(currency(url));
    warnings
}

/// A filled template: `click` is what its values came from.
#[must_use]
pub fn filled(url: &str, body: Option<&str>, click: Option<&Click>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let asks = |variable: &str| {
        [Some(url), body].into_iter().flatten().any(|text| names(text).any(|name| name == variable))
    };
    if asks("external_click_id") {
        let ecid = click.and_then(|click| click.params.ecid.as_deref()).filter(|ecid| !ecid.is_empty());
        match ecid {
            None => {
                let why = "the click had no ecid: the tracker can't tell which one it was";
                warnings.push(Warning::new(word::MISSING_CLICK_ID, why));
            }
            Some(ecid) if is_unexpanded_macro(ecid) => {
                let why = format!("ecid is {}: the ad platform did not fill it in", rules::shown(ecid));
                warnings.push(Warning::new(word::UNREPLACED_MACRO, why));
            }
            Some(_) => {}
        }
    }
    warnings.extend(currency(url));
    warnings
}

/// Warns of a URL that names another currency: all amounts are US dollars.
fn currency(url: &str) -> Option<Warning> {
    let query = url.split_once('?')?.1;
    let pairs = query.split(['&', '#']).filter_map(|pair| pair.split_once('='));
    let said = pairs.filter(|(name, _)| CURRENCY.iter().any(|known| name.eq_ignore_ascii_case(known)));
    let other = said.map(|(_, value)| value).find(|value| {
        let is_code = value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_code && !value.eq_ignore_ascii_case("USD")
    })?;
    let why = format!("the template says {other}, and every amount is in USD; use {{currency}}");
    Some(Warning::new(word::WRONG_CURRENCY, why))
}
