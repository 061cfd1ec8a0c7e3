//! The names of gRPC's status codes, as labels and attributes have them.

use http::HeaderMap;
use tonic::Code;

/// How many there are.
pub(super) const COUNT: usize = 17;

/// In the order of their numbers.
const NAMES: [&str; COUNT] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Its name.
pub(crate) fn name(code: Code) -> &'static str {
    NAMES[index(code)]
}

/// Its place.
pub(super) fn index(code: Code) -> usize {
    usize::try_from(i32::from(code)).unwrap_or(2).min(COUNT - 1)
}

/// What an answer's head says. An answer that has begun without a status ends well, or is a stream, which counts as opened.
pub(super) fn of(headers: &HeaderMap) -> Code {
    headers.get("grpc-status").map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Whether it is the server's fault that there is no answer (as OpenTelemetry's conventions for gRPC have it).
pub(super) fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_numbers() {
        for (number, expected) in NAMES.iter().enumerate() {
            let code = Code::from_i32(i32::try_from(number).expect("small"));
            assert_eq!(name(code), *expected);
            assert_eq!(format!("{code:?}").to_uppercase(), expected.replace('_', ""));
        }
    }
}
