//! What webhooks, the matcher and the reconciliation bring.

use sl_core::{
    conversion::Transaction,
    event::{SubscriberSeen, WebhookReceived},
    ids::{DeadLetterId, SmartLinkId},
    money::Cents,
    time::Timestamp,
};

use super::{DecodeError, parts};
use crate::proto;

pub(super) fn webhook_to_message(webhook: WebhookReceived) -> proto::WebhookReceived {
    proto::WebhookReceived {
        event: webhook.event,
        key: webhook.key,
        received_at: webhook.received_at.0,
        body: webhook.body,
        retry_of: webhook.retry_of.map(|id| parts::id(id.to_bytes())),
    }
}

pub(super) fn webhook_from_message(webhook: proto::WebhookReceived) -> WebhookReceived {
    WebhookReceived {
        event: webhook.event,
        key: webhook.key,
        received_at: Timestamp(webhook.received_at),
        body: webhook.body,
        retry_of: webhook.retry_of.map(|id| DeadLetterId::from_bytes(parts::id_bytes(id))),
    }
}

pub(super) fn seen_to_message(seen: SubscriberSeen) -> proto::SubscriberSeen {
    proto::SubscriberSeen {
        pool_link: Some(parts::pool_link(seen.pool_link)),
        overflow_of: seen.overflow_of.map(|id| parts::id(id.to_bytes())),
        fan: seen.fan.as_str().to_owned(),
        profile: Some(parts::profile(seen.profile)),
        subscribed_at: seen.subscribed_at.map(|at| at.0),
        price_cents: seen.price.map(|price| price.0),
        seen_at: seen.seen_at.0,
        absent_at: seen.absent_at.map(|at| at.0),
    }
}

pub(super) fn seen_from_message(seen: proto::SubscriberSeen) -> Result<SubscriberSeen, DecodeError> {
    let pool_link = seen.pool_link.ok_or(DecodeError::Absent("subscriber_seen.pool_link"))?;
    Ok(SubscriberSeen {
        pool_link: parts::pool_link_back(pool_link)?,
        overflow_of: seen.overflow_of.map(|id| SmartLinkId::from_bytes(parts::id_bytes(id))),
        fan: seen.fan.into(),
        profile: parts::profile_back(seen.profile),
        subscribed_at: seen.subscribed_at.map(Timestamp),
        price: seen.price_cents.map(Cents),
        seen_at: Timestamp(seen.seen_at),
        absent_at: seen.absent_at.map(Timestamp),
    })
}

pub(super) fn transaction_to_message(transaction: Transaction) -> proto::Transaction {
    proto::Transaction {
        id: transaction.id.as_str().to_owned(),
        kind: transaction.kind,
        fan: transaction.fan.as_str().to_owned(),
        profile: Some(parts::profile(transaction.profile)),
        gross_cents: transaction.gross.0,
        net_cents: transaction.net.0,
        status: transaction.status,
        description: transaction.description,
        at: transaction.at.0,
        reconciled: transaction.reconciled,
    }
}

pub(super) fn transaction_from_message(transaction: proto::Transaction) -> Transaction {
    Transaction {
        id: transaction.id.into(),
        kind: transaction.kind,
        fan: transaction.fan.into(),
        profile: parts::profile_back(transaction.profile),
        gross: Cents(transaction.gross_cents),
        net: Cents(transaction.net_cents),
        status: transaction.status,
        description: transaction.description,
        at: Timestamp(transaction.at),
        reconciled: transaction.reconciled,
    }
}
