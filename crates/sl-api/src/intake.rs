//! `POST /webhooks/onlyfansapi`: checked over the raw bytes, on disk, answered (contract D; decisions 23).
//!
//! What a webhook means is attribution's business; here only its sender and its form are looked at. A body with a valid
//! signature is kept whatever it holds: attribution turns an unusable one into a dead letter with the reason.

use std::collections::{HashSet, VecDeque};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::json;
use sl_core::{
    event::{Event, EventBody, WebhookReceived},
    ids::{AccountId, TeamId},
    webhook::{self, Envelope},
};
use sl_journal::{LostReason, log::append_synced};

use crate::{
    error::{ApiError, Result},
    parts::App,
    reply::Reply,
};

/// Largest body of a webhook (decisions 23).
const LIMIT: usize = 1 << 20;

pub(crate) async fn webhook(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    let answer = receive(&app, &headers, body).await;
    let (event, outcome) = match &answer {
        Ok((event, outcome)) => (event.as_str(), outcome.word()),
        Err(error) => ("", refusal(error)),
    };
    // The set of labels is closed: a sender's own words never become one.
    let label = if KNOWN.contains(&event) { event.to_owned() } else { "other".to_owned() };
    metrics::counter!("smartlinks_webhooks_total", "event" => label, "outcome" => outcome).increment(1);
    match answer {
        Ok((_, outcome)) => {
            let body = Reply::bare(json!({ "status": outcome.word() }));
            body.status(outcome.status()).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// Events with a label of their own in the metrics (contract D.3).
const KNOWN: [&str; 14] = [
    "accounts.connected",
    "accounts.reconnected",
    "accounts.disconnected",
    "accounts.session_expired",
    "accounts.authentication_failed",
    "accounts.otp_code_required",
    "accounts.face_otp_required",
    "transactions.new",
    "messages.received",
    "messages.ppv.unlocked",
    "tips.received",
    "subscriptions.new",
    "subscriptions.renewed",
    "subscriptions.expired",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    Duplicate,
    DeadLetter,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::DeadLetter => "dead_letter",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Stored | Self::Duplicate => StatusCode::OK,
            Self::DeadLetter => StatusCode::ACCEPTED,
        }
    }
}

fn refusal(error: &ApiError) -> &'static str {
    match error {
        ApiError::BadSignature => "bad_signature",
        ApiError::TooLarge(_) => "too_large",
        ApiError::Unavailable(_) => "unavailable",
        _ => "failed",
    }
}

async fn receive(app: &App, headers: &HeaderMap, body: Body) -> Result<(String, Outcome)> {
    let body = crate::access::whole(app, body, LIMIT).await?;
    if !is_authentic(app, headers, &body) {
        app.unproven.came(tell_unproven);
        return Err(ApiError::BadSignature);
    }
    let given_key = headers.get("x-ofapi-idempotency-key").and_then(|value| value.to_str().ok());
    let Envelope { event: name, account, key, usable } = webhook::envelope(&body, given_key);
    if app.recent.contains(&key) {
        return Ok((name, Outcome::Duplicate));
    }
    let account = AccountId::from(account.unwrap_or_default());
    let received_at = app.now();
    let event = Event {
        team: team_of(app, &account).await?,
        account,
        at: received_at,
        body: EventBody::Webhook(WebhookReceived {
            event: name.clone(),
            key: key.clone(),
            received_at,
            body: body.to_vec(),
            retry_of: None,
        }),
    };
    let account = event.account.clone();
    append_synced(app.log.as_ref(), event).await.map_err(|reason| {
        app.upstream.webhook_refused();
        not_kept(reason)
    })?;
    app.upstream.webhook_came(&account);
    if usable.is_err() {
        return Ok((name, Outcome::DeadLetter));
    }
    app.recent.remember(key);
    if changes_accounts(&name) {
        app.upstream.accounts_changed();
    }
    Ok((name, Outcome::Stored))
}

/// Whether accounts are to be read anew. After `session_expired` upstream has connected again already (contract D.3.6).
fn changes_accounts(event: &str) -> bool {
    event.starts_with("accounts.") && event != "accounts.session_expired"
}

/// Says how many webhooks nobody can have signed, and nothing that their sender chose.
fn tell_unproven(count: u64) {
    tracing::warn!(
        "{count} webhooks with a wrong signature, or none, in the last minute; is platform.webhook_secrets right?"
    );
}

/// 503 asks upstream to deliver again (contract D.2).
pub(crate) fn not_kept(reason: LostReason) -> ApiError {
    tracing::error!(reason = reason.as_str(), "the journal could not keep a webhook");
    ApiError::Unavailable("The webhook could not be stored; deliver it again.".to_owned())
}

fn is_authentic(app: &App, headers: &HeaderMap, body: &[u8]) -> bool {
    match headers.get("signature").map(|value| value.to_str().unwrap_or_default()) {
        None => app.settings.accept_unsigned,
        Some(signature) => webhook::verify(&app.settings.webhook_secrets, body, signature),
    }
}

/// Team-level events and accounts nobody has seen yet belong to the first team.
async fn team_of(app: &App, account: &AccountId) -> Result<TeamId> {
    if account.as_str().is_empty() {
        return Ok(TeamId(1));
    }
    Ok(app.teams.of(&*app.store.catalog, account).await?.unwrap_or(TeamId(1)))
}

/// Idempotency keys stored by this process lately. Only an answer hangs on it: attribution itself recognises every
/// repetition for 8 days.
#[derive(Default)]
pub(crate) struct Recent(Mutex<(HashSet<String>, VecDeque<String>)>);

impl Recent {
    /// 16,384 keys × about 100 bytes, twice: 3 MB; at 10 webhooks a second half an hour, longer than upstream retries.
    const KEEP: usize = 16_384;

    fn contains(&self, key: &str) -> bool {
        self.0.lock().0.contains(key)
    }

    fn remember(&self, key: String) {
        let mut guard = self.0.lock();
        let (known, order) = &mut *guard;
        if known.insert(key.clone()) {
            order.push_back(key);
        }
        while order.len() > Self::KEEP {
            if let Some(oldest) = order.pop_front() {
                known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_keys_are_bounded_and_the_oldest_leave_first() {
        let recent = Recent::default();
        for n in 0..=Recent::KEEP {
            recent.remember(n.to_string());
        }
        assert!(!recent.contains("0"));
        assert!(recent.contains("1") && recent.contains(&Recent::KEEP.to_string()));
    }
}
