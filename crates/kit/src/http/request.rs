//! Reading a request's body as a form, within bounds.

use std::time::Duration;

use ::http::{HeaderMap, Request, StatusCode, header};
use axum::body::{Body, Bytes};
use axum::extract::FromRequest;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tessera_types::{ErrorCode, Failure};

use super::error;
use super::form::{Form, FormError};

/// The longest body that is read, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// How long a caller may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's form, with its headers. The query is never looked at (RFC 6749 section 2.3.1, RFC 6750 section 2.3).
#[derive(Debug)]
pub struct FormBody {
    /// The headers.
    pub headers: HeaderMap,
    /// The form.
    pub form: Form,
}

/// Why a request's form could not be read. All of it is the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The content type is not that of a form.
    #[error("the content type is not a form's")]
    ContentType,
    /// More than 64 KiB.
    #[error("the body is too large")]
    TooLarge,
    /// The body took more than ten seconds.
    #[error("the body came too slowly")]
    TooSlow,
    /// The body broke off.
    #[error("the body broke off")]
    BrokenOff,
    /// The body is not a form.
    #[error(transparent)]
    Form(#[from] FormError),
}

impl Failure for RequestError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ContentType => "CONTENT_TYPE_UNSUPPORTED",
            Self::TooLarge => "BODY_TOO_LARGE",
            Self::TooSlow => "BODY_TOO_SLOW",
            Self::BrokenOff => "BODY_BROKEN_OFF",
            Self::Form(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::ContentType => "Send the parameters as application/x-www-form-urlencoded, in UTF-8.",
            Self::TooLarge => "The body is longer than 65536 bytes.",
            Self::TooSlow => "The body did not arrive in time.",
            Self::BrokenOff => "The body broke off.",
            Self::Form(error) => error.advice(),
        }
    }
}

impl RequestError {
    /// RFC 6749 knows one status for a bad request; HTTP has better ones for two cases.
    const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        error::plain(self.status(), self.code().as_str(), self.advice())
    }
}

/// A request's body as it came, with its headers, for a reader of its own.
pub struct RawBody {
    /// The headers.
    pub headers: HeaderMap,
    /// The body: at most [`MAX_BODY`] bytes.
    pub body: Bytes,
}

impl RawBody {
    /// Reads a request within the bounds that every body has.
    ///
    /// # Errors
    /// `TooLarge`, `TooSlow`, `BrokenOff`.
    pub async fn read(request: Request<Body>) -> Result<Self, RequestError> {
        let (parts, body) = request.into_parts();
        Ok(Self { headers: parts.headers, body: collect(BODY_TIMEOUT, body).await? })
    }
}

async fn collect(time: Duration, body: Body) -> Result<Bytes, RequestError> {
    let collected = tokio::time::timeout(time, Limited::new(body, MAX_BODY).collect()).await;
    let collected = collected.map_err(|_| RequestError::TooSlow)?;
    let collected = collected.map_err(|error| {
        if error.is::<LengthLimitError>() { RequestError::TooLarge } else { RequestError::BrokenOff }
    })?;
    Ok(collected.to_bytes())
}

impl FormBody {
    /// Reads a request; `repeatable` names the parameters that may stand there more than once.
    ///
    /// # Errors
    /// Every [`RequestError`].
    pub async fn read(request: Request<Body>, repeatable: &[&str]) -> Result<Self, RequestError> {
        Self::read_within(BODY_TIMEOUT, request, repeatable).await
    }

    async fn read_within(time: Duration, request: Request<Body>, repeatable: &[&str]) -> Result<Self, RequestError> {
        let (parts, body) = request.into_parts();
        if !is_form(&parts.headers) {
            return Err(RequestError::ContentType);
        }
        let form = Form::parse_with(&collect(time, body).await?, repeatable)?;
        Ok(Self { headers: parts.headers, form })
    }
}

impl<S: Send + Sync> FromRequest<S> for FormBody {
    type Rejection = RequestError;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, RequestError> {
        Self::read(request, &[]).await
    }
}

/// Whether the body says it is a form in UTF-8 and not compressed.
fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next().and_then(|v| v.to_str().ok()), types.next()) else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && parts.all(is_utf8_parameter)
        && headers.get(header::CONTENT_ENCODING).is_none_or(|e| e.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether a parameter of a media type is another than `charset`, or says UTF-8.
pub(super) fn is_utf8_parameter(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
