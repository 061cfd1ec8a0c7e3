//! What can be known of why an answer is what it is. The introspector itself never says (RFC 7662 section 2.2).

use serde::Serialize;
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::introspection::v1::IntrospectResponse;
use tessera_types::Timestamp;

use crate::app::App;
use crate::commands::key;
use crate::connect::{Access, Administrator};
use crate::jwt::Decoded;
use crate::problem::{Exit, Problem};
use crate::settings::Settings;

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it speaks for the token; `None` where it cannot be known from here.
    pub good: Option<bool>,
    /// What was found.
    pub detail: String,
}

impl Finding {
    fn new(check: &'static str, good: impl Into<Option<bool>>, detail: impl Into<String>) -> Self {
        Self { check, good: good.into(), detail: detail.into() }
    }

    /// The finding on a line; words and not only signs, so that it reads without colour.
    #[must_use]
    pub fn to_line(&self) -> String {
        let word = match self.good {
            Some(true) => "good",
            Some(false) => "bad",
            None => "unknown",
        };
        format!("{} {word}: {}", self.check, self.detail)
    }
}

/// Looks at the token and, where this client administers, at its client and key.
pub(super) async fn explain(
    token: &str,
    answer: &IntrospectResponse,
    settings: &Settings,
    app: &App<'_>,
) -> Vec<Finding> {
    let decoded = match Decoded::parse(token) {
        Ok(decoded) => decoded,
        Err(problem) => return vec![Finding::new("form", false, problem.message)],
    };
    let mut findings = of_token(&decoded, app.clock.now());
    match app.administrator_with(settings, Access::Read).await {
        Ok(admin) => findings.extend(of_issuer(&decoded, &admin).await),
        Err(problem) => {
            let detail = format!("the issuer was not asked about client and key: {}", problem.message);
            findings.push(Finding::new("issuer", None, detail));
        }
    }
    findings.extend(of_answer(answer, &findings));
    findings
}

/// What the token says of itself.
fn of_token(decoded: &Decoded, now: Timestamp) -> Vec<Finding> {
    let word = |name: &str| decoded.header.get(name).and_then(|v| v.as_str()).unwrap_or("none").to_owned();
    let typ = word("typ");
    let alg = word("alg");
    let mut findings = vec![
        Finding::new("typ", matches!(typ.as_str(), "at+jwt" | "JWT"), typ),
        Finding::new("alg", matches!(alg.as_str(), "RS256" | "ES256" | "EdDSA"), alg),
    ];
    findings.push(match decoded.time("exp") {
        Some(exp) => Finding::new("expiry", exp > now.0, Timestamp(exp).to_string()),
        None => Finding::new("expiry", false, "there is no exp, or it is not a number"),
    });
    if let Some(nbf) = decoded.time("nbf") {
        findings.push(Finding::new("not before", nbf <= now.0, Timestamp(nbf).to_string()));
    }
    let audiences = decoded.audiences();
    findings.push(match audiences.as_slice() {
        [] => Finding::new("audience", false, "there is no aud"),
        some => Finding::new("audience", None, format!("{}; must be among the caller's resources", some.join(" "))),
    });
    findings
}

/// What the issuer knows of the token's client and key.
async fn of_issuer(decoded: &Decoded, admin: &Administrator) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(client_id) = decoded.text("client_id") {
        let message = wire::GetClientRequest { client_id: client_id.to_owned() };
        let answer = ClientServiceClient::new(admin.channel()).get_client(admin.request(message)).await;
        findings.push(match answer.map(|a| a.into_inner().client) {
            Ok(Some(client)) if client.enabled => Finding::new("client", true, format!("{client_id} is enabled")),
            Ok(Some(_)) => Finding::new("client", false, format!("{client_id} is disabled")),
            Ok(None) => Finding::new("client", None, "the issuer answered without a client"),
            Err(status) => match Problem::from_status(&status) {
                problem if problem.exit == Exit::NotFound => {
                    Finding::new("client", false, format!("{client_id} does not exist"))
                }
                problem => Finding::new("client", None, problem.message),
            },
        });
    }
    if let Some(kid) = decoded.header.get("kid").and_then(|v| v.as_str()) {
        findings.push(match key::all(admin).await {
            Ok(keys) => match keys.iter().find(|k| k.key_id == kid) {
                Some(found) => {
                    let retired = found.state() == wire::KeyState::Retired;
                    Finding::new("key", !retired, format!("{kid} is {}", key::state_word(found.state())))
                }
                None => Finding::new("key", false, format!("{kid} is no key of this issuer")),
            },
            Err(problem) => Finding::new("key", None, problem.message),
        });
    }
    findings
}

/// What follows from the answer together with the rest.
fn of_answer(answer: &IntrospectResponse, so_far: &[Finding]) -> Option<Finding> {
    if answer.active {
        return (!answer.missing_scopes.is_empty())
            .then(|| Finding::new("scopes", false, format!("missing: {}", answer.missing_scopes.join(" "))));
    }
    let explained = so_far.iter().any(|finding| finding.good == Some(false));
    (!explained).then(|| {
        let left = "nothing above is against it: revoked (itself, or with its client's tokens), not for this caller's \
                    audience, or its signature does not hold";
        Finding::new("state", false, left)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jwt::unsigned;

    fn lines(findings: &[Finding]) -> String {
        findings.iter().map(|f| f.to_line() + "\n").collect()
    }

    #[test]
    fn an_expired_token_is_explained_by_its_expiry() {
        let token = unsigned(&json!({ "exp": 1_000_000, "nbf": 1_000_000, "aud": "demo-resource" }));
        let findings = of_token(&Decoded::parse(&token).expect("reads"), Timestamp(1_000_000));
        insta::assert_snapshot!(lines(&findings), @r#"
        typ good: at+jwt
        alg good: RS256
        expiry bad: 1970-01-12T13:46:40Z
        not before good: 1970-01-12T13:46:40Z
        audience unknown: demo-resource; must be among the caller's resources
        "#);
        assert_eq!(of_answer(&IntrospectResponse::default(), &findings), None);
    }

    #[test]
    fn where_nothing_is_against_it_what_is_left_is_named() {
        let token = unsigned(&json!({ "exp": 1_000_001, "aud": "demo-resource" }));
        let findings = of_token(&Decoded::parse(&token).expect("reads"), Timestamp(1_000_000));
        let left = of_answer(&IntrospectResponse::default(), &findings).expect("a finding");
        assert!(left.detail.contains("revoked"), "{}", left.detail);
    }

    #[test]
    fn missing_scopes_are_named() {
        let answer =
            IntrospectResponse { active: true, missing_scopes: vec!["a".into(), "b".into()], ..Default::default() };
        assert_eq!(of_answer(&answer, &[]).expect("a finding").to_line(), "scopes bad: missing: a b");
    }
}
