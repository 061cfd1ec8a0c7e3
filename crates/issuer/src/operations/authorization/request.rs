//! What a client asks, and whether it may (RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 9700 section 2.1).

use tessera_store::{Client, StoreError};
use tessera_types::{
    Audience, ClientId, ClientType, CodeChallenge, Failure as _, GrantType, RedirectUri, ScopeSet, pkce,
};

use super::answer::{Answer, failure};
use super::error::{AuthorizeError, Mistake, Untrusted};
use super::usable_client;
use crate::context::Context;
use crate::grants;

/// The longest state that is handed back, in bytes.
const STATE_MAX: usize = 4096;

/// The parameters of an authorization request, as sent; empty ones are absent (RFC 6749 section 3.1).
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `response_type`.
    pub response_type: Option<String>,
    /// `response_mode`.
    pub response_mode: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `redirect_uri`.
    pub redirect_uri: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `code_challenge`.
    pub challenge: Option<String>,
    /// `code_challenge_method`.
    pub challenge_method: Option<String>,
    /// `resource` or `audience`.
    pub audience: Option<String>,
    /// `ui_locales`.
    pub locales: Option<String>,
    /// Whether a parameter other than `client_id` and `redirect_uri` stands there twice.
    pub repeated: bool,
    /// Whether there is a request object (RFC 9101), which is not read here.
    pub request_object: bool,
}

/// What a request asks, once it is known to be in order.
pub(super) struct Checked {
    pub(super) client: Client,
    pub(super) redirect_uri: RedirectUri,
    pub(super) scopes: ScopeSet,
    pub(super) audience: Option<Audience>,
    pub(super) challenge: Option<CodeChallenge>,
}

/// Checks a request: first who asks and where the answer goes, for everything else is told there.
pub(super) async fn check(cx: &Context, asked: &Asked) -> Result<Checked, AuthorizeError> {
    let client = client(cx, asked.client_id.as_deref()).await?.ok_or(Untrusted::Client)?;
    let redirect_uri = redirect_uri(&client, asked.redirect_uri.as_deref())?;
    match rest(cx, asked, &client) {
        Ok((scopes, audience, challenge)) => Ok(Checked { client, redirect_uri, scopes, audience, challenge }),
        Err(mistake) => {
            let state = asked.state.as_deref();
            let redirect = Answer::error(cx, failure(&client, &redirect_uri), mistake.code(), mistake.advice(), state);
            Err(AuthorizeError::Mistaken { mistake, redirect })
        }
    }
}

async fn client(cx: &Context, id: Option<&str>) -> Result<Option<Client>, StoreError> {
    let Some(id) = id.and_then(|id| id.parse::<ClientId>().ok()) else { return Ok(None) };
    usable_client(cx, &id).await
}

/// One of the registered ones, byte by byte but for a loopback port (RFC 9700 section 4.1.3); where there is one alone it need not be
/// named.
fn redirect_uri(client: &Client, asked: Option<&str>) -> Result<RedirectUri, Untrusted> {
    let Some(asked) = asked else {
        return match &client.redirect_uris[..] {
            [only] => Ok(only.clone()),
            _ => Err(Untrusted::NoRedirectUri),
        };
    };
    let registered = client.redirect_uris.iter().any(|uri| uri.matches(asked));
    if registered { asked.parse().map_err(|_| Untrusted::RedirectUri) } else { Err(Untrusted::RedirectUri) }
}

type Rest = (ScopeSet, Option<Audience>, Option<CodeChallenge>);

fn rest(cx: &Context, asked: &Asked, client: &Client) -> Result<Rest, Mistake> {
    if asked.repeated {
        return Err(Mistake::Repeated);
    }
    if asked.request_object {
        return Err(Mistake::RequestObject);
    }
    if asked.state.as_ref().is_some_and(|state| state.len() > STATE_MAX || state.contains('\0')) {
        return Err(Mistake::State);
    }
    match asked.response_type.as_deref() {
        Some("code") => {}
        None => return Err(Mistake::ResponseTypeMissing),
        Some(_) => return Err(Mistake::ResponseType),
    }
    if asked.response_mode.as_deref().is_some_and(|mode| mode != "query") {
        return Err(Mistake::ResponseMode);
    }
    if !client.grants.contains(&GrantType::AuthorizationCode) {
        return Err(Mistake::GrantNotAllowed);
    }
    let scopes = asked.scope.as_deref().map_or(Ok(ScopeSet::empty()), str::parse).map_err(|_| Mistake::Scope)?;
    let scopes = grants::users::requested_scopes(client, &scopes).map_err(|_| Mistake::Scope)?;
    let audience: Option<Audience> =
        asked.audience.as_deref().map(str::parse).transpose().map_err(|_| Mistake::Audience)?;
    if audience.as_ref().is_some_and(|audience| !client.audiences.contains(audience)) {
        return Err(Mistake::Audience);
    }
    let required = client.kind == ClientType::Public || cx.policy.require_pkce;
    let challenge = challenge(asked.challenge.as_deref(), asked.challenge_method.as_deref(), required)?;
    Ok((scopes, audience, challenge))
}

/// S256 alone. A challenge without a method would be `plain` (RFC 7636 section 4.3).
fn challenge(asked: Option<&str>, method: Option<&str>, required: bool) -> Result<Option<CodeChallenge>, Mistake> {
    match (asked, method) {
        (None, None) if required => Err(Mistake::ChallengeMissing),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Mistake::ChallengeMissing),
        (Some(text), Some(pkce::METHOD)) => text.parse().map(Some).map_err(|_| Mistake::Challenge),
        (Some(_), _) => Err(Mistake::ChallengeMethod),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_s256_is_a_method_and_public_clients_need_it() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(challenge(Some(good), Some("S256"), true).is_ok_and(|c| c.is_some()));
        assert_eq!(challenge(None, None, false), Ok(None));
        for (asked, method, required, mistake) in [
            (None, None, true, Mistake::ChallengeMissing),
            (None, Some("S256"), false, Mistake::ChallengeMissing),
            (Some(good), None, false, Mistake::ChallengeMethod),
            (Some(good), Some("plain"), true, Mistake::ChallengeMethod),
            (Some(good), Some("s256"), true, Mistake::ChallengeMethod),
            (Some("short"), Some("S256"), true, Mistake::Challenge),
        ] {
            assert_eq!(challenge(asked, method, required), Err(mistake), "{asked:?} {method:?}");
        }
    }
}
