//! What every refusal over HTTP has in common.

use crate::Answer;

/// Fails unless the answer is this error as RFC 6749 section 5.2 wants it: JSON, not cached, with a description that may stand
/// there.
///
/// # Panics
/// Where it is not.
pub fn assert_refused(answer: &Answer, status: u16, error: &str, case: &str) {
    let told = || format!("{case}: {}\n\n{}", answer.head, answer.body);
    assert_eq!((answer.status, answer.error().as_str()), (status, error), "{}", told());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", told());
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", told());
    assert_eq!(answer.header("pragma"), Some("no-cache"), "{}", told());
    let json = answer.json().unwrap_or_default();
    let members: Vec<&String> = json.as_object().map(|object| object.keys().collect()).unwrap_or_default();
    assert_eq!(members, ["error", "error_description"], "{}", told());
    let description = json["error_description"].as_str().unwrap_or_default();
    let may_stand = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
    assert!(!description.is_empty() && description.bytes().all(may_stand), "{}", told());
    assert!(!answer.body.contains(CANARY) && !answer.head.contains(CANARY), "input is echoed: {}", told());
}

/// Stands in malformed input, and never in an answer.
pub const CANARY: &str = "cAnArY-7f3a91";
