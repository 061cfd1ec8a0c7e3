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
    /// Stands in for what is missing and has no default, so that the rest is read.
    Absent,
}

/// Keys and values.
pub(super) type Table = BTreeMap<String, Node>;

impl Node {
    pub(super) fn table(origin: Origin) -> Self {
        Self { origin, value: Value::Table(Table::new()) }
    }

    /// What stands in for what is missing.
    pub(super) fn absent() -> Self {
        Self { origin: Origin::from(""), value: Value::Absent }
    }

    /// What is at a part of a path: a key, or `key[2]` for an item of a list.
    fn at_mut(&mut self, part: &str) -> Option<&mut Self> {
        let Value::Table(table) = &mut self.value else { return None };
        let Some((key, index)) = part.strip_suffix(']').and_then(|part| part.rsplit_once('[')) else {
            return table.get_mut(part);
        };
        match &mut table.get_mut(key)?.value {
            Value::Array(items) => items.get_mut(index.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Has something stand in for what is missing at a path; whether that could be done.
    pub(super) fn stand_in(&mut self, path: &[String], field: &str) -> bool {
        let Some(parent) = path.iter().try_fold(self, |node, part| node.at_mut(part)) else { return false };
        match &mut parent.value {
            Value::Table(table) => table.insert(field.to_owned(), Self::absent()).is_none(),
            value @ Value::Absent => {
                *value = Value::Table([(field.to_owned(), Self::absent())].into());
                true
            }
            _ => false,
        }
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

    /// Takes a value away; whether there was one. In a list something else stands in for it, so that the others keep their places.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let Some(parent) = parents.iter().try_fold(self, |node, part| node.at_mut(part)) else { return false };
        if let Value::Table(table) = &mut parent.value
            && table.remove(last).is_some()
        {
            return true;
        }
        match parent.at_mut(last) {
            Some(item) if !matches!(item.value, Value::Absent) => {
                *item = Self::absent();
                true
            }
            _ => false,
        }
    }

    /// Every leaf with its path; and, of a list of tables, each of these and its leaves.
    pub(super) fn leaves(&self, path: &str, visit: &mut impl FnMut(&str, &Self)) {
        match &self.value {
            Value::Table(table) => {
                for (key, node) in table {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    node.leaves(&path, visit);
                }
            }
            Value::Array(items) => {
                visit(path, self);
                for (index, item) in items.iter().enumerate().filter(|(_, item)| matches!(item.value, Value::Table(_)))
                {
                    let path = format!("{path}[{index}]");
                    visit(&path, item);
                    item.leaves(&path, visit);
                }
            }
            _ => visit(path, self),
        }
    }
}
