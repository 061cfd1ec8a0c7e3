//! A configuration before it is typed: values that know where they came from.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a value came from, as shown to people.
pub(super) type Origin = Arc<str>;

/// A value and its origin.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Table(Table),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// From the environment: a text that becomes what its key wants.
    Loose(String),
}

/// Keys and values.
pub(super) type Table = BTreeMap<String, Node>;

impl Node {
    pub(super) fn table(origin: Origin) -> Self {
        Self { origin, value: Value::Table(Table::new()) }
    }

    /// Puts a value at a path, over what stands there.
    pub(super) fn put(&mut self, path: &[String], node: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Table(_)) {
            self.value = Value::Table(Table::new());
        }
        if let Value::Table(table) = &mut self.value {
            let origin = Arc::clone(&node.origin);
            table.entry(first.clone()).or_insert_with(|| Self::table(origin)).put(rest, node);
        }
    }

    /// Takes a value away; whether there was one.
    pub(super) fn remove(&mut self, path: &[String]) -> Option<Self> {
        let Value::Table(table) = &mut self.value else { return None };
        match path {
            [] => None,
            [last] => table.remove(last),
            [first, rest @ ..] => table.get_mut(first)?.remove(rest),
        }
    }

    /// Every leaf with its path.
    pub(super) fn leaves(&self, path: &str, visit: &mut impl FnMut(&str, &Self)) {
        match &self.value {
            Value::Table(table) => {
                for (key, node) in table {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    node.leaves(&path, visit);
                }
            }
            _ => visit(path, self),
        }
    }
}
