//! What can go wrong at the creator platform, by whose fault it is and what helps (contract E.6).

use std::time::Duration;

/// A call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// 401 for what belongs to the key: nothing works until the key is changed or accepted again. Calls fail at once meanwhile; one
    /// a minute goes out to see.
    #[error("the platform refuses platform.api_key (401); check the key")]
    KeyRefused,
    /// 400, 402, 403, 404, 422, and 401 while the key is accepted: the same call would fail again.
    #[error("the platform refuses the call ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The platform's words, at most 200 characters.
        message: String,
    },
    /// 503: the account logs in again (contract E.6).
    #[error("the account is being logged in again (503)")]
    AccountBusy,
    /// 429, also after the retries.
    #[error("the platform limits the pace (429)")]
    Limited {
        /// `retry-after`.
        after: Option<Duration>,
    },
    /// No connection was made: the call had no effect.
    #[error("the platform can't be reached: {0}")]
    Unreachable(Unreached),
    /// The call went out and no answer came: it may have had its effect.
    #[error("the platform did not answer in time; the call may have had its effect")]
    Unsure,
    /// 5xx other than 503.
    #[error("the platform failed ({status})")]
    Faulty {
        /// HTTP status.
        status: u16,
    },
    /// The answer lacks what contract E promises.
    #[error("the platform's answer can't be used: {0}")]
    Unreadable(&'static str),
}

/// Why no connection was made. No text of it holds an address or the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// No address for the host of `platform.base_url`.
    #[error("dns: the name does not resolve")]
    Name,
    /// No agreement on TLS, in the words of whoever refused: a certificate, or no TLS on the other side.
    #[error("tls: {0}")]
    Tls(String),
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// Nobody answered.
    #[error("no connection in time")]
    Late,
    /// Anything else, in the system's words.
    #[error("{0}")]
    Other(String),
}

impl Unreached {
    /// `status` of `smartlinks_platform_requests_total`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Name => "dns",
            Self::Tls(_) => "tls",
            Self::Refused => "refused",
            Self::Late => "timeout",
            Self::Other(_) => "connection",
        }
    }
}

// === impl PlatformError ===

impl PlatformError {
    /// Whether the call may have had its effect all the same (contract E.6: look before creating again).
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unsure | Self::Faulty { .. } | Self::Unreadable(_))
    }

    /// Whether the platform refuses what was asked for and not whoever asks: another call for the same account may be taken. What
    /// condemns the account is left out: 401, 402 and 403 (contract A.3, I.42).
    #[must_use]
    pub fn is_about_what_was_asked(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if !matches!(status, 401..=403))
    }

    /// Whether it may be about nothing but the one list that was to be read: others of the same account may be read (contract E.5).
    /// What ends every reading of the account is left out: 401, 402, 403, 429, 503, and a platform that can't be reached.
    #[must_use]
    pub fn may_be_about_one_list(&self) -> bool {
        self.is_about_what_was_asked() || self.is_unsure()
    }

    /// Whether the same call may work later without anybody doing something.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::KeyRefused | Self::Refused { .. })
    }
}

/// Shorthand of the trait.
pub type Result<T> = std::result::Result<T, PlatformError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_what_condemns_the_account_or_everything() {
        let refused = |status| PlatformError::Refused { status, message: String::new() };
        for status in [400, 404, 422] {
            assert!(
                refused(status).is_about_what_was_asked() && refused(status).may_be_about_one_list(),
                "{status}"
            );
        }
        let faulty = PlatformError::Faulty { status: 500 };
        assert!(
            faulty.may_be_about_one_list() && !faulty.is_about_what_was_asked(),
            "or everything is broken"
        );
        for error in [
            refused(401),
            refused(402),
            refused(403),
            PlatformError::KeyRefused,
            PlatformError::AccountBusy,
            PlatformError::Limited { after: None },
            PlatformError::Unreachable(Unreached::Refused),
        ] {
            assert!(!error.is_about_what_was_asked() && !error.may_be_about_one_list(), "{error}");
        }
    }
}
