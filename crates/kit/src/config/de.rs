//! From the tree to a type, collecting every mistake on the way.
//!
//! serde stops at the first error. So reading is repeated: a value that is wrong is reported and taken away, something stands in for one
//! that is missing, and the rest is read again, until nothing is wrong or nothing is left that could be done. Keys that a struct does not have are found where
//! serde tells us the ones it has.

mod access;
mod error;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use self::access::Reader;
use self::error::{Error, Kind};
use super::dump::is_secret;
use super::error::ConfigError;
use super::tree::Node;

/// What reading finds besides values.
#[derive(Default)]
struct Findings {
    /// Keys no struct has, and variables set twice; by key, since reading is repeated.
    mistakes: RefCell<BTreeMap<String, ConfigError>>,
    /// Values that were in a file of their own, and which.
    fetched: RefCell<BTreeMap<String, String>>,
}

/// What reading a tree came to.
pub(super) struct Read<T> {
    /// The value, with the default in place of whatever was wrong; none where nothing can stand in for what is missing.
    pub(super) value: Option<T>,
    /// Key and origin of every value that was set.
    pub(super) origins: BTreeMap<String, String>,
    /// What is wrong.
    pub(super) errors: Vec<ConfigError>,
}

/// Reads a type out of a tree; `errors` are the ones found before.
pub(super) fn read<T: DeserializeOwned>(mut tree: Node, mut errors: Vec<ConfigError>) -> Read<T> {
    let mut origins = origins(&tree);
    let findings = Findings::default();
    let (mut reported, mut stood_in) = (BTreeSet::new(), BTreeSet::new());
    let value = loop {
        let error = match T::deserialize(Reader::root(&tree, &findings)) {
            Ok(value) => break Some(value),
            Err(error) => error,
        };
        let key = match &error.kind {
            Kind::Missing(field) => joined(&error.path, field),
            Kind::Invalid(_) => error.path.join("."),
        };
        if reported.insert(key.clone()) {
            errors.push(described(key.clone(), &error));
        }
        let goes_on = match &error.kind {
            // Once: where what stands in is no value either, the whole that lacks it is taken away.
            Kind::Missing(field) if stood_in.insert(key) => {
                tree.stand_in(&error.path, field) || tree.remove(&error.path)
            }
            _ => tree.remove(&error.path),
        };
        // What lacks something, or is in a place of what was wrong, is no mistake of its own.
        reported.insert(error.path.join("."));
        if !goes_on {
            break None;
        }
    };
    errors.extend(findings.mistakes.into_inner().into_values());
    origins.append(&mut findings.fetched.into_inner());
    Read { value, origins, errors }
}

fn described(key: String, error: &Error) -> ConfigError {
    let message = match &error.kind {
        Kind::Missing(_) => "is missing and has no default".to_owned(),
        // serde quotes the value it did not like.
        Kind::Invalid(_) if is_secret(&key) || key == "database.url" => "is not valid".to_owned(),
        Kind::Invalid(message) => message.clone(),
    };
    let origin = error.origin.as_deref().unwrap_or_default().to_owned();
    ConfigError { origin, key, message }
}

fn joined(path: &[String], field: &str) -> String {
    path.iter().map(String::as_str).chain([field]).collect::<Vec<_>>().join(".")
}

fn origins(tree: &Node) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    tree.leaves("", &mut |path, node| {
        origins.insert(path.to_owned(), node.origin.to_string());
    });
    origins
}

#[cfg(test)]
mod tests;
