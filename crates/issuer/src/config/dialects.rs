//! `[dialects]`: which shop systems' token endpoints the issuer stands in for, beside the RFC's own.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// `[dialects]`. Each is a truth, or a section of its own: `prestashop = true` is `[dialects.prestashop]` with nothing in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dialects {
    /// PrestaShop: `POST /admin-api/access_token`. `true`, or a section with `enabled`, `require_https` (by default true, as there) and
    /// `refresh` (by default true).
    #[schemars(extend("default" = false))]
    pub prestashop: Dialect,
    /// Shopware: `POST /api/oauth/token`. As for PrestaShop, but plain HTTP is taken by default.
    #[schemars(extend("default" = false))]
    pub shopware: Dialect,
    /// Oro: `POST /oauth2-token`. As for Shopware.
    #[schemars(extend("default" = false))]
    pub oro: Dialect,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dialect {
    /// Whether it is on; a section that says nothing of it is.
    pub enabled: bool,
    /// Whether requests over plain HTTP are refused before anything of them is looked at. By default `true` for PrestaShop, as there,
    /// and `false` for the others.
    pub require_https: Option<bool>,
    /// Whether it gives out refresh tokens and takes them; by default `true`.
    pub refresh: Option<bool>,
}

impl Dialects {
    /// Every one, without conditions: for development on loopback.
    #[must_use]
    pub fn for_development() -> Self {
        let on = Dialect { enabled: true, require_https: Some(false), refresh: None };
        Self { prestashop: on.clone(), shopware: on.clone(), oro: on }
    }
}

/// Either form, in the configuration's schema.
impl JsonSchema for Dialect {
    fn schema_name() -> Cow<'static, str> {
        "Dialect".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let section = Section::json_schema(generator);
        schemars::json_schema!({ "anyOf": [{ "type": "boolean" }, section] })
    }
}

const FIELDS: &[&str] = &["enabled", "require_https", "refresh"];

/// What of a section is set.
#[derive(Deserialize, JsonSchema)]
struct Section {
    enabled: Option<bool>,
    require_https: Option<bool>,
    refresh: Option<bool>,
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = Dialect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a section")
    }

    fn visit_bool<E: de::Error>(self, enabled: bool) -> Result<Dialect, E> {
        Ok(Dialect { enabled, ..Dialect::default() })
    }

    /// From the environment.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Dialect, E> {
        let enabled = text.trim().parse().map_err(|_| E::custom("is neither true nor false"))?;
        self.visit_bool(enabled)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Dialect, A::Error> {
        let Section { enabled, require_https, refresh } =
            Section::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Dialect { enabled: enabled.unwrap_or(true), require_https, refresh })
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Dialect", FIELDS, EitherForm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Dialects, tessera_kit::config::ConfigErrors> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), toml).expect("written");
        tessera_kit::config::load(&tessera_kit::config::Sources::new().file(file.path().to_owned()))
    }

    #[test]
    fn a_dialect_is_a_truth_or_a_section() {
        let dialects = read("shopware = true\noro = false\n[prestashop]\nrequire_https = false\n").expect("valid");
        assert!(dialects.shopware.enabled && !dialects.oro.enabled);
        assert_eq!((dialects.prestashop.enabled, dialects.prestashop.require_https), (true, Some(false)));
        let dialects = read("").expect("valid");
        assert!(!dialects.prestashop.enabled, "off by default");
    }

    #[test]
    fn a_misspelt_setting_of_a_dialect_is_told() {
        let errors = read("[prestashop]\nrequire_http = false\n").expect_err("unknown");
        assert!(errors.to_string().contains("require_https"), "{errors}");
        assert!(read("shopware = 3\n").is_err());
    }
}
