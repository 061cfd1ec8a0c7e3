//! Strict JSON objects.
//!
//! Where a member stands twice, two readers may take two different values (RFC 7515 section 4, RFC 7519 section 4): one
//! checks the first, another obeys the second. Such an object is refused here, at every depth.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The bytes are not one JSON object without repeated members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object without repeated members")]
pub struct InvalidJson;

/// Reads one object: UTF-8, nothing after it, no member twice at any depth, at most 128 levels deep.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, InvalidJson> {
    match serde_json::from_slice(bytes) {
        Ok(Strict(Value::Object(members))) => Ok(members),
        Ok(_) | Err(_) => Err(InvalidJson),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Strict(value) = members.next_value()?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_member_that_stands_twice_is_refused_at_every_depth() {
        for bad in
            [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"b":{"a":1,"a":2}}"#, r#"{"b":[{"a":1,"c":0,"a":2}]}"#]
        {
            assert_eq!(object(bad.as_bytes()), Err(InvalidJson), "{bad}");
        }
        assert!(object(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn only_one_whole_object_is_read() {
        let cases: [&[u8]; 9] =
            [b"", b"[]", b"1", b"null", b"{} {}", b"{}x", b"{\"a\":1,}", b"{\"a\":\"\xff\"}", b"\xef\xbb\xbf{}"];
        for bad in cases {
            assert_eq!(object(bad), Err(InvalidJson), "{bad:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(deep(100).as_bytes()).is_ok());
        assert_eq!(object(deep(8000).as_bytes()), Err(InvalidJson));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_object_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes);
        }

        #[test]
        fn an_object_reads_as_serde_reads_it(names in proptest::collection::hash_set("[a-z\"\\\\é]{0,4}", 0..6), number: i64) {
            let written: Map<String, Value> =
                names.into_iter().map(|name| (name.clone(), serde_json::json!([name, number, null, true, 1.5]))).collect();
            let text = Value::Object(written.clone()).to_string();
            prop_assert_eq!(object(text.as_bytes()), Ok(written));
        }
    }
}
