//! Servers that keep clients, users and tokens in memory and write down what they were asked.

mod admin;
mod people;
mod plain;

pub(crate) use plain::token_of;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tessera_api::admin::v1 as admin_v1;
use tessera_api::admin::v1::client_service_server::ClientServiceServer;
use tessera_api::admin::v1::user_service_server::UserServiceServer;
use tessera_api::introspection::v1::introspection_service_server::IntrospectionServiceServer;
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_server::TokenServiceServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// A server on a free port of loopback; it ends with the test's runtime.
pub(crate) struct Server {
    address: SocketAddr,
    /// What it holds and has seen.
    pub book: Arc<Mutex<Book>>,
}

/// What the server holds and has seen.
#[derive(Default)]
pub(crate) struct Book {
    /// Each call: the method and its `authorization`.
    pub calls: Vec<(&'static str, String)>,
    /// The registered clients.
    pub clients: Vec<admin_v1::Client>,
    /// The registered users.
    pub users: Vec<admin_v1::User>,
    /// The masks of updates.
    pub masks: Vec<Vec<String>>,
    /// The secret or password that came last.
    pub imported: String,
    /// Tokens that were revoked.
    pub revoked: Vec<String>,
    /// Whose refresh tokens are; nobody's are anybody's.
    pub refresh_tokens_of: Option<&'static str>,
    /// The grant of the last token, and the client that asked.
    pub grant: Option<(Grant, String)>,
    /// The scopes asked for, call by call.
    pub scopes: Vec<Vec<String>>,
    /// Whether revocation is reported as unconfirmed.
    pub unconfirmed: bool,
    /// Whether a revoked token is still called active.
    pub forgetful: bool,
    /// Whether only `tessera.admin.read` is granted.
    pub reader: bool,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<Book>>);

impl Server {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let book = Arc::new(Mutex::new(Book::default()));
        let fake = Fake(book.clone());
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", tonic_health::ServingStatus::Serving).await;
        let serving = tonic::transport::Server::builder()
            .add_service(ClientServiceServer::new(fake.clone()))
            .add_service(UserServiceServer::new(fake.clone()))
            .add_service(TokenServiceServer::new(fake.clone()))
            .add_service(IntrospectionServiceServer::new(fake))
            .add_service(health_service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        Self { address, book }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The calls so far, by name.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.book.lock().expect("not poisoned").calls.iter().map(|(name, _)| *name).collect()
    }

    /// The `authorization` of the last call of a method.
    pub(crate) fn authorization(&self, method: &str) -> String {
        let book = self.book.lock().expect("not poisoned");
        book.calls.iter().rev().find(|(name, _)| *name == method).map(|(_, a)| a.clone()).expect(method)
    }
}

impl Fake {
    /// Writes a call down.
    fn called<T>(&self, method: &'static str, request: &Request<T>) {
        assert!(request.metadata().get("grpc-timeout").is_some(), "{method} has no deadline");
        let authorization = request.metadata().get("authorization").and_then(|a| a.to_str().ok()).unwrap_or_default();
        self.book(|book| book.calls.push((method, authorization.to_owned())));
    }

    fn book<R>(&self, work: impl FnOnce(&mut Book) -> R) -> R {
        work(&mut self.0.lock().expect("not poisoned"))
    }
}

/// A status as our servers send it.
fn refusal(code: Code, reason: &str, oauth: &str, message: &str) -> Status {
    let metadata = HashMap::from([(tessera_api::status::OAUTH_ERROR.to_owned(), oauth.to_owned())]);
    let details = ErrorDetails::with_error_info(reason, tessera_api::status::DOMAIN, metadata);
    let mut status = Status::with_error_details(code, message, details);
    status.metadata_mut().insert("x-request-id", "request-7".parse().expect("ascii"));
    status
}
