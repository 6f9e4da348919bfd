//! The platform's nouns as contract E writes them: camelCase, numbers here and texts there.

use serde_json::{Value, json};
use sl_core::{ids::LinkKind, money::Cents, time::Timestamp};

use super::{
    config::AccountSetup,
    world::{Fan, Link, Subscription, Transaction, is_back},
};

/// A creator, as the bare array of contract A.12 has it.
pub(super) fn account(setup: &AccountSetup) -> Value {
    json!({
        "id": setup.id,
        "display_name": setup.display_name,
        "onlyfans_id": setup.onlyfans_id,
        "onlyfans_username": setup.username,
        "onlyfans_email": email(setup),
        "is_authenticated": setup.is_authenticated,
        "authentication_progress": "started",
        "onlyfans_user_data": {
            "id": setup.onlyfans_id, "name": setup.display_name, "username": setup.username, "avatar": null,
            "isPerformer": true,
        },
    })
}

pub(super) fn email(setup: &AccountSetup) -> String {
    format!("{}@example.com", setup.username)
}

/// How links are shown to one request.
pub(super) struct LinkView<'a> {
    pub(super) username: &'a str,
    /// `https://host/api/{account}`.
    pub(super) address: &'a str,
    pub(super) now: Timestamp,
}

impl LinkView<'_> {
    /// A link as lists show it.
    pub(super) fn item(&self, link: &Link) -> Value {
        match link.kind {
            LinkKind::TrackingLink => json!({
                "id": link.number,
                "campaignCode": link.code.parse::<u64>().unwrap_or_default(),
                "campaignName": link.name,
                "campaignUrl": link.url(self.username),
                "clicksCount": link.visits,
                "subscribersCount": link.subscribers.len(),
                "createdAt": link.created_at.iso(),
                "endDate": link.ended_at.map(Timestamp::iso),
                "tags": link.tags,
                "links": self.related(link),
                "revenue": self.revenue(link),
            }),
            LinkKind::FreeTrial => {
                let mut item = new_trial(link, self.username, self.now);
                put(&mut item, "clicksCounts", json!(link.visits));
                put(&mut item, "tags", json!(link.tags));
                put(&mut item, "links", self.related(link));
                put(&mut item, "revenue", self.revenue(link));
                item
            }
        }
    }

    /// A link as upstream's store shows it: with the cost.
    pub(super) fn stored(&self, link: &Link) -> Value {
        let mut item = self.item(link);
        put(&mut item, "cost", cost());
        item
    }

    /// On its own: with the cost, and a tracking link's counts as texts.
    pub(super) fn one(&self, link: &Link) -> Value {
        let mut item = self.stored(link);
        if link.kind == LinkKind::TrackingLink {
            put(&mut item, "clicksCount", json!(link.visits.to_string()));
            put(&mut item, "subscribersCount", json!(link.subscribers.len().to_string()));
        }
        let spenders = format!("{}/{}/{}/spenders", self.address, path(link.kind), link.number);
        if let Some(related) = item.pointer_mut("/links/related") {
            put(related, "spenders", json!(spenders));
        }
        item
    }

    fn related(&self, link: &Link) -> Value {
        let subscribers = format!("{}/{}/{}/subscribers", self.address, path(link.kind), link.number);
        json!({"related": {"subscribers": subscribers}})
    }

    fn revenue(&self, link: &Link) -> Value {
        let per = |count: u64| match i64::try_from(count) {
            Ok(count) if count > 0 => Cents(link.revenue.0 / count).to_json(),
            _ => json!(0),
        };
        let mut revenue = json!({
            "total": link.revenue.to_json(),
            "revenuePerSubscriber": per(link.subscribers.len() as u64),
            "spendersCount": link.spent.values().filter(|cents| cents.0 > 0).count(),
            "chargebacks": link.chargebacks.to_json(),
            "calculatedAt": self.now.iso(),
            "isLoading": false,
        });
        if link.kind == LinkKind::TrackingLink {
            put(&mut revenue, "revenuePerClick", per(link.visits));
        }
        revenue
    }
}

fn path(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::TrackingLink => "tracking-links",
        LinkKind::FreeTrial => "trial-links",
    }
}

fn cost() -> Value {
    json!({
        "inputMode": null, "inputValue": null, "perClick": null, "perPromo": null, "perSub": null,
        "clickSourceCount": 0, "subscriberSourceCount": 0,
    })
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// A trial link as its creation answers: with its address.
pub(super) fn new_trial(link: &Link, username: &str, now: Timestamp) -> Value {
    json!({
        "id": link.number,
        "trialLinkName": link.name,
        "url": link.url(username),
        "subscribeDays": link.days,
        "subscribeCounts": link.subscribers.len(),
        "claimCounts": link.subscribers.len(),
        "expiredAt": link.expires_at.map(Timestamp::iso),
        "createdAt": link.created_at.iso(),
        "isFinished": !link.stands(now),
    })
}

/// A fan: a number for an id.
pub(super) fn fan(fan: &Fan) -> Value {
    json!({
        "id": fan.id, "name": fan.name, "username": fan.username, "avatar": null, "view": "s",
        "isVerified": false, "subscribePrice": 0,
    })
}

/// A fan in the list of a link. Trial links say when; tracking links don't.
pub(super) fn subscriber(
    who: &Fan,
    subscription: &Subscription,
    kind: LinkKind,
    regular: Cents,
    now: Timestamp,
) -> Value {
    let mut row = fan(who);
    put(&mut row, "subscribedOn", json!(subscription.expires_at > now));
    if kind == LinkKind::FreeTrial {
        let past: Vec<Value> = who.subscriptions.iter().map(past_subscription).collect();
        let on = json!({
            "subscribeAt": subscription.at.iso(),
            "expiredAt": subscription.expires_at.iso(),
            "price": subscription.price.to_json(),
            "regularPrice": regular.to_json(),
            "subscribes": past,
        });
        put(&mut row, "subscribedOnData", on);
        put(&mut row, "promoOffers", json!([]));
    }
    row
}

pub(super) fn past_subscription(subscription: &Subscription) -> Value {
    json!({
        "subscribeDate": subscription.at.iso(),
        "expireDate": subscription.expires_at.iso(),
        "price": subscription.price.to_json(),
    })
}

pub(super) fn spender(who: &Fan, net: Cents) -> Value {
    let mut row = fan(who);
    put(&mut row, "total", net.to_json());
    row
}

/// The words of the list for what the webhook calls otherwise.
pub(super) const LIST_KINDS: [&str; 7] =
    ["subs", "subscribes", "tips", "post", "chat_messages", "stream", "other"];

pub(super) fn list_kind(webhook_word: &str) -> &str {
    match webhook_word {
        "new_subscription" | "recurring_subscription" => "subscribes",
        "tip" => "tips",
        "message" => "chat_messages",
        word => word,
    }
}

/// A transaction of the list: camelCase, other words than the webhook's.
pub(super) fn listed_transaction(one: &Transaction, who: &Fan) -> Value {
    json!({
        "id": one.id,
        "amount": one.gross.to_json(),
        "net": one.net.to_json(),
        "fee": Cents(one.gross.0 - one.net.0).to_json(),
        "vatAmount": 0,
        "taxAmount": 0,
        "currency": "USD",
        "createdAt": one.at.iso(),
        "status": one.status,
        "description": description(one, who),
        "type": list_kind(&one.kind),
        "payoutPendingDays": if is_back(&one.status) { 0 } else { 7 },
        "user": fan(who),
    })
}

/// HTML with a link to the fan.
pub(super) fn description(one: &Transaction, who: &Fan) -> String {
    let what = match one.kind.as_str() {
        "tip" => "Tip from",
        "message" => "Payment for message from",
        "post" => "Post purchase by",
        "stream" => "Stream tip from",
        "new_subscription" => "Subscription from",
        "recurring_subscription" => "Recurring subscription from",
        _ => "Payment from",
    };
    format!("{what} <a href=\"https://onlyfans.com/{}\">{}</a>", who.username, who.name)
}
