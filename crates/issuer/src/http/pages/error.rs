//! The error page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::frame::Frame;
use super::respond::{Page, respond};
use super::texts::{ProblemTexts, Texts};

/// The error page. Its texts are fixed: nothing of the request is on it (Hydra CVE-2019-8400).
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorView {
    /// What is round the page: [`Frame::of_once`], since the failed request has no place to return to.
    pub frame: Frame,
    /// What happened.
    pub problem: Problem,
    /// By what name the log knows the request.
    pub reference: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No such client, or a disabled one.
    UnknownClient,
    /// The redirect URI is none of the client's.
    WrongRedirect,
    /// The request is malformed, and there is no client to send it back to.
    Malformed,
    /// The transaction is over, or was never there.
    Expired,
    /// A form from an older page, or from elsewhere: the token against forged posts does not fit.
    StaleForm,
    /// Nothing is at this address.
    NotFound,
    /// Too many requests.
    Throttled {
        /// How long until another try is looked at.
        seconds: u64,
    },
    /// The server cannot answer now.
    Busy,
    /// The server failed.
    Internal,
}

impl Problem {
    fn texts(self, texts: &Texts) -> &ProblemTexts {
        let problems = &texts.problems;
        match self {
            Self::UnknownClient => &problems.unknown_client,
            Self::WrongRedirect => &problems.wrong_redirect,
            Self::Malformed => &problems.malformed,
            Self::Expired => &problems.expired,
            Self::StaleForm => &problems.stale_form,
            Self::NotFound => &problems.not_found,
            Self::Throttled { .. } => &problems.throttled,
            Self::Busy => &problems.busy,
            Self::Internal => &problems.internal,
        }
    }

    fn seconds(self) -> Option<u64> {
        if let Self::Throttled { seconds } = self { Some(seconds) } else { None }
    }
}

impl Page for ErrorView {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn status(&self) -> StatusCode {
        match self.problem {
            Problem::UnknownClient | Problem::WrongRedirect | Problem::Malformed | Problem::Expired => {
                StatusCode::BAD_REQUEST
            }
            Problem::StaleForm => StatusCode::FORBIDDEN,
            Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Problem::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn retry_after(&self) -> Option<u64> {
        self.problem.seconds().or((self.problem == Problem::Busy).then_some(1))
    }
}

impl IntoResponse for ErrorView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}
