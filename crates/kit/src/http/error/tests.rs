use std::time::Duration;

use ::http::{Method, Request};
use axum::body::Body;
use axum::routing::post;
use tower::ServiceExt as _;

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("test")]
struct Failing(ErrorCode, Option<Duration>);

impl Failure for Failing {
    fn code(&self) -> ErrorCode {
        self.0
    }
    fn reason(&self) -> &'static str {
        "TEST"
    }
    fn advice(&self) -> &'static str {
        "Do something else."
    }
    fn retry_after(&self) -> Option<Duration> {
        self.1
    }
}

async fn shown(response: Response) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).expect("text"))
}

fn is_uncached_json(headers: &HeaderMap) -> bool {
    headers[header::CACHE_CONTROL] == "no-store"
        && headers[header::PRAGMA] == "no-cache"
        && headers[header::CONTENT_TYPE] == "application/json"
}

#[tokio::test]
async fn a_failure_is_json_and_never_cached() {
    let (status, headers, body) = shown(response(&Failing(ErrorCode::InvalidScope, None))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(is_uncached_json(&headers), "{headers:?}");
    assert_eq!(body, r#"{"error":"invalid_scope","error_description":"Do something else."}"#);
    assert!(!headers.contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn throttling_says_when_to_come_back() {
    for (delay, seconds) in [(Duration::from_secs(7), "7"), (Duration::from_millis(10), "1")] {
        let (status, headers, _) = shown(response(&Failing(ErrorCode::Throttled, Some(delay)))).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(headers[header::RETRY_AFTER], seconds);
    }
}

#[tokio::test]
async fn the_challenge_matches_the_scheme_and_a_missing_credential_gets_the_bare_one() {
    for (challenge, code, expected) in [
        (Challenge::Basic, ErrorCode::InvalidClient, r#"Basic realm="tessera", charset="UTF-8""#),
        (Challenge::Bearer, ErrorCode::InvalidToken, r#"Bearer realm="tessera", error="invalid_token""#),
        (Challenge::Bearer, ErrorCode::InsufficientScope, r#"Bearer realm="tessera", error="insufficient_scope""#),
        (Challenge::Bearer, ErrorCode::InvalidClient, r#"Bearer realm="tessera""#),
    ] {
        let (_, headers, _) = shown(challenged(&Failing(code, None), challenge)).await;
        assert_eq!(headers[header::WWW_AUTHENTICATE], expected);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_get_json() {
    let router: Router = with_fallbacks(Router::new().route("/oauth2/token", post(async || "ok")));
    let ask = async |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        shown(router.clone().oneshot(request).await.expect("infallible")).await
    };
    let (status, headers, body) = ask(Method::GET, "/nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(is_uncached_json(&headers));
    assert!(body.starts_with(r#"{"error":"not_found""#), "{body}");

    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let (status, headers, body) = ask(method, "/oauth2/token?grant_type=client_credentials").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers[header::ALLOW], "POST");
        assert!(is_uncached_json(&headers));
        assert!(body.starts_with(r#"{"error":"invalid_request""#), "{body}");
    }
    assert_eq!(ask(Method::POST, "/oauth2/token").await.0, StatusCode::OK);
}
