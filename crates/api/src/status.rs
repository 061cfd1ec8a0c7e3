//! From an operation's error to a gRPC status, with its details.

use std::collections::HashMap;

use tessera_types::{ErrorCode, Failure};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `google.rpc.ErrorInfo` we send.
pub const DOMAIN: &str = "tessera";

/// The metadata key of `ErrorInfo` under which the OAuth error code stands.
pub const OAUTH_ERROR: &str = "oauth_error";

/// The gRPC code that goes with an error code.
#[must_use]
pub const fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::InvalidScope
        | ErrorCode::InvalidTarget
        | ErrorCode::UnsupportedGrantType
        | ErrorCode::UnsupportedResponseType => Code::InvalidArgument,
        ErrorCode::InvalidClient | ErrorCode::InvalidToken => Code::Unauthenticated,
        ErrorCode::InvalidGrant | ErrorCode::FailedPrecondition => Code::FailedPrecondition,
        ErrorCode::UnauthorizedClient | ErrorCode::AccessDenied | ErrorCode::InsufficientScope => {
            Code::PermissionDenied
        }
        ErrorCode::Throttled => Code::ResourceExhausted,
        ErrorCode::TemporarilyUnavailable => Code::Unavailable,
        ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorCode::ServerError => Code::Internal,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::AlreadyExists => Code::AlreadyExists,
        ErrorCode::Conflict => Code::Aborted,
    }
}

/// The status of a failure: fixed text, `ErrorInfo`, and `BadRequest` or `RetryInfo` where they help.
#[must_use]
pub fn status(failure: &dyn Failure) -> Status {
    let code = grpc_code(failure.code());
    let metadata = HashMap::from([(OAUTH_ERROR.to_owned(), failure.code().as_str().to_owned())]);
    let mut details = ErrorDetails::with_error_info(failure.reason(), DOMAIN, metadata);
    if code == Code::InvalidArgument {
        details.add_bad_request_violation(failure.field().unwrap_or_default(), failure.advice());
    }
    if let Some(delay) = failure.retry_after() {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(code, failure.advice(), details)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_table_of_codes() {
        let mut table = String::new();
        for code in ErrorCode::ALL {
            writeln!(table, "{code:?}: {} · {:?} · {}", code.as_str(), grpc_code(*code), code.http_status())
                .expect("writing to a string");
        }
        insta::assert_snapshot!(table, @r"
        InvalidRequest: invalid_request · InvalidArgument · 400
        InvalidScope: invalid_scope · InvalidArgument · 400
        InvalidTarget: invalid_target · InvalidArgument · 400
        UnsupportedGrantType: unsupported_grant_type · InvalidArgument · 400
        UnsupportedResponseType: unsupported_response_type · InvalidArgument · 400
        InvalidClient: invalid_client · Unauthenticated · 401
        InvalidGrant: invalid_grant · FailedPrecondition · 400
        UnauthorizedClient: unauthorized_client · PermissionDenied · 400
        AccessDenied: access_denied · PermissionDenied · 400
        InvalidToken: invalid_token · Unauthenticated · 401
        InsufficientScope: insufficient_scope · PermissionDenied · 403
        Throttled: temporarily_unavailable · ResourceExhausted · 429
        TemporarilyUnavailable: temporarily_unavailable · Unavailable · 503
        DeadlineExceeded: temporarily_unavailable · DeadlineExceeded · 503
        ServerError: server_error · Internal · 500
        NotFound: not_found · NotFound · 404
        AlreadyExists: already_exists · AlreadyExists · 409
        FailedPrecondition: failed_precondition · FailedPrecondition · 400
        Conflict: conflict · Aborted · 409
        ");
    }
}
