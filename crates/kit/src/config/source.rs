//! Where configuration is read from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::tree::{Node, Origin, Table, Value};

/// What environment variables of ours start with.
const PREFIX: &str = "TESSERA_";

/// Variables of ours that are the command line's and no configuration of a service.
const NOT_KEYS: &[&str] = &[
    "CONFIG",
    "DATA_DIR",
    "CONTEXT",
    "ENDPOINT",
    "INTROSPECTOR_ENDPOINT",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "CLIENT_SECRET_FILE",
    "CA_FILE",
    "CERT_FILE",
    "KEY_FILE",
];

/// A file and environment variables, the latter over the former.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    variables: Vec<(String, String)>,
    data_dir: bool,
}

impl Sources {
    /// Nothing: every key has its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a TOML file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes `TESSERA_DATA_DIR` for the key `data_dir`, which only the issuer has; the command line and introspectors beside it may be
    /// told of the folder too.
    #[must_use]
    pub fn with_data_dir(mut self) -> Self {
        self.data_dir = true;
        self
    }

    /// Reads the process's environment variables that start with `TESSERA_`.
    #[must_use]
    pub fn environment(self) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let lossy = variables.map(|(name, value)| (name, value.to_string_lossy().into_owned()));
        self.variables(lossy.collect::<Vec<_>>())
    }

    /// Reads these variables, of which only those that start with `TESSERA_` count.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)));
        self.variables.sort();
        self
    }

    /// Reads everything there is, and says what could not be read.
    pub(super) fn read(&self) -> (Node, Vec<ConfigError>) {
        let mut errors = Vec::new();
        let mut root = match &self.file {
            Some(path) => read_file(path, &mut errors),
            None => Node::table("defaults".into()),
        };
        for (name, value) in &self.variables {
            let key = &name[PREFIX.len()..];
            if NOT_KEYS.contains(&key) && !(self.data_dir && key == "DATA_DIR" && !value.is_empty()) {
                continue;
            }
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            let origin = Origin::from(format!("environment variable {name}"));
            root.put(&path, Node { origin, value: Value::Loose(value.clone()) });
        }
        (root, errors)
    }
}

fn read_file(path: &Path, errors: &mut Vec<ConfigError>) -> Node {
    let shown = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot be read: {error}");
            errors.push(ConfigError { origin: shown.clone(), key: String::new(), message });
            return Node::table(shown.into());
        }
    };
    let (table, mistakes) = DeTable::parse_recoverable(&text);
    let lines = Lines { file: &shown, text: &text };
    for mistake in mistakes {
        let origin = mistake.span().map_or_else(|| shown.clone(), |span| lines.origin(span.start).to_string());
        errors.push(ConfigError { origin, key: String::new(), message: mistake.message().to_owned() });
    }
    Node { origin: shown.as_str().into(), value: Value::Table(lines.table(table.get_ref())) }
}

struct Lines<'a> {
    file: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let line = self.text.get(..offset).unwrap_or(self.text).matches('\n').count() + 1;
        Arc::from(format!("{}:{line}", self.file))
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let entries = table.iter();
        entries.map(|(key, value)| (key.get_ref().to_string(), self.node(key.span().start, value.get_ref()))).collect()
    }

    fn node(&self, offset: usize, value: &DeValue<'_>) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Text(number.as_str().to_owned()),
            },
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(moment) => Value::Text(moment.to_string()),
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|i| self.node(i.span().start, i.get_ref())).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { origin: self.origin(offset), value }
    }
}
