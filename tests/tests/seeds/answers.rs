//! What the answers have in common, and how a token is read by who does not verify it.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tessera_tests::Answer;

use crate::cast::System;

/// An error as the shops' clients know it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
    pub(crate) hint: Option<String>,
    /// league's number, which Shopware's clients read.
    pub(crate) number: u8,
}

const MALFORMED: &str = "The request is missing a required parameter, includes an invalid parameter value, includes a parameter \
                         more than once, or is otherwise malformed.";

impl Told {
    const fn new(status: u16, error: &'static str, description: &'static str, number: u8) -> Self {
        Self { status, error, description, hint: None, number }
    }

    pub(crate) fn hinting(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    pub(crate) fn client() -> Self {
        Self::new(401, "invalid_client", "Client authentication failed", 4)
    }

    pub(crate) fn malformed() -> Self {
        Self::new(400, "invalid_request", MALFORMED, 3)
    }

    pub(crate) fn parameter(name: &str) -> Self {
        Self::malformed().hinting(&format!("Check the `{name}` parameter"))
    }

    pub(crate) fn grant_type() -> Self {
        let description = "The authorization grant type is not supported by the authorization server.";
        Self::new(400, "unsupported_grant_type", description, 2)
            .hinting("Check that all required parameters have been provided")
    }

    pub(crate) fn scope(name: &str) -> Self {
        let description = "The requested scope is invalid, unknown, or malformed";
        Self::new(400, "invalid_scope", description, 5).hinting(&format!("Check the `{name}` scope"))
    }

    pub(crate) fn denied(name: &str) -> Self {
        let description = "The resource owner or authorization server denied the request.";
        Self::new(401, "access_denied", description, 9)
            .hinting(&format!("Usage of scope `{name}` is not allowed for this client"))
    }

    pub(crate) fn credentials() -> Self {
        Self::new(400, "invalid_grant", "The user credentials were incorrect.", 6)
    }

    pub(crate) fn refresh(hint: &str) -> Self {
        Self::new(401, "invalid_request", "The refresh token is invalid.", 8).hinting(hint)
    }

    pub(crate) fn code() -> Self {
        Self::new(400, "invalid_grant", "The authorization code is invalid.", 10)
    }

    pub(crate) fn no_keys() -> Self {
        let warning = "OAuth authorization is not available as encryption keys configuration was not complete. \
                       Please contact your administrator.";
        Self::new(503, "temporarily_unavailable", warning, 7)
    }

    fn body(&self, system: System) -> Value {
        let mut body = json!({"error": self.error, "error_description": self.description, "message": self.description});
        if let Some(hint) = &self.hint {
            body["hint"] = json!(hint);
        }
        if system == System::Shopware {
            body["errors"] = json!([{
                "code": self.number.to_string(),
                "status": self.status.to_string(),
                "title": self.description,
                "detail": self.hint.as_deref().unwrap_or(self.description),
            }]);
        }
        body
    }
}

/// Fails unless an answer is this error, to the letter.
#[track_caller]
pub(crate) fn assert_told(answer: &Answer, system: System, told: &Told, case: &str) {
    let shown = || format!("{system:?}, {case}: {}\n\n{}", answer.head, answer.body);
    assert_eq!(answer.status, told.status, "{}", shown());
    assert_eq!(answer.json().unwrap_or_default(), told.body(system), "{}", shown());
    assert_headers(answer, &shown());
}

/// Fails unless an answer's headers are those of every token answer.
#[track_caller]
pub(crate) fn assert_headers(answer: &Answer, case: &str) {
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"), "{case}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{case}");
    assert_eq!(answer.header("pragma"), Some("no-cache"), "{case}");
    assert_eq!(answer.header("location"), None, "a token request is never sent elsewhere: {case}");
}

/// Tokens as they were given out: these members and no other.
pub(crate) fn tokens(answer: &Answer) -> Result<Value> {
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    assert_headers(answer, &answer.head);
    granted(answer.json()?, 3600)
}

/// As [`tokens`], of a body that some tool has shown.
pub(crate) fn granted(body: Value, lifetime: u64) -> Result<Value> {
    let members: Vec<&str> = body.as_object().context("an object")?.keys().map(String::as_str).collect();
    let known = [
        &["access_token", "expires_in", "refresh_token", "token_type"][..],
        &["access_token", "expires_in", "token_type"],
    ];
    anyhow::ensure!(known.contains(&&members[..]), "{members:?}");
    anyhow::ensure!(body["token_type"] == "Bearer" && body["expires_in"] == json!(lifetime), "{body}");
    Ok(body)
}

/// A member that is a text.
pub(crate) fn text(body: &Value, member: &str) -> Result<String> {
    body[member].as_str().map(str::to_owned).with_context(|| format!("no `{member}`: {body}"))
}

/// The access token of an answer.
pub(crate) fn access(answer: &Answer) -> Result<String> {
    text(&tokens(answer)?, "access_token")
}

/// The header of a token.
pub(crate) fn header(token: &str) -> Result<Value> {
    part(token, 0)
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Result<Value> {
    part(token, 1)
}

fn part(token: &str, number: usize) -> Result<Value> {
    let part = token.split('.').nth(number).context("a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

/// The scopes of a token, in both spellings, which must agree.
pub(crate) fn scopes(token: &str) -> Result<Vec<String>> {
    let claims = claims(token)?;
    let list: Vec<String> = serde_json::from_value(claims["scopes"].clone())?;
    anyhow::ensure!(claims["scope"] == list.join(" "), "{claims}");
    Ok(list)
}
