//! `tessera dev`: both services in one process, with the documented clients and users.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tessera_kit::logs::Format as LogFormat;
use tessera_kit::{logs, serve};
use tonic::transport::Uri;

use crate::app::App;
use crate::endpoint::is_loopback;
use crate::output::{Format, Table, View, printable};
use crate::pair::{ISSUER_URL, OwnPair, Plan};
use crate::problem::{Exit, Problem};
use crate::seconds::measured;

/// Runs issuer and introspector in one process on loopback, with SQLite in a data directory, the documented clients and users, and
/// the password grant turned on.
///
/// For development only: everybody knows the secrets and passwords.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera dev
  tessera dev --data-dir ./data --log-level debug")]
pub struct Dev {
    /// Where the database and the key-encryption key are.
    #[arg(
        long,
        value_name = "PATH",
        help = "Where data is kept [default: TESSERA_DATA_DIR, else $XDG_DATA_HOME/tessera/dev]"
    )]
    data_dir: Option<PathBuf>,

    /// Every token's `iss`; on this machine.
    #[arg(long, value_name = "URL", default_value = ISSUER_URL)]
    issuer_url: String,

    /// Take free ports instead of 6400 to 6409 and 6500 to 6509.
    #[arg(long)]
    free_ports: bool,

    /// What is logged to stderr: error, warn, info, debug, trace, or directives.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: String,
}

impl Dev {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// As [`OwnPair::start`]; usage, where the issuer URL is not of this machine.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        require_loopback(&self.issuer_url)?;
        let began = app.clock.monotonic();
        logs::init(LogFormat::Text, &self.log_level).map_err(|error| Problem::usage("LOG_LEVEL", error.to_string()))?;
        let data_dir = self.data_dir.or_else(|| app.environment.data_dir("dev")).ok_or_else(|| {
            Problem::usage(
                "NO_DATA_DIR",
                "neither --data-dir, TESSERA_DATA_DIR, XDG_DATA_HOME nor HOME says where to keep data",
            )
        })?;
        let shown = data_dir.display().to_string();
        let plan = Plan { data_dir, issuer_url: self.issuer_url.clone(), free_ports: self.free_ports };
        let pair = OwnPair::start(plan, &app.clock).await?;
        pair.wait_ready(app.timeout()).await?;
        let ready_after = app.clock.monotonic().saturating_sub(began);
        let served = Served {
            issuer_url: self.issuer_url,
            issuer: pair.issuer_addresses().into(),
            introspector: pair.introspector_addresses().into(),
            data_dir: shown,
            ready_after,
        };
        if app.format() == Format::Table {
            app.console.out(&served.welcome())?;
        } else {
            app.show(&served)?;
        }
        let stopped = serve::terminated().await;
        app.say("Stopping.");
        pair.shutdown().await;
        stopped.map(|()| Exit::Ok).map_err(|error| Problem::internal("SIGNALS", error.to_string()))
    }
}

/// Everybody knows the secrets of `dev`: its tokens must not be worth anything elsewhere.
fn require_loopback(issuer_url: &str) -> Result<(), Problem> {
    let uri: Option<Uri> = issuer_url.parse().ok();
    let near =
        uri.as_ref().and_then(Uri::authority).is_some_and(|a| !a.as_str().contains('@') && is_loopback(a.host()));
    if near {
        return Ok(());
    }
    Err(Problem::usage(
        "NOT_LOOPBACK",
        format!("`{issuer_url}` is not of this machine, and `dev` is for development only"),
    )
    .hint("for anything else: tessera init, then tessera-issuer and tessera-introspector"))
}

/// Where a service listens.
#[derive(Serialize)]
struct Addresses {
    http: SocketAddr,
    grpc: SocketAddr,
    ops: SocketAddr,
}

impl From<[SocketAddr; 3]> for Addresses {
    fn from([http, grpc, ops]: [SocketAddr; 3]) -> Self {
        Self { http, grpc, ops }
    }
}

/// What is served.
#[derive(Serialize)]
struct Served {
    issuer_url: String,
    issuer: Addresses,
    introspector: Addresses,
    data_dir: String,
    #[serde(skip)]
    ready_after: Duration,
}

impl Served {
    fn welcome(&self) -> String {
        let row = |name: &str, a: &Addresses| {
            format!("  {name:<13} http://{}   gRPC {}   ops http://{}\n", a.http, a.grpc, a.ops)
        };
        let services = row("issuer", &self.issuer) + &row("introspector", &self.introspector);
        let data = printable(&self.data_dir);
        let (http, check) = (self.issuer.http, self.introspector.grpc);
        // Commands find the documented ports by themselves.
        let found = self.issuer.grpc.port() == 6401 && check.port() == 6501;
        let flags = if found {
            String::new()
        } else {
            format!(" --endpoint http://{} --introspector http://{check}", self.issuer.grpc)
        };
        format!(
            "Ready after {}. For development only.\n\n{services}  data          {data}\n\n{CLIENTS}\n{USERS}\n\
             In another terminal:\n  \
             tessera try{flags}\n  \
             TOKEN=$(printf dev-secret | tessera token get client-credentials --client-id demo-service --secret-stdin{flags})\n  \
             tessera introspect \"$TOKEN\"{flags}\n  \
             tessera token revoke \"$TOKEN\"{flags}\n  \
             tessera introspect \"$TOKEN\" --exit-status{flags}\n  \
             curl -u demo-service:dev-secret -d grant_type=client_credentials http://{http}/oauth2/token\n  \
             grpcurl -plaintext {check} list\n\n{}\n\
             Ctrl-C stops it.\n",
            measured(self.ready_after),
            self.for_users(found)
        )
    }

    /// How a token for a user is got. On free ports the issuer's URL leads nowhere, and what checks an answer's `iss` fails.
    fn for_users(&self, found: bool) -> String {
        let http = self.issuer.http;
        let (at, auth_code) = if found {
            let issuer_url = printable(&self.issuer_url);
            let auth_code = format!("  tessera token get auth-code --issuer-url {issuer_url}\n");
            (issuer_url.trim_end_matches('/').to_owned(), auth_code)
        } else {
            (format!("http://{http}"), String::new())
        };
        format!(
            "For a user:\n  \
             curl -u demo-app:dev-secret -d grant_type=password -d username=ada -d password=dev-password http://{http}/oauth2/token\n\
             {auth_code}\n\
             In a browser, as ada; afterwards the code stands in the address bar:\n  \
             {at}/oauth2/authorize?{EXAMPLE}\n  \
             curl -d grant_type=authorization_code -d client_id=demo-web -d redirect_uri=http://127.0.0.1/callback \\\n    \
             -d code_verifier={VERIFIER} -d code=CODE http://{http}/oauth2/token\n"
        )
    }
}

const CLIENTS: &str = "\
Clients (the secret of each that has one is dev-secret, but for the integration's):
  demo-service                 client_credentials: orders:read orders:write
  demo-web (public)            authorization_code, refresh_token: orders:read orders:write profile
  demo-app                     authorization_code, password, refresh_token, client_credentials: orders:read profile
  demo-resource                a resource server: may introspect tokens for demo-resource
  dev-admin                    client_credentials: tessera.admin
  administration (public)      Shopware: password, refresh_token: write
  SWIABXZIEHRJVNJPZVNKUNI5EA   Shopware integration: client_credentials: write
  prestashop-api-client        PrestaShop: client_credentials; api_client_* customer_group_*
  oro-app, oro-user-app        Oro: client_credentials; password, refresh_token
";

const USERS: &str = "\
Users:
  ada (ada@example.test)       dev-password
  admin (admin@example.test)   shopware
";

/// An authorization request of demo-web, with the code challenge that RFC 7636 Appendix B has for an example.
const EXAMPLE: &str = "response_type=code&client_id=demo-web&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback\
                       &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&state=example";

/// What that challenge is of.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

impl View for Served {
    fn table(&self) -> Table {
        Table::Text(self.issuer_url.clone())
    }

    fn names(&self) -> Vec<String> {
        vec![self.issuer_url.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_issuer_url_of_this_machine_will_do() {
        for near in ["http://127.0.0.1:6400", "http://localhost:7000/auth", "http://[::1]:6400"] {
            assert!(require_loopback(near).is_ok(), "{near}");
        }
        for far in ["https://id.example", "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example", "6400", ""]
        {
            assert_eq!(require_loopback(far).expect_err(far).reason, "NOT_LOOPBACK", "{far}");
        }
    }

    #[test]
    fn what_is_to_be_pasted_names_other_ports() {
        let at = |port: u16| -> Addresses {
            let address = |p: u16| SocketAddr::from(([127, 0, 0, 1], p));
            [address(port), address(port + 1), address(port + 9)].into()
        };
        let served = |issuer, introspector| Served {
            issuer_url: ISSUER_URL.into(),
            issuer: at(issuer),
            introspector: at(introspector),
            data_dir: "/data".into(),
            ready_after: Duration::from_millis(420),
        };
        assert!(!served(6400, 6500).welcome().contains("--endpoint"));
        assert!(
            served(6400, 6500)
                .welcome()
                .contains("\n  tessera token get auth-code --issuer-url http://127.0.0.1:6400\n")
        );
        let elsewhere = served(7400, 7500).welcome();
        assert!(!elsewhere.contains("auth-code") && elsewhere.contains("\n  http://127.0.0.1:7400/oauth2/authorize?"));
        assert!(
            served(7400, 7500)
                .welcome()
                .contains("tessera try --endpoint http://127.0.0.1:7401 --introspector http://127.0.0.1:7501\n")
        );
    }
}
