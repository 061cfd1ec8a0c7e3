//! Certificates are replaced while the process runs: on SIGHUP, and when the files are seen to hold something else.
//!
//! The files are read every few seconds, through whatever links lead to them, so that a swapped link is seen as well as a file written
//! anew, on every file system. Where what is there cannot be used, such as a certificate whose key has not followed yet, what was in use
//! stays in use, and the next look tries again.

use std::sync::Arc;
use std::time::Duration;

use tessera_types::error::chain;
use tessera_types::{Clock, Timestamp};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::error::TlsError;
use super::validity::Moment;
use crate::metrics::Metrics;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// From when on the log speaks of a certificate's end, and how often.
const ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// They hold what they held.
    Unchanged,
    /// They hold something else, and it is in use from now on.
    Renewed,
}

/// What is made of files, and made anew where they change.
pub trait Renewable: Send + Sync + 'static {
    /// What it is for, in logs and metrics.
    fn purpose(&self) -> &'static str;

    /// Looks at the files.
    ///
    /// # Errors
    /// Where they cannot be used: what was in use stays in use.
    fn renew(&self) -> Result<Renewal, TlsError>;

    /// When the certificate in use ends, where there is one.
    fn not_after(&self) -> Option<Timestamp>;
}

/// Keeps them current, for ever: run it beside the servers.
pub async fn keep_current(parts: Vec<Arc<dyn Renewable>>, metrics: Metrics, clock: Arc<dyn Clock>) {
    let mut kept: Vec<_> = parts.into_iter().map(|part| Kept::new(part, &metrics)).collect();
    let mut asked = hangups();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            _ = looks.tick() => false,
            () = hangup(&mut asked) => true,
        };
        for part in &mut kept {
            part.look(is_asked, &*clock).await;
        }
    }
}

fn hangups() -> Option<Signal> {
    let listening = signal(SignalKind::hangup());
    listening
        .map_err(|error| tracing::warn!(%error, "SIGHUP cannot be heard: certificates are replaced by time alone"))
        .ok()
}

async fn hangup(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

struct Kept {
    part: Arc<dyn Renewable>,
    renewed: metrics::Counter,
    failed: metrics::Counter,
    expiry: metrics::Gauge,
    /// What was wrong when it was last looked at: said once, not every two seconds.
    trouble: Option<String>,
    /// When the log last spoke of its end, on the monotonic clock.
    reminded: Option<Duration>,
}

impl Kept {
    fn new(part: Arc<dyn Renewable>, metrics: &Metrics) -> Self {
        let purpose = part.purpose();
        let reloads = |result| {
            let help = "Replacements of certificates, by whether what the files held could be used.";
            metrics.counter("tessera_tls_reloads_total", help, &[("purpose", purpose), ("result", result)])
        };
        let help = "When the certificate in use ends, in seconds since 1970.";
        let name = "tessera_tls_certificate_expiry_timestamp_seconds";
        let expiry = metrics.gauge(name, help, &[("purpose", purpose)]);
        Self { renewed: reloads("renewed"), failed: reloads("failed"), expiry, trouble: None, reminded: None, part }
    }

    async fn look(&mut self, is_asked: bool, clock: &dyn Clock) {
        let part = Arc::clone(&self.part);
        // File systems may hang, and an event loop must not.
        let Ok(outcome) = tokio::task::spawn_blocking(move || part.renew()).await else { return };
        self.tell(outcome, is_asked);
        if let Some(not_after) = self.part.not_after() {
            #[allow(
                clippy::cast_precision_loss,
                reason = "seconds since 1970 are exact in a double for millions of years"
            )]
            self.expiry.set(not_after.0 as f64);
            self.remind(not_after, clock);
        }
    }

    fn tell(&mut self, outcome: Result<Renewal, TlsError>, is_asked: bool) {
        let purpose = self.part.purpose();
        match outcome {
            Ok(Renewal::Renewed) => {
                let until = self.part.not_after().map(|end| Moment(end).to_string());
                tracing::info!(purpose, until, "certificates were replaced");
                self.renewed.increment(1);
                (self.trouble, self.reminded) = (None, None);
            }
            Ok(Renewal::Unchanged) => {
                if is_asked {
                    tracing::info!(purpose, "the certificates are the ones in use already");
                }
                // Also where the former files were put back.
                self.trouble = None;
            }
            Err(error) => {
                let error = chain(&error);
                if is_asked || self.trouble.as_ref() != Some(&error) {
                    tracing::warn!(purpose, error, "the new certificates cannot be used: the former stay in use");
                    self.failed.increment(1);
                }
                self.trouble = Some(error);
            }
        }
    }

    fn remind(&mut self, not_after: Timestamp, clock: &dyn Clock) {
        let now = clock.monotonic();
        let ends_soon = clock.now().until(not_after) < ENDS_SOON;
        if !ends_soon || self.reminded.is_some_and(|before| now.saturating_sub(before) < REMIND_EVERY) {
            return;
        }
        self.reminded = Some(now);
        let (purpose, until) = (self.part.purpose(), Moment(not_after).to_string());
        tracing::warn!(
            purpose,
            until,
            "a certificate ends soon: replace its files, and it is taken up without a restart"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::logs::captured::said;

    const ENDS: Timestamp = Timestamp(1_800_000_000);
    const A_DAY: u64 = 24 * 60 * 60;

    struct Certificate;

    impl Renewable for Certificate {
        fn purpose(&self) -> &'static str {
            "listeners"
        }

        fn renew(&self) -> Result<Renewal, TlsError> {
            Ok(Renewal::Unchanged)
        }

        fn not_after(&self) -> Option<Timestamp> {
            Some(ENDS)
        }
    }

    /// So many seconds before the end.
    #[derive(Default)]
    struct Before(AtomicU64);

    impl Clock for Before {
        fn now(&self) -> Timestamp {
            Timestamp(ENDS.0 - i64::try_from(self.0.load(Ordering::SeqCst)).expect("few"))
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(100 * A_DAY - self.0.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn from_a_fortnight_before_its_end_on_a_certificate_is_spoken_of_each_day() {
        let metrics = Metrics::new("test", "0");
        let mut kept = Kept::new(Arc::new(Certificate), &metrics);
        let clock = Before::default();
        let mut at = |before: u64| {
            clock.0.store(before, Ordering::SeqCst);
            said(|| kept.remind(ENDS, &clock))
        };
        assert_eq!(at(14 * A_DAY), "", "a fortnight is time enough");
        let warned = at(14 * A_DAY - 1);
        for part in ["WARN", "a certificate ends soon", "purpose=\"listeners\"", "until=\"2027-01-15T08:00:00Z\""] {
            assert!(warned.contains(part), "{part} is not in {warned}");
        }
        assert_eq!(at(13 * A_DAY), "", "not before a day is over");
        assert!(at(13 * A_DAY - 1).contains("ends soon"));
        assert_eq!(at(13 * A_DAY - 2), "");
    }
}
