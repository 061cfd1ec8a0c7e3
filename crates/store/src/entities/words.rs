//! Lists of words in one column.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::Cause;

/// Words as a JSON list, in their order.
pub fn to_list<T: Display>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| serde_json::Value::String(word.to_string())).collect::<serde_json::Value>().to_string()
}

/// The words of a JSON list.
pub fn from_list<T: FromStr<Err: Into<Cause>>>(json: &str) -> Result<Vec<T>, Cause> {
    let words: Vec<String> = serde_json::from_str(json)?;
    words.iter().map(|word| word.parse().map_err(Into::into)).collect()
}

/// A word that may be missing.
pub fn optional<T: FromStr<Err: Into<Cause>>>(text: Option<&str>) -> Result<Option<T>, Cause> {
    text.map(|text| text.parse().map_err(Into::into)).transpose()
}
