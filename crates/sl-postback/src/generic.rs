//! Generic postbacks: the buyer's own URL, body and headers with variables filled in (contract C, ad-platforms 6).

use std::{borrow::Cow, time::Duration};

use sl_core::{
    catalog::{Account, AnswerTexts, Postback, PostbackMethod, SmartLink},
    click::{Click, Params},
    conversion::{Conversion, ConversionKind, FanProfile},
    delivery::{DeliveryKind, RenderedRequest},
    lint,
    platforms::Answer,
    retry::{Limits, Outcome},
    template::{Encoding, body_encoding, is_reserved_header, render},
    visitor::is_unexpanded_macro,
};

use crate::sender::ANSWER_MAX;

/// Three days (ad-platforms 14, rule 1). Trackers know no duplicates window: repeating is their own matter.
pub const LIMITS: Limits = Limits { age: Duration::from_secs(72 * 3600), ambiguous: None };

/// Everything a variable can name.
pub(crate) struct Facts<'a> {
    pub(crate) conversion: &'a Conversion,
    pub(crate) kind: DeliveryKind,
    pub(crate) link: &'a SmartLink,
    pub(crate) account: Option<&'a Account>,
    pub(crate) fan: &'a FanProfile,
    /// `None` for a subscriber of the overflow link (decisions 55).
    pub(crate) click: Option<&'a Click>,
}

/// A refusal of our key is believed to be final after that (ad-platforms 14).
const REFUSED_FOR_GOOD: Duration = Duration::from_secs(24 * 3600);

/// What an answer means to a conversion of this `age` (ad-platforms 6, 14).
#[must_use]
pub fn outcome(answers: &AnswerTexts, answer: &Answer, age: Duration) -> Outcome {
    let says = |texts: &[String]| {
        let body = answer.words(ANSWER_MAX).to_lowercase();
        texts.iter().any(|text| has_words(&body, &text.to_lowercase()))
    };
    let asks = !(answers.success.is_empty() && answers.failure.is_empty());
    match Outcome::of_status(answer.status, answer.retry_after()) {
        Outcome::Delivered if says(&answers.success) => Outcome::Delivered,
        Outcome::Delivered if says(&answers.failure) => Outcome::Payload,
        // What it would have said is not there.
        Outcome::Delivered if asks && !answer.whole => Outcome::Retry,
        Outcome::Delivered if asks && answer.body.len() >= ANSWER_MAX => Outcome::Unclear,
        Outcome::Delivered if !answers.success.is_empty() => Outcome::Unclear,
        Outcome::Auth if age > REFUSED_FOR_GOOD => Outcome::Payload,
        other => other,
    }
}

/// Whether `words` stand in `text` by themselves: `OK` is not in `TOKEN`.
fn has_words(text: &str, words: &str) -> bool {
    let apart = |neighbour: Option<char>| neighbour.is_none_or(|char| !char.is_alphanumeric());
    !words.is_empty()
        && text.match_indices(words).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + words.len()..).and_then(|after| after.chars().next());
            apart(before) && apart(after)
        })
}

/// The request of a postback for a conversion.
pub(crate) fn request(postback: &Postback, facts: &Facts<'_>) -> RenderedRequest {
    let mut request = fill(postback, |name| facts.value(name));
    request.lint.warnings = lint::postback::filled(&postback.url, postback.body.as_deref(), facts.click);
    request
}

/// Fills the templates of a postback. `value` answers `None` for a name that is no variable.
#[must_use]
pub fn fill<'v>(postback: &Postback, value: impl Fn(&str) -> Option<Cow<'v, str>> + Copy) -> RenderedRequest {
    let mut headers: Vec<(String, String)> = postback
        .headers
        .iter()
        // Kept from before they were refused.
        .filter(|header| !is_reserved_header(&header.name))
        .map(|header| (header.name.clone(), render(&header.value, Encoding::Header, value)))
        .collect();
    let typed = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = typed.map(|(_, value)| value.clone());
    let body = match (postback.method, &postback.body) {
        (PostbackMethod::Post, Some(template)) => {
            render(template, body_encoding(template, content_type.as_deref()), value)
        }
        // A body of a GET is ignored (contract C.4).
        _ => String::new(),
    };
    if !body.is_empty() && content_type.is_none() {
        let json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        let default = if json { "application/json" } else { "application/x-www-form-urlencoded" };
        headers.push(("Content-Type".to_owned(), default.to_owned()));
    }
    RenderedRequest {
        method: match postback.method {
            PostbackMethod::Get => "GET",
            PostbackMethod::Post => "POST",
        }
        .to_owned(),
        url: render(&postback.url, Encoding::Percent, value),
        headers,
        body: body.into_bytes(),
        ..RenderedRequest::default()
    }
}

impl Facts<'_> {
    /// Value of a variable (contract C.1, ad-platforms 6); empty when it has none, `None` for an unknown name.
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let account = self.account;
        let borrowed = |text: Option<&'_ str>| Cow::Owned(text.unwrap_or_default().to_owned());
        let value = match name {
            "ofapi_account_id" => Cow::Owned(self.link.account.to_string()),
            "creator_onlyfans_id" => Cow::Owned(
                account.and_then(|account| account.onlyfans_id).map_or_else(String::new, |id| id.to_string()),
            ),
            "creator_onlyfans_username" => borrowed(account.and_then(|account| account.username.as_deref())),
            "creator_onlyfans_name" => borrowed(account.and_then(|account| account.name.as_deref())),
            "smart_link_id" => Cow::Owned(self.link.id.to_string()),
            "smart_link_name" => Cow::Borrowed(self.link.name.as_str()),
            _ => return self.conversion_value(name).or_else(|| self.click_value(name)),
        };
        Some(value)
    }

    fn conversion_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let conversion = self.conversion;
        let transaction =
            conversion.transaction.as_ref().filter(|_| conversion.kind == ConversionKind::NewTransaction);
        let value = match name {
            "conversion_type" => Cow::Borrowed(self.kind.as_str()),
            "event_id" => Cow::Owned(conversion.id.to_string()),
            "conversion_at" => Cow::Owned(conversion.at.iso()),
            "amount_gross" => Cow::Owned(conversion.gross.to_string()),
            "amount_net" => Cow::Owned(conversion.net.to_string()),
            "currency" => Cow::Borrowed("USD"),
            "fan_onlyfans_id" => Cow::Owned(conversion.fan.to_string()),
            "fan_onlyfans_username" => Cow::Borrowed(self.fan.username.as_deref().unwrap_or_default()),
            "fan_onlyfans_name" => Cow::Borrowed(self.fan.name.as_deref().unwrap_or_default()),
            "transaction_type" => Cow::Borrowed(transaction.map_or("", |facts| &facts.kind)),
            "transaction_description" => Cow::Borrowed(transaction.map_or("", |facts| &facts.description)),
            "transaction_status" => Cow::Borrowed(transaction.map_or("", |facts| &facts.status)),
            _ => return None,
        };
        Some(value)
    }

    fn click_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let click = self.click;
        let params = click.map(|click| &click.params);
        // A macro that the ad platform did not replace is everybody's id, so it is nobody's; `ecid` goes as it came (decisions 36).
        let id = |of: fn(&Params) -> &Option<String>| {
            let id = params.and_then(|params| of(params).as_ref());
            id.filter(|id| !is_unexpanded_macro(id))
        };
        let param = match name {
            "click_id" => {
                // Known for longer than the click's row is kept.
                return Some(Cow::Owned(self.conversion.click.map_or_else(String::new, |id| id.to_string())));
            }
            "ip" => {
                let ip = click.and_then(Click::address);
                return Some(Cow::Owned(ip.map_or_else(String::new, |ip| ip.to_string())));
            }
            "user_agent" => click.map(|click| &click.request.user_agent),
            "country" => click.and_then(|click| click.place.country.as_ref()),
            "region" => click.and_then(|click| click.place.region.as_ref()),
            "city" => click.and_then(|click| click.place.city.as_ref()),
            "postal_code" => click.and_then(|click| click.place.postal_code.as_ref()),
            "referrer" => click.and_then(|click| click.request.referrer.as_ref()),
            "external_click_id" => params.and_then(|params| params.ecid.as_ref()),
            "fbclid" => id(|params| &params.fbclid),
            "gclid" => id(|params| &params.gclid),
            "gbraid" => id(|params| &params.gbraid),
            "wbraid" => id(|params| &params.wbraid),
            "ttclid" => id(|params| &params.ttclid),
            "sccid" | "sc_click_id" => id(|params| &params.sccid),
            "twclid" => id(|params| &params.twclid),
            "rdt_cid" => id(|params| &params.rdt_cid),
            "msclkid" => id(|params| &params.msclkid),
            "epik" => id(|params| &params.epik),
            "aff_s1" => params.and_then(|params| params.aff_s1.as_ref()),
            "aff_s2" => params.and_then(|params| params.aff_s2.as_ref()),
            "aff_s3" => params.and_then(|params| params.aff_s3.as_ref()),
            "aff_s4" => params.and_then(|params| params.aff_s4.as_ref()),
            "aff_s5" => params.and_then(|params| params.aff_s5.as_ref()),
            "utm_source" => params.and_then(|params| params.utm_source.as_ref()),
            "utm_medium" => params.and_then(|params| params.utm_medium.as_ref()),
            "utm_campaign" => params.and_then(|params| params.utm_campaign.as_ref()),
            "utm_content" => params.and_then(|params| params.utm_content.as_ref()),
            "utm_term" => params.and_then(|params| params.utm_term.as_ref()),
            _ => return None,
        };
        Some(Cow::Borrowed(param.map_or("", String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use sl_core::template::VARIABLES;
    use sl_store::suite::sample::{self, HOUR, TEAM};

    use super::*;

    #[test]
    fn every_variable_is_known_and_nothing_else_is() {
        let link = sample::smart_link(1, TEAM);
        let click = sample::click(1, link.id, HOUR).click;
        let kind = ConversionKind::NewTransaction;
        let conversion = sample::conversion(1, link.id, Some(click.id), kind, HOUR);
        let account = sample::account_row("acct_sample", TEAM);
        let fan = FanProfile::default();
        for (click, account) in [(Some(&*click), Some(&account)), (None, None)] {
            let kind = DeliveryKind::NewTransaction;
            let facts = Facts { conversion: &conversion, kind, link: &link, account, fan: &fan, click };
            for name in VARIABLES {
                assert!(facts.value(name).is_some(), "{name} is no variable");
            }
            for name in ["clickid", "utm_id", "amount", ""] {
                assert_eq!(facts.value(name), None, "{name}");
            }
        }
    }

    #[test]
    fn a_fan_of_long_ago_keeps_the_click_id_and_has_no_address() {
        let link = sample::smart_link(1, TEAM);
        let click = sample::click(1, link.id, HOUR).click;
        let mut old = Click::clone(&click);
        old.forget_person();
        let conversion = sample::conversion(1, link.id, Some(click.id), ConversionKind::NewTransaction, HOUR);
        let (kind, fan) = (DeliveryKind::NewTransaction, FanProfile::default());
        let facts =
            |click| Facts { conversion: &conversion, kind, link: &link, account: None, fan: &fan, click };
        assert_eq!(facts(Some(&click)).value("ip").unwrap(), "203.0.113.7");
        assert_eq!(facts(Some(&old)).value("ip").unwrap(), "", "a network is nobody's address");
        for known in [Some(&old), None] {
            assert_eq!(facts(known).value("click_id").unwrap(), *click.id.to_string());
        }
    }
}
