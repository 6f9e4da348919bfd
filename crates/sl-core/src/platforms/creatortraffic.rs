//! CreatorTraffic (ad-platforms 5). No public API: a template over the generic sender, nothing until the operator has been
//! told the address. When the real contract becomes known, only [`QUERY`] changes.

use std::{borrow::Cow, time::Duration};

use super::{AdPlatform, Answer, Event, Facts, Settings, Skip, Tests, Usual, Verdict, shared::HOUR};
use crate::{
    catalog::{Pixel, PlatformKind},
    click::Click,
    delivery::{DeliveryKind, RenderedRequest},
    identity::verbatim,
    retry::{Limits, Outcome},
    seal::Secret,
    template::{Encoding, render},
};

pub(super) static FACTS: Facts = Facts {
    word: "creatortraffic",
    name: "CreatorTraffic",
    // It has no mapping, and this says so in the same words.
    usual: Usual { click: None, subscriber: Some("new_subscriber"), purchase: None, third_message: None },
    subscribers_only: true,
    has_pixel_id: false,
    odd_pixel_id: |_| None,
    without_click: "missing_click_id",
    person: None,
    credits_days: None,
    odd: |_, _| {},
    odd_name: |_| None,
    any_name: "TestEvent",
    tests: Tests::None,
    has_version: false,
    most_days: None,
    has_public_address: false,
};

/// What is added to an address that has no variables of its own.
const QUERY: &str = "click_id={external_click_id}&event=subscribe&event_id={event_id}&ts={conversion_at}";
/// What `utm_source` of its clicks says, in any case.
const SOURCE: &str = "creatortraffic";

/// The platform at its address.
#[derive(Debug, Clone)]
pub struct CreatorTraffic {
    template: Option<String>,
}

impl CreatorTraffic {
    /// What to do about a pixel that waits for the address.
    const NO_ADDRESS: &str = "ask CreatorTraffic for the address that takes conversions and set ad_platforms.creatortraffic.base_url to it";

    /// CreatorTraffic as the operator has configured it.
    #[must_use]
    pub fn configured(settings: &Settings) -> Self {
        Self::new(&settings.base_url)
    }

    /// `address` is the whole one, as CreatorTraffic gave it; with variables of contract C.1 it is taken as it stands. Empty:
    /// its pixels wait.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let join = if address.contains('?') { '&' } else { '?' };
        let template = match address {
            "" => None,
            template if template.contains('{') => Some(template.to_owned()),
            plain => Some(format!("{plain}{join}{QUERY}")),
        };
        Self { template }
    }
}

impl AdPlatform for CreatorTraffic {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Creatortraffic
    }

    /// As generic postbacks (ad-platforms 14, rule 1); a click counts once, so nothing is ambiguous for long.
    fn limits(&self) -> Limits {
        Limits { age: Duration::from_secs(72 * HOUR), ambiguous: None }
    }

    fn unready(&self) -> Option<&'static str> {
        self.template.is_none().then_some(Self::NO_ADDRESS)
    }

    fn build(&self, _: &Pixel, event: &Event<'_>, click: &Click, _: &str) -> Result<RenderedRequest, Skip> {
        if event.kind != DeliveryKind::NewSubscriber {
            return Err(Skip::EVENT_DISABLED);
        }
        let source = click.params.utm_source.as_deref().unwrap_or_default();
        if !source.trim().eq_ignore_ascii_case(SOURCE) {
            return Err(Skip::UTM_SOURCE_MISMATCH);
        }
        let click_id = verbatim(click.params.ecid.as_deref()).ok_or(Skip::MISSING_CLICK_ID)?;
        let value = |name: &str| match name {
            "external_click_id" => Some(Cow::Borrowed(click_id)),
            "event_id" => Some(Cow::Borrowed(event.event_id)),
            "conversion_at" => Some(Cow::Owned(event.occurred_at.iso())),
            "conversion_type" => Some(Cow::Borrowed(event.kind.as_str())),
            "click_id" => Some(Cow::Owned(click.id.to_string())),
            _ => None,
        };
        let template = self.template.as_deref().unwrap_or_default();
        Ok(RenderedRequest {
            method: "GET".to_owned(),
            url: render(template, Encoding::Percent, value),
            ..RenderedRequest::default()
        })
    }

    /// Compares the part of the address that stands before the first variable.
    fn is_addressed(&self, _: &Pixel, url: &str) -> bool {
        let address = self.template.as_deref().and_then(|template| template.split('{').next());
        address.is_some_and(|address| url.starts_with(address))
    }

    fn authorise(&self, mut request: RenderedRequest, token: &Secret) -> RenderedRequest {
        request.headers.push(("Authorization".to_owned(), format!("Bearer {}", token.expose())));
        request
    }

    fn verdict(&self, _: &Pixel, answer: &Answer, _: usize) -> Verdict {
        let outcome = Outcome::of_status(answer.status, answer.retry_after());
        Verdict { outcome, words: Some(answer.words(500)) }
    }
}
