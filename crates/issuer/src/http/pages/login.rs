//! The login page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::client::{ClientView, Place};
use super::frame::{Frame, paths};
use super::headers::Places;
use super::respond::{Page, respond};

/// The login page: for a client's transaction, or on the way to the account page where there is no client.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct LoginView {
    /// What is round the page. Its `here` is [`paths::LOGIN`] with the transaction in the query.
    pub frame: Frame,
    /// Who sent the person here.
    pub client: Option<ClientView>,
    /// Against forged posts: bound to the browser and to the transaction.
    pub csrf: String,
    /// The transaction, as the opaque name under which the server keeps it.
    pub request: Option<String>,
    /// What stands in the first field: what the person typed before.
    pub identifier: String,
    /// Why the person sees the page again.
    pub error: Option<LoginError>,
    /// The person has just signed out.
    pub signed_out: bool,
}

/// Why a person sees the login page again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// The name is unknown or the password wrong: the page does not say which.
    Wrong,
    /// Too many failures.
    Throttled {
        /// How long until another try is looked at.
        seconds: u64,
    },
    /// The form is from an older page; nothing of it was looked at.
    Expired,
    /// The server cannot check the password now.
    Busy,
}

impl LoginView {
    fn invalid(&self) -> bool {
        self.error == Some(LoginError::Wrong)
    }
}

impl Page for LoginView {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn status(&self) -> StatusCode {
        match self.error {
            None => StatusCode::OK,
            // 401 would need a challenge, and a browser would answer one with a dialogue of its own.
            Some(LoginError::Wrong) => StatusCode::UNPROCESSABLE_ENTITY,
            Some(LoginError::Throttled { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Some(LoginError::Expired) => StatusCode::BAD_REQUEST,
            Some(LoginError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn places(&self) -> Option<Places<'_>> {
        self.client.as_ref().map(ClientView::places)
    }

    fn retry_after(&self) -> Option<u64> {
        match self.error {
            Some(LoginError::Throttled { seconds }) => Some(seconds),
            Some(LoginError::Busy) => Some(1),
            _ => None,
        }
    }
}

impl IntoResponse for LoginView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}
