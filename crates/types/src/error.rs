//! What can go wrong, in the field's words, and the one trait every operation's error implements.

use std::time::Duration;

/// What a caller is told: the OAuth error codes (RFC 6749 section 5.2, 6750 section 3.1, 8707 section 2) and the few that
/// administration needs beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// The request is malformed.
    InvalidRequest,
    /// A scope is malformed, unknown, or not this client's.
    InvalidScope,
    /// The audience asked for is not one of the client's (RFC 8707).
    InvalidTarget,
    /// The grant type is not supported.
    UnsupportedGrantType,
    /// The response type is not supported (RFC 6749 section 4.1.2.1).
    UnsupportedResponseType,
    /// Client authentication failed.
    InvalidClient,
    /// The code, refresh token, password or token presented is not good.
    InvalidGrant,
    /// The client may not do this.
    UnauthorizedClient,
    /// The resource owner or the server refused.
    AccessDenied,
    /// The Bearer token of a protected call is not good (RFC 6750).
    InvalidToken,
    /// The Bearer token of a protected call lacks a scope (RFC 6750).
    InsufficientScope,
    /// Too many attempts.
    Throttled,
    /// The server cannot answer now.
    TemporarilyUnavailable,
    /// The caller's time is over.
    DeadlineExceeded,
    /// The server failed.
    ServerError,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// The state of things does not allow it.
    FailedPrecondition,
    /// Somebody else changed it meanwhile.
    Conflict,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: &[Self] = &[
        Self::InvalidRequest,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::UnsupportedGrantType,
        Self::UnsupportedResponseType,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::AccessDenied,
        Self::InvalidToken,
        Self::InsufficientScope,
        Self::Throttled,
        Self::TemporarilyUnavailable,
        Self::DeadlineExceeded,
        Self::ServerError,
        Self::NotFound,
        Self::AlreadyExists,
        Self::FailedPrecondition,
        Self::Conflict,
    ];

    /// The value of the `error` member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::Throttled | Self::TemporarilyUnavailable | Self::DeadlineExceeded => "temporarily_unavailable",
            Self::ServerError => "server_error",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::FailedPrecondition => "failed_precondition",
            Self::Conflict => "conflict",
        }
    }

    /// What metrics call it: the value of the `error` member, but for what that runs together. Whoever is turned away for guessing, or
    /// runs out of time, must not look like a server that fails.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::DeadlineExceeded => "deadline_exceeded",
            _ => self.as_str(),
        }
    }

    /// The HTTP status that goes with it (RFC 6749 section 5.2, 6750 section 3.1).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidRequest
            | Self::InvalidScope
            | Self::InvalidTarget
            | Self::UnsupportedGrantType
            | Self::UnsupportedResponseType
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::AccessDenied
            | Self::FailedPrecondition => 400,
            Self::InvalidClient | Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Throttled => 429,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable | Self::DeadlineExceeded => 503,
        }
    }
}

/// What every operation's error says of itself. Logs, metrics, gRPC statuses and HTTP answers are derived from this, so that
/// no list of cases exists twice.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// What the caller is told.
    fn code(&self) -> ErrorCode;

    /// What happened, as a stable `UPPER_SNAKE` word for `google.rpc.ErrorInfo` and logs.
    fn reason(&self) -> &'static str;

    /// What the caller may read: fixed text of printable ASCII without `"` and `\` (RFC 6749 section 5.2) that says what to
    /// do next and never echoes input.
    fn advice(&self) -> &'static str;

    /// Whether it is our fault: then it is logged with its sources, once, at the boundary.
    fn is_internal(&self) -> bool {
        matches!(self.code(), ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable)
    }

    /// When to try again, where that helps.
    fn retry_after(&self) -> Option<Duration> {
        match self.code() {
            ErrorCode::Throttled | ErrorCode::TemporarilyUnavailable => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The request's field that is wrong, where there is one.
    fn field(&self) -> Option<&'static str> {
        None
    }
}

/// Whether a text may stand in `error_description` (RFC 6749 section 5.2).
#[must_use]
pub fn is_description(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (b == b' ' || b.is_ascii_graphic()) && b != b'"' && b != b'\\')
}

/// An error with everything that caused it, each said once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("middle: {0}")]
    struct Middle(#[source] std::fmt::Error);

    #[test]
    fn no_two_codes_have_one_outcome() {
        let outcomes: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.outcome()).collect();
        assert_eq!(outcomes.len(), ErrorCode::ALL.len(), "{outcomes:?}");
    }

    #[test]
    fn each_cause_is_said_once() {
        let error = Outer(Middle(std::fmt::Error));
        assert_eq!(chain(&error), format!("outer: middle: {}", std::fmt::Error));
    }
}
