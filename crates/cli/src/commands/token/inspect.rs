//! `tessera token inspect`: what a token says of itself.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use tessera_types::Timestamp;

use super::argument::TokenArg;
use crate::app::App;
use crate::jwt::Decoded;
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};
use crate::seconds;

/// Decodes a token, offline.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get client-credentials | tessera token inspect -
  tessera token inspect - -o json < token.txt | jq .claims.exp")]
pub struct Inspect {
    #[command(flatten)]
    token: TokenArg,
}

/// What a token says of itself.
#[derive(Serialize)]
struct Inspected {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// Always false: nobody was asked for the key.
    signature_checked: bool,
    #[serde(skip)]
    now: Timestamp,
}

impl Inspect {
    /// Decodes and shows.
    ///
    /// # Errors
    /// Usage, where it is no JWT.
    pub fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let token = self.token.read(app.console)?;
        let Decoded { header, claims } = Decoded::parse(&token)?;
        app.say("Decoded only: neither the signature nor the state was checked. Ask with `tessera introspect`.");
        app.show(&Inspected { header, claims, signature_checked: false, now: app.clock.now() })
    }
}

impl View for Inspected {
    fn table(&self) -> Table {
        let header = self.header.iter().map(|(name, value)| vec![format!("header {name}"), flat(value)]);
        let claims = self.claims.iter().map(|(name, value)| vec![name.clone(), self.claim(name, value)]);
        Table::List(vec!["MEMBER", "VALUE"], header.chain(claims).collect())
    }

    fn names(&self) -> Vec<String> {
        self.claims.get("jti").map(flat).into_iter().collect()
    }
}

impl Inspected {
    /// A claim as text; times also in words.
    fn claim(&self, name: &str, value: &Value) -> String {
        match (name, value.as_i64()) {
            ("exp" | "iat" | "nbf", Some(time)) => {
                let distance = seconds::show(time.abs_diff(self.now.0).try_into().unwrap_or(i64::MAX));
                let relation = if time > self.now.0 { format!("in {distance}") } else { format!("{distance} ago") };
                format!("{time} ({}, {relation})", Timestamp(time))
            }
            _ => flat(value),
        }
    }
}

/// A JSON value on one line, texts without quotes.
fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_shown_in_words_too() {
        let claims = json!({ "exp": 1_000_900, "iat": 1_000_000, "aud": ["a", "b"], "jti": "x" });
        let claims = claims.as_object().expect("object").clone();
        let inspected = Inspected { header: Map::new(), claims, signature_checked: false, now: Timestamp(1_000_060) };
        insta::assert_snapshot!(inspected.table().to_text(), @r#"
        MEMBER  VALUE
        aud     a b
        exp     1000900 (1970-01-12T14:01:40Z, in 14m)
        iat     1000000 (1970-01-12T13:46:40Z, 1m ago)
        jti     x
        "#);
        assert_eq!(inspected.names(), ["x"]);
    }
}
