//! The issuer's metrics, by kept handles.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use tessera_kit::metrics::Metrics;
use tessera_types::{ErrorCode, GrantType, KeyState};

use crate::client_auth::AuthMethod;

const LOG_REWRITTEN: &str = "tessera_log_rewritten";
const LOG_REWRITTEN_HELP: &str =
    "1 where the database lacks what this process or an introspector has applied: it was set back without a new epoch.";

/// The handles.
#[derive(Clone)]
pub struct Telemetry {
    pub(crate) metrics: Metrics,
    /// How long revocations waited for everybody.
    pub barrier: Histogram,
    refresh_reuse: Counter,
    /// Whether the floor has stopped, for want of a clock to believe.
    pub floor_stopped: Gauge,
    /// Whether the database lacks what was in its log before.
    pub log_rewritten: Gauge,
}

impl Telemetry {
    /// Registers what does not depend on labels.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let barrier = metrics.histogram(
            "tessera_revocation_barrier_seconds",
            "How long a change waited until every introspector had confirmed it.",
            &[],
        );
        let refresh_reuse = metrics.counter(
            "tessera_refresh_reuse_detected_total",
            "Spent refresh tokens that were presented again; each ended a grant.",
            &[],
        );
        let floor_stopped = metrics.gauge(
            "tessera_floor_stopped",
            "1 where the clocks jumped or differ, so that what is remembered is not deleted by them until a restart.",
            &[],
        );
        let log_rewritten = metrics.gauge(LOG_REWRITTEN, LOG_REWRITTEN_HELP, &[]);
        let telemetry = Self { metrics, barrier, refresh_reuse, floor_stopped, log_rewritten };
        telemetry.begin();
        telemetry
    }

    /// Begins the most telling series at nought: of one that appears with its first count no rate is known, and no alert sees it.
    fn begin(&self) {
        for grant in GrantType::ALL {
            for outcome in ["ok", ErrorCode::ServerError.as_str(), ErrorCode::TemporarilyUnavailable.as_str()] {
                self.token_requests(*grant, outcome).increment(0);
            }
        }
        for method in [AuthMethod::Basic, AuthMethod::Post, AuthMethod::None] {
            self.client_auth_failures(method).increment(0);
        }
        self.logins("ok").increment(0);
    }

    /// Counts a token request; `None` is success.
    pub fn token_request(&self, grant: GrantType, error: Option<ErrorCode>) {
        let outcome = error.map_or("ok", ErrorCode::as_str);
        self.token_requests(grant, outcome).increment(1);
    }

    fn token_requests(&self, grant: GrantType, outcome: &'static str) -> Counter {
        let labels = &[("grant_type", grant.as_str()), ("outcome", outcome)];
        self.counter("tessera_token_requests_total", "Token requests by grant type and outcome.", labels)
    }

    /// Counts a failed client authentication.
    pub fn client_auth_failure(&self, method: AuthMethod) {
        self.client_auth_failures(method).increment(1);
    }

    fn client_auth_failures(&self, method: AuthMethod) -> Counter {
        let labels = &[("method", method.as_str())];
        self.counter("tessera_client_auth_failures_total", "Failed client authentications by method.", labels)
    }

    /// Counts a login by password; `None` is success.
    pub fn login(&self, error: Option<ErrorCode>) {
        self.logins(error.map_or("ok", ErrorCode::as_str)).increment(1);
    }

    fn logins(&self, outcome: &'static str) -> Counter {
        self.counter("tessera_logins_total", "Logins by password, by outcome.", &[("outcome", outcome)])
    }

    /// Counts a spent refresh token that was presented again.
    pub fn refresh_reuse(&self) {
        self.refresh_reuse.increment(1);
    }

    /// Counts a mail to an owner.
    pub fn mail(&self, outcome: &'static str) {
        let help = "Mails to owners of new applications, by what became of them: sent or failed.";
        self.counter("tessera_mails_total", help, &[("outcome", outcome)]).increment(1);
    }

    /// Counts what housekeeping deleted.
    pub fn cleaned(&self, kind: &'static str, deleted: u64) {
        self.counter("tessera_cleanup_deleted_total", "Rows that housekeeping deleted, by kind.", &[("kind", kind)])
            .increment(deleted);
    }

    /// How long the signing keys of a state have been in it.
    pub fn signing_key_age(&self, state: KeyState, age: Duration) {
        const HELP: &str = "How long the signing key of a state has been in it; 0 where there is none.";
        let labels = &[("state", state.as_str())];
        self.metrics.gauge("tessera_signing_key_age_seconds", HELP, labels).set(age.as_secs_f64());
    }

    /// What was refused and found no room to be recorded.
    pub fn audit_dropped(&self) -> Counter {
        self.counter(
            "tessera_audit_dropped_total",
            "Failed attempts that were not recorded, for there were too many.",
            &[],
        )
    }

    fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        self.metrics.counter(name, help, labels)
    }
}
