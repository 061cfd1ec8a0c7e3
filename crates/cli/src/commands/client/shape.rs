//! What a client may do, as flags that `create` and `update` share.

use std::time::Duration;

use clap::Args;
use tessera_api::admin::v1 as wire;
use tessera_types::{Audience, ClaimsProfile, GrantType, RedirectUri, Scope};

use crate::args::{Profile, grant_parser, profile_parser};
use crate::seconds;

/// The flags. Each list takes several values after one flag, and the flag may be repeated.
#[derive(Args, Clone, Debug, Default)]
pub struct Shape {
    /// A grant it may use. `authorization_code` needs --redirect-uri; `password` is for first-party clients only, and off unless the
    /// operator turned it on.
    #[arg(long, num_args = 1.., value_name = "GRANT", value_parser = grant_parser())]
    pub grant: Vec<GrantType>,

    /// A scope it may ask for.
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ')]
    pub scope: Vec<Scope>,

    /// A scope it gets where it asks for none.
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ')]
    pub default_scope: Vec<Scope>,

    /// An audience it issues tokens for; the first is the default.
    #[arg(long, num_args = 1.., value_name = "AUDIENCE")]
    pub audience: Vec<Audience>,

    /// An audience whose tokens it may introspect.
    #[arg(long, num_args = 1.., value_name = "AUDIENCE")]
    pub resource: Vec<Audience>,

    /// Where authorization answers may be sent: what `authorization_code` needs. Of a loopback address the port does not matter.
    #[arg(long, num_args = 1.., value_name = "URI")]
    pub redirect_uri: Vec<RedirectUri>,

    /// How long its access tokens live: 900, 15m, 24h.
    #[arg(long, value_name = "SPAN", value_parser = seconds::parse)]
    pub lifetime: Option<Duration>,

    /// The shape of its access tokens' claims; auto leaves it to the endpoint.
    #[arg(long, value_name = "PROFILE", value_parser = profile_parser())]
    pub claims_profile: Option<Profile>,
}

impl Shape {
    /// Writes what was given into a client, and returns the fields it touched, as a field mask names them.
    pub fn apply(&self, client: &mut wire::Client) -> Vec<&'static str> {
        let mut touched = Vec::new();
        let mut list = |name: &'static str, given: Vec<String>, field: &mut Vec<String>| {
            if !given.is_empty() {
                *field = given;
                touched.push(name);
            }
        };
        list("grant_types", texts(&self.grant), &mut client.grant_types);
        list("scopes", texts(&self.scope), &mut client.scopes);
        list("default_scopes", texts(&self.default_scope), &mut client.default_scopes);
        list("audiences", texts(&self.audience), &mut client.audiences);
        list("resources", texts(&self.resource), &mut client.resources);
        list(
            "redirect_uris",
            self.redirect_uri.iter().map(|u| u.as_str().to_owned()).collect(),
            &mut client.redirect_uris,
        );
        if let Some(lifetime) = self.lifetime {
            client.access_token_lifetime = Some(super::span(lifetime));
            touched.push("access_token_lifetime");
        }
        if let Some(profile) = self.claims_profile {
            client.claims_profile = profile_to_wire(profile.0).into();
            touched.push("claims_profile");
        }
        touched
    }
}

/// Texts in the order given, each once.
pub(super) fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::with_capacity(items.len());
    for text in items.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

pub(super) const fn profile_to_wire(profile: Option<ClaimsProfile>) -> wire::ClaimsProfile {
    match profile {
        None => wire::ClaimsProfile::Unspecified,
        Some(ClaimsProfile::Rfc9068) => wire::ClaimsProfile::Rfc9068,
        Some(ClaimsProfile::Legacy) => wire::ClaimsProfile::Legacy,
    }
}
