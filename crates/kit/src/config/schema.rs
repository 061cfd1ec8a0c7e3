//! What a configuration may hold, told to programs and to people: a JSON Schema, and a file in which every key stands with its
//! default. Both come from the types that read it, doc comments included, so neither can be out of date.

use std::fmt::Write as _;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The JSON Schema (draft 7, which editors know) of a configuration file.
#[must_use]
pub fn schema<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), title.into());
        root.insert("description".to_owned(), format!("The configuration of {title}.").into());
    }
    schema
}

/// A section has only the keys it has; a misspelt one is an error, as it is when it is read. The defaults stand at the keys alone.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.insert("additionalProperties".to_owned(), false.into());
                object.remove("default");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The longest line of a comment.
const WIDTH: usize = 110;

/// A configuration file with every key of a schema, each with what it means and its default. It says nothing as it stands but what
/// must be set.
#[must_use]
pub fn example(schema: &Value) -> String {
    let title = schema.get("title").and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("# The configuration of {title}.\n");
    text.push_str(
        "#\n\
         # Every key stands here with its default: take the # away from what you change. A key that does not exist is an error.\n\
         # Durations are written 90, \"500ms\", \"90s\", \"15m\", \"24h\" or \"7d\". The environment comes over this file: TESSERA_LOG__LEVEL is\n\
         # log.level, and TESSERA_LOG__LEVEL_FILE names a file that holds it.\n",
    );
    section(&mut text, "", schema);
    text
}

fn section(text: &mut String, path: &str, schema: &Value) {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let (sections, keys): (Vec<_>, Vec<_>) = properties.iter().partition(|(_, property)| is_section(property));
    for (key, property) in keys {
        text.push('\n');
        comment(text, described(property));
        match property.get("default").and_then(toml_of) {
            _ if is_required(schema, key) => {
                let example = property.pointer("/examples/0").and_then(toml_of).unwrap_or_else(|| "\"\"".to_owned());
                let _ = writeln!(text, "# It must be set.\n{key} = {example}");
            }
            Some(default) => drop(writeln!(text, "#{key} = {default}")),
            None => drop(writeln!(text, "#{key} = \"\"")),
        }
    }
    for (key, property) in sections {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        text.push('\n');
        comment(text, described(property));
        let _ = writeln!(text, "[{path}]");
        section(text, &path, property);
    }
}

fn is_section(property: &Value) -> bool {
    property.get("properties").is_some()
}

fn is_required(schema: &Value, key: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|required| required.iter().any(|name| name == key))
}

fn described(property: &Value) -> &str {
    property.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// A default as TOML; none where it is nothing.
fn toml_of(value: &Value) -> Option<String> {
    toml::Value::try_from(value).ok().map(|value| value.to_string())
}

fn comment(text: &mut String, description: &str) {
    for paragraph in description.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                let _ = writeln!(text, "{line}");
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = writeln!(text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::config::{Listen, Log, Span};

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Config {
        /// Who it is.
        #[schemars(example = "https://id.example.com")]
        issuer_url: String,
        /// Where it listens.
        #[serde(default)]
        listen: Listen<1, 2, 3>,
        #[serde(default)]
        log: Log,
        #[serde(default)]
        tokens: Tokens,
    }

    /// `[tokens]`.
    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Tokens {
        /// How long.
        #[serde(with = "crate::config::duration")]
        #[schemars(with = "Span")]
        access_ttl: Duration,
        /// For whom.
        audiences: Vec<String>,
        /// A file.
        file: Option<std::path::PathBuf>,
    }

    impl Default for Tokens {
        fn default() -> Self {
            Self { access_ttl: Duration::from_mins(15), audiences: vec!["a".to_owned()], file: None }
        }
    }

    #[test]
    fn the_schema_knows_every_key_and_no_other() {
        let schema = schema::<Config>("test");
        assert_eq!(schema.pointer("/properties/tokens/properties/access_ttl/default"), Some(&"15m".into()));
        assert_eq!(schema.pointer("/properties/listen/properties/grpc/default"), Some(&"127.0.0.1:2".into()));
        assert_eq!(schema.pointer("/properties/tokens/additionalProperties"), Some(&false.into()));
        assert_eq!(schema.pointer("/required"), Some(&serde_json::json!(["issuer_url"])));
        assert!(!schema.to_string().contains("$ref"), "{schema:#}");
    }

    #[test]
    fn the_example_reads_back_as_the_defaults() {
        let text = example(&schema::<Config>("test"));
        insta::assert_snapshot!(text.split_once("holds it.\n").expect("the head").1, @r#"

        # Who it is.
        # It must be set.
        issuer_url = "https://id.example.com"

        # Where it listens.
        [listen]

        # gRPC.
        #grpc = "127.0.0.1:2"

        # HTTP.
        #http = "127.0.0.1:1"

        # `/livez`, `/readyz`, `/startupz` and `/metrics`. Not for the open internet.
        #ops = "127.0.0.1:3"

        # Event loops that serve gRPC, each on a core of its own; 0 and 1 share the process's runtime. 1024 at most.
        #workers = 0

        # `[log]`.
        [log]

        # `text` or `json`.
        #format = "text"

        # `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,tessera_issuer=debug`.
        #level = "info"

        # `[tokens]`.
        [tokens]

        # How long.
        #access_ttl = "15m"

        # For whom.
        #audiences = ["a"]

        # A file.
        #file = ""
        "#);
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .filter(|line| !line.starts_with("file ="))
            .fold(String::new(), |text, line| text + line + "\n");
        let config: Config = toml::from_str(&uncommented).expect("valid");
        assert_eq!(config.tokens.access_ttl, Duration::from_mins(15));
    }
}
