//! `POST /oauth2/introspect` (RFC 7662).

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::issuer::URL;
use crate::setting::{RESOURCE, Setting, basic, disabled, revoked, unchanged};

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    fn is_error(&self, status: u16, error: &str) -> bool {
        let uncached =
            self.headers["cache-control"] == "no-store" && self.headers["content-type"] == "application/json";
        self.status == status && self.json()["error"] == error && uncached
    }

    fn challenges(&self) -> Vec<&str> {
        self.headers.get_all("www-authenticate").iter().map(|v| v.to_str().expect("text")).collect()
    }
}

async fn send(setting: &Setting, request: axum::http::Request<Body>) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let response = client.request(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let _ = setting;
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).expect("text"),
    }
}

fn request(
    setting: &Setting,
    path: &str,
    authorization: Option<&str>,
    body: impl Into<Body>,
) -> axum::http::Request<Body> {
    let uri = format!("http://{}{path}", setting.running.http_addr);
    let mut request = axum::http::Request::post(uri).header("content-type", "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.body(body.into()).expect("a request")
}

async fn ask(setting: &Setting, authorization: Option<&str>, body: impl Into<Body>) -> Answer {
    send(setting, request(setting, "/oauth2/introspect", authorization, body)).await
}

fn resource() -> String {
    basic(RESOURCE.0, RESOURCE.1)
}

#[tokio::test]
async fn an_active_token_has_the_members_of_rfc_7662() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let answer =
        ask(&setting, Some(&resource()), format!("token={}&token_type_hint=access_token", setting.sign(&claims))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let expected = json!({
        "active": true, "scope": "orders:read orders:write", "client_id": "demo-service", "token_type": "Bearer",
        "exp": claims.expires.0, "iat": claims.issued.0, "nbf": claims.not_before.0, "sub": "demo-service",
        "aud": "demo-resource", "iss": URL, "jti": claims.token.to_string(),
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn inactive_is_exactly_that() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let token = setting.sign(&claims);
    setting.issuer.publish(revoked(&claims)).await;
    for token in [token.as_str(), "garbage", &token[..token.len() - 2]] {
        let answer = ask(&setting, Some(&resource()), format!("token={token}")).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"active":false}"#));
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn scopes_and_audience_are_checked_on_request() {
    let setting = Setting::ready().await;
    let token = setting.token();
    let asked = async |more: &str| ask(&setting, Some(&resource()), format!("token={token}{more}")).await.json();
    let answer = asked("&scope=orders:read+profile").await;
    assert_eq!((&answer["allowed"], &answer["missing_scopes"]), (&json!(false), &json!(["profile"])));
    let answer = asked("&scope=orders:read&audience=demo-resource").await;
    assert_eq!((&answer["allowed"], &answer["missing_scopes"]), (&json!(true), &json!([])));
    assert_eq!(asked("&audience=another").await, json!({"active": false}));
    assert_eq!(asked("&consistency=fully_consistent").await["active"], true);
}

#[tokio::test]
async fn callers_authenticate_by_basic_by_form_and_by_bearer() {
    let setting = Setting::ready().await;
    let token = setting.token();
    let bearer = format!("Bearer {}", setting.sign(&setting.caller_claims()));
    let form = format!("token={token}&client_id={}&client_secret={}", RESOURCE.0, RESOURCE.1);
    for (authorization, body) in [
        (Some(resource()), format!("token={token}")),
        (Some(resource()), format!("token={token}&client_id={}", RESOURCE.0)),
        (Some(bearer), format!("token={token}")),
        (None, form.clone()),
        (None, form),
    ] {
        let answer = ask(&setting, authorization.as_deref(), body).await;
        assert_eq!(answer.json()["active"], true, "{}", answer.text);
    }
    let calls = setting.issuer.inner().authentications.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(calls, 2, "once by header, once by form");
}

#[tokio::test]
async fn two_mechanisms_are_an_invalid_request() {
    let setting = Setting::ready().await;
    let bearer = format!("Bearer {}", setting.sign(&setting.caller_claims()));
    let both = format!("token=x&client_id={}&client_secret={}", RESOURCE.0, RESOURCE.1);
    let its_own = format!("token=x&client_id={}", RESOURCE.0);
    let asserted = format!("{both}&{ASSERTION}");
    for (authorization, body) in [
        (Some(resource()), both.as_str()),
        (Some(bearer.clone()), &both),
        (Some(resource()), "token=x&client_id=another"),
        (Some(bearer.clone()), &its_own),
        (Some(resource()), &format!("token=x&{ASSERTION}")),
        (Some(bearer), &format!("token=x&{ASSERTION}")),
        (None, &asserted),
    ] {
        let answer = ask(&setting, authorization.as_deref(), body.to_owned()).await;
        assert!(answer.is_error(400, "invalid_request"), "{body}: {}", answer.text);
    }
    let calls = setting.issuer.inner().authentications.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(calls, 0, "and no credential was looked at");
}

const ASSERTION: &str =
    "client_assertion=a.b.c&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

#[tokio::test]
async fn a_client_assertion_is_refused_whatever_else_stands_there() {
    let setting = Setting::ready().await;
    for body in [format!("token=x&{ASSERTION}"), format!("token=x&client_id={}&{ASSERTION}", RESOURCE.0)] {
        let answer = ask(&setting, None, body).await;
        assert!(answer.is_error(401, "invalid_client"), "{}", answer.text);
        assert!(answer.text.contains("Client assertions are not supported"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_caller_in_the_form_is_asked_about_again_when_it_is_changed() {
    let setting = Setting::ready().await;
    let body = format!("token={}&client_id={}&client_secret={}", setting.token(), RESOURCE.0, RESOURCE.1);
    for _ in 0..2 {
        assert_eq!(ask(&setting, None, body.clone()).await.json()["active"], true);
        setting.issuer.publish(unchanged(RESOURCE.0)).await;
    }
}

#[tokio::test]
async fn a_failed_authentication_is_401_with_a_matching_challenge() {
    let setting = Setting::ready().await;
    let wrong = ask(&setting, Some(&basic(RESOURCE.0, "wrong")), "token=x").await;
    let unknown = ask(&setting, Some(&basic("nobody", "wrong")), "token=x").await;
    let malformed = ask(&setting, Some("Basic !!!"), "token=x").await;
    for answer in [&wrong, &unknown, &malformed] {
        assert!(answer.is_error(401, "invalid_client"), "{}", answer.text);
        assert!(answer.challenges()[0].starts_with("Basic "), "{:?}", answer.challenges());
    }
    assert_eq!(wrong.text, unknown.text);

    let bearer = ask(&setting, Some("Bearer garbage"), "token=x").await;
    assert!(bearer.is_error(401, "invalid_token"));
    assert_eq!(bearer.challenges(), [r#"Bearer realm="tessera", error="invalid_token""#]);

    let none = ask(&setting, None, "token=x").await;
    assert!(none.is_error(401, "invalid_client"));
    assert_eq!(none.challenges().len(), 2);
    assert!(none.challenges().contains(&r#"Bearer realm="tessera""#), "the bare challenge");

    let form = ask(&setting, None, format!("token=x&client_id={}&client_secret=wrong", RESOURCE.0)).await;
    assert!(form.is_error(401, "invalid_client"));
    let secretless = ask(&setting, None, format!("token=x&client_id={}", RESOURCE.0)).await;
    assert!(secretless.is_error(401, "invalid_client"));
}

#[tokio::test]
async fn credentials_in_the_uri_are_refused() {
    let setting = Setting::ready().await;
    for query in ["client_secret=x", "token=x", "a=b&client%5Fassertion=x", "Password"] {
        let path = format!("/oauth2/introspect?{query}");
        let answer = send(&setting, request(&setting, &path, Some(&resource()), "token=x")).await;
        assert!(answer.is_error(400, "invalid_request"), "{query}: {}", answer.text);
        assert!(answer.text.contains("treat these as leaked"), "{query}: {}", answer.text);
    }
    let path = format!("/oauth2/introspect?client_id={}&access_token=x", RESOURCE.0);
    let answer = send(&setting, request(&setting, &path, None, "token=x")).await;
    assert!(answer.is_error(401, "invalid_client"), "what is no secret is ignored: {}", answer.text);
    let answer = send(&setting, request(&setting, &path, Some(&resource()), "")).await;
    assert!(answer.is_error(400, "invalid_request"), "the query's token is not the form's: {}", answer.text);
}

#[tokio::test]
async fn malformed_requests_are_invalid_requests_in_json() {
    let setting = Setting::ready().await;
    let large = format!("token={}", "x".repeat(1 << 20));
    for (body, status) in [
        (&b""[..], 400),
        (b"token=", 400),
        (b"token=a&token=b", 400),
        (b"token=a&x=1&x=2", 400),
        (b"token=%", 400),
        (b"token=%ff", 400),
        (b"token=\xff", 400),
        (b"token=a&scope=%22", 400),
        (b"token=a&audience=a+b", 400),
        (b"token=a&at_least=x", 400),
        (b"token=a&consistency=perfect", 400),
        (large.as_bytes(), 413),
    ] {
        let answer = ask(&setting, Some(&resource()), body.to_vec()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert!(answer.is_error(status, "invalid_request"), "{shown}: {} {}", answer.status, answer.text);
    }
    let uri = format!("http://{}/oauth2/introspect", setting.running.http_addr);
    let json = axum::http::Request::post(&uri).header("content-type", "application/json").body(Body::from("{}"));
    assert!(send(&setting, json.expect("a request")).await.is_error(400, "invalid_request"));
    let get = axum::http::Request::get(&uri).body(Body::empty()).expect("a request");
    let answer = send(&setting, get).await;
    assert!(answer.is_error(405, "invalid_request"));
    assert_eq!(answer.headers["allow"], "POST");
    let nothing = request(&setting, "/oauth2/token", None, "");
    assert!(send(&setting, nothing).await.is_error(404, "not_found"));
}

#[tokio::test]
async fn a_caller_without_resources_is_an_unauthorized_client() {
    let setting = Setting::ready().await;
    setting.issuer.secret("demo-service", "secret");
    let answer = ask(&setting, Some(&basic("demo-service", "secret")), "token=x").await;
    assert!(answer.is_error(400, "unauthorized_client"), "{}", answer.text);
    setting.issuer.publish(disabled("demo-service")).await;
    let answer = ask(&setting, Some(&basic("demo-service", "secret")), "token=x").await;
    assert!(answer.is_error(401, "invalid_client"), "{}", answer.text);
}

#[tokio::test]
async fn out_of_touch_is_503_and_never_inactive() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert_eq!(ask(&setting, Some(&resource()), format!("token={token}")).await.status, 200);
    setting.issuer.partition().await;
    setting.clock.advance(Duration::from_secs(11));
    for token in [token.as_str(), "garbage"] {
        let answer = ask(&setting, Some(&resource()), format!("token={token}")).await;
        assert!(answer.is_error(503, "temporarily_unavailable"), "{}", answer.text);
        assert_eq!(answer.headers["retry-after"], "1");
    }
}
