//! The HTTP side: the RFC's form endpoints and documents, in front of the same operations as gRPC.

mod account;
mod applications;
mod authorize;
mod client;
mod consent;
mod cors;
mod dialects;
mod flow;
mod forwarded;
mod introspect;
mod login;
mod metadata;
pub mod pages;
mod revoke;
mod token;
mod visitor;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, header};
use axum::routing::{MethodRouter, get, post};
use tessera_kit::http::error;

use crate::config::Config;
use crate::context::Context;
use pages::paths;

/// Every route, at the root and, where the issuer URL has a path, below it.
pub(crate) fn router(cx: &Context, config: &Config, introspection_endpoint: Option<String>) -> Router {
    let origins = &config.cors.origins;
    let document = metadata::Document::new(&cx.policy, introspection_endpoint);
    let path = issuer_path(&cx.policy.issuer_url).to_owned();
    let for_scripts = Router::new()
        .route("/oauth2/token", post(token::handle))
        .route("/oauth2/revoke", post(revoke::handle))
        .route("/oauth2/jwks", get(metadata::jwks))
        .merge(dialects::routes(&config.dialects));
    let endpoints = Router::new()
        .merge(cors::open_to(for_scripts, origins))
        .route("/oauth2/introspect", post(introspect::handle))
        .merge(pages());
    let well_known = get(move || {
        let document = document.clone();
        async move { document.response() }
    });
    let document = |at: &str| cors::open_to(Router::new().route(at, well_known.clone()), origins);
    let mut router = endpoints.clone().merge(document(metadata::WELL_KNOWN));
    if !path.is_empty() {
        // RFC 8414 section 3.1: the issuer's path comes after the well-known one.
        router = router.nest(&path, endpoints).merge(document(&format!("{}{path}", metadata::WELL_KNOWN)));
    }
    error::with_fallbacks(router).fallback(flow::nothing_here).with_state(cx.clone())
}

/// What a person's browser asks for.
fn pages() -> Router<Context> {
    Router::new()
        .route("/oauth2/authorize", acting(get(authorize::handle), "GET"))
        .route(paths::LOGIN, get(login::show).post(login::submit))
        .route(paths::LOGOUT, post(login::leave))
        .route(paths::CONSENT, acting(get(consent::show).post(consent::submit), "GET,POST"))
        .route(paths::ACCOUNT, get(account::show))
        .route(paths::REMOVE_APP, post(account::remove_app))
        .route(paths::END_SESSION, post(account::end_session))
        .route(paths::END_OTHER_SESSIONS, post(account::end_other_sessions))
        .route(paths::APPLICATIONS, get(applications::list))
        .route(paths::NEW_APPLICATION, get(applications::begin).post(applications::create))
        .route(paths::APPLICATION, get(applications::show))
        .route(paths::CHANGE_APPLICATION, post(applications::change))
        .route(paths::SWITCH_APPLICATION, post(applications::switch))
        .route(paths::RENEW_SECRET, post(applications::renew))
        .route(paths::DELETE_APPLICATION, get(applications::ask_delete).post(applications::delete))
        // A form that is opened again from the address bar: people get a page, and no JSON.
        .method_not_allowed_fallback(flow::wrong_method)
        .merge(pages::assets::routes())
}

/// A page that may keep or decide something when it is opened. HEAD promises to change nothing (RFC 9110 section 9.2.1), and axum
/// would hand it to the GET handler: it is refused. `allow` are the methods that are left.
fn acting(page: MethodRouter<Context>, allow: &'static str) -> MethodRouter<Context> {
    let refuse = move |state: State<Context>, request: Request<Body>| async move {
        let mut response = flow::wrong_method(state, request).await;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        response
    };
    page.head(refuse).fallback(refuse)
}

/// The path of the issuer URL, without a slash at its end; empty where there is none.
fn issuer_path(issuer_url: &str) -> &str {
    let after_scheme = issuer_url.split_once("://").map_or(issuer_url, |(_, rest)| rest);
    after_scheme.find('/').map_or("", |at| after_scheme[at..].trim_end_matches('/'))
}
