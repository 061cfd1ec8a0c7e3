//! What operators and orchestrators ask: `/livez`, `/readyz`, `/startupz` and `/metrics`, on a port of their own.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::health::Health;
use crate::http::error::with_fallbacks;
use crate::metrics::Metrics;
use crate::serve::Loops;

#[derive(Clone)]
struct Ops {
    health: Health,
    metrics: Metrics,
    loops: Loops,
}

/// The routes.
pub fn router(health: Health, metrics: Metrics, loops: Loops) -> Router {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(scrape));
    with_fallbacks(router).with_state(Ops { health, metrics, loops })
}

/// Live: the event loops turn. This one does, or there would be no answer.
async fn livez(State(ops): State<Ops>) -> impl IntoResponse {
    let stuck = ops.loops.stuck();
    if stuck.is_empty() {
        return (StatusCode::OK, "live\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("stuck:\n{}\n", stuck.join("\n")))
}

/// Unready answers name what is missing, so that nobody has to search the logs for it.
async fn readyz(State(ops): State<Ops>) -> impl IntoResponse {
    if ops.health.is_ready() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let failing = ops.health.failing().join("\n");
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready:\n{failing}\n"))
}

async fn startupz(State(ops): State<Ops>) -> impl IntoResponse {
    if ops.health.has_started() {
        (StatusCode::OK, "started\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    }
}

async fn scrape(State(ops): State<Ops>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], ops.metrics.render())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    fn loops() -> Loops {
        Loops::new(std::sync::Arc::new(crate::clock::SystemClock))
    }

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let health = Health::new();
        let check = health.register("snapshot");
        let router = router(health.clone(), Metrics::new("test", "0"), loops());
        assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
        assert_eq!(ask(&router, "/startupz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        let (status, body) = ask(&router, "/readyz").await;
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not ready:\nsnapshot\n"));

        check.set(true);
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
        health.drain();
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(&router, "/startupz").await.0, StatusCode::OK);
        assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_scraped() {
        let router = router(Health::new(), Metrics::new("test", "1.2.3"), loops());
        let (status, body) = ask(&router, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("tessera_build_info"), "{body}");
    }
}
