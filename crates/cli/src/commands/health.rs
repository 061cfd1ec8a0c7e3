//! `tessera health`: whether both servers are ready (`grpc.health.v1`).

use clap::Args;
use serde::Serialize;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::app::App;
use crate::connect;
use crate::endpoint::Endpoint;
use crate::output::{ListedView, Table, View};
use crate::problem::{Exit, Problem};
use crate::seconds;
use crate::settings::Settings;

/// Asks both servers, or one of them, whether they are ready; exits with 6 unless all that were asked are.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera health --only issuer
  tessera health -o json | jq -r '.[].status'")]
pub struct Health {
    /// Ask this one alone: what a container asks of itself.
    #[arg(long, value_enum, value_name = "SERVER")]
    only: Option<Server>,
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Server {
    /// `tessera-issuer`.
    Issuer,
    /// `tessera-introspector`.
    Introspector,
}

/// A server's state.
#[derive(Debug, Serialize)]
struct Report {
    server: &'static str,
    endpoint: String,
    status: &'static str,
    /// Milliseconds of the one call.
    duration_ms: Option<f64>,
    detail: Option<String>,
}

impl View for Report {
    fn table(&self) -> Table {
        Table::List(Self::HEAD.to_vec(), vec![self.row()])
    }

    fn names(&self) -> Vec<String> {
        vec![self.server.into()]
    }
}

impl ListedView for Report {
    const HEAD: &'static [&'static str] = &["SERVER", "ENDPOINT", "STATUS", "TIME", "DETAIL"];

    fn row(&self) -> Vec<String> {
        let time = self.duration_ms.map(|ms| seconds::measured(std::time::Duration::from_secs_f64(ms / 1e3)));
        vec![
            self.server.into(),
            self.endpoint.clone(),
            self.status.into(),
            time.unwrap_or_default(),
            self.detail.clone().unwrap_or_default(),
        ]
    }
}

impl Health {
    /// Asks.
    ///
    /// # Errors
    /// Where the settings are not right; a server that is not ready is an answer.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let settings = app.settings()?;
        let all = [
            (Server::Issuer, "issuer", &settings.issuer),
            (Server::Introspector, "introspector", &settings.introspector),
        ];
        let mut servers = Vec::new();
        for (_, name, endpoint) in all.into_iter().filter(|(one, ..)| self.only.is_none_or(|only| only == *one)) {
            servers.push(server(name, endpoint, &settings, app).await);
        }
        let ready = servers.iter().all(|s| s.status == ServingStatus::Serving.as_str_name());
        app.show(&servers)?;
        Ok(if ready { Exit::Ok } else { Exit::Unavailable })
    }
}

async fn server(name: &'static str, endpoint: &Endpoint, settings: &Settings, app: &App<'_>) -> Report {
    let mut server =
        Report { server: name, endpoint: endpoint.to_string(), status: "UNREACHABLE", duration_ms: None, detail: None };
    match check(endpoint, settings, app).await {
        Ok((status, duration_ms)) => {
            server.status = status.as_str_name();
            server.duration_ms = Some(duration_ms);
        }
        Err(problem) => server.detail = Some(problem.message),
    }
    server
}

async fn check(endpoint: &Endpoint, settings: &Settings, app: &App<'_>) -> Result<(ServingStatus, f64), Problem> {
    let mut client = HealthClient::new(connect::connect(endpoint, settings).await?);
    let mut request = Request::new(HealthCheckRequest { service: String::new() });
    request.set_timeout(app.timeout());
    let began = app.clock.monotonic();
    let answer = client.check(request).await?.into_inner();
    let took = app.clock.monotonic().saturating_sub(began);
    Ok((answer.status(), took.as_secs_f64() * 1e3))
}
