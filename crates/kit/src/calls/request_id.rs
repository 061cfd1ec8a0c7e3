//! The identifier of a request: what a caller can quote, and what an operator then finds in the logs of both services.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue};
use tessera_types::random;

use crate::random::SystemRandom;

/// The name of the header, and of the metadata.
pub(crate) const HEADER: &str = "x-request-id";

/// The longest that is taken over.
const LONGEST: usize = 64;

/// How secrets of our own making begin.
const SECRET: &str = "tsk_";

/// What tells this process's identifiers from others': they count up and need not be guessed at.
static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_be_bytes(random::bytes(&SystemRandom)));
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A request's identifier: short, and fit for logs and headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's own, where it is letters, digits, `-` and `_`, at most 64, and does not look like a secret that went astray: it is
    /// logged, and a token has dots.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(HEADER)?;
        let text = value.to_str().ok()?;
        let short = (1..=LONGEST).contains(&text.len());
        let safe = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (short && safe && !text.contains(SECRET)).then(|| Self(value.clone()))
    }

    /// A new one.
    pub(crate) fn next() -> Self {
        let text = format!("{:016x}-{:x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed));
        Self(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("none")))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8]) -> Option<RequestId> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(value).expect("a header value"));
        RequestId::from_headers(&headers)
    }

    #[test]
    fn a_short_plain_one_is_taken_over() {
        for good in ["a", "7d8f0e1c-6a55-4c8e-9a6d-0d4b8f8a5f0e", "req_1", &"x".repeat(64)] {
            assert_eq!(read(good.as_bytes()).expect("taken over").as_str(), good);
        }
    }

    #[test]
    fn what_is_long_odd_or_like_a_secret_is_not() {
        let long = "x".repeat(65);
        for bad in ["", " ", "a b", "a\tb", "é", "a.b.c", "a\"b", "tsk_abc", "x-tsk_abc", "a=b", &long] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn new_ones_differ_and_would_be_taken_over() {
        let (one, other) = (RequestId::next(), RequestId::next());
        assert_ne!(one, other);
        assert_eq!(read(one.as_str().as_bytes()), Some(one));
    }
}
