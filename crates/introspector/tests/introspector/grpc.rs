//! `IntrospectionService`.

use futures::StreamExt as _;
use tessera_api::introspection::v1::batch_introspect_result::Result as BatchResult;
use tessera_api::introspection::v1::consistency::Requirement;
use tessera_api::introspection::v1::stream_introspect_response::Result as StreamResult;
use tessera_api::introspection::v1::{
    BatchIntrospectRequest, Consistency, IntrospectRequest, IntrospectResponse, ScopeRequirement,
    StreamIntrospectRequest,
};
use tessera_check::AccessClaims;
use tessera_ledger::{Event, Subject};
use tessera_types::{ClaimsProfile, KeyState};
use tonic::Code;

use crate::issuer::URL;
use crate::setting::{
    LONG_AGO, RESOURCE, Setting, audiences, authorized, basic, client, disabled, key_event, reason, revoked, unchanged,
};

fn request(token: &str) -> IntrospectRequest {
    IntrospectRequest { token: token.to_owned(), ..IntrospectRequest::default() }
}

#[tokio::test]
async fn an_active_token_is_told_with_its_members() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let response = setting.ask(&setting.sign(&claims)).await.expect("an answer");
    assert!(response.active && response.allowed && response.missing_scopes.is_empty());
    assert_eq!(response.scope, "orders:read orders:write");
    assert_eq!((response.client_id.as_str(), response.sub.as_str()), ("demo-service", "demo-service"));
    assert_eq!((response.token_type.as_str(), response.iss.as_str()), ("Bearer", URL));
    assert_eq!(response.aud, ["demo-resource"]);
    assert_eq!(response.jti, claims.token.to_string());
    assert_eq!(response.expire_time.map(|t| t.seconds), Some(claims.expires.0));
    assert_eq!(response.issue_time.map(|t| t.seconds), Some(claims.issued.0));
    assert_eq!(response.not_before_time.map(|t| t.seconds), Some(claims.not_before.0));
    assert_eq!(response.revision, format!("{}.3", setting.issuer.epoch()));
}

#[tokio::test]
async fn every_inactive_token_gets_the_same_answer() {
    let setting = Setting::ready().await;
    let good = setting.token();
    let (head, signature) = good.rsplit_once('.').expect("three parts");
    let flipped = format!("{head}.{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..]);
    let stranger = tessera_keys::SigningKey::generate(tessera_types::Algorithm::Es256).expect("a key");
    let claims = setting.claims();
    let cases = [
        "garbage".to_owned(),
        flipped,
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        head.to_owned(),
        "x".repeat(20_000),
        claims.sign(&stranger).expect("signed"),
        setting.sign(&AccessClaims { issuer: "http://other".to_owned(), ..claims.clone() }),
        setting.sign(&AccessClaims { expires: LONG_AGO, ..claims.clone() }),
        setting.sign(&AccessClaims { not_before: claims.expires, ..claims.clone() }),
        setting.sign(&AccessClaims { audience: audiences(&["another"]), ..claims.clone() }),
        setting.sign(&AccessClaims { client: "nobody".parse().expect("an id"), ..claims.clone() }),
    ];
    assert!(setting.is_active(&good).await);
    for token in cases {
        assert_eq!(setting.ask(&token).await.expect("an answer"), IntrospectResponse::default(), "{token}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_inactive_in_the_next_call() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let token = setting.sign(&claims);
    assert!(setting.is_active(&token).await);
    setting.issuer.publish(revoked(&claims)).await;
    assert!(!setting.is_active(&token).await);
}

#[tokio::test]
async fn tokens_die_with_their_client_and_nothing_revives_them() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert!(setting.is_active(&token).await);
    let watermark = Event::WatermarkRaised(Subject::Client("demo-service".parse().expect("an id")));
    setting.issuer.append(watermark);
    setting.issuer.publish(disabled("demo-service")).await;
    assert!(!setting.is_active(&token).await, "disabled");
    setting.issuer.publish(client("demo-service", &["demo-resource"], &[])).await;
    assert!(!setting.is_active(&token).await, "enabled again");
    let fresh = setting.token();
    assert!(setting.is_active(&fresh).await);
    let gone = Event::ClientChanged { client: "demo-service".parse().expect("an id"), state: None };
    setting.issuer.publish(gone).await;
    assert!(!setting.is_active(&fresh).await, "deleted");
}

#[tokio::test]
async fn tokens_die_with_their_key() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert!(setting.is_active(&token).await);
    setting.issuer.publish(key_event(&setting.key, KeyState::Retiring)).await;
    assert!(setting.is_active(&token).await, "it signs no more, and its tokens go on");
    setting.issuer.publish(key_event(&setting.key, KeyState::Retired)).await;
    assert!(!setting.is_active(&token).await);
}

#[tokio::test]
async fn a_token_expires_by_the_clock() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert!(setting.is_active(&token).await);
    setting.clock.set_wall(setting.claims().expires);
    assert!(!setting.is_active(&token).await);
}

#[tokio::test]
async fn required_scopes_are_checked_on_request() {
    let setting = Setting::ready().await;
    let token = setting.token();
    let ask = async |all_of: &[&str], any_of: &[&str]| {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let required = ScopeRequirement { all_of: names(all_of), any_of: names(any_of) };
        setting.ask_for(IntrospectRequest { required_scopes: Some(required), ..request(&token) }).await
    };
    assert!(ask(&["orders:read"], &[]).await.expect("an answer").allowed);
    let lacking = ask(&["orders:read", "profile"], &["a", "b"]).await.expect("an answer");
    assert!(lacking.active && !lacking.allowed);
    assert_eq!(lacking.missing_scopes, ["profile", "a", "b"]);
    let error = ask(&["a b"], &[]).await.expect_err("malformed");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::InvalidArgument, "SCOPE_MALFORMED"));
}

#[tokio::test]
async fn a_token_is_active_only_for_its_resource_server() {
    let setting = Setting::ready().await;
    setting.issuer.secret("other-resource", "secret");
    setting.issuer.publish(client("other-resource", &[], &["other", "third"])).await;
    let token = setting.sign(&AccessClaims { audience: audiences(&["demo-resource", "third"]), ..setting.claims() });
    let ask = async |who: (&str, &str), audience: &str| {
        let message = IntrospectRequest { audience: audience.to_owned(), ..request(&token) };
        let asked = setting.grpc().introspect(authorized(&basic(who.0, who.1), message)).await;
        asked.expect("an answer").into_inner().active
    };
    assert!(ask(RESOURCE, "").await && ask(RESOURCE, "demo-resource").await);
    assert!(!ask(RESOURCE, "third").await, "the token's, but not the caller's");
    let other = ("other-resource", "secret");
    assert!(ask(other, "").await && ask(other, "third").await);
    assert!(!ask(other, "demo-resource").await && !ask(other, "other").await);
}

#[tokio::test]
async fn a_legacy_token_is_seen_by_its_clients_audiences() {
    let setting = Setting::ready().await;
    let legacy = AccessClaims { profile: ClaimsProfile::Legacy, audience: Vec::new(), ..setting.claims() };
    let response = setting.ask(&setting.sign(&legacy)).await.expect("an answer");
    assert!(response.active);
    assert_eq!(response.aud, ["demo-service"]);
}

#[tokio::test]
async fn malformed_requests_are_invalid_arguments() {
    let setting = Setting::ready().await;
    let at_least = |text: &str| Some(Consistency { requirement: Some(Requirement::AtLeast(text.to_owned())) });
    for (message, expected) in [
        (request(""), "TOKEN_MISSING"),
        (IntrospectRequest { audience: "a b".to_owned(), ..request("x") }, "AUDIENCE_MALFORMED"),
        (IntrospectRequest { consistency: at_least("7"), ..request("x") }, "REVISION_MALFORMED"),
    ] {
        let error = setting.ask_for(message).await.expect_err("malformed");
        assert_eq!((error.code(), reason(&error).as_str()), (Code::InvalidArgument, expected));
    }
    let huge = setting.ask(&"x".repeat(70_000)).await.expect_err("too large");
    assert_eq!(huge.code(), Code::OutOfRange, "over 64 KiB");
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_an_error_is_its_requests_own() {
    let setting = Setting::ready().await;
    let tokens: Vec<String> =
        (0..200).map(|n| if n % 3 == 0 { format!("garbage-{n}") } else { setting.token() }).collect();
    let mut requests: Vec<_> = tokens.iter().map(|token| request(token)).collect();
    requests.push(request(""));
    let message = BatchIntrospectRequest { requests };
    let asked = setting.grpc().batch_introspect(authorized(&basic(RESOURCE.0, RESOURCE.1), message)).await;
    let results = asked.expect("an answer").into_inner().results;
    assert_eq!(results.len(), 201);
    for (index, result) in results.iter().take(200).enumerate() {
        let Some(BatchResult::Response(response)) = &result.result else { panic!("{index}: {result:?}") };
        assert_eq!(response.active, index % 3 != 0, "{index}");
    }
    let Some(BatchResult::Error(error)) = &results[200].result else { panic!("no error: {:?}", results[200]) };
    assert_eq!(error.code, i32::from(Code::InvalidArgument));
    assert!(!error.details.is_empty());
}

#[tokio::test]
async fn a_batch_has_at_most_a_thousand_requests() {
    let setting = Setting::ready().await;
    let ask = async |count: usize| {
        let requests = vec![request(&"x".repeat(800)); count];
        let message = BatchIntrospectRequest { requests };
        setting.grpc().batch_introspect(authorized(&basic(RESOURCE.0, RESOURCE.1), message)).await
    };
    assert_eq!(ask(1000).await.expect("an answer").into_inner().results.len(), 1000);
    let error = ask(1001).await.expect_err("too many");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::InvalidArgument, "BATCH_TOO_LARGE"));
}

#[tokio::test]
async fn a_stream_is_answered_in_order_and_goes_on_after_a_bad_request() {
    let setting = Setting::ready().await;
    let token = setting.token();
    let requests = [Some(request(&token)), None, Some(request("garbage")), Some(request(&token))];
    let requests = requests.map(|request| StreamIntrospectRequest { request });
    let message = tokio_stream::iter(requests);
    let asked = setting.grpc().stream_introspect(authorized(&basic(RESOURCE.0, RESOURCE.1), message)).await;
    let answers: Vec<_> =
        asked.expect("a stream").into_inner().map(|answer| answer.expect("no end").result).collect().await;
    let told: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Some(StreamResult::Response(response)) => Ok(response.active),
            Some(StreamResult::Error(error)) => Err(error.code),
            None => panic!("an answer says something"),
        })
        .collect();
    assert_eq!(told, [Ok(true), Err(i32::from(Code::InvalidArgument)), Ok(false), Ok(true)]);
}

#[tokio::test]
async fn a_stream_goes_on_when_its_caller_is_changed() {
    let setting = Setting::ready().await;
    let (send, requests) = tokio::sync::mpsc::channel(1);
    let message = tokio_stream::wrappers::ReceiverStream::new(requests);
    let asked = setting.grpc().stream_introspect(authorized(&basic(RESOURCE.0, RESOURCE.1), message)).await;
    let mut answers = asked.expect("a stream").into_inner();
    for _ in 0..3 {
        send.send(StreamIntrospectRequest { request: Some(request(&setting.token())) }).await.expect("open");
        let answer = answers.message().await.expect("no error").expect("no end").result;
        assert!(matches!(&answer, Some(StreamResult::Response(response)) if response.active), "{answer:?}");
        setting.issuer.publish(unchanged(RESOURCE.0)).await;
    }
    setting.issuer.secret(RESOURCE.0, "rotated");
    setting.issuer.publish(unchanged(RESOURCE.0)).await;
    send.send(StreamIntrospectRequest { request: Some(request("garbage")) }).await.expect("open");
    assert_eq!(answers.message().await.expect_err("another secret").code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_cannot_be_told_whether_its_caller_may_ask() {
    let setting = Setting::ready().await;
    let (send, requests) = tokio::sync::mpsc::channel(1);
    let message = tokio_stream::wrappers::ReceiverStream::new(requests);
    let asked = setting.grpc().stream_introspect(authorized(&basic(RESOURCE.0, RESOURCE.1), message)).await;
    let mut answers = asked.expect("a stream").into_inner();
    // What the introspector knows is that the caller is disabled; not, that it may be no more.
    setting.issuer.publish(disabled(RESOURCE.0)).await;
    setting.issuer.partition().await;
    setting.clock.advance(std::time::Duration::from_secs(11));
    for _ in 0..2 {
        send.send(StreamIntrospectRequest { request: Some(request("garbage")) }).await.expect("open");
        let answer = answers.message().await.expect("no error").expect("no end").result;
        let Some(StreamResult::Error(error)) = answer else { panic!("an answer, out of touch: {answer:?}") };
        assert_eq!(error.code, i32::from(Code::Unavailable), "{error:?}");
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_caller_is_disabled() {
    let setting = Setting::ready().await;
    let (send, requests) = tokio::sync::mpsc::channel(1);
    let message = tokio_stream::wrappers::ReceiverStream::new(requests);
    let asked = setting.grpc().stream_introspect(authorized(&basic(RESOURCE.0, RESOURCE.1), message)).await;
    let mut answers = asked.expect("a stream").into_inner();
    let next = || StreamIntrospectRequest { request: Some(request("garbage")) };
    send.send(next()).await.expect("open");
    assert!(answers.message().await.expect("no error").is_some());
    setting.issuer.publish(disabled(RESOURCE.0)).await;
    send.send(next()).await.expect("open");
    assert_eq!(answers.message().await.expect_err("over").code(), Code::Unauthenticated);
}
