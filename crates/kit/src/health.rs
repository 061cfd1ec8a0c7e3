//! Readiness: what must hold before a service may be asked, and who is told.
//!
//! One registry feeds the ops endpoints and `grpc.health.v1`, so that the two never disagree.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::serve::Stop;

/// The registry. Ready where every registered check holds and the service does not drain.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<watch::Sender<State>>,
}

/// One condition of readiness.
#[derive(Clone, Debug)]
pub struct Check {
    state: Arc<watch::Sender<State>>,
    index: usize,
}

#[derive(Clone, Debug, Default)]
struct State {
    checks: Vec<(&'static str, bool)>,
    started: bool,
    draining: bool,
}

impl State {
    fn ready(&self) -> bool {
        !self.draining && self.checks.iter().all(|(_, holds)| *holds)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A registry without checks.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())) }
    }

    /// Adds a check, which does not hold until it is [set](Check::set). Its name is what `/readyz` shows.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Check {
        let mut index = 0;
        self.state.send_modify(|state| {
            index = state.checks.len();
            state.checks.push((name, false));
        });
        Check { state: Arc::clone(&self.state), index }
    }

    /// Whether the service may be asked.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.borrow().ready()
    }

    /// Whether the service was ready once.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.state.borrow().started
    }

    /// What keeps it from being ready.
    #[must_use]
    pub fn failing(&self) -> Vec<&'static str> {
        let state = self.state.borrow();
        let failing = state.checks.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name);
        failing.chain(state.draining.then_some("draining")).collect()
    }

    /// Resolves once the service is ready.
    pub async fn wait_ready(&self) {
        // The registry itself keeps the sender alive.
        let _ = self.state.subscribe().wait_for(State::ready).await;
    }

    /// Says for good that the service is about to stop, so that no new calls are sent to it.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// The `grpc.health.v1` service: tells of the service as a whole (`""`) and of every name given.
    ///
    /// It is not tonic-health's own: that one starts `""` as SERVING, so a balancer could send calls before anything is loaded,
    /// and its watches never end, so a process with one could not stop.
    #[allow(clippy::unused_async, reason = "every caller awaits it; a registry that asks elsewhere would have to wait")]
    pub async fn grpc_service(&self, services: &[&'static str], stop: &Stop) -> HealthServer<GrpcHealth> {
        let names = std::iter::once("").chain(services.iter().copied()).collect();
        HealthServer::new(GrpcHealth { health: self.clone(), names, stop: stop.clone() })
    }
}

/// Answers `grpc.health.v1` from the registry.
#[derive(Clone, Debug)]
pub struct GrpcHealth {
    health: Health,
    names: Arc<[&'static str]>,
    stop: Stop,
}

fn answer(ready: bool) -> HealthCheckResponse {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl tonic_health::pb::health_server::Health for GrpcHealth {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.names.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("There is no such service here."));
        }
        Ok(Response::new(answer(self.health.is_ready())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// Says the state, then every change of it, until the process closes its connections. Not before: who watches begins anew when
    /// its stream ends, and some do so without a pause.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !self.names.contains(&request.get_ref().service.as_str()) {
            // The protocol's way to say so without ending the watch.
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            return Ok(Response::new(Box::pin(futures::stream::iter([Ok(unknown)]))));
        }
        let from = (self.health.state.subscribe(), self.stop.clone(), None);
        let changes = futures::stream::unfold(from, async |(mut state, stop, told)| {
            let ready = tokio::select! {
                // What is new is said before the end.
                biased;
                state = state.wait_for(|state| told != Some(state.ready())) => state.ok()?.ready(),
                () = stop.draining() => return None,
            };
            Some((Ok(answer(ready)), (state, stop, Some(ready))))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

impl Check {
    /// Says whether the condition holds now.
    pub fn set(&self, holds: bool) {
        self.state.send_if_modified(|state| {
            let changed = state.checks[self.index].1 != holds;
            state.checks[self.index].1 = holds;
            state.started |= state.ready();
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    #[test]
    fn ready_means_every_check_holds() {
        let health = Health::new();
        let (one, other) = (health.register("one"), health.register("other"));
        assert_eq!(health.failing(), ["one", "other"]);
        one.set(true);
        assert!(!health.is_ready());
        assert!(!health.has_started());
        other.set(true);
        assert!(health.is_ready());
        one.set(false);
        assert_eq!(health.failing(), ["one"]);
        assert!(health.has_started(), "once started, always started");
    }

    #[test]
    fn draining_is_final() {
        let health = Health::new();
        let check = health.register("one");
        check.set(true);
        health.drain();
        check.set(false);
        check.set(true);
        assert!(!health.is_ready());
        assert_eq!(health.failing(), ["draining"]);
    }

    #[tokio::test]
    async fn waiting_ends_when_the_last_check_holds() {
        let health = Health::new();
        let check = health.register("one");
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.wait_ready().await }
        });
        check.set(true);
        waiting.await.expect("no panic");
    }

    #[tokio::test]
    async fn grpc_health_is_not_serving_first_and_follows() {
        let health = Health::new();
        let check = health.register("one");
        let server = health.grpc_service(&["tessera.test.v1.TestService"], &Stop::new()).await;
        let mut client = HealthClient::new(server);
        for service in ["", "tessera.test.v1.TestService"] {
            let request = Request::new(HealthCheckRequest { service: service.to_owned() });
            let answer = client.check(request).await.expect("registered").into_inner();
            assert_eq!(answer.status(), ServingStatus::NotServing, "{service:?}");
        }
        let request = Request::new(HealthCheckRequest::default());
        let mut changes = client.watch(request).await.expect("registered").into_inner();
        let mut next = async || changes.message().await.expect("no error").expect("not over").status();
        assert_eq!(next().await, ServingStatus::NotServing);
        check.set(true);
        assert_eq!(next().await, ServingStatus::Serving);
        health.drain();
        assert_eq!(next().await, ServingStatus::NotServing);
    }

    #[tokio::test]
    async fn a_watch_tells_of_the_stop_and_ends_when_connections_close() {
        let (health, stop) = (Health::new(), Stop::new());
        health.register("holds").set(true);
        let mut client = HealthClient::new(health.grpc_service(&[], &stop).await);
        let watched = client.watch(Request::new(HealthCheckRequest::default())).await;
        let mut changes = watched.expect("registered").into_inner();
        let first = changes.message().await.expect("no error").expect("not over");
        assert_eq!(first.status(), ServingStatus::Serving);
        health.drain();
        let second = changes.message().await.expect("no error").expect("not over");
        assert_eq!(second.status(), ServingStatus::NotServing);
        let mut end = Box::pin(changes.message());
        assert!(futures::poll!(end.as_mut()).is_pending(), "a watch that ended now would be begun anew");
        stop.drain();
        assert!(end.await.expect("no error").is_none());
    }

    #[tokio::test]
    async fn unknown_services_are_not_found() {
        let mut client = HealthClient::new(Health::new().grpc_service(&[], &Stop::new()).await);
        let request = || Request::new(HealthCheckRequest { service: "nothing".to_owned() });
        assert_eq!(client.check(request()).await.expect_err("unknown").code(), tonic::Code::NotFound);
        let mut changes = client.watch(request()).await.expect("a stream").into_inner();
        let first = changes.message().await.expect("no error").expect("not over");
        assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    }
}
