//! Who takes part: one pair with every dialect on, and the clients and people that the documents name.

use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ChildStdin;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tessera_testkit::pair::{Backend, Options, Pair};
use tessera_tests::shared::keep;
use tessera_tests::{Answer, Client, FORM, World, create_client, form, request, world_with};
use tokio::sync::OnceCell;

/// A system whose clients we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    PrestaShop,
    Shopware,
    Oro,
}

impl System {
    /// Its token endpoint.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::PrestaShop => "/admin-api/access_token",
            Self::Shopware => "/api/oauth/token",
            Self::Oro => "/oauth2-token",
        }
    }
}

/// The clients of the seeds, as these name them.
pub(crate) struct Seeds {
    /// The pair and its resource server, which may ask about every token here.
    pub(crate) world: World,
    /// Oro's machine: client credentials, in the organization `Acme`, owned by `admin`.
    pub(crate) machine: Client,
    /// Oro's first-party client: password, and what comes with it.
    pub(crate) front: Client,
    /// The slides' application: authorization code and client credentials.
    pub(crate) application: Client,
    _lifeline: ChildStdin,
}

/// What every test configures: development's dialects, and the password grant.
pub(crate) const DIALECTS: &str = "[tokens]\npassword_grant = true\n[cors]\norigins = [\"https://admin.shop.test\"]\n\
     [dialects]\nprestashop = { require_https = false }\nshopware = true\noro = true\n";

/// What a seed's client or person types as its secret.
pub(crate) const PRESTASHOP_SECRET: &str = "your_client_secret";
pub(crate) const SHOPWARE_INTEGRATION: &str = "SWIABXZIEHRJVNJPZVNKUNI5EA";
pub(crate) const SHOPWARE_SECRET: &str = "REJzWnlLQmRCUVZ3YjA3c0hSWXBOdlRmZUdqRTltaDR3QWx4dFI";
pub(crate) const PASSWORD: &str = "shopware";

/// Where the slides' application is sent back to.
pub(crate) const CALLBACK: &str = "https://app/cb";

/// The audience the resource server asks for.
pub(crate) const AUDIENCE: [&str; 2] = ["--audience", "orders-api"];

/// The same, and the shape of the shops' tokens wherever one is asked for.
pub(crate) const LEGACY: [&str; 4] = ["--claims-profile", "legacy", "--audience", "orders-api"];

/// The one pair of this process.
pub(crate) async fn seeds() -> Result<&'static Seeds> {
    static SEEDS: OnceCell<Seeds> = OnceCell::const_new();
    SEEDS.get_or_try_init(assemble).await
}

async fn assemble() -> Result<Seeds> {
    let options = Options { issuer: DIALECTS.to_owned(), ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let pair = &world.pair;
    for scope in ["api_client_read", "api_client_write", "customer_group_read", "customer_group_write", "write", "read"]
    {
        pair.tessera_json(&["scope", "create", scope])?;
    }
    user(pair, "admin", PASSWORD)?;
    prestashop(pair)?;
    shopware(pair)?;
    pair.tessera_json(&["org", "create", "Acme"])?;
    pair.tessera_json(&["org", "member", "add", "Acme", "admin"])?;
    let owned = ["--grant", "client_credentials", "--organization", "Acme", "--owner", "admin"];
    let machine = create_client(pair, "oro-machine", &[&owned[..], &AUDIENCE].concat())?;
    let front = client(pair, "oro-front", &["--grant", "password", "--scope", "read", "write"])?;
    let slides = ["--grant", "authorization_code", "client_credentials", "--scope", "read", "--redirect-uri", CALLBACK];
    let application = create_client(pair, "slides", &[&slides[..], &["--audience", "orders-api"]].concat())?;
    let person = ["--grant", "password", "--public", "--audience", "orders-api"];
    create_client(pair, "slides-first-party", &person)?;
    let lifeline = keep(&world)?;
    Ok(Seeds { world, machine, front, application, _lifeline: lifeline })
}

fn prestashop(pair: &Pair) -> Result<()> {
    let scopes = ["--scope", "api_client_read", "api_client_write", "customer_group_read", "customer_group_write"];
    let shape = [&["--grant", "client_credentials"], &scopes[..]].concat();
    imported(pair, "your_client_id", PRESTASHOP_SECRET, &shape)
}

fn shopware(pair: &Pair) -> Result<()> {
    let scopes = ["--scope", "write", "read", "--default-scope", "write", "read"];
    let administration = [&["--public", "--grant", "password", "refresh_token"], &scopes[..]].concat();
    client(pair, "administration", &administration)?;
    let integration = [&["--grant", "client_credentials"], &scopes[..]].concat();
    imported(pair, SHOPWARE_INTEGRATION, SHOPWARE_SECRET, &integration)
}

/// A client with the shops' claims wherever it asks.
pub(crate) fn client(pair: &Pair, id: &str, shape: &[&str]) -> Result<Client> {
    create_client(pair, id, &[shape, &LEGACY].concat())
}

/// A client that brings its secret from the system it was registered with. Of its claims it says nothing: they are the endpoint's.
pub(crate) fn imported(pair: &Pair, id: &str, secret: &str, shape: &[&str]) -> Result<()> {
    let file = private(pair, &format!("{id}.secret"), secret)?;
    create_client(pair, id, &[shape, &AUDIENCE, &["--secret-file", &file]].concat()).map(drop)
}

/// A person.
pub(crate) fn user(pair: &Pair, name: &str, password: &str) -> Result<()> {
    let file = private(pair, &format!("{name}.password"), password)?;
    pair.tessera_json(&["user", "create", "--username", name, "--password-file", &file]).map(drop)
}

/// A file that only we may read.
pub(crate) fn private(pair: &Pair, name: &str, text: &str) -> Result<String> {
    let path = pair.folder().join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(path.display().to_string())
}

/// Posts a JSON body as it is.
pub(crate) async fn post_json(world: &World, path: &str, body: impl AsRef<[u8]>) -> Result<Answer> {
    request(world.pair.ports.issuer_http, "POST", path, &[("content-type", "application/json")], body).await
}

/// Posts a form as it is.
pub(crate) async fn post_form(world: &World, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
    request(world.pair.ports.issuer_http, "POST", path, &[FORM], form(fields)).await
}

impl Seeds {
    /// Posts a form to a system.
    pub(crate) async fn ask(&self, system: System, fields: &[(&str, &str)]) -> Result<Answer> {
        post_form(&self.world, system.path(), fields).await
    }

    /// The pair.
    pub(crate) fn pair(&self) -> &Pair {
        &self.world.pair
    }

    /// Whether both services call a token active for the resource server.
    pub(crate) async fn is_active(&self, token: &str) -> Result<bool> {
        self.world.is_active(token).await
    }

    /// Runs `tessera`, which must succeed.
    pub(crate) fn tessera(&self, arguments: &[&str]) -> Result<Value> {
        self.pair().tessera_json(arguments)
    }
}
