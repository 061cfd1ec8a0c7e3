//! Which records.

use std::time::Duration;

use clap::Args;
use tessera_api::admin::v1 as wire;
use tessera_types::Timestamp;

use crate::seconds;

/// Which records; what is not given does not matter.
#[derive(Args, Clone, Debug)]
pub(super) struct Filter {
    /// Only from this moment on: a time such as 2026-11-26T03:00:00Z, or so long ago, such as 90s, 15m, 12h or 7d.
    #[arg(long, value_name = "SPAN|TIME", value_parser = moment)]
    since: Option<Moment>,

    /// Only before this moment, likewise.
    #[arg(long, value_name = "SPAN|TIME", value_parser = moment)]
    until: Option<Moment>,

    /// Only what this client or user did, by its id.
    #[arg(long, value_name = "ID")]
    actor: Option<String>,

    /// Only this action, or those below it: client, client.secret, client.secret.rotate.
    #[arg(long, value_name = "NAME")]
    action: Option<String>,

    /// Only what was done to this client, user, organization, scope, key, token or grant, by its id.
    #[arg(long, value_name = "ID")]
    target: Option<String>,

    /// Only what ended so.
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Outcome {
    /// It was done.
    Ok,
    /// It was refused.
    Refused,
}

/// A moment as people name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    At(Timestamp),
    Ago(Duration),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(at) = text.parse() {
        return Ok(Moment::At(at));
    }
    seconds::parse(text)
        .map(Moment::Ago)
        .map_err(|_| "expected a time such as 2026-11-26T03:00:00Z, or a span such as 90s, 15m, 12h or 7d".into())
}

impl Moment {
    fn before(self, now: Timestamp) -> prost_types::Timestamp {
        let at = match self {
            Self::At(at) => at,
            Self::Ago(span) => now.minus(span),
        };
        prost_types::Timestamp { seconds: at.0, nanos: 0 }
    }
}

impl Filter {
    /// What to ask the issuer for.
    pub(super) fn request(self, now: Timestamp) -> wire::ListAuditRecordsRequest {
        let outcome = match self.outcome {
            None => wire::AuditOutcome::Unspecified,
            Some(Outcome::Ok) => wire::AuditOutcome::Ok,
            Some(Outcome::Refused) => wire::AuditOutcome::Refused,
        };
        wire::ListAuditRecordsRequest {
            start_time: self.since.map(|moment| moment.before(now)),
            end_time: self.until.map(|moment| moment.before(now)),
            actor_id: self.actor.unwrap_or_default(),
            action: self.action.unwrap_or_default(),
            target_id: self.target.unwrap_or_default(),
            outcome: outcome.into(),
            ..wire::ListAuditRecordsRequest::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_span_before_now() {
        let now = Timestamp(1_000_000);
        for (text, seconds) in
            [("1970-01-02T00:00:00Z", 86_400), ("1970-01-02T01:00:00+01:00", 86_400), ("1h", 996_400)]
        {
            assert_eq!(moment(text).expect(text).before(now).seconds, seconds, "{text}");
        }
        for bad in ["", "yesterday", "1970-01-02", "-1h", "1h30m"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
