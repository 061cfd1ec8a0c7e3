//! The style sheet and the script, built in. Their paths hold a hash of what is in them, so browsers may keep them for good and a
//! new version is fetched at once.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");

/// The style sheet of every page.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(include_str!("../../../assets/pages.css"), "css", "text/css; charset=utf-8"));

/// The script: a convenience, without which every page works.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(include_str!("../../../assets/pages.js"), "js", "text/javascript; charset=utf-8"));

/// A file that is built in.
#[derive(Debug)]
pub struct Asset {
    path: String,
    body: &'static str,
    kind: &'static str,
}

impl Asset {
    fn new(body: &'static str, extension: &str, kind: &'static str) -> Self {
        let hash = u64::from_be_bytes(Sha256::digest(body).first_chunk().copied().unwrap_or_default());
        Self { path: format!("/assets/{hash:016x}.{extension}"), body, kind }
    }

    /// Its path, below the issuer's.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is in it.
    #[must_use]
    pub fn body(&self) -> &'static str {
        self.body
    }

    fn response(&self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (header::CACHE_CONTROL, FOR_GOOD),
            (header::X_CONTENT_TYPE_OPTIONS, NO_SNIFFING),
        ];
        (headers, self.body).into_response()
    }
}

/// The routes to the files, for a router that stands at the root or at the issuer's path.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(STYLE.path(), get(async || STYLE.response()))
        .route(SCRIPT.path(), get(async || SCRIPT.response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_changes_with_what_is_in_the_file() {
        let path = |body| Asset::new(body, "css", "text/css").path().to_owned();
        assert_eq!(path("a"), "/assets/ca978112ca1bbdca.css");
        assert_eq!(path("b"), "/assets/3e23e8160039594a.css");
    }

    #[test]
    fn browsers_may_keep_a_file_for_good() {
        let response = STYLE.response();
        assert_eq!(response.headers()[header::CACHE_CONTROL], FOR_GOOD);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
    }

    #[test]
    fn files_name_no_other_site() {
        for file in [&*STYLE, &*SCRIPT] {
            assert!(!file.body().contains("://") && !file.body().contains("@import"), "{}", file.path());
        }
    }
}
