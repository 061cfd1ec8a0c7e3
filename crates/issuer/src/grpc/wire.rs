//! Times and spans, both ways.

use std::time::Duration;

use tessera_types::Timestamp;
use tonic::Status;

pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.0, nanos: 0 }
}

pub(super) fn duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or_default(),
    }
}

/// A span of whole or broken seconds, not negative.
pub(super) fn span(wire: prost_types::Duration, field: &'static str) -> Result<Duration, Status> {
    Duration::try_from(wire).map_err(|_| invalid(field, "A duration is not negative and within the range of protobuf."))
}

/// A field that is not what it should be.
pub(super) fn invalid(field: &'static str, advice: &'static str) -> Status {
    tessera_api::status::status(&InvalidField { field, advice })
}

/// The version that an etag names; empty is none.
pub(super) fn etag(text: &str) -> Result<Option<i64>, Status> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| invalid("etag", "The etag is not one of this server's.")),
    }
}

/// Reads a list of words.
pub(super) fn words<T: std::str::FromStr, C: FromIterator<T>>(
    list: &[String],
    field: &'static str,
    advice: &'static str,
) -> Result<C, Status> {
    list.iter().map(|text| text.parse().map_err(|_| invalid(field, advice))).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("invalid {field}")]
struct InvalidField {
    field: &'static str,
    advice: &'static str,
}

impl tessera_types::Failure for InvalidField {
    fn code(&self) -> tessera_types::ErrorCode {
        tessera_types::ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        "INVALID_FIELD"
    }

    fn advice(&self) -> &'static str {
        self.advice
    }

    fn field(&self) -> Option<&'static str> {
        Some(self.field)
    }
}
