//! What went wrong, in one form: the exit code, a stable reason, and what to do next.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::output::printable;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A fault of ours or of the server.
    Internal = 1,
    /// The command line or the request is not right.
    Usage = 2,
    /// Authentication failed, or what was asked is not allowed.
    Denied = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The state of things does not allow it: taken, changed meanwhile, still in use.
    Conflict = 5,
    /// Nobody answers, or not in time.
    Unavailable = 6,
    /// The answer is no (`introspect --exit-status`).
    No = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// How the process ends.
    pub exit: Exit,
    /// The gRPC code that goes with it, `UPPER_SNAKE`; also for what never reached a server.
    pub code: &'static str,
    /// What happened, as a stable `UPPER_SNAKE` word: the server's `google.rpc.ErrorInfo` reason, or ours.
    pub reason: String,
    /// What happened, in words.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The server's name for the request, for its logs.
    pub request_id: Option<String>,
}

impl Problem {
    fn new(exit: Exit, code: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { exit, code, reason: reason.to_owned(), message: message.into(), hint: None, request_id: None }
    }

    /// A fault of ours.
    pub fn internal(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, "INTERNAL", reason, message)
    }

    /// The command line, the environment or a file of the user is not right.
    pub fn usage(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "INVALID_ARGUMENT", reason, message)
    }

    /// There is no credential that may be sent.
    pub fn denied(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Denied, "UNAUTHENTICATED", reason, message)
    }

    /// There is no such thing.
    pub fn not_found(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, "NOT_FOUND", reason, message)
    }

    /// There is one already.
    pub fn conflict(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Conflict, "ALREADY_EXISTS", reason, message)
    }

    /// Nobody answers.
    pub fn unavailable(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Unavailable, "UNAVAILABLE", reason, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Reads a server's status with its details.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let oauth = info.and_then(|i| i.metadata.get(OAUTH_ERROR)).map(String::as_str);
        let (exit, code) = classify(status.code(), oauth);
        let reason = info.map_or_else(|| code.to_owned(), |i| i.reason.clone());
        let message = match status.message() {
            "" => "the server gave no explanation".to_owned(),
            text => text.to_owned(),
        };
        let field = details.bad_request().and_then(|b| b.field_violations.first()).map(|v| v.field.as_str());
        let message = match field {
            Some(field) if !field.is_empty() => format!("{field}: {message}"),
            _ => message,
        };
        let retry = details.retry_info().and_then(|r| r.retry_delay);
        let request_id = match details.request_info() {
            Some(info) => Some(info.request_id.clone()),
            None => status.metadata().get("x-request-id").and_then(|v| v.to_str().ok()).map(str::to_owned),
        };
        let hint = advice(&reason, code, oauth)
            .map(str::to_owned)
            .or_else(|| retry.map(|delay| format!("try again in {} s", delay.as_secs_f64().ceil())));
        Self { exit, code, reason, message, hint, request_id }
    }

    /// The form for people: `error: …`, then a hint and what to quote to whoever runs the server.
    #[must_use]
    pub fn to_text(&self, colour: bool) -> String {
        let (red, bold, plain) = if colour { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        // Several lines, as of a configuration, stay lines, but none can pass for a line of ours.
        let lines: Vec<String> = self.message.lines().map(|line| printable(line.trim())).collect();
        let mut text = format!("{red}error:{plain} {} ({})\n", lines.join("\n  "), printable(&self.reason));
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{bold}hint:{plain} {}", printable(hint));
        }
        if let Some(id) = &self.request_id {
            let _ = writeln!(text, "request id: {}", printable(id));
        }
        text
    }

    /// The form for programs: `{code, reason, message, hint, request_id}` on one line, every member always present.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Wire<'a> {
            code: &'a str,
            reason: &'a str,
            message: &'a str,
            hint: Option<&'a str>,
            request_id: Option<&'a str>,
        }
        let wire = Wire {
            code: self.code,
            reason: &self.reason,
            message: &self.message,
            hint: self.hint.as_deref(),
            request_id: self.request_id.as_deref(),
        };
        serde_json::to_string(&wire).map_or_else(|_| "{}\n".to_owned(), |json| json + "\n")
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self::from_status(&status)
    }
}

/// The metadata key of `ErrorInfo` under which the OAuth error code stands.
const OAUTH_ERROR: &str = tessera_api::status::OAUTH_ERROR;

fn classify(code: Code, oauth: Option<&str>) -> (Exit, &'static str) {
    match code {
        Code::Ok => (Exit::Ok, "OK"),
        Code::InvalidArgument => (Exit::Usage, "INVALID_ARGUMENT"),
        Code::OutOfRange => (Exit::Usage, "OUT_OF_RANGE"),
        Code::Unauthenticated => (Exit::Denied, "UNAUTHENTICATED"),
        Code::PermissionDenied => (Exit::Denied, "PERMISSION_DENIED"),
        Code::NotFound => (Exit::NotFound, "NOT_FOUND"),
        Code::AlreadyExists => (Exit::Conflict, "ALREADY_EXISTS"),
        Code::Aborted => (Exit::Conflict, "ABORTED"),
        // A code, password or token that is not good is a matter of who asks.
        Code::FailedPrecondition if oauth == Some("invalid_grant") => (Exit::Denied, "FAILED_PRECONDITION"),
        Code::FailedPrecondition => (Exit::Conflict, "FAILED_PRECONDITION"),
        Code::Unavailable => (Exit::Unavailable, "UNAVAILABLE"),
        // tonic's own timer says CANCELLED.
        Code::DeadlineExceeded | Code::Cancelled => (Exit::Unavailable, "DEADLINE_EXCEEDED"),
        Code::ResourceExhausted => (Exit::Unavailable, "RESOURCE_EXHAUSTED"),
        Code::Unimplemented => (Exit::Internal, "UNIMPLEMENTED"),
        Code::DataLoss => (Exit::Internal, "DATA_LOSS"),
        Code::Internal => (Exit::Internal, "INTERNAL"),
        Code::Unknown => (Exit::Internal, "UNKNOWN"),
    }
}

fn advice(reason: &str, code: &str, oauth: Option<&str>) -> Option<&'static str> {
    match (reason, code, oauth) {
        ("REVOCATION_UNCONFIRMED", ..) => {
            Some("the change is durable; repeat the command to wait until every introspector has confirmed it")
        }
        (_, _, Some("invalid_client")) => {
            Some("check TESSERA_CLIENT_ID and TESSERA_CLIENT_SECRET, or the context (tessera context list)")
        }
        (_, _, Some("insufficient_scope")) => Some("administration needs a client that may ask for tessera.admin"),
        (_, "DEADLINE_EXCEEDED", _) => Some("give it longer with --timeout, or see tessera health"),
        (_, "UNIMPLEMENTED", _) => Some("is this the right endpoint, and a server of this version?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
