//! serde's view of the tree.

use std::fmt::Write as _;
use std::fs;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};

use super::super::error::ConfigError;
use super::super::tree::{Node, Origin, Table, Value};
use super::Findings;
use super::error::Error;

/// A node being read.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    node: Node,
    path: Vec<String>,
    findings: &'a Findings,
}

impl<'a> Reader<'a> {
    pub(super) fn root(tree: &Node, findings: &'a Findings) -> Self {
        Self { node: tree.clone(), path: Vec::new(), findings }
    }

    fn child(&self, key: &str, node: Node) -> Self {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        Self { node, path, findings: self.findings }
    }

    /// An item of a list: its path ends in `key[2]`.
    fn item(&self, index: usize, node: Node) -> Self {
        let mut path = self.path.clone();
        if let Some(last) = path.last_mut() {
            let _ = write!(last, "[{index}]");
        }
        Self { node, path, findings: self.findings }
    }

    fn note(&self, key: &str, origin: &Origin, message: String) {
        let key = super::joined(&self.path, key);
        let error = ConfigError { origin: origin.to_string(), key: key.clone(), message };
        self.findings.mistakes.borrow_mut().insert(key, error);
    }

    /// The entries of a struct with these fields: values kept in files are fetched, and what is unknown is noted.
    fn entries(&self, table: &Table, fields: &'static [&'static str]) -> Vec<(String, Self)> {
        let mut entries: Vec<(String, Self)> = Vec::new();
        for (key, node) in table {
            if fields.contains(&key.as_str()) {
                if !entries.iter().any(|(known, _)| known == key) {
                    entries.push((key.clone(), self.child(key, node.clone())));
                }
            } else if let Some(stem) = file_of(key, node, fields) {
                if table.get(stem).is_some_and(|other| matches!(other.value, Value::Loose(_))) {
                    self.note(stem, &node.origin, "the variable and its _FILE form are both set; unset one".to_owned());
                } else if let Some(value) = self.fetched(stem, node) {
                    entries.retain(|(known, _)| known != stem);
                    entries.push((stem.to_owned(), self.child(stem, value)));
                }
            } else if !(self.path.is_empty() && is_injected(key, node)) {
                self.note(key, &node.origin, unknown(key, fields));
            }
        }
        entries
    }

    /// The content of the file that a `…_FILE` variable names, without the newline at its end.
    fn fetched(&self, stem: &str, node: &Node) -> Option<Node> {
        let Value::Loose(path) = &node.value else { return None };
        match fs::read_to_string(path) {
            Ok(text) => {
                let value = Value::Loose(text.trim_end_matches(['\r', '\n']).to_owned());
                let origin = format!("{path} (by {})", node.origin);
                self.findings.fetched.borrow_mut().insert(super::joined(&self.path, stem), origin.clone());
                Some(Node { origin: origin.into(), value })
            }
            Err(error) => {
                self.note(stem, &node.origin, format!("{path} cannot be read: {error}"));
                None
            }
        }
    }
}

fn file_of<'k>(key: &'k str, node: &Node, fields: &[&str]) -> Option<&'k str> {
    let stem = key.strip_suffix("_file")?;
    (matches!(node.value, Value::Loose(_)) && fields.contains(&stem)).then_some(stem)
}

/// Whether a variable is one that Kubernetes sets in every container beside a Service named `tessera` or `tessera-…`: nobody
/// misspelt it. The Service's name is whatever stands before the words known here; `…_PORT` holds a URL, unlike a misspelt port
/// of ours.
fn is_injected(key: &str, node: &Node) -> bool {
    let Value::Loose(value) = &node.value else { return false };
    let words: Vec<&str> = key.split('_').collect();
    (0..words.len()).any(|at| match words[at..] {
        ["service", "host" | "port"] | ["service", "port", _, ..] => true,
        ["port"] => value.contains("://"),
        ["port", number, "tcp" | "udp" | "sctp"]
        | ["port", number, "tcp" | "udp" | "sctp", "proto" | "port" | "addr"] => number.parse::<u16>().is_ok(),
        _ => false,
    })
}

fn unknown(key: &str, fields: &[&str]) -> String {
    let near = fields.iter().map(|f| (distance(key, f), f)).filter(|(d, f)| *d <= 2.max(f.len() / 3)).min();
    match near {
        Some((_, field)) => format!("there is no such key; did you mean {field}?"),
        None if fields.is_empty() => "there is no such key".to_owned(),
        None => format!("there is no such key; there are {}", fields.join(", ")),
    }
}

/// How many letters must be put in, left out or replaced (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Values from the environment are texts; they become what is asked for.
macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty),+ $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let text = match &self.node.value {
                Value::Loose(text) => text,
                Value::Absent => return visitor.$visit(<$type>::default()),
                _ => return self.deserialize_any(visitor),
            };
            let value: $type = text.trim().parse().map_err(|_| {
                Error::custom(concat!("is not a valid ", stringify!($type))).at(&self.path, &self.node.origin)
            })?;
            visitor.$visit(value).map_err(|e: Error| e.at(&self.path, &self.node.origin))
        })+
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Text(text) | Value::Loose(text) => visitor.visit_str(text),
            Value::Absent => visitor.visit_str(""),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| self.item(index, item.clone()));
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            Value::Table(table) => {
                let entries = table.iter().map(|(key, node)| (key.clone(), self.child(key, node.clone())));
                visitor.visit_map(MapDeserializer::new(entries))
            }
        };
        result.map_err(|e: Error| e.at(&self.path, &self.node.origin))
    }

    parsed! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self.node.value, Value::Absent) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A list from the environment is separated by commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = match &self.node.value {
            Value::Loose(text) => text.as_str(),
            Value::Absent => "",
            _ => return self.deserialize_any(visitor),
        };
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let items = items.map(|item| Self {
            node: Node { origin: self.node.origin.clone(), value: Value::Loose(item.to_owned()) },
            ..self.clone()
        });
        visitor.visit_seq(SeqDeserializer::new(items)).map_err(|e: Error| e.at(&self.path, &self.node.origin))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let none = Table::new();
        let table = match &self.node.value {
            Value::Table(table) => table,
            Value::Absent => &none,
            _ => return self.deserialize_any(visitor),
        };
        let entries = self.entries(table, fields);
        visitor.visit_map(Entries(entries.into_iter(), None)).map_err(|e| e.at(&self.path, &self.node.origin))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Text(text) | Value::Loose(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(Error::custom("is not a word")),
        };
        result.map_err(|e: Error| e.at(&self.path, &self.node.origin))
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Reader<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Entries<'a>(std::vec::IntoIter<(String, Reader<'a>)>, Option<Reader<'a>>);

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.0.next() else { return Ok(None) };
        self.1 = Some(value);
        seed.deserialize(de::value::StringDeserializer::<Error>::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let value = self.1.take().ok_or_else(|| Error::custom("a value without a key"))?;
        let (path, origin) = (value.path.clone(), value.node.origin.clone());
        seed.deserialize(value).map_err(|e| e.at(&path, &origin))
    }
}
