//! What was read, written again: by code of its own, so that reading it back says something.

use std::fmt::Write as _;

/// Parameters, owned.
pub(crate) type Pairs = Vec<(String, String)>;

/// Every parameter of a form.
pub(crate) fn pairs(form: &tessera_kit::http::Form) -> Pairs {
    form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `application/x-www-form-urlencoded`, with more escapes than needed.
pub(crate) fn urlencoded(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

/// Percent escapes for all but letters and digits.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02x}");
        }
        escaped
    })
}

/// Asserts that no name stands there twice but the one that may.
pub(crate) fn assert_distinct(pairs: &[(String, String)], repeatable: &str) {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).filter(|name| *name != repeatable).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name is repeated");
}
