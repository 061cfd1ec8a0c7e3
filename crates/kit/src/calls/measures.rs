//! How long calls take, by kept handles.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use metrics::Histogram;
use tonic::Code;

use super::methods::Method;
use super::status;
use crate::metrics::Metrics;

/// The handles. One is drawn when a combination is first seen; there are no more combinations than methods, routes and statuses.
pub(super) struct Measures {
    metrics: Metrics,
    rpcs: Vec<[OnceLock<Histogram>; status::COUNT]>,
    routes: ArcSwap<HashMap<Box<str>, Vec<Route>>>,
}

#[derive(Clone)]
struct Route {
    verb: &'static str,
    status: u16,
    took: Histogram,
}

impl Measures {
    pub(super) fn new(metrics: Metrics) -> Self {
        let rpcs = (0..Method::count()).map(|_| Default::default()).collect();
        Self { metrics, rpcs, routes: ArcSwap::default() }
    }

    pub(super) fn rpc(&self, method: Method, code: Code, took: Duration) {
        let Some(by_code) = self.rpcs.get(method.index()) else { return };
        let draw = || {
            let labels = [("rpc_method", method.name()), ("rpc_status_code", status::name(code))];
            let help = "How long calls took until their answer, or their stream, began.";
            self.metrics.histogram("rpc_server_call_duration_seconds", help, &labels)
        };
        by_code[status::index(code)].get_or_init(draw).record(took.as_secs_f64());
    }

    pub(super) fn http(&self, route: &str, verb: &'static str, status: u16, took: Duration) {
        let routes = self.routes.load();
        let known = routes.get(route).and_then(|known| known.iter().find(|r| r.verb == verb && r.status == status));
        match known {
            Some(known) => known.took.record(took.as_secs_f64()),
            None => self.draw(route, verb, status).record(took.as_secs_f64()),
        }
    }

    fn draw(&self, route: &str, verb: &'static str, status: u16) -> Histogram {
        let help = "How long HTTP requests took until their answer began.";
        let code = status.to_string();
        let labels = [("route", route), ("method", verb), ("status", &code)];
        let took = self.metrics.histogram("http_server_request_duration_seconds", help, &labels);
        let drawn = Route { verb, status, took: took.clone() };
        self.routes.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.entry(route.into()).or_default().push(drawn.clone());
            Arc::new(routes)
        });
        took
    }
}
