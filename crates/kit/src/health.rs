//! Readiness: what must hold before a service may be asked, and who is told.
//!
//! One registry feeds the ops endpoints and `grpc.health.v1`, so that the two never disagree.

use std::sync::Arc;

use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

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

    /// The `grpc.health.v1` service: follows the registry for the service as a whole (`""`) and for every name given.
    pub async fn grpc_service(&self, services: &[&'static str]) -> HealthServer<HealthService> {
        let reporter = HealthReporter::new();
        let names: Vec<&'static str> = std::iter::once("").chain(services.iter().copied()).collect();
        // The library starts "" as SERVING, so a balancer could send calls before anything is loaded.
        announce(&reporter, &names, self.is_ready()).await;
        let server = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        let mut changes = self.state.subscribe();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let ready = changes.borrow_and_update().ready();
                announce(&reporter, &names, ready).await;
            }
            announce(&reporter, &names, false).await;
        });
        server
    }
}

async fn announce(reporter: &HealthReporter, names: &[&'static str], ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for name in names {
        reporter.set_service_status(name, status).await;
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
    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Wire;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::health_server::Health as _;

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
        let server = health.grpc_service(&["tessera.test.v1.TestService"]).await;
        let mut client = HealthClient::new(server);
        for service in ["", "tessera.test.v1.TestService"] {
            let request = Request::new(HealthCheckRequest { service: service.to_owned() });
            let answer = client.check(request).await.expect("registered").into_inner();
            assert_eq!(answer.status(), Wire::NotServing, "{service:?}");
        }
        let request = Request::new(HealthCheckRequest::default());
        let mut changes = client.watch(request).await.expect("registered").into_inner();
        let mut next = async || changes.message().await.expect("no error").expect("not over").status();
        assert_eq!(next().await, Wire::NotServing);
        check.set(true);
        assert_eq!(next().await, Wire::Serving);
        health.drain();
        assert_eq!(next().await, Wire::NotServing);
    }

    #[tokio::test]
    async fn unknown_services_are_not_found() {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter);
        let request = Request::new(HealthCheckRequest { service: "nothing".to_owned() });
        assert_eq!(service.check(request).await.expect_err("unknown").code(), tonic::Code::NotFound);
    }
}
