//! What the three systems share: the way a request is read, and the order in which it is refused.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tessera_kit::http::error::no_store;
use tessera_kit::http::{Form, basic_as_written};
use tessera_types::{ClaimsProfile, GrantType, PresentedSecret, Scope, ScopeSet};
use zeroize::Zeroizing;

use super::answer::{self, Told};
use super::body;
use crate::client_auth::{AuthMethod, PresentedClient};
use crate::config::Dialect;
use crate::context::Context;
use crate::grants::{self, Terms, TokenError, TokenRequest, Unasked};
use crate::http::{forwarded, token};

/// In what a system differs from the others.
pub(super) struct System {
    /// Where its token endpoint is.
    pub(super) path: &'static str,
    /// The grants it runs.
    pub(super) grants: &'static [GrantType],
    /// A scope that every token has, before all others.
    pub(super) implicit: Option<&'static str>,
    /// What separates scopes in one text, the first that is there.
    pub(super) separators: &'static [char],
    /// What a client gets that asks for no scope.
    pub(super) unasked: AskedForNothing,
    /// What else it does in its own way.
    pub(super) quirks: &'static [Quirk],
}

/// What a client gets that asks for no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedForNothing {
    /// None.
    Nothing,
    /// Its default scopes.
    Defaults,
    /// Its default scopes, without this one.
    DefaultsWithout(&'static str),
}

/// What some systems do and others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// A registered scope that is not the client's is told apart from an unknown one.
    DeniesScopes,
    /// A disabled user is told so.
    TellsDisabledUsers,
    /// Errors carry the library's numbers.
    NumbersErrors,
    /// A refresh ends the access token before it.
    RetiresAccess,
    /// The password grant brings the refresh token grant with it: nobody is given that one by itself there.
    PasswordRefreshes,
    /// Plain HTTP is refused where the operator says nothing of it.
    RequiresHttps,
}

impl System {
    /// Whether it does so.
    pub(super) fn does(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

/// A system as the operator wants it.
#[derive(Clone, Copy)]
pub(super) struct League {
    pub(super) system: &'static System,
    pub(super) requires_https: bool,
    refresh: bool,
}

impl League {
    pub(super) fn of(system: &'static System, configured: &Dialect) -> Self {
        Self {
            system,
            requires_https: configured.require_https.unwrap_or(system.does(Quirk::RequiresHttps)),
            refresh: configured.refresh.unwrap_or(true),
        }
    }

    fn runs(self, grant: GrantType) -> bool {
        self.system.grants.contains(&grant) && (self.refresh || grant != GrantType::RefreshToken)
    }

    fn terms(self) -> Terms {
        let scope = |name: &str| name.parse::<Scope>().ok();
        let unasked = match self.system.unasked {
            AskedForNothing::Nothing => Unasked::Nothing,
            AskedForNothing::Defaults => Unasked::Defaults,
            AskedForNothing::DefaultsWithout(name) => scope(name).map_or(Unasked::Nothing, Unasked::DefaultsWithout),
        };
        Terms {
            // None of them knows a grace: the family dies with the second use.
            grace: Duration::ZERO,
            profile: ClaimsProfile::Legacy,
            implicit: self.system.implicit.and_then(scope).into_iter().collect(),
            unasked,
            refresh: self.refresh,
            password_refreshes: self.system.does(Quirk::PasswordRefreshes),
            retires_access: self.system.does(Quirk::RetiresAccess),
        }
    }
}

/// Handles a token request.
pub(super) async fn handle(league: League, State(cx): State<Context>, request: Request<Body>) -> Response {
    if league.requires_https && !forwarded::is_https(&cx, &request) {
        return use_https(&cx, league.system.path);
    }
    let from = forwarded::client(&cx, &request);
    let by_header = request.headers().contains_key(header::AUTHORIZATION);
    let answered = async {
        let (headers, form) = body::read(request).await.map_err(|error| malformed(&error))?;
        answer(&cx, league, &headers, form, from).await
    };
    match answered.await {
        Ok(response) => response,
        Err(told) => answer::refusal(&told, league.system, by_header),
    }
}

async fn answer(
    cx: &Context,
    league: League,
    headers: &HeaderMap,
    mut form: Form,
    from: Option<IpAddr>,
) -> Result<Response, Told> {
    let grant_type = form.take("grant_type").and_then(|text| text.parse().ok());
    let grant_type: GrantType = grant_type.filter(|grant| league.runs(*grant)).ok_or_else(Told::grant_type)?;
    grants::must_be_supported(&cx.policy, grant_type).map_err(answer::parameter)?;
    let client = client(headers, &mut form, from)?;
    let scopes = scopes(&mut form, league.system)?;
    let grant = token::grant(grant_type, &mut form, from).map_err(answer::parameter)?;
    let request = TokenRequest { client, grant, scopes, audience: None };
    match grants::issue_under(cx, request, &league.terms()).await {
        Ok(minted) => Ok(answer::success(&minted)),
        Err(TokenError::ScopeNotAllowed(scope)) => Err(refused_scope(cx, league.system, &scope).await),
        Err(error) => Err(answer::told(&error, league.system)),
    }
}

/// Identifier and secret, each from the body, or else from the header, where tools leave one behind: there it is Basic as written, and
/// nothing where it is anything else, or of another client than the body names.
fn client(headers: &HeaderMap, form: &mut Form, from: Option<IpAddr>) -> Result<PresentedClient, Told> {
    let in_body = form.take("client_secret").map(Zeroizing::new);
    let named = form.take("client_id");
    let header = basic_as_written(headers).filter(|(user, _)| named.as_ref().is_none_or(|id| id == user));
    let (user, password) = header.unzip();
    let id = named.or(user).ok_or_else(|| Told::parameter("client_id"))?;
    let password = password.filter(|password| !password.is_empty());
    let method = match (&in_body, &password) {
        (Some(_), _) => AuthMethod::Post,
        (None, Some(_)) => AuthMethod::Basic,
        (None, None) => AuthMethod::None,
    };
    let secret = in_body.or(password).and_then(|secret| PresentedSecret::new(secret.to_string()));
    Ok(PresentedClient { id, secret, method, from })
}

/// `scope` or `scopes`, a text or a list, never both.
fn scopes(form: &mut Form, system: &System) -> Result<ScopeSet, Told> {
    let lists = ["scope", "scopes"].map(|name| listed(form, name, system.separators));
    let asked = match lists {
        [Some(_), Some(_)] => return Err(Told::with_hint("Use either scope or scopes parameter, not both.")),
        [one, other] => one.or(other).unwrap_or_default(),
    };
    asked.iter().map(|text| text.parse::<Scope>().map_err(|_| Told::unknown_scope(text))).collect()
}

/// What stands under a name: as a text, under `name[]`, or under `name[0]`, `name[1]`, …; `None` where nothing does.
fn listed(form: &mut Form, name: &str, separators: &[char]) -> Option<Vec<String>> {
    let mut found: Vec<String> = form.values(&format!("{name}[]")).map(str::to_owned).collect();
    let mut numbered: Vec<(u32, String)> = form
        .pairs()
        .filter_map(|(key, value)| {
            let index = key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            Some((index.parse().ok()?, value.to_owned()))
        })
        .collect();
    numbered.sort_by_key(|(index, _)| *index);
    found.extend(numbered.into_iter().map(|(_, value)| value));
    if let Some(text) = form.take(name) {
        let separator = separators.iter().copied().find(|separator| text.contains(*separator)).unwrap_or(' ');
        found.extend(text.split(separator).map(|part| part.trim().to_owned()));
    }
    found.retain(|scope| !scope.is_empty());
    (!found.is_empty()).then_some(found)
}

/// What a client is told of a scope it does not get.
async fn refused_scope(cx: &Context, system: &System, scope: &Scope) -> Told {
    let known = system.does(Quirk::DeniesScopes) && matches!(cx.store.scopes().find(scope).await, Ok(Some(_)));
    if known { Told::scope_denied(scope) } else { Told::unknown_scope(scope.as_str()) }
}

fn malformed(error: &body::BodyError) -> Told {
    tracing::debug!(%error, "a token request could not be read");
    Told::malformed()
}

/// The exact answer of PrestaShop: a JSON text, and where to go instead. The secret is not looked at.
fn use_https(cx: &Context, path: &str) -> Response {
    let host = cx.policy.issuer_url.split_once("://").map_or("", |(_, rest)| rest);
    let location = format!("https://{host}{path}");
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::LOCATION, location)];
    let mut response = (StatusCode::UNAUTHORIZED, headers, "\"Use HTTPS protocol\"").into_response();
    no_store(response.headers_mut());
    response
}
