//! Where the browser is sent, and with what (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).

use std::fmt::Write as _;

use tessera_store::{AuthorizationRequest, Client};
use tessera_types::{AuthorizationCode, ErrorCode, RedirectUri};

use super::Pending;
use crate::context::Context;

/// A redirect URI with the answer in its query.
pub(super) struct Answer(String);

impl Answer {
    /// The code.
    pub(super) fn code(cx: &Context, request: &AuthorizationRequest, code: &AuthorizationCode) -> String {
        Self::to(request.redirect_uri.as_str()).with("code", code.expose()).end(cx, request.state.as_deref())
    }

    /// The person refused.
    pub(super) fn denied(cx: &Context, pending: &Pending) -> String {
        let text = "The user denied the request.";
        let to = failure(&pending.client, &pending.request.redirect_uri);
        Self::error(cx, to, ErrorCode::AccessDenied, text, pending.request.state.as_deref())
    }

    /// Something is wrong with the request.
    pub(super) fn error(cx: &Context, to: &str, code: ErrorCode, description: &str, state: Option<&str>) -> String {
        Self::to(to).with("error", code.as_str()).with("error_description", description).end(cx, state)
    }

    /// A registered URI has no fragment, and its query stays.
    fn to(redirect_uri: &str) -> Self {
        Self(redirect_uri.to_owned())
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let separator = match self.0.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        self.0.push_str(separator);
        self.0.push_str(name);
        self.0.push('=');
        encode(&mut self.0, value);
        self
    }

    /// `state` as it came, and who answers.
    fn end(self, cx: &Context, state: Option<&str>) -> String {
        self.finish(&cx.policy.issuer_url, state)
    }

    fn finish(self, issuer: &str, state: Option<&str>) -> String {
        let answer = match state {
            Some(state) => self.with("state", state),
            None => self,
        };
        answer.with("iss", issuer).0
    }
}

/// Where a browser is sent with an error: where the client has a place for errors, there.
pub(super) fn failure<'a>(client: &'a Client, redirect_uri: &'a RedirectUri) -> &'a str {
    client.failure_uri.as_ref().unwrap_or(redirect_uri).as_str()
}

/// Percent-encodes everything that is not unreserved (RFC 3986 section 2.3).
fn encode(to: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(char::from(byte)),
            // Writing to a text does not fail.
            _ => drop(write!(to, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_kept() {
        for (registered, expected) in [
            ("https://a.example/cb", "https://a.example/cb?code=x&iss=https%3A%2F%2Fi"),
            ("https://a.example/cb?", "https://a.example/cb?code=x&iss=https%3A%2F%2Fi"),
            ("https://a.example/cb?a=b", "https://a.example/cb?a=b&code=x&iss=https%3A%2F%2Fi"),
            ("com.example.app:/cb", "com.example.app:/cb?code=x&iss=https%3A%2F%2Fi"),
        ] {
            assert_eq!(Answer::to(registered).with("code", "x").finish("https://i", None), expected);
        }
    }

    #[test]
    fn the_state_comes_back_as_it_was_and_escapes_nowhere() {
        let state = "a b&c=d#e\"<é%\r\n";
        let answer = Answer::to("https://a.example/cb").finish("https://i", Some(state));
        assert_eq!(answer, "https://a.example/cb?state=a%20b%26c%3Dd%23e%22%3C%C3%A9%25%0D%0A&iss=https%3A%2F%2Fi");
    }
}
