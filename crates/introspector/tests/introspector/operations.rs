//! Health, reflection, metrics and stopping.

use std::time::Duration;

use axum::body::Body;
use axum::http;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tessera_api::introspection::v1::{BatchIntrospectRequest, IntrospectRequest};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::issuer::Issuer;
use crate::setting::{RESOURCE, Setting, authorized, basic};

async fn get(setting: &Setting, path: &str) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let uri = format!("http://{}{path}", setting.running.ops_addr).parse().expect("a URI");
    let response = client.get(uri).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

async fn health(setting: &Setting, service: &str) -> ServingStatus {
    let endpoint = Channel::from_shared(format!("http://{}", setting.running.grpc_addr)).expect("a URI");
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(endpoint.connect_lazy()).check(request).await.expect("an answer").into_inner().status()
}

#[tokio::test]
async fn it_is_ready_once_it_is_synchronized() {
    let setting = Setting::unsynchronized().await;
    let (status, body) = get(&setting, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("snapshot loaded") && body.contains("in touch with the issuer"), "{body}");
    assert_eq!(get(&setting, "/livez").await.0, 200);
    for service in ["", "tessera.introspection.v1.IntrospectionService"] {
        assert_eq!(health(&setting, service).await, ServingStatus::NotServing);
    }
    setting.issuer.refuse_streams(false);
    setting.running.wait_ready().await;
    assert_eq!(get(&setting, "/readyz").await.0, 200);
    assert_eq!(health(&setting, "").await, ServingStatus::Serving);
}

#[tokio::test]
async fn a_stale_introspector_is_not_ready() {
    let setting = Setting::ready().await;
    setting.issuer.partition().await;
    setting.clock.advance(Duration::from_secs(11));
    let waiting = async {
        while setting.running.is_ready() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it notices");
    assert!(get(&setting, "/readyz").await.1.contains("in touch with the issuer"));
}

#[tokio::test]
async fn metrics_count_answers_by_how_they_were_found() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert!(setting.is_active(&token).await && setting.is_active(&token).await);
    assert!(!setting.is_active("garbage").await);
    setting.ask("").await.expect_err("no token");
    let (_, text) = get(&setting, "/metrics").await;
    for line in [
        "tessera_introspections_total{result=\"active\",source=\"signature\"} 1",
        "tessera_introspections_total{result=\"active\",source=\"cache\"} 1",
        "tessera_introspections_total{result=\"inactive\",source=\"shape\"} 1",
        "tessera_introspections_total{result=\"error\",source=\"none\"} 0",
        "tessera_introspections_total{result=\"refused\",source=\"none\"} 1",
        "tessera_introspection_duration_seconds_count{source=\"cache\"} 1",
        "tessera_replica_resyncs_total 1",
        "tessera_replica_lag_seconds 0",
        "tessera_build_info{service=\"tessera-introspector\"",
    ] {
        assert!(text.contains(line), "{line} is missing from\n{text}");
    }
    assert!(!text.contains(&token));
}

/// What somebody did wrong is told from what we could not do, wherever a call fails: at finding out who asks, or after it.
#[tokio::test]
async fn what_gets_no_answer_is_counted_as_ours_or_the_callers() {
    let setting = Setting::ready().await;
    let (unanswered, resource) = (Unanswered { setting: &setting }, basic(RESOURCE.0, RESOURCE.1));
    setting.issuer.secret("demo-service", "secret");
    for credential in ["", "Basic !!!", &basic(RESOURCE.0, "wrong"), &basic("demo-service", "secret")] {
        unanswered.over_grpc(credential, "garbage").await;
        unanswered.in_a_batch(credential).await;
        unanswered.over_http(credential, "token=garbage").await;
    }
    unanswered.over_grpc(&resource, "").await;
    unanswered.over_http(&resource, "token=garbage&scope=%22").await;
    unanswered.over_http(&resource, "token=a&token=b").await;
    unanswered.are(0, 15).await;

    // Nobody has asked with these credentials before: the issuer must be asked about each.
    setting.issuer.inner().authentication_answers.forget_permits(usize::MAX);
    setting.issuer.secret("other", "secret");
    unanswered.over_grpc(&basic("other", "secret"), "garbage").await;
    unanswered.over_http("", "token=garbage&client_id=other&client_secret=secret").await;
    unanswered.in_a_batch(&basic("another", "secret")).await;
    // Who is known is not answered either, once the issuer was not heard for too long.
    setting.issuer.partition().await;
    setting.clock.advance(Duration::from_secs(11));
    unanswered.over_grpc(&resource, "garbage").await;
    unanswered.over_http(&resource, "token=garbage").await;
    unanswered.are(5, 15).await;
}

/// Asks for what is not answered, and counts it.
struct Unanswered<'a> {
    setting: &'a Setting,
}

impl Unanswered<'_> {
    fn request<T>(credential: &str, message: T) -> tonic::Request<T> {
        if credential.is_empty() { tonic::Request::new(message) } else { authorized(credential, message) }
    }

    async fn over_grpc(&self, credential: &str, token: &str) {
        let message = IntrospectRequest { token: token.to_owned(), ..IntrospectRequest::default() };
        self.setting.grpc().introspect(Self::request(credential, message)).await.expect_err("no answer");
    }

    async fn in_a_batch(&self, credential: &str) {
        let message = BatchIntrospectRequest::default();
        self.setting.grpc().batch_introspect(Self::request(credential, message)).await.expect_err("no answer");
    }

    async fn over_http(&self, credential: &str, form: &str) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let uri = format!("http://{}/oauth2/introspect", self.setting.running.http_addr);
        let mut request = http::Request::post(uri).header("content-type", "application/x-www-form-urlencoded");
        if !credential.is_empty() {
            request = request.header("authorization", credential);
        }
        let response = client.request(request.body(form.to_owned().into()).expect("a request")).await;
        let status = response.expect("a response").status();
        assert!(status.is_client_error() || status.is_server_error(), "{status}: {form}");
    }

    async fn are(&self, ours: u32, theirs: u32) {
        let (_, text) = get(self.setting, "/metrics").await;
        for line in [
            format!("tessera_introspections_total{{result=\"error\",source=\"none\"}} {ours}"),
            format!("tessera_introspections_total{{result=\"refused\",source=\"none\"}} {theirs}"),
            format!("tessera_introspection_duration_seconds_count{{source=\"none\"}} {}", ours + theirs),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing from\n{text}");
        }
        let waited = "tessera_introspection_duration_seconds_bucket{source=\"none\",le=\"0.25\"}";
        let short: u32 =
            text.lines().find_map(|line| line.strip_prefix(waited)?.trim().parse().ok()).expect("a bucket");
        // Three waited for the issuer as long as they may, which is 0.3 s.
        assert_eq!(short, if ours == 0 { theirs } else { ours + theirs - 3 }, "{text}");
    }
}

#[tokio::test]
async fn stopping_takes_leave_of_the_issuer() {
    let setting = Setting::ready().await;
    let goodbyes = setting.issuer.inner().goodbyes.clone();
    let (http, grpc) = (setting.running.http_addr, setting.running.grpc_addr);
    let stopping = tokio::time::timeout(Duration::from_secs(10), setting.running.shutdown());
    stopping.await.expect("a stop is bounded in time");
    let mut said = goodbyes.subscribe();
    let said = tokio::time::timeout(Duration::from_secs(5), said.wait_for(|count| *count == 1)).await;
    said.expect("in time").expect("the issuer lives");
    for addr in [http, grpc] {
        assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "{addr} is closed");
    }
}

#[tokio::test]
async fn event_loops_of_their_own_answer_as_well() {
    let setting = Setting::configured(Issuer::new(1), |config| config.listen.workers = 2).await;
    setting.running.wait_ready().await;
    let token = setting.token();
    for _ in 0..8 {
        assert!(setting.is_active(&token).await, "every call comes on a connection of its own");
    }
    setting.running.shutdown().await;
}

#[tokio::test]
async fn reflection_describes_what_is_served_and_the_details_of_errors() {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::{v1, v1alpha};

    let setting = Setting::ready().await;
    let endpoint = Channel::from_shared(format!("http://{}", setting.running.grpc_addr)).expect("a URI");
    let channel = endpoint.connect_lazy();
    let ask = async |request: MessageRequest| {
        let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
        let answers = client.server_reflection_info(tokio_stream::iter([request])).await.expect("served");
        let answer = answers.into_inner().message().await.expect("no error").expect("not over");
        answer.message_response.expect("an answer")
    };
    let MessageResponse::ListServicesResponse(listed) = ask(MessageRequest::ListServices(String::new())).await else {
        panic!("no list");
    };
    let mut names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "tessera.introspection.v1.IntrospectionService",
    ];
    assert_eq!(names, expected);
    for symbol in ["tessera.introspection.v1.IntrospectRequest", "google.rpc.ErrorInfo", "google.rpc.Status"] {
        let answer = ask(MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}: {answer:?}");
    }

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut older = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    older.server_reflection_info(tokio_stream::iter([request])).await.expect("the older version is served too");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_says_what_to_do() {
    let setting = Setting::ready().await;
    let mut config = crate::setting::config("http://127.0.0.1:1".to_owned());
    config.listen.grpc = setting.running.grpc_addr;
    let started = tessera_introspector::start(config, tessera_introspector::Deps::system()).await;
    let error = started.expect_err("the port is taken").to_string();
    assert!(error.contains("choose another port"), "{error}");
}
