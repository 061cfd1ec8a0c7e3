//! `tessera introspect`: asks the introspector (RFC 7662).

pub mod explain;

use clap::Args;
use serde::Serialize;
use tessera_api::introspection::v1::consistency::Requirement;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{Consistency, IntrospectRequest, IntrospectResponse, ScopeRequirement};
use tessera_types::{Audience, Revision, Scope};
use tonic::transport::Channel;

use self::explain::Finding;
use super::token::ClientArgs;
use super::token::argument::TokenArg;
use crate::app::App;
use crate::connect;
use crate::output::{Format, Table, View, moment};
use crate::problem::{Exit, Problem};
use crate::settings::Fixture;

/// Asks the introspector whether a token is active, and what it allows.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get client-credentials | tessera introspect -
  tessera introspect - --scope orders:read --exit-status < token.txt \\
    && echo allowed")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Introspect {
    #[command(flatten)]
    token: TokenArg,

    /// A scope the token must have; with several, all of them.
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ')]
    scope: Vec<Scope>,

    /// A scope of which the token must have one.
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ')]
    any_scope: Vec<Scope>,

    /// The audience the token must have [default: any of the caller's].
    #[arg(long)]
    audience: Option<Audience>,

    /// Wait until the introspector has seen this revision, as a revocation printed it.
    #[arg(long, value_name = "REVISION", conflicts_with = "fully_consistent")]
    at_least: Option<Revision>,

    /// Answer from the durable head of the log, read after this call began.
    #[arg(long)]
    fully_consistent: bool,

    /// Say what can be known of why: from the token itself and, where this client administers, from the issuer.
    #[arg(long)]
    explain: bool,

    /// Exit with 10 where the token is not active, or lacks a scope.
    #[arg(long)]
    exit_status: bool,

    #[command(flatten)]
    client: ClientArgs,
}

impl Introspect {
    /// Asks and shows.
    ///
    /// # Errors
    /// What the introspector says; "I cannot tell" is unavailable, never an answer.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        if self.client.uses_stdin() && self.token.is_stdin() {
            return Err(Problem::usage("STDIN_TAKEN_TWICE", "the token and the secret cannot both come from stdin")
                .hint("use --secret-file, or set TESSERA_CLIENT_SECRET_FILE"));
        }
        let settings = app.settings()?;
        let authorization = self.client.authorization(&settings, &settings.introspector, Fixture::Resource, app)?;
        let token = self.token.read(app.console)?;
        let channel = connect::connect(&settings.introspector, &settings).await?;
        let request = connect::request(self.message(token.to_string()), authorization, app.timeout());
        let answer = introspect(channel, request).await?;
        let yes = answer.active && answer.allowed;
        let explanation =
            if self.explain { Some(explain::explain(&token, &answer, &settings, app).await) } else { None };
        let view = Answer::new(answer, explanation);
        if app.format() == Format::Table {
            app.say(view.verdict());
        }
        app.show(&view)?;
        Ok(if self.exit_status && !yes { Exit::No } else { Exit::Ok })
    }

    fn message(&self, token: String) -> IntrospectRequest {
        let words = |scopes: &[Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let requirement = match &self.at_least {
            Some(revision) => Some(Requirement::AtLeast(revision.to_string())),
            None if self.fully_consistent => Some(Requirement::FullyConsistent(true)),
            None => None,
        };
        let asks = !self.scope.is_empty() || !self.any_scope.is_empty();
        IntrospectRequest {
            token,
            required_scopes: asks
                .then(|| ScopeRequirement { all_of: words(&self.scope), any_of: words(&self.any_scope) }),
            audience: self.audience.as_ref().map(ToString::to_string).unwrap_or_default(),
            consistency: requirement.map(|requirement| Consistency { requirement: Some(requirement) }),
        }
    }
}

/// One introspection.
pub(super) async fn introspect(
    channel: Channel,
    request: tonic::Request<IntrospectRequest>,
) -> Result<IntrospectResponse, Problem> {
    Ok(IntrospectionServiceClient::new(channel).introspect(request).await?.into_inner())
}

/// The answer, with the members of RFC 7662 section 2.2 where the token is active.
#[derive(Debug, Serialize)]
struct Answer {
    active: bool,
    #[serde(flatten)]
    members: Option<Members>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<Finding>>,
}

#[derive(Debug, Serialize)]
struct Members {
    allowed: bool,
    missing_scopes: Vec<String>,
    scope: String,
    client_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    token_type: String,
    expire_time: Option<String>,
    issue_time: Option<String>,
    not_before_time: Option<String>,
    sub: String,
    aud: Vec<String>,
    iss: String,
    jti: String,
    revision: String,
}

impl Answer {
    fn new(answer: IntrospectResponse, explanation: Option<Vec<Finding>>) -> Self {
        let members = answer.active.then(|| Members {
            expire_time: moment(answer.expire_time.as_ref()),
            issue_time: moment(answer.issue_time.as_ref()),
            not_before_time: moment(answer.not_before_time.as_ref()),
            allowed: answer.allowed,
            missing_scopes: answer.missing_scopes,
            scope: answer.scope,
            client_id: answer.client_id,
            username: answer.username,
            token_type: answer.token_type,
            sub: answer.sub,
            aud: answer.aud,
            iss: answer.iss,
            jti: answer.jti,
            revision: answer.revision,
        });
        Self { active: answer.active, members, explanation }
    }

    fn verdict(&self) -> &'static str {
        match &self.members {
            None => "The token is not active.",
            Some(members) if !members.allowed => "The token is active, but lacks scopes.",
            Some(_) => "The token is active.",
        }
    }
}

impl View for Answer {
    fn table(&self) -> Table {
        let mut sides = vec![("active", self.active.to_string())];
        if let Some(m) = &self.members {
            sides.extend([
                ("allowed", m.allowed.to_string()),
                ("missing scopes", m.missing_scopes.join(" ")),
                ("scope", m.scope.clone()),
                ("client id", m.client_id.clone()),
                ("username", m.username.clone()),
                ("sub", m.sub.clone()),
                ("aud", m.aud.join(" ")),
                ("iss", m.iss.clone()),
                ("expires", m.expire_time.clone().unwrap_or_default()),
                ("issued", m.issue_time.clone().unwrap_or_default()),
                ("not before", m.not_before_time.clone().unwrap_or_default()),
                ("jti", m.jti.clone()),
                ("revision", m.revision.clone()),
            ]);
        }
        for finding in self.explanation.iter().flatten() {
            sides.push(("explain", finding.to_line()));
        }
        Table::Record(sides)
    }

    fn names(&self) -> Vec<String> {
        vec![match &self.members {
            Some(members) => members.jti.clone(),
            None => "inactive".to_owned(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::render;

    #[test]
    fn an_inactive_answer_has_no_other_member() {
        let answer = Answer::new(IntrospectResponse { scope: "leak".into(), ..Default::default() }, None);
        insta::assert_snapshot!(render(&answer, Format::Json).expect("renders"), @r#"
        {
          "active": false
        }
        "#);
        assert_eq!(answer.verdict(), "The token is not active.");
    }

    #[test]
    fn an_active_answer_shows_its_members() {
        let answer = IntrospectResponse {
            active: true,
            missing_scopes: vec!["orders:write".into()],
            scope: "orders:read".into(),
            client_id: "demo-service".into(),
            aud: vec!["demo-resource".into()],
            expire_time: Some(prost_types::Timestamp { seconds: 1_000_000, nanos: 0 }),
            ..Default::default()
        };
        let answer = Answer::new(answer, None);
        insta::assert_snapshot!(render(&answer, Format::Table).expect("renders"), @r#"
        active          true
        allowed         false
        missing scopes  orders:write
        scope           orders:read
        client id       demo-service
        aud             demo-resource
        expires         1970-01-12T13:46:40Z
        "#);
        assert_eq!(answer.verdict(), "The token is active, but lacks scopes.");
    }
}
