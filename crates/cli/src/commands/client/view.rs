//! Clients and their secrets, as they are shown.

use serde::Serialize;
use tessera_api::admin::v1 as wire;
use tessera_types::PresentedSecret;

use crate::args::AUTO;
use crate::output::{ListedView, Table, View, moment, show_secret};
use crate::seconds;

/// A client.
#[derive(Debug, Serialize)]
pub struct ClientView {
    client_id: String,
    name: String,
    description: String,
    r#type: &'static str,
    enabled: bool,
    grant_types: Vec<String>,
    scopes: Vec<String>,
    default_scopes: Vec<String>,
    audiences: Vec<String>,
    resources: Vec<String>,
    redirect_uris: Vec<String>,
    /// Seconds.
    access_token_lifetime: Option<i64>,
    claims_profile: &'static str,
    organization_id: String,
    owner_id: String,
    site_url: String,
    logo_url: String,
    failure_uri: String,
    implicit_scopes: Vec<String>,
    last_used_time: Option<String>,
    create_time: Option<String>,
    update_time: Option<String>,
    etag: String,
}

impl From<wire::Client> for ClientView {
    fn from(client: wire::Client) -> Self {
        Self {
            r#type: type_word(client.r#type()),
            claims_profile: profile_word(client.claims_profile()),
            access_token_lifetime: super::seconds_of(client.access_token_lifetime.as_ref()),
            create_time: moment(client.create_time.as_ref()),
            update_time: moment(client.update_time.as_ref()),
            last_used_time: moment(client.last_used_time.as_ref()),
            organization_id: client.organization_id,
            owner_id: client.owner_id,
            site_url: client.site_url,
            logo_url: client.logo_url,
            failure_uri: client.failure_uri,
            implicit_scopes: client.implicit_scopes,
            client_id: client.client_id,
            name: client.name,
            description: client.description,
            enabled: client.enabled,
            grant_types: client.grant_types,
            scopes: client.scopes,
            default_scopes: client.default_scopes,
            audiences: client.audiences,
            resources: client.resources,
            redirect_uris: client.redirect_uris,
            etag: client.etag,
        }
    }
}

const fn type_word(kind: wire::ClientType) -> &'static str {
    match kind {
        wire::ClientType::Confidential => "confidential",
        wire::ClientType::Public => "public",
        wire::ClientType::Unspecified => "unknown",
    }
}

pub(super) const fn profile_word(profile: wire::ClaimsProfile) -> &'static str {
    match profile {
        wire::ClaimsProfile::Rfc9068 => "rfc9068",
        wire::ClaimsProfile::Legacy => "legacy",
        wire::ClaimsProfile::Unspecified => AUTO,
    }
}

const fn enabled_word(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

impl ClientView {
    fn sides(&self) -> Vec<(&'static str, String)> {
        vec![
            ("client id", self.client_id.clone()),
            ("name", self.name.clone()),
            ("description", self.description.clone()),
            ("type", self.r#type.into()),
            ("state", enabled_word(self.enabled).into()),
            ("grants", self.grant_types.join(" ")),
            ("scopes", self.scopes.join(" ")),
            ("default scopes", self.default_scopes.join(" ")),
            ("audiences", self.audiences.join(" ")),
            ("resources", self.resources.join(" ")),
            ("redirect URIs", self.redirect_uris.join(" ")),
            ("lifetime", self.access_token_lifetime.map_or_else(|| "server's default".into(), seconds::show)),
            ("claims", self.claims_profile.into()),
            ("implicit scopes", self.implicit_scopes.join(" ")),
            ("organization", self.organization_id.clone()),
            ("owner", self.owner_id.clone()),
            ("site", self.site_url.clone()),
            ("logo", self.logo_url.clone()),
            ("failure URI", self.failure_uri.clone()),
            ("last used", self.last_used_time.clone().unwrap_or_default()),
            ("created", self.create_time.clone().unwrap_or_default()),
            ("updated", self.update_time.clone().unwrap_or_default()),
        ]
    }
}

impl View for ClientView {
    fn table(&self) -> Table {
        Table::Record(self.sides())
    }

    fn names(&self) -> Vec<String> {
        vec![self.client_id.clone()]
    }
}

impl ListedView for ClientView {
    const HEAD: &'static [&'static str] = &["CLIENT ID", "NAME", "TYPE", "STATE", "GRANTS", "SCOPES"];

    fn row(&self) -> Vec<String> {
        vec![
            self.client_id.clone(),
            self.name.clone(),
            self.r#type.into(),
            enabled_word(self.enabled).into(),
            self.grant_types.join(" "),
            self.scopes.join(" "),
        ]
    }
}

/// A client after a change.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// The client.
    #[serde(flatten)]
    pub client: ClientView,
    /// The secret generated for it, this once.
    #[serde(serialize_with = "show_secret", skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<PresentedSecret>,
    /// The revision at which the change holds everywhere.
    pub revision: String,
}

impl Changed {
    /// A change that made no secret.
    #[must_use]
    pub fn without_secret(client: wire::Client, revision: String) -> Self {
        Self { client: client.into(), client_secret: None, revision }
    }
}

impl View for Changed {
    fn table(&self) -> Table {
        let mut sides = self.client.sides();
        if let Some(secret) = &self.client_secret {
            sides.insert(1, ("client secret", secret.expose().to_owned()));
        }
        sides.push(("revision", self.revision.clone()));
        Table::Record(sides)
    }

    fn names(&self) -> Vec<String> {
        self.client.names()
    }
}

/// What is known of a secret.
#[derive(Debug, Serialize)]
pub struct SecretView {
    secret_id: String,
    origin: &'static str,
    create_time: Option<String>,
    expire_time: Option<String>,
    last_used_time: Option<String>,
}

impl From<wire::ClientSecret> for SecretView {
    fn from(secret: wire::ClientSecret) -> Self {
        Self {
            origin: if secret.generated { "generated" } else { "imported" },
            create_time: moment(secret.create_time.as_ref()),
            expire_time: moment(secret.expire_time.as_ref()),
            last_used_time: moment(secret.last_used_time.as_ref()),
            secret_id: secret.secret_id,
        }
    }
}

impl View for SecretView {
    fn table(&self) -> Table {
        Table::Record(vec![
            ("secret id", self.secret_id.clone()),
            ("origin", self.origin.into()),
            ("created", self.create_time.clone().unwrap_or_default()),
            ("expires", self.expire_time.clone().unwrap_or_else(|| "never".into())),
            ("last used", self.last_used_time.clone().unwrap_or_else(|| "never".into())),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.secret_id.clone()]
    }
}

impl ListedView for SecretView {
    const HEAD: &'static [&'static str] = &["SECRET ID", "ORIGIN", "CREATED", "EXPIRES", "LAST USED"];

    fn row(&self) -> Vec<String> {
        vec![
            self.secret_id.clone(),
            self.origin.into(),
            self.create_time.clone().unwrap_or_default(),
            self.expire_time.clone().unwrap_or_else(|| "never".into()),
            self.last_used_time.clone().unwrap_or_else(|| "never".into()),
        ]
    }
}

/// A new secret, this once.
#[derive(Debug, Serialize)]
pub struct NewSecret {
    /// The client it belongs to.
    pub client_id: String,
    /// Its value.
    #[serde(serialize_with = "show_secret")]
    pub client_secret: Option<PresentedSecret>,
    /// What is known of it from now on.
    #[serde(flatten)]
    pub secret: SecretView,
    /// The revision at which it is known everywhere.
    pub revision: String,
    /// Whether every connected introspector knows of it by now; until then one may accept a secret that has ended.
    pub confirmed: bool,
}

impl View for NewSecret {
    fn table(&self) -> Table {
        let value = self.client_secret.as_ref().map(|s| s.expose().to_owned()).unwrap_or_default();
        let mut sides = vec![("client id", self.client_id.clone()), ("client secret", value)];
        if let Table::Record(known) = self.secret.table() {
            sides.extend(known);
        }
        sides.push(("revision", self.revision.clone()));
        sides.push(("confirmed", if self.confirmed { "yes" } else { "not yet" }.into()));
        Table::Record(sides)
    }

    fn names(&self) -> Vec<String> {
        self.secret.names()
    }
}
