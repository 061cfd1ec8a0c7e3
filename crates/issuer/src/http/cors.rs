//! Which sites' scripts may call (security.md, item 20): the origins that are configured, each compared as a whole, and never with
//! cookies. The authorization endpoint and the pages are for people, and open to no script.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use tessera_kit::http::error;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::context::Context;

/// What a revocation tells beside its status.
const REVISION: HeaderName = HeaderName::from_static("tessera-revision");

/// How long a browser may remember that it may call.
const REMEMBER: Duration = Duration::from_secs(600);

/// Opens routes to scripts of these origins; of none where there are none.
pub(super) fn open_to(routes: Router<Context>, origins: &[String]) -> Router<Context> {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return routes;
    }
    // Set before the layer, or the one that is set for every route would stand outside of it and answer the browser's OPTIONS.
    routes.method_not_allowed_fallback(error::method_not_allowed).layer(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
            .expose_headers([header::RETRY_AFTER, header::WWW_AUTHENTICATE, REVISION])
            .max_age(REMEMBER),
    )
}
