//! `GET /oauth2/authorize` (RFC 6749 section 4.1.1): keeps what is asked and sends the browser to the pages.

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use tessera_kit::http::{Form, query};

use super::flow::Page;
use super::forwarded;
use super::pages::{Problem, paths};
use super::visitor::{self, Came};
use crate::context::Context;
use crate::operations::authorization::{self, Asked, AuthorizeError, Untrusted};
use crate::throttle::TooMany;

/// Handles an authorization request.
pub(super) async fn handle(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, _) = Page::asked(&cx, &request);
    let Ok(asked) = asked(&request) else { return page.problem(Problem::Malformed) };
    // Anybody may ask, and what is asked is kept for a while.
    if let Err(TooMany(wait)) = cx.requests.take(forwarded::client(&cx, &request)) {
        return page.problem(Problem::Throttled { seconds: wait.as_secs().max(1) });
    }
    match authorization::create(&cx, &asked).await {
        Ok((token, _)) => {
            let consent = format!("{}?request={}", page.site.url(paths::CONSENT), token.expose());
            page.visitor.greet(&cx, visitor::send_to(&consent, None))
        }
        Err(AuthorizeError::Mistaken { mistake, redirect }) => {
            tracing::info!(reason = %mistake, "an authorization request was refused");
            visitor::send_to_client(&redirect, None, Came::ByAddress)
        }
        Err(AuthorizeError::Untrusted(untrusted)) => {
            tracing::info!(reason = %untrusted, "an authorization request of an unknown application");
            page.problem(match untrusted {
                Untrusted::Client => Problem::UnknownClient,
                Untrusted::RedirectUri | Untrusted::NoRedirectUri => Problem::WrongRedirect,
                Untrusted::Malformed => Problem::Malformed,
            })
        }
        Err(error @ AuthorizeError::Store(_)) => page.failed(&error),
    }
}

/// The parameters. A repeated one is the client's mistake, and it is told so, unless it is one of the two that say who the client is.
fn asked(request: &Request<Body>) -> Result<Asked, Untrusted> {
    query::refuse_credentials(request.uri()).map_err(|_| Untrusted::Malformed)?;
    let text = request.uri().query().unwrap_or_default();
    let mut form = Form::parse_repeating(text.as_bytes()).map_err(|_| Untrusted::Malformed)?;
    let repeated: Vec<&str> = form.repeated().collect();
    if repeated.iter().any(|name| matches!(*name, "client_id" | "redirect_uri")) {
        return Err(Untrusted::Malformed);
    }
    let repeated = !repeated.is_empty();
    Ok(Asked {
        response_type: form.take("response_type"),
        response_mode: form.take("response_mode"),
        client_id: form.take("client_id"),
        redirect_uri: form.take("redirect_uri"),
        scope: form.take("scope"),
        state: form.take("state"),
        challenge: form.take("code_challenge"),
        challenge_method: form.take("code_challenge_method"),
        audience: form.take("resource").or_else(|| form.take("audience")),
        locales: form.take("ui_locales").filter(|tags| tags.len() <= 255 && !tags.contains('\0')),
        repeated,
        request_object: form.take("request").is_some() || form.take("request_uri").is_some(),
    })
}
