//! `tessera token get auth-code`: a user signs in with a browser, which comes back to a port of this machine (RFC 8252 section 7.3).
//!
//! Threats: another program or page that calls the port (`state`), a code that leaks on its way (PKCE), and an answer that comes from
//! another server than the one asked (`iss`, RFC 9207).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::{AuthorizationCodeGrant, IssueTokenRequest};
use tessera_kit::random::SystemRandom;
use tessera_types::{ClientId, CodeVerifier, pkce, random};
use tonic::transport::Uri;
use zeroize::Zeroizing;

use super::listener::{Expected, Listener};
use super::{Asked, Issued};
use crate::app::App;
use crate::commands::token::ClientArgs;
use crate::connect;
use crate::credential::form;
use crate::endpoint::{Endpoint, is_loopback};
use crate::pair::ISSUER_URL;
use crate::problem::{Exit, Problem};
use crate::seconds;
use crate::settings::{DEFAULT_ENDPOINT, Fixture, Settings};

/// Gets a token for a user who signs in with a browser (RFC 6749 section 4.1). Against `tessera dev` the client is demo-web.
///
/// The URL to open is printed to stderr. The client needs the redirect URI `http://127.0.0.1/callback`; of a loopback address the port
/// does not matter. A client without a secret is named with --client-id alone.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get auth-code
  tessera token get auth-code --issuer-url https://id.example.com \\
    --client-id spa --scope profile --redirect-port 8976 -o json")]
pub struct AuthCode {
    /// The issuer's URL, where the user signs in and which the answer must name [default: that of `tessera dev`].
    #[arg(long, value_name = "URL")]
    issuer_url: Option<String>,

    /// The port of 127.0.0.1 to which the browser is sent back [default: a free one].
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,

    /// How long to wait for the user.
    #[arg(long, value_name = "SPAN", value_parser = seconds::parse, default_value = "5m")]
    wait: Duration,

    #[command(flatten)]
    asked: Asked,

    #[command(flatten)]
    client: ClientArgs,
}

impl AuthCode {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let settings = app.settings()?;
        let issuer_url = self.issuer_url(&settings)?;
        let caller = self.client.caller(&settings, &settings.issuer, Fixture::Web, app)?;
        // Before the user is sent anywhere: what they allow can be redeemed.
        let channel = app.issuer(&settings).await?;
        let listener = Listener::bind(self.redirect_port.unwrap_or(0)).await?;
        let attempt = Attempt::new(issuer_url, listener.redirect_uri());
        app.console.note("Open this URL in a browser, and sign in:\n");
        app.console.note(&format!("  {}\n", attempt.url(&caller.client_id, &self.asked)?));
        let code = listener.code(&attempt.expected, self.wait).await?;
        let message = IssueTokenRequest { grant: Some(attempt.redeem(&code)), ..IssueTokenRequest::default() };
        let answer = connect::issue(channel, &caller, message, app.timeout()).await?;
        app.show(&Issued::from(answer))
    }

    /// Where the user signs in. It is not told by the gRPC endpoint, but for the one of `tessera dev`.
    fn issuer_url(&self, settings: &Settings) -> Result<String, Problem> {
        match &self.issuer_url {
            Some(url) => checked(url).map(|()| url.clone()),
            None if settings.issuer == Endpoint::parse(DEFAULT_ENDPOINT)? => Ok(ISSUER_URL.to_owned()),
            None => Err(Problem::usage("NO_ISSUER_URL", "nothing says at which URL the user signs in")
                .hint("pass --issuer-url, byte for byte as the issuer's configuration says it")),
        }
    }
}

/// A password is typed there: nothing but TLS, or this machine.
fn checked(url: &str) -> Result<(), Problem> {
    let uri: Option<Uri> = url.parse().ok();
    let safe = uri.as_ref().is_some_and(|uri| {
        let Some(authority) = uri.authority().filter(|authority| !authority.as_str().contains('@')) else {
            return false;
        };
        let encrypted = uri.scheme_str() == Some("https");
        let near = uri.scheme_str() == Some("http") && is_loopback(authority.host());
        uri.query().is_none() && (encrypted || near)
    });
    if safe {
        return Ok(());
    }
    Err(Problem::usage("BAD_ISSUER_URL", format!("`{url}` is no URL of an issuer"))
        .hint("write it as https://id.example.com; http:// is for this machine alone"))
}

/// One authorization request, and what its answer must fit.
struct Attempt {
    verifier: Zeroizing<String>,
    redirect_uri: String,
    expected: Expected,
}

impl Attempt {
    fn new(issuer: String, redirect_uri: String) -> Self {
        Self { verifier: unguessable(), redirect_uri, expected: Expected { issuer, state: unguessable() } }
    }

    /// The authorization request (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
    fn url(&self, client_id: &ClientId, asked: &Asked) -> Result<String, Problem> {
        let verifier: CodeVerifier =
            self.verifier.parse().map_err(|_| Problem::internal("VERIFIER", "the code verifier is not well-formed"))?;
        let (scopes, audience, challenge) =
            (asked.scopes().join(" "), asked.audience(), verifier.challenge().to_string());
        let parameters = [
            ("response_type", "code"),
            ("client_id", client_id.as_str()),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &scopes),
            ("audience", &audience),
            ("state", &self.expected.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", pkce::METHOD),
        ];
        let given = parameters.iter().filter(|(_, value)| !value.is_empty());
        let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", form(value))).collect();
        Ok(format!("{}/oauth2/authorize?{}", self.expected.issuer.trim_end_matches('/'), query.join("&")))
    }

    fn redeem(&self, code: &str) -> Grant {
        Grant::AuthorizationCode(AuthorizationCodeGrant {
            code: code.to_owned(),
            redirect_uri: self.redirect_uri.clone(),
            code_verifier: self.verifier.to_string(),
        })
    }
}

/// 256 random bits in 43 characters, as a verifier needs them (RFC 7636 section 4.1).
fn unguessable() -> Zeroizing<String> {
    let bits: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes(&SystemRandom));
    Zeroizing::new(URL_SAFE_NO_PAD.encode(*bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_typed_over_tls_or_on_this_machine() {
        for good in ["https://id.example", "https://id.example/auth", "http://127.0.0.1:6400", "http://localhost:1/"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "id.example",
            "http://id.example",
            "http://127.0.0.1@evil.example",
            "https://id.example/?a=b",
            "ftp://x",
        ] {
            assert_eq!(checked(bad).expect_err(bad).reason, "BAD_ISSUER_URL", "{bad}");
        }
    }

    #[test]
    fn the_request_carries_a_challenge_and_never_the_verifier() {
        let attempt = Attempt::new("https://id.example/auth/".into(), "http://127.0.0.1:9/callback".into());
        let asked = Asked { scope: vec!["a".parse().expect("ok"), "b:c".parse().expect("ok")], audience: None };
        let url = attempt.url(&"spa&co".parse().expect("an id"), &asked).expect("a URL");
        assert!(
            url.starts_with("https://id.example/auth/oauth2/authorize?response_type=code&client_id=spa%26co&"),
            "{url}"
        );
        assert!(url.contains("&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback&scope=a+b%3Ac&state="), "{url}");
        assert!(url.ends_with("&code_challenge_method=S256") && !url.contains(&*attempt.verifier), "{url}");
        let other = Attempt::new(String::new(), String::new());
        assert_ne!((&attempt.verifier, &attempt.expected.state), (&other.verifier, &other.expected.state));
    }
}
