//! A view as an answer.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tessera_kit::http::error;
use tessera_types::ErrorCode;

use super::client::Logo;
use super::frame::Frame;
use super::headers::{self, Places};

/// What the answer takes from a view beside its text.
pub(super) trait Page: Template {
    /// What is round the page.
    fn frame(&self) -> &Frame;

    /// The status.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }

    /// Where the answer to the transaction that the page belongs to may be sent.
    fn places(&self) -> Option<Places<'_>> {
        None
    }

    /// The logo that is on it.
    fn logo(&self) -> Option<&Logo> {
        None
    }

    /// In how many seconds it is worth trying again.
    fn retry_after(&self) -> Option<u64> {
        None
    }
}

/// The answer.
pub(super) fn respond(page: &impl Page) -> Response {
    let Ok(body) = page.render() else {
        let error = ErrorCode::ServerError.as_str();
        return error::plain(StatusCode::INTERNAL_SERVER_ERROR, error, "The server failed; the fault is ours.");
    };
    let fixed = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_LANGUAGE, HeaderValue::from_static(page.frame().language().tag())),
    ];
    let mut response = (page.status(), fixed, body).into_response();
    headers::secure(response.headers_mut(), page.places(), page.logo().map(Logo::source));
    if let Some(seconds) = page.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
    }
    response
}
