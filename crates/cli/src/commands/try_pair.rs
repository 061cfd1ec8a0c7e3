//! `tessera try`: token, introspect, revoke, introspect, each with its measured time.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tessera_api::introspection::v1::{IntrospectRequest, IntrospectResponse};
use tessera_api::oauth::v1::RevokeTokenRequest;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_types::Clock;
use tonic::transport::Channel;
use zeroize::Zeroizing;

use crate::app::App;
use crate::commands::introspect::introspect;
use crate::connect;
use crate::credential::Credential;
use crate::jwt::Decoded;
use crate::output::{Format, Table, View, printable};
use crate::pair::{OwnPair, Plan};
use crate::problem::{Exit, Problem};
use crate::seconds::{measured, show};
use crate::settings::{Fixture, Settings};

/// Issues a token, checks it, revokes it and checks it again, and shows the measured times. Exits with 0 only where all four
/// answers are right.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera try
  tessera try --own -o json | jq '.steps[].duration_us'")]
pub struct Try {
    /// Start a pair on free ports, also where one is running.
    #[arg(long)]
    own: bool,
}

/// The two servers and who asks them.
pub struct Pair {
    /// The issuer.
    pub issuer: Channel,
    /// The introspector.
    pub introspector: Channel,
    /// The client that gets and revokes the token.
    pub service: Credential,
    /// The resource server that introspects.
    pub resource: Credential,
    /// How long a call may take.
    pub timeout: Duration,
}

/// What happened.
#[derive(Debug, Default, Serialize)]
pub struct Walk {
    /// The steps, as far as they went.
    pub steps: Vec<Step>,
    /// Whether all four are right.
    pub passed: bool,
}

/// One of the four steps.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub step: &'static str,
    /// Whether the answer is right.
    pub right: bool,
    /// How long it took, from the call to its answer; connecting not counted.
    #[serde(rename = "duration_us", serialize_with = "as_micros")]
    pub duration: Duration,
    /// What was answered.
    pub answer: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form serde wants")]
fn as_micros<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

impl Try {
    /// Walks the four steps against the pair that is running, or against one of its own where none is and none was named.
    ///
    /// # Errors
    /// Unavailable, where the pair that was named does not answer.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let settings = app.settings()?;
        if !self.own {
            match app.issuer(&settings).await {
                Ok(issuer) => return running(issuer, &settings, app).await,
                Err(problem) if settings.names_servers => return Err(problem),
                Err(_) => {
                    app.say(
                        "No pair is running here: starting one on free ports, with a database that is thrown away.",
                    );
                }
            }
        }
        own(&settings, app).await
    }
}

async fn running(issuer: Channel, settings: &Settings, app: &mut App<'_>) -> Result<Exit, Problem> {
    let pair = Pair {
        service: Fixture::Service.towards(&settings.issuer)?,
        resource: Fixture::Resource.towards(&settings.introspector)?,
        issuer,
        introspector: connect::connect(&settings.introspector, settings).await?,
        timeout: app.timeout(),
    };
    show_walk(&pair, app).await
}

async fn own(settings: &Settings, app: &mut App<'_>) -> Result<Exit, Problem> {
    let folder = tempfile::tempdir()
        .map_err(|error| Problem::internal("TEMP_DIR", format!("cannot make a temporary folder: {error}")))?;
    let started = OwnPair::start(Plan::on_free_ports(folder.path()), &app.clock).await?;
    let exit = walk_own(&started, settings, app).await;
    started.shutdown().await;
    exit
}

async fn walk_own(started: &OwnPair, settings: &Settings, app: &mut App<'_>) -> Result<Exit, Problem> {
    started.wait_ready(app.timeout()).await?;
    let (issuer, introspector) = (started.issuer_endpoint()?, started.introspector_endpoint()?);
    let pair = Pair {
        service: Fixture::Service.towards(&issuer)?,
        resource: Fixture::Resource.towards(&introspector)?,
        issuer: connect::connect(&issuer, settings).await?,
        introspector: connect::connect(&introspector, settings).await?,
        timeout: app.timeout(),
    };
    show_walk(&pair, app).await
}

async fn show_walk(pair: &Pair, app: &mut App<'_>) -> Result<Exit, Problem> {
    let clock = app.clock.clone();
    let walk = walk(pair, clock.as_ref(), |step| {
        if app.format() == Format::Table {
            app.console.out(&step.to_line())?;
        }
        Ok(())
    })
    .await?;
    conclude(&walk, app)
}

/// Shows the end of a walk, and turns it into an exit code.
///
/// # Errors
/// Internal, where stdout refuses it.
pub fn conclude(walk: &Walk, app: &mut App<'_>) -> Result<Exit, Problem> {
    if app.format() != Format::Table {
        app.show(walk)?;
    } else if walk.passed {
        app.say("All four are right: the first check after the revocation said inactive.");
    }
    if walk.passed {
        return Ok(Exit::Ok);
    }
    let wrong = walk.steps.iter().find(|s| !s.right).map_or("a step", |s| s.step);
    Err(Problem::internal("WRONG_ANSWER", format!("`{wrong}` did not answer as it must")))
}

/// Walks the four steps; each is told of as soon as it is done. Stops at the first that is not right.
///
/// # Errors
/// What the servers say, where one refuses a call.
pub async fn walk(
    pair: &Pair,
    clock: &dyn Clock,
    mut tell: impl FnMut(&Step) -> Result<(), Problem>,
) -> Result<Walk, Problem> {
    let mut walk = Walk::default();
    let mut note = |step: Step| -> Result<bool, Problem> {
        tell(&step)?;
        let right = step.right;
        walk.steps.push(step);
        Ok(right)
    };

    let timer = Timer::start(clock);
    let issued =
        connect::client_credentials(pair.issuer.clone(), &pair.service, Vec::new(), String::new(), pair.timeout)
            .await?;
    let duration = timer.stop();
    let token = Zeroizing::new(issued.access_token);
    let lifetime = issued.expires_in.map_or(0, |span| span.seconds);
    let answer = format!("{}, lives {}, scope `{}`", pair.service.client_id, show(lifetime), issued.scope);
    let right = Decoded::parse(&token).is_ok() && lifetime > 0;
    let mut go_on = note(Step { step: "token", right, duration, answer })?;

    if go_on {
        let (duration, response) = check(pair, &token, clock).await?;
        go_on = note(Step { step: "introspect", right: response.active, duration, answer: verdict(&response) })?;
    }
    if go_on {
        let (duration, revision) = revoke(pair, &token, clock).await?;
        let answer = format!("revoked at revision {revision}");
        go_on = note(Step { step: "revoke", right: !revision.is_empty(), duration, answer })?;
    }
    if go_on {
        let (duration, response) = check(pair, &token, clock).await?;
        note(Step { step: "introspect", right: !response.active, duration, answer: verdict(&response) })?;
    }
    walk.passed = walk.steps.len() == 4 && walk.steps.iter().all(|s| s.right);
    Ok(walk)
}

async fn check(pair: &Pair, token: &str, clock: &dyn Clock) -> Result<(Duration, IntrospectResponse), Problem> {
    let message = IntrospectRequest { token: token.to_owned(), ..IntrospectRequest::default() };
    let request = connect::request(message, pair.resource.basic()?, pair.timeout);
    let timer = Timer::start(clock);
    let response = introspect(pair.introspector.clone(), request).await?;
    Ok((timer.stop(), response))
}

async fn revoke(pair: &Pair, token: &str, clock: &dyn Clock) -> Result<(Duration, String), Problem> {
    let message = RevokeTokenRequest { token: token.to_owned(), ..RevokeTokenRequest::default() };
    let request = connect::request(message, pair.service.basic()?, pair.timeout);
    let timer = Timer::start(clock);
    let response = TokenServiceClient::new(pair.issuer.clone()).revoke_token(request).await?;
    Ok((timer.stop(), response.into_inner().revision))
}

fn verdict(response: &IntrospectResponse) -> String {
    if response.active {
        return format!("active, scope `{}`, audience {}", response.scope, response.aud.join(" "));
    }
    "inactive".to_owned()
}

struct Timer<'a> {
    clock: &'a dyn Clock,
    began: Duration,
}

impl<'a> Timer<'a> {
    fn start(clock: &'a dyn Clock) -> Self {
        Self { clock, began: clock.monotonic() }
    }

    fn stop(self) -> Duration {
        self.clock.monotonic().saturating_sub(self.began)
    }
}

impl Step {
    fn to_line(&self) -> String {
        let word = if self.right { "ok   " } else { "wrong" };
        format!("{word}  {:<10}  {:>8}  {}\n", self.step, measured(self.duration), printable(&self.answer))
    }
}

impl View for Walk {
    fn table(&self) -> Table {
        let row = |s: &Step| {
            let word = if s.right { "ok" } else { "wrong" };
            vec![word.to_owned(), s.step.to_owned(), measured(s.duration), s.answer.clone()]
        };
        Table::List(vec!["RESULT", "STEP", "TIME", "ANSWER"], self.steps.iter().map(row).collect())
    }

    fn names(&self) -> Vec<String> {
        self.steps.iter().map(|s| s.step.to_owned()).collect()
    }
}
