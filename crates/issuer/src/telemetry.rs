//! The issuer's metrics, by kept handles.

use std::array;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use tessera_kit::metrics::Metrics;
use tessera_types::{ErrorCode, GrantType, KeyState};

use crate::client_auth::AuthMethod;

const LOG_REWRITTEN: &str = "tessera_log_rewritten";
const LOG_REWRITTEN_HELP: &str =
    "1 where the database lacks what this process or an introspector has applied: it was set back without a new epoch.";

/// How a request can end, as far as alerts tell; `None` is success.
const TELLING: [Option<ErrorCode>; 4] =
    [None, Some(ErrorCode::ServerError), Some(ErrorCode::TemporarilyUnavailable), Some(ErrorCode::Throttled)];

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
    requests: Arc<Requests>,
}

/// What is counted with every request. To look a metric up by its name costs several times as much as to count.
struct Requests {
    tokens: [ByOutcome; GrantType::ALL.len()],
    logins: ByOutcome,
    auth_failures: [Counter; AuthMethod::ALL.len()],
}

/// A counter for each outcome, drawn when it first happens: most never do.
struct ByOutcome([OnceLock<Counter>; ErrorCode::ALL.len() + 1]);

impl Requests {
    fn new(metrics: &Metrics) -> Self {
        let auth_failures = AuthMethod::ALL.map(|method| {
            let help = "Client authentications that failed or were turned away for failing too often, by method.";
            metrics.counter("tessera_client_auth_failures_total", help, &[("method", method.as_str())])
        });
        Self { tokens: array::from_fn(|_| ByOutcome::new()), logins: ByOutcome::new(), auth_failures }
    }
}

impl ByOutcome {
    fn new() -> Self {
        Self(array::from_fn(|_| OnceLock::new()))
    }

    /// The counter of an error, or of success.
    fn of(&self, error: Option<ErrorCode>, draw: impl FnOnce(&'static str) -> Counter) -> &Counter {
        let place = error.map_or(0, |code| code as usize + 1);
        self.0[place].get_or_init(|| draw(error.map_or("ok", ErrorCode::outcome)))
    }
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
        let requests = Arc::new(Requests::new(&metrics));
        let telemetry = Self { metrics, barrier, refresh_reuse, floor_stopped, log_rewritten, requests };
        telemetry.begin();
        telemetry
    }

    /// Begins the most telling series at nought: of one that appears with its first count no rate is known, and no alert sees it.
    fn begin(&self) {
        for error in TELLING {
            for grant in GrantType::ALL {
                self.token_requests(*grant, error).increment(0);
            }
            self.logins(error).increment(0);
        }
        for outcome in ["sent", "failed"] {
            self.mails(outcome).increment(0);
        }
    }

    /// Counts a token request; `None` is success.
    pub fn token_request(&self, grant: GrantType, error: Option<ErrorCode>) {
        self.token_requests(grant, error).increment(1);
    }

    fn token_requests(&self, grant: GrantType, error: Option<ErrorCode>) -> &Counter {
        self.requests.tokens[grant as usize].of(error, |outcome| {
            let labels = &[("grant_type", grant.as_str()), ("outcome", outcome)];
            self.counter("tessera_token_requests_total", "Token requests by grant type and outcome.", labels)
        })
    }

    /// Counts a client that did not authenticate.
    pub fn client_auth_failure(&self, method: AuthMethod) {
        self.requests.auth_failures[method as usize].increment(1);
    }

    /// Counts a login by password; `None` is success.
    pub fn login(&self, error: Option<ErrorCode>) {
        self.logins(error).increment(1);
    }

    fn logins(&self, error: Option<ErrorCode>) -> &Counter {
        let draw =
            |outcome| self.counter("tessera_logins_total", "Logins by password, by outcome.", &[("outcome", outcome)]);
        self.requests.logins.of(error, draw)
    }

    /// Counts a spent refresh token that was presented again.
    pub fn refresh_reuse(&self) {
        self.refresh_reuse.increment(1);
    }

    /// Counts a mail to an owner.
    pub fn mail(&self, outcome: &'static str) {
        self.mails(outcome).increment(1);
    }

    fn mails(&self, outcome: &'static str) -> Counter {
        let help = "Mails to owners of new applications, by what became of them: sent or failed.";
        self.counter("tessera_mails_total", help, &[("outcome", outcome)])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_series_of_its_own() {
        let telemetry = Telemetry::new(Metrics::new("test", "0"));
        let outcomes: Vec<_> = ErrorCode::ALL.iter().copied().map(Some).chain([None]).collect();
        for error in &outcomes {
            for grant in GrantType::ALL {
                telemetry.token_request(*grant, *error);
            }
            telemetry.login(*error);
        }
        for method in AuthMethod::ALL {
            telemetry.client_auth_failure(method);
        }
        let text = telemetry.metrics.render();
        let counts = |name: &str| text.lines().filter(|line| line.starts_with(name) && line.ends_with("} 1")).count();
        assert_eq!(counts("tessera_token_requests_total{"), GrantType::ALL.len() * outcomes.len(), "{text}");
        assert_eq!(counts("tessera_logins_total{"), outcomes.len(), "{text}");
        assert_eq!(counts("tessera_client_auth_failures_total{"), AuthMethod::ALL.len(), "{text}");
    }

    #[test]
    fn what_alerts_ask_for_is_there_from_the_start() {
        let telemetry = Telemetry::new(Metrics::new("test", "0"));
        let text = telemetry.metrics.render();
        for outcome in ["ok", "server_error", "temporarily_unavailable", "throttled"] {
            for line in [
                format!("tessera_token_requests_total{{grant_type=\"password\",outcome=\"{outcome}\"}} 0"),
                format!("tessera_logins_total{{outcome=\"{outcome}\"}} 0"),
            ] {
                assert!(text.lines().any(|found| found == line), "{line} is missing from\n{text}");
            }
        }
        assert!(text.contains("tessera_client_auth_failures_total{method=\"client_secret_basic\"} 0"), "{text}");
    }
}
