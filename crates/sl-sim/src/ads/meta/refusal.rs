//! Error bodies and codes (ad-platforms 2.6).

use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::receiver::Answer;
use crate::server::Whole;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: u32,
    subcode: Option<u32>,
    is_transient: bool,
    kind: &'static str,
    message: String,
    user_message: Option<String>,
    /// A few words for the figures.
    reason: String,
}

/// Subcodes of code 100.
const TOO_OLD: u32 = 2_804_003;
const NO_VALUE: u32 = 2_804_009;
const MALFORMED: u32 = 2_804_019;
const INSUFFICIENT: u32 = 2_804_050;
const UNKNOWN_OBJECT: u32 = 33;

impl Refusal {
    fn new(status: u16, code: u32, message: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            status,
            code,
            subcode: None,
            is_transient: false,
            kind: "OAuthException",
            message: message.into(),
            user_message: None,
            reason: reason.into(),
        }
    }

    fn parameter(subcode: u32, title: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            subcode: Some(subcode),
            user_message: Some(title.into()),
            ..Self::new(400, 100, "Invalid parameter", reason)
        }
    }

    /// The token is missing, wrong, expired or revoked.
    pub(super) fn token() -> Self {
        Self::new(401, 190, "Invalid OAuth access token - Cannot parse access token", "token")
    }

    /// The pixel does not exist or is not visible to the token.
    pub(super) fn unknown_object() -> Self {
        Self {
            subcode: Some(UNKNOWN_OBJECT),
            kind: "GraphMethodException",
            ..Self::new(
                400,
                100,
                "Unsupported post request. Object does not exist, cannot be loaded due to missing permissions, or \
                 does not support this operation",
                "unknown pixel",
            )
        }
    }

    /// A member is missing or of the wrong shape.
    pub(super) fn malformed(field: &str, rule: &str) -> Self {
        Self::parameter(MALFORMED, format!("{field} {rule}"), format!("{field} {rule}"))
    }

    /// Older than Meta takes.
    pub(super) fn too_old() -> Self {
        Self::parameter(
            TOO_OLD,
            "Event timestamp too old: events must have happened within the last 7 days",
            "event_time too old",
        )
    }

    /// A purchase without value or currency.
    pub(super) fn no_value() -> Self {
        Self::parameter(NO_VALUE, "Purchase events need a value and a currency", "purchase without value")
    }

    /// Nothing a person could be recognised by.
    pub(super) fn insufficient() -> Self {
        Self::parameter(
            INSUFFICIENT,
            "This event doesn't have enough customer information parameters",
            "insufficient user_data",
        )
    }

    /// Too many calls.
    pub(super) fn throttled() -> Self {
        Self::new(400, 80_004, "There have been too many calls to this ad-account", "throttled")
    }

    /// The body that goes with a status asked for.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::token(),
            403 => Self::new(403, 200, "Permissions error", "permission"),
            404 => Self::unknown_object(),
            429 => Self { status, ..Self::throttled() },
            500.. => Self {
                is_transient: true,
                ..Self::new(status, 2, "Service temporarily unavailable", "unavailable")
            },
            _ => Self { status, ..Self::malformed("data", "was refused on demand") },
        }
    }

    /// A few words for the figures.
    pub(super) fn reason(&self) -> String {
        self.reason.clone()
    }

    pub(super) fn answer(self, trace: String) -> Answer {
        let mut error = json!({
            "message": self.message, "type": self.kind, "code": self.code, "is_transient": self.is_transient,
            "fbtrace_id": trace,
        });
        if let Some(error) = error.as_object_mut() {
            if let Some(subcode) = self.subcode {
                error.insert("error_subcode".to_owned(), json!(subcode));
            }
            if let Some(text) = self.user_message {
                error.insert("error_user_title".to_owned(), json!("Invalid parameter"));
                error.insert("error_user_msg".to_owned(), json!(text));
            }
        }
        Answer::json(self.status, json!({"error": error}))
    }
}

/// `fbtrace_id`: the same request gets the same one.
pub(super) fn trace(request: &Whole) -> String {
    let digest: [u8; 32] = Sha256::digest(&request.body).into();
    let hex: String = digest.iter().take(11).map(|byte| format!("{byte:02x}")).collect();
    format!("A{hex}")
}
