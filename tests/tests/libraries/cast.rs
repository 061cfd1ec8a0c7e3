//! Who takes part: a pair, clients for each grant, and a person.

use anyhow::Result;
use serde_json::{Value, json};
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::person::Person;
use tessera_tests::{Client, World, create_client, world_with};

/// The one that signs in.
pub(crate) const USERNAME: &str = "ada";

/// What they type.
pub(crate) const PASSWORD: &str = "analytical engine no. 1";

/// Where answers go. Nobody is there: browsers are only seen to be sent.
pub(crate) const REDIRECT_URI: &str = "https://client.example.test/callback?kept=1";

/// The audience of every token.
pub(crate) const AUDIENCE: &str = "orders-api";

/// A pair, its clients and its user.
pub(crate) struct Cast {
    /// The pair; its `service` may use `client_credentials`, its `resource` may introspect.
    pub(crate) world: World,
    /// Confidential: `authorization_code` and `refresh_token`.
    pub(crate) web: Client,
    /// Public: `authorization_code` and `refresh_token`.
    pub(crate) app: Client,
    /// Confidential: `password`.
    pub(crate) shop: Client,
}

impl Cast {
    /// Brings them together, with tokens signed by an algorithm; `None` where the database is not installed.
    pub(crate) async fn assemble(backend: Backend, algorithm: &str) -> Result<Option<Self>> {
        let issuer = format!("[tokens]\npassword_grant = true\nsigning_alg = \"{algorithm}\"\n");
        let options = Options { issuer, ..Options::default() };
        let Some(world) = world_with(backend, options).await? else { return Ok(None) };
        let common = ["--scope", "orders:read", "orders:write", "--audience", AUDIENCE];
        let code = ["--grant", "authorization_code", "refresh_token", "--redirect-uri", REDIRECT_URI];
        let web = create_client(&world.pair, "web", &[&common[..], &code].concat())?;
        let app = create_client(&world.pair, "app", &[&common[..], &code, &["--public"]].concat())?;
        let shop = create_client(&world.pair, "shop", &[&common[..], &["--grant", "password"]].concat())?;
        let file = world.pair.folder().join("ada.password");
        std::fs::write(&file, PASSWORD)?;
        let file = file.display().to_string();
        let user = ["user", "create", "--username", USERNAME, "--email", "ada@example.test", "--password-file", &file];
        world.pair.tessera_json(&user)?;
        Ok(Some(Self { world, web, app, shop }))
    }

    /// Opens an authorization request in a fresh browser; where it is sent, as the client's server sees it: without the fragment,
    /// which browsers keep to themselves.
    pub(crate) async fn decide(&self, url: &str, allow: bool) -> Result<String> {
        let mut person = Person::new(self.world.pair.ports.issuer_http);
        let back = person.authorize(url, USERNAME, PASSWORD, allow).await?;
        Ok(back.split('#').next().unwrap_or_default().to_owned())
    }

    /// Everything a client library is told: who it may be, and which issuer; of endpoints nothing.
    pub(crate) fn told(&self) -> Value {
        let client = |client: &Client| json!({"id": client.id, "secret": client.secret});
        json!({
            "issuer": self.world.pair.ports.issuer_url(),
            "audience": AUDIENCE,
            "redirect_uri": REDIRECT_URI,
            "username": USERNAME,
            "password": PASSWORD,
            "service": client(&self.world.service),
            "resource": client(&self.world.resource),
            "web": client(&self.web),
            "shop": client(&self.shop),
            "app": {"id": self.app.id},
        })
    }
}
