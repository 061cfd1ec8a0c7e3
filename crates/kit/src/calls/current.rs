//! The call that a task is answering: what its log lines and its calls to others say of it.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;

use axum::extract::MatchedPath;
use http::HeaderMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::methods::Method;
use super::request_id::RequestId;
use crate::trace::TraceParent;

tokio::task_local! {
    /// Boxed, since it is put in place and taken out whenever the call's future is polled.
    pub(super) static CURRENT: Box<Call>;
}

/// What is called.
#[derive(Clone, Debug)]
pub(super) enum Called {
    Rpc(Method),
    Http { verb: &'static str, route: OnceCell<MatchedPath> },
}

/// A call. Everything in it is fit for logs.
pub(super) struct Call {
    pub(super) called: Called,
    pub(super) remote: Cell<IpAddr>,
    /// Drawn when somebody needs it.
    pub(super) id: OnceCell<RequestId>,
    /// What the caller says of its trace, where it was read.
    pub(super) parent: OnceCell<TraceParent>,
    /// Whether tracing is on: whether a call that is not traced is so because that was decided here.
    pub(super) decides: bool,
    /// Disabled where the call is not traced.
    pub(super) span: Span,
    /// Where the span stands.
    pub(super) place: Option<TraceParent>,
    /// Who it turned out to be.
    pub(super) client: RefCell<Option<String>>,
}

/// What a path is called that no route has.
pub(super) const UNMATCHED: &str = "unmatched";

impl Call {
    pub(super) fn route(&self) -> &str {
        match &self.called {
            Called::Http { route, .. } => route.get().map_or(UNMATCHED, MatchedPath::as_str),
            Called::Rpc(method) => method.name(),
        }
    }

    pub(super) fn request_id(&self) -> &RequestId {
        self.id.get_or_init(RequestId::next)
    }

    /// The fields of a log line.
    fn fields(&self, put: &mut dyn FnMut(&'static str, &str)) {
        put("request_id", self.request_id().as_str());
        if let Some(place) = &self.place {
            put("trace_id", &place.trace_id().to_string());
            put("span_id", &place.span_id().to_string());
        }
        match &self.called {
            Called::Rpc(method) => put("rpc.method", method.name()),
            Called::Http { verb, .. } => {
                put("http.method", verb);
                put("http.route", self.route());
            }
        }
        if let Some(client) = &*self.client.borrow() {
            put("client_id", client);
        }
        put("remote_ip", &self.remote.get().to_string());
    }
}

impl Thread {
    fn fields(&self, put: &mut dyn FnMut(&'static str, &str)) {
        put("request_id", self.id.as_str());
        if let Some(place) = &self.place {
            put("trace_id", &place.trace_id().to_string());
        }
    }
}

/// Calls `put` with every field that log lines have of the current call; the event's own come over them.
pub(crate) fn fields(put: &mut dyn FnMut(&'static str, &str)) {
    if CURRENT.try_with(|call| call.fields(put)).is_err() {
        let _ = CARRIED.try_with(|thread| thread.fields(put));
    }
}

/// What of a call goes along where it is continued by others: another task, another service.
#[derive(Clone)]
pub(crate) struct Thread {
    /// Where the call stands, where it is traced.
    pub(crate) place: Option<TraceParent>,
    /// Where its caller stands, where the call is not traced.
    parent: Option<TraceParent>,
    decides: bool,
    pub(crate) id: RequestId,
}

impl Thread {
    /// What another service is told where the call is not traced: what is decided here is not decided there once more, and where nothing
    /// is, the caller's word goes on as it came.
    pub(crate) fn untraced(&self) -> Option<TraceParent> {
        match (self.decides, self.parent) {
            (false, parent) => parent,
            (true, Some(parent)) => Some(parent.unsampled()),
            (true, None) => Some(TraceParent::nowhere()),
        }
    }
}

tokio::task_local! {
    static CARRIED: Thread;
}

/// What goes along from here.
pub(crate) fn thread() -> Option<Thread> {
    let here = CURRENT.try_with(|call| Thread {
        place: call.place,
        parent: call.parent.get().copied(),
        decides: call.decides,
        id: call.request_id().clone(),
    });
    here.or_else(|_| CARRIED.try_with(Clone::clone)).ok()
}

/// Has a future that runs on a task of its own count as part of the call that begins it.
pub fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let thread = thread();
    async move {
        match thread {
            Some(thread) => CARRIED.scope(thread, future).await,
            None => future.await,
        }
    }
}

/// Notes what the caller says of its trace, for whoever is asked on its behalf. Where tracing is on it was read already; where it is off
/// nobody need know, but who is about to ask another service.
pub fn came_with(headers: &HeaderMap) {
    let _ = CURRENT.try_with(|call| {
        if !call.decides
            && let Some(parent) = TraceParent::from_headers(headers)
        {
            // What was heard first stays.
            let _ = call.parent.set(parent);
        }
    });
}

/// Whether the current call is traced.
#[must_use]
pub fn is_traced() -> bool {
    CURRENT.try_with(|call| call.place.is_some()).unwrap_or_default()
}

/// Whether anybody will see whom the current call is from: in its span, or in its line in the log. Costs nothing to ask.
#[must_use]
pub fn is_seen() -> bool {
    tracing::enabled!(target: super::LINES, tracing::Level::DEBUG) || is_traced()
}

/// What the current call is called in logs; `None` outside of a call.
#[must_use]
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|call| call.request_id().as_str().to_owned()).ok()
}

/// Which RPC is called, by a name of ours: never what the caller sent; `None` outside of one.
#[must_use]
pub fn rpc() -> Option<&'static str> {
    let called = |call: &Call| match &call.called {
        Called::Rpc(method) => Some(method.name()),
        Called::Http { .. } => None,
    };
    CURRENT.try_with(|call| called(call)).ok().flatten()
}

/// Where the current call stands in its trace; `None` where it is not traced.
#[must_use]
pub fn place() -> Option<TraceParent> {
    CURRENT.try_with(|call| call.place).or_else(|_| CARRIED.try_with(|thread| thread.place)).unwrap_or_default()
}

/// Notes which route the current request has.
pub(crate) fn routed(path: Option<&MatchedPath>) {
    let Some(path) = path else { return };
    let _ = CURRENT.try_with(|call| {
        if let Called::Http { route, .. } = &call.called {
            let _ = route.set(path.clone());
        }
    });
}

/// Notes which client the current call turned out to be from: one that is authenticated. What merely claims to be an identifier may be a
/// secret in the wrong place.
pub fn client(id: &str) {
    let _ = CURRENT.try_with(|call| {
        call.span.set_attribute("client_id", id.to_owned());
        *call.client.borrow_mut() = Some(id.to_owned());
    });
}

/// Notes where the current call comes from, where that is not the other end of its connection.
pub fn remote(address: IpAddr) {
    let _ = CURRENT.try_with(|call| call.remote.set(address));
}

/// Notes an attribute of the current call's span, where it is traced. Never what came from the caller as text.
pub fn attribute(name: &'static str, value: &'static str) {
    let _ = CURRENT.try_with(|call| call.span.set_attribute(name, value));
}
