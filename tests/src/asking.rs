//! Asking about a token at every door there is: the issuer's HTTP, the introspector's HTTP and its gRPC.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tessera_api::introspection::v1::IntrospectResponse;
use tonic::Code;

use crate::{Answer, Client, World, check, post, reason};

/// What introspection says over HTTP of everything that is not active.
pub const INACTIVE: &str = r#"{"active":false}"#;

/// What the doors said.
#[derive(Clone, Debug)]
pub struct Verdicts {
    /// Over HTTP: the issuer, then the introspector.
    pub http: [Answer; 2],
    /// Over gRPC.
    pub rpc: IntrospectResponse,
}

impl Verdicts {
    /// Whether the token is active; an error where the doors differ, or where an inactive answer says anything else.
    pub fn active(&self) -> Result<bool> {
        for answer in &self.http {
            ensure!(answer.status == 200, "{answer:?}");
            ensure!(answer.header("cache-control") == Some("no-store"), "{answer:?}");
            let active = answer.json()?["active"].as_bool().context("no `active`")?;
            ensure!(active == self.rpc.active, "{answer:?} and {:?}", self.rpc);
            ensure!(active || answer.body == INACTIVE, "{answer:?}");
        }
        ensure!(self.rpc.active || self.rpc == IntrospectResponse::default(), "{:?}", self.rpc);
        Ok(self.rpc.active)
    }
}

impl World {
    /// Asks everybody about a token, as this caller. Where too many unknown tokens are being checked, asks again.
    pub async fn ask(&self, caller: &Client, token: &str) -> Result<Verdicts> {
        let ports = self.pair.ports;
        let issuer = introspect(ports.issuer_http, caller, token).await?;
        let introspector = introspect(ports.introspector_http, caller, token).await?;
        let rpc = loop {
            match check(ports.introspector_grpc, caller, token).await {
                Ok(response) => break response,
                Err(status) if is_busy(&status) => tokio::task::yield_now().await,
                Err(status) => bail!("{status:?}"),
            }
        };
        Ok(Verdicts { http: [issuer, introspector], rpc })
    }

    /// Whether a token is active for the resource server, which everybody must say alike.
    pub async fn everybody_says_active(&self, token: &str) -> Result<bool> {
        self.ask(&self.resource, token).await?.active()
    }
}

async fn introspect(at: SocketAddr, caller: &Client, token: &str) -> Result<Answer> {
    loop {
        let answer = post(at, "/oauth2/introspect", Some(caller), &[("token", token)]).await?;
        if answer.status != 429 {
            return Ok(answer);
        }
        tokio::task::yield_now().await;
    }
}

fn is_busy(status: &tonic::Status) -> bool {
    status.code() == Code::ResourceExhausted && reason(status) == "TOO_MANY_UNKNOWN_TOKENS"
}
