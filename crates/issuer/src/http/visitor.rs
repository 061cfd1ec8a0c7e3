//! Who is at the other end of a browser: the cookie, the session it opens, and the forms it was given.
//!
//! One cookie, random for everybody: a visitor's becomes a session's only by a login, which gives out a new one, so nobody can plant
//! one that somebody else signs in with (security.md, item 21). Every form carries a keyed hash of the cookie and of what the form is
//! about: a form from elsewhere, or for another transaction, is refused (item 18).

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use tessera_kit::http::cookie::{Cookies, SetCookie};
use tessera_types::SessionToken;

use super::pages::{self, Language, Places};
use crate::context::Context;
use crate::operations::sessions::{self, Live, SessionError};

/// The cookie over TLS: the prefix keeps neighbouring hosts from setting it.
const SECURE_NAME: &str = "__Host-tessera_session";

/// The cookie without TLS, for development.
const PLAIN_NAME: &str = "tessera_session";

/// What a form is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// Signing in, outside a transaction.
    Login,
    /// Whatever the transaction of this request asks.
    Request(&'a str),
    /// The account page.
    Account,
}

/// A browser.
pub(super) struct Visitor {
    token: SessionToken,
    /// Whether it came with the token, or is given it now.
    known: bool,
    language: Option<String>,
    pub(super) agent: String,
}

impl Visitor {
    /// Reads what a browser sends along.
    pub(super) fn of(cx: &Context, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        let sent = Cookies::from_headers(headers).value(name(cx)).and_then(|value| value.parse().ok());
        Self {
            known: sent.is_some(),
            token: sent.unwrap_or_else(|| SessionToken::generate(&*cx.random)),
            language: text(header::ACCEPT_LANGUAGE),
            agent: text(header::USER_AGENT).unwrap_or_default(),
        }
    }

    /// The session its cookie opens.
    ///
    /// # Errors
    /// Where nobody can tell.
    pub(super) async fn session(&self, cx: &Context) -> Result<Option<Live>, SessionError> {
        if self.known { sessions::find(cx, &self.token).await } else { Ok(None) }
    }

    /// What opens the session, where there is one.
    pub(super) fn token(&self) -> SessionToken {
        self.token.clone()
    }

    /// The language of pages for it.
    pub(super) fn language(&self, asked: Option<&str>) -> Language {
        Language::choose(asked, self.language.as_deref())
    }

    /// What a form of a purpose carries.
    pub(super) fn csrf(&self, cx: &Context, purpose: Purpose<'_>) -> String {
        let (kind, about) = match purpose {
            Purpose::Login => ("login", ""),
            Purpose::Request(request) => ("request", request),
            Purpose::Account => ("account", ""),
        };
        let tag = cx.page_key.tag(&[b"csrf", self.token.expose().as_bytes(), kind.as_bytes(), about.as_bytes()]);
        URL_SAFE_NO_PAD.encode(*tag)
    }

    /// Whether a form was given to this browser for this purpose.
    pub(super) fn gave(&self, cx: &Context, purpose: Purpose<'_>, csrf: Option<&str>) -> bool {
        let expected = self.csrf(cx, purpose);
        self.known && csrf.is_some_and(|csrf| csrf.as_bytes().ct_eq(expected.as_bytes()).into())
    }

    /// Gives the browser its cookie with a page, where it has none.
    pub(super) fn greet(&self, cx: &Context, mut response: Response) -> Response {
        if !self.known {
            set_cookie(cx, response.headers_mut(), self.token.expose(), None);
        }
        response
    }
}

/// Gives a browser its session.
pub(super) fn sign_in(cx: &Context, response: &mut Response, token: &SessionToken) {
    set_cookie(cx, response.headers_mut(), token.expose(), Some(cx.policy.session_absolute_ttl));
}

/// Takes a browser's session away.
pub(super) fn sign_out(cx: &Context, response: &mut Response) {
    set_cookie(cx, response.headers_mut(), "", Some(Duration::ZERO));
}

/// Sends a browser on with a GET, whatever it came with: 303, so that no credential is posted again (security.md, item 17). `client`
/// says where the answer to the transaction this belongs to may go.
pub(super) fn send_to(location: &str, client: Option<Places<'_>>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    pages::secure(response.headers_mut(), client, None);
    if let Ok(mut location) = HeaderValue::from_str(location) {
        // It may hold a code.
        location.set_sensitive(true);
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// How a browser came to the answer that sends it to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// By a form, whose address has no fragment.
    ByForm,
    /// By an address, a client's or whoever's, that may have had a fragment. A browser carries it along to wherever it is sent, unless
    /// that has one of its own, if only an empty one (security.md, item 15). Where it cannot be, none is written: some clients take
    /// any fragment for an answer of the implicit grant.
    ByAddress,
}

/// Sends a browser to a client with its answer.
pub(super) fn send_to_client(answer: &str, client: Option<Places<'_>>, came: Came) -> Response {
    match came {
        Came::ByForm => send_to(answer, client),
        Came::ByAddress => send_to(&format!("{answer}#"), client),
    }
}

fn name(cx: &Context) -> &'static str {
    if is_secure(cx) { SECURE_NAME } else { PLAIN_NAME }
}

/// The issuer's URL says how browsers reach it, whatever a proxy in between speaks.
fn is_secure(cx: &Context) -> bool {
    cx.policy.issuer_url.starts_with("https://")
}

fn set_cookie(cx: &Context, headers: &mut HeaderMap, value: &str, max_age: Option<Duration>) {
    let cookie = SetCookie { name: name(cx), value, secure: is_secure(cx), max_age, path: "/" };
    match cookie.header_value() {
        Ok(header) => drop(headers.append(header::SET_COOKIE, header)),
        Err(error) => tracing::error!(%error, "a cookie was not set"),
    }
}
