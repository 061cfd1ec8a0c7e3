//! The parameters of a request in any of the forms that the shops' clients send: urlencoded, multipart, JSON.
//!
//! Lists come as `scope[]`, as `scope[0]`, or as JSON arrays. All of it becomes one [`Form`], in which a list is the repeated parameter
//! `name[]`. A query string never contributes.

use std::fmt;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use tessera_kit::http::{Form, FormError, MultipartError, RawBody, RequestError, multipart};
use tessera_types::{ErrorCode, Failure};
use zeroize::Zeroizing;

/// The parameters that may be lists.
const LISTS: &[&str] = &["scope[]", "scopes[]"];

/// Why the parameters cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The body did not come, or is none of the three.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The multipart form is malformed.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
    /// The JSON is no object of texts and lists of texts.
    #[error("the body is not a JSON object of texts")]
    Json(#[source] serde_json::Error),
}

impl Failure for BodyError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Request(error) => error.reason(),
            Self::Multipart(error) => error.reason(),
            Self::Json(_) => "JSON_MALFORMED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Request(error) => error.advice(),
            Self::Multipart(error) => error.advice(),
            Self::Json(_) => "Send a JSON object of texts and lists of texts, each member once.",
        }
    }
}

/// Reads a request.
pub(super) async fn read(request: Request<Body>) -> Result<(HeaderMap, Form), BodyError> {
    let RawBody { headers, body } = RawBody::read(request).await?;
    // `curl -X POST` with nothing to send sends no type either: a form without a field, as league's clients know it.
    if body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        return Ok((headers, Form::default()));
    }
    let content_type = content_type(&headers).ok_or(RequestError::ContentType)?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let form = match media_type.as_str() {
        "application/json" => json(&spaced(&body))?,
        "multipart/form-data" => multipart::parse(&content_type, &body, LISTS)?,
        "application/x-www-form-urlencoded" => Form::parse_with(&body, LISTS).map_err(RequestError::from)?,
        _ => return Err(RequestError::ContentType.into()),
    };
    Ok((headers, form))
}

/// The one content type of a body that is not compressed.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return None };
    let encoded =
        headers.get(header::CONTENT_ENCODING).is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded { None } else { only.to_str().ok().map(str::to_owned) }
}

/// Shopware's documentation prints its requests with no-break spaces (U+00A0), and who copies one sends them. Between JSON's tokens they
/// are as good as two spaces; within texts they stay.
fn spaced(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(body.to_vec());
    let (mut in_text, mut escaped) = (false, false);
    for at in 0..body.len() {
        match body[at] {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            0xC2 if !in_text && body.get(at + 1) == Some(&0xA0) => body[at..at + 2].fill(b' '),
            _ => {}
        }
    }
    body
}

fn json(body: &[u8]) -> Result<Form, BodyError> {
    let Members(members) = serde_json::from_slice(body).map_err(BodyError::Json)?;
    let mut form = Form::default();
    for (name, value) in members {
        let added = match value {
            Value::Text(text) => form.add(name, text),
            Value::List(items) => {
                let name = if name.ends_with("[]") { name } else { format!("{name}[]") };
                items.into_iter().try_for_each(|item| form.add(name.clone(), item))
            }
        };
        added.map_err(RequestError::from)?;
    }
    if form.repeated().any(|name| !LISTS.contains(&name)) {
        return Err(RequestError::from(FormError::Repeated).into());
    }
    Ok(form)
}

/// A JSON object's members in their order, each once as far as its name says.
struct Members(Vec<(String, Value)>);

enum Value {
    Text(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a member stands there twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;
        impl<'de> Visitor<'de> for TextOrList {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            /// `null` is as good as absent.
            fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
                Ok(Value::Text(String::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<String>()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }
        }
        deserializer.deserialize_any(TextOrList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_object_becomes_a_form() {
        let form = json(br#"{"grant_type":"password","scopes":["write","read"],"x":null}"#).expect("an object");
        assert_eq!(form.value("grant_type"), Some("password"));
        assert_eq!(form.values("scopes[]").collect::<Vec<_>>(), ["write", "read"]);
        assert_eq!(form.value("x"), None);
    }

    #[test]
    fn no_break_spaces_between_tokens_are_spaces_and_within_texts_they_stay() {
        let body = spaced("{\u{a0}\u{a0} \"a\":\u{a0}\"x\\\"\u{a0}y\"}\u{a0}".as_bytes());
        assert_eq!(json(&body).expect("an object").value("a"), Some("x\"\u{a0}y"));
        assert_eq!(**spaced(b"{\xC2"), *b"{\xC2");
    }

    #[test]
    fn json_that_two_readers_could_read_differently_is_refused() {
        for bad in [
            r#"{"a":"1","a":"2"}"#,
            r#"{"client_id":["a","b"]}"#,
            r#"{"a":1}"#,
            r#"{"a":{"b":"c"}}"#,
            r#"{"scope":[["a"]]}"#,
            r#"["a"]"#,
            r#"{"a":"1"} x"#,
            "",
        ] {
            assert!(json(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
