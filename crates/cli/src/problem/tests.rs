use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use tonic_types::ErrorDetails;

use super::*;

const CODES: [Code; 16] = [
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

fn status(code: Code, reason: &str, oauth: &str) -> Status {
    let metadata = HashMap::from([(OAUTH_ERROR.to_owned(), oauth.to_owned())]);
    Status::with_error_details(code, "what happened", ErrorDetails::with_error_info(reason, "tessera", metadata))
}

#[test]
fn the_table_of_exit_codes() {
    let mut table = String::new();
    for code in CODES {
        let problem = Problem::from_status(&Status::new(code, "m"));
        writeln!(table, "{code:?} → {} {}", problem.exit as u8, problem.code).expect("writing to a string");
    }
    insta::assert_snapshot!(table, @r#"
    Cancelled → 6 DEADLINE_EXCEEDED
    Unknown → 1 UNKNOWN
    InvalidArgument → 2 INVALID_ARGUMENT
    DeadlineExceeded → 6 DEADLINE_EXCEEDED
    NotFound → 4 NOT_FOUND
    AlreadyExists → 5 ALREADY_EXISTS
    PermissionDenied → 3 PERMISSION_DENIED
    ResourceExhausted → 6 RESOURCE_EXHAUSTED
    FailedPrecondition → 5 FAILED_PRECONDITION
    Aborted → 5 ABORTED
    OutOfRange → 2 OUT_OF_RANGE
    Unimplemented → 1 UNIMPLEMENTED
    Internal → 1 INTERNAL
    Unavailable → 6 UNAVAILABLE
    DataLoss → 1 DATA_LOSS
    Unauthenticated → 3 UNAUTHENTICATED
    "#);
}

#[test]
fn a_token_that_is_not_good_is_a_matter_of_who_asks() {
    let exit = |oauth| Problem::from_status(&status(Code::FailedPrecondition, "R", oauth)).exit;
    assert_eq!(exit("invalid_grant"), Exit::Denied);
    assert_eq!(exit("failed_precondition"), Exit::Conflict);
}

#[test]
fn reason_hint_and_request_id_come_from_the_details() {
    let mut status = status(Code::Unavailable, "REVOCATION_UNCONFIRMED", "temporarily_unavailable");
    status.metadata_mut().insert("x-request-id", "r-1".parse().expect("ascii"));
    let problem = Problem::from_status(&status);
    assert_eq!(problem.exit, Exit::Unavailable);
    insta::assert_snapshot!(problem.to_json(), @r#"{"code":"UNAVAILABLE","reason":"REVOCATION_UNCONFIRMED","message":"what happened","hint":"the change is durable; repeat the command to wait until every introspector has confirmed it","request_id":"r-1"}"#);
    insta::assert_snapshot!(problem.to_text(false), @r#"
    error: what happened (REVOCATION_UNCONFIRMED)
    hint: the change is durable; repeat the command to wait until every introspector has confirmed it
    request id: r-1
    "#);
}

#[test]
fn a_delay_becomes_a_hint_and_a_field_is_named() {
    let mut details = ErrorDetails::with_error_info("THROTTLED", "tessera", HashMap::new());
    details.set_retry_info(Some(Duration::from_millis(1500)));
    let throttled = Status::with_error_details(Code::ResourceExhausted, "too many", details);
    assert_eq!(Problem::from_status(&throttled).hint.as_deref(), Some("try again in 2 s"));

    let mut details = ErrorDetails::with_error_info("BAD_SCOPE", "tessera", HashMap::new());
    details.add_bad_request_violation("client.scopes", "unknown scope");
    let bad = Status::with_error_details(Code::InvalidArgument, "unknown scope", details);
    assert_eq!(Problem::from_status(&bad).message, "client.scopes: unknown scope");
}

#[test]
fn a_bare_status_still_says_something_and_every_member_is_there() {
    let problem = Problem::from_status(&Status::new(Code::NotFound, ""));
    let json: serde_json::Value = serde_json::from_str(&problem.to_json()).expect("json");
    let members: Vec<_> = json.as_object().expect("object").keys().cloned().collect();
    assert_eq!(members, ["code", "hint", "message", "reason", "request_id"]);
    assert_eq!(json["reason"], "NOT_FOUND");
    assert_eq!(json["message"], "the server gave no explanation");
    assert_eq!(json["request_id"], serde_json::Value::Null);
}

#[test]
fn a_servers_words_cannot_drive_the_terminal() {
    let problem = Problem::from_status(&Status::new(Code::Internal, "\u{1b}]0;pwned\u{7}"));
    assert!(!problem.to_text(true).contains("\u{1b}]"), "{:?}", problem.to_text(true));
}

#[test]
fn several_lines_stay_lines_and_none_passes_for_a_hint() {
    let problem = Problem::usage("R", "two mistakes:\n  a.toml:1: one\nhint: run this");
    assert_eq!(problem.to_text(false), "error: two mistakes:\n  a.toml:1: one\n  hint: run this (R)\n");
}
