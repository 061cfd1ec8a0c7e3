use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tessera_api::oauth::v1::token_service_server::{TokenService, TokenServiceServer};
use tessera_api::oauth::v1::{IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse};
use tessera_types::Timestamp;
use tonic::service::Routes;
use tonic::{Response, async_trait};

use super::*;
use crate::random::SystemRandom;
use crate::serve::{Options, Server, Serving, Stop};

#[derive(Default)]
struct Issuer {
    calls: AtomicUsize,
    last: StdMutex<Option<(String, String)>>,
}

#[async_trait]
impl TokenService for Issuer {
    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Result<Response<IssueTokenResponse>, Status> {
        let request = request.into_inner();
        if request.client_secret == "wrong" {
            return Err(Status::unauthenticated("Client authentication failed."));
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        *self.last.lock().expect("not poisoned") = Some((request.client_secret, request.audience));
        Ok(Response::new(IssueTokenResponse {
            access_token: format!("token-{call}"),
            token_type: "Bearer".to_owned(),
            expires_in: Some(prost_types::Duration { seconds: 100, nanos: 0 }),
            refresh_token: String::new(),
            scope: request.scopes.join(" "),
        }))
    }

    async fn revoke_token(&self, _: Request<RevokeTokenRequest>) -> Result<Response<RevokeTokenResponse>, Status> {
        Err(Status::unimplemented("not part of this test"))
    }
}

#[derive(Default)]
struct Manual(AtomicU64);

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

struct Setting {
    issuer: Arc<Issuer>,
    clock: Arc<Manual>,
    serving: Serving,
}

fn setting() -> Setting {
    let issuer = Arc::new(Issuer::default());
    let routes = Routes::new(TokenServiceServer::from_arc(Arc::clone(&issuer)));
    let options = Options::new(Stop::new(), Arc::new(SystemRandom));
    let server = Server::grpc(([127, 0, 0, 1], 0).into(), 0).expect("a free port");
    Setting { issuer, clock: Arc::default(), serving: server.serve_grpc(routes, &options).expect("served") }
}

impl Setting {
    fn source(&self, secret: SecretSource) -> TokenSource {
        let endpoint = Channel::from_shared(format!("http://{}", self.serving.addr())).expect("a URI");
        let request = TokenRequest {
            client_id: "tessera-introspector".to_owned(),
            secret,
            scopes: vec!["tessera.sync".to_owned()],
            audience: "http://issuer".to_owned(),
        };
        TokenSource::new(endpoint.connect_lazy(), request, Arc::<Manual>::clone(&self.clock))
    }
}

fn fixed(secret: &str) -> SecretSource {
    SecretSource::Fixed(PresentedSecret::new(secret.to_owned()).expect("a secret"))
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_nearly_over() {
    let setting = setting();
    let source = setting.source(fixed("right"));
    assert_eq!(source.authorization().await.expect("a token"), "Bearer token-0");
    setting.clock.0.store(79, Ordering::SeqCst);
    assert_eq!(source.authorization().await.expect("a token"), "Bearer token-0");
    setting.clock.0.store(80, Ordering::SeqCst);
    assert_eq!(source.authorization().await.expect("a token"), "Bearer token-1");
    source.forget().await;
    assert_eq!(source.authorization().await.expect("a token"), "Bearer token-2");
}

#[tokio::test]
async fn concurrent_callers_share_one_fetch() {
    let setting = setting();
    let source = setting.source(fixed("right"));
    let all = futures::future::join_all((0..16).map(|_| source.authorization())).await;
    assert!(all.iter().all(|t| t.as_ref().is_ok_and(|t| t == "Bearer token-0")));
    assert_eq!(setting.issuer.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_secret_file_is_read_anew_and_its_newline_does_not_count() {
    let setting = setting();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    let source = setting.source(SecretSource::File(path.clone()));
    assert!(matches!(source.authorization().await, Err(TokenError::SecretFile { .. })));
    for secret in ["first", "second"] {
        std::fs::write(&path, format!("{secret}\n")).expect("a file");
        source.forget().await;
        source.authorization().await.expect("a token");
        let seen = setting.issuer.last.lock().expect("not poisoned").clone();
        assert_eq!(seen, Some((secret.to_owned(), "http://issuer".to_owned())));
    }
    std::fs::write(&path, "\n").expect("a file");
    source.forget().await;
    assert!(matches!(source.authorization().await, Err(TokenError::Secret)));
}

#[tokio::test]
async fn a_refusal_is_reported_and_nothing_is_kept() {
    let setting = setting();
    let source = setting.source(fixed("wrong"));
    let error = source.authorization().await.expect_err("refused");
    assert!(matches!(&error, TokenError::Issuer(status) if status.code() == tonic::Code::Unauthenticated));
    assert!(!format!("{error} {source:?}").contains("wrong"));
}

#[tokio::test]
async fn the_header_is_marked_as_sensitive() {
    let setting = setting();
    let header = setting.source(fixed("right")).authorization().await.expect("a token");
    assert!(header.is_sensitive());
    assert!(!format!("{header:?}").contains("token-0"));
}
