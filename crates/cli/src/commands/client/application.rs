//! What makes a client an application, as flags that `create` and `update` share: whose it is, and what people see of it.

use clap::Args;
use tessera_api::admin::v1 as wire;
use tessera_types::{RedirectUri, Scope, WebUrl};

use super::names;
use super::shape::texts;
use crate::connect::Administrator;
use crate::problem::Problem;

/// The flags.
#[derive(Args, Clone, Debug, Default)]
pub struct Application {
    /// The organization it belongs to, by name or id. Its grants are fixed from then on.
    #[arg(long, value_name = "ORG")]
    pub organization: Option<String>,

    /// The user it belongs to, by id, username or e-mail address; by client credentials it acts for them.
    #[arg(long, value_name = "WHO")]
    pub owner: Option<String>,

    /// The site it is of, to which the page that asks for consent links.
    #[arg(long, value_name = "URL")]
    pub site_url: Option<WebUrl>,

    /// Its logo, which that page shows: over https, or over http where the issuer is reached so.
    #[arg(long, value_name = "URL")]
    pub logo_url: Option<WebUrl>,

    /// Where a browser is sent with an authorization error [default: where it would be sent with a code].
    #[arg(long, value_name = "URI")]
    pub failure_uri: Option<RedirectUri>,

    /// A scope it gets besides, whatever it asks for.
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ')]
    pub implicit_scope: Vec<Scope>,
}

impl Application {
    /// Whether any was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.organization.is_some()
            || self.owner.is_some()
            || self.site_url.is_some()
            || self.logo_url.is_some()
            || self.failure_uri.is_some()
            || !self.implicit_scope.is_empty()
    }

    /// Writes what was given into a client, and returns the fields it touched, as a field mask names them. Names are looked up.
    ///
    /// # Errors
    /// Not found, where there is no such organization or user.
    pub async fn apply(&self, admin: &Administrator, client: &mut wire::Client) -> Result<Vec<&'static str>, Problem> {
        let mut touched = Vec::new();
        if let Some(organization) = &self.organization {
            client.organization_id = names::organization_id(admin, organization).await?;
            touched.push("organization_id");
        }
        if let Some(owner) = &self.owner {
            client.owner_id = names::user_id(admin, owner).await?;
            touched.push("owner_id");
        }
        let mut text = |name: &'static str, given: Option<String>, field: &mut String| {
            if let Some(given) = given {
                *field = given;
                touched.push(name);
            }
        };
        text("site_url", self.site_url.as_ref().map(ToString::to_string), &mut client.site_url);
        text("logo_url", self.logo_url.as_ref().map(ToString::to_string), &mut client.logo_url);
        text("failure_uri", self.failure_uri.as_ref().map(ToString::to_string), &mut client.failure_uri);
        if !self.implicit_scope.is_empty() {
            client.implicit_scopes = texts(&self.implicit_scope);
            touched.push("implicit_scopes");
        }
        Ok(touched)
    }
}
