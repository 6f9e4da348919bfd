//! Test events: one request, now, over the same client and rules (contract A.8.3).

use std::{sync::Arc, time::Duration};

use sl_core::{
    catalog::Pixel,
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    delivery::DeliveryKind,
    ids::{AccountId, ClickId, SmartLinkId},
    money::Cents,
    platforms::{Channel, Event, TestRefused, Tests, Verdict},
    retry::Outcome,
    seal::PIXEL_TOKEN,
};

use crate::{secrets::Secrets, sender::Origin, worker::Shared};

/// A token amount: test events may count at the platform (ad-platforms 2.8).
const AMOUNT: Cents = Cents(100);

/// Sends test events.
#[derive(Clone)]
pub struct Tester(pub(crate) Arc<Shared>);

impl Tester {
    /// Sends one event of `event_type` (one of the eight words of contract A.8.3).
    ///
    /// # Errors
    /// Why not.
    pub async fn test(
        &self,
        pixel: &Pixel,
        event_type: &str,
        test_code: Option<&str>,
    ) -> Result<(), TestRefused> {
        let (shared, refused) = (&*self.0, TestRefused::Event);
        let (kind, amount) =
            kind(event_type).ok_or_else(|| refused(format!("event_type {event_type:?} is unknown")))?;
        let facts = pixel.platform.facts();
        let platform = shared
            .platforms
            .get(pixel.platform)
            .filter(|_| facts.tests != Tests::None)
            .ok_or_else(|| refused(format!("{} can't be tested", pixel.platform.as_str())))?;
        let no_token = |_| TestRefused::Token("the pixel's token can't be read".to_owned());
        let token = shared.keys.open(PIXEL_TOKEN, &pixel.sealed_token).map_err(no_token)?;
        // An event that is off has no name.
        let name = pixel.events.name(kind).unwrap_or(facts.any_name);
        let now = shared.clock.now();
        let event_id = format!("test_{}", now.0);
        let event = Event {
            kind,
            name,
            event_id: &event_id,
            occurred_at: now,
            value: amount,
            order_id: None,
            renewal: false,
            channel: Channel::Test(test_code),
        };
        let click = visitor(pixel, now.minus(Duration::from_secs(60)));
        let click_url = shared.settings.public_url.trim_end_matches('/').to_owned() + &click.request.target;
        let request = platform
            .build(pixel, &event, &click, &click_url)
            .map_err(|skip| refused(format!("this event would be skipped: {}", skip.0)))?;
        let answer = shared.sender.send(&platform.authorise(request, &token), Origin::Operator).await;
        let answer = answer.map_err(|error| refused(error.to_string()))?;
        let secrets = Secrets::of_token(&token);
        let outcome = platform.verdict(pixel, &answer, 1).outcome;
        if outcome == Outcome::Delivered {
            return Ok(());
        }
        let Verdict { words, .. } = platform.verdict(pixel, &secrets.blank_answer(&answer), 1);
        let words = words.unwrap_or_else(|| format!("the platform answered {}", answer.status));
        let refused = if outcome == Outcome::Auth { TestRefused::Token } else { refused };
        Err(refused(secrets.blank(&words)))
    }
}

fn kind(event_type: &str) -> Option<(DeliveryKind, Option<Cents>)> {
    Some(match event_type {
        "event_click" => (DeliveryKind::Click, None),
        "event_new_subscriber_free" => (DeliveryKind::NewSubscriber, Some(Cents::ZERO)),
        "event_new_subscriber_paid" => (DeliveryKind::NewSubscriber, Some(AMOUNT)),
        "event_first_transaction" => (DeliveryKind::FirstTransaction, Some(AMOUNT)),
        "event_new_transaction" => (DeliveryKind::NewTransaction, Some(AMOUNT)),
        "event_message_received_from_fan" => (DeliveryKind::MessageReceived, None),
        "event_fan_sent_1_message" => (DeliveryKind::FanSent1Message, None),
        "event_fan_sent_3_messages" => (DeliveryKind::FanSent3Messages, None),
        _ => return None,
    })
}

/// Somebody who does not exist, at an address that documentation may use.
fn visitor(pixel: &Pixel, at: sl_core::time::Timestamp) -> Click {
    let link = SmartLinkId(ulid::Ulid::from_parts(0, 0));
    let nobody = VisitorId(0);
    Click {
        id: ClickId(ulid::Ulid::from_parts(u64::try_from(at.0).unwrap_or_default(), 0)),
        team: pixel.team,
        account: AccountId("acct_test".into()),
        link,
        at,
        window: Duration::ZERO,
        class: Class::Person,
        rung: Rung::Profile,
        pool_link: None,
        sent_to: None,
        visitor: VisitorKeys { came_with: None, given: None, daily: nobody, lasting: None },
        request: RequestFacts {
            target: format!("/go/{link}"),
            ip: Some([203, 0, 113, 45].into()),
            user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                         Version/18.6 Mobile/15E148 Safari/604.1"
                .to_owned(),
            ..RequestFacts::default()
        },
        device: Device::default(),
        place: Place { country: Some("US".to_owned()), ..Place::default() },
        params: Params { ecid: Some("smartlinks-test".to_owned()), ..Params::default() },
        cookies: AdCookies::default(),
    }
}
