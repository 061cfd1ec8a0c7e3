//! The tables, row by row. Nothing outside the store sees them: rows become domain types by `TryFrom`.
#![allow(unreachable_pub, reason = "sea-orm's derive makes its types public within this private module")]

pub mod audit_head;
pub mod audit_record;
pub mod authorization_code;
pub mod authorization_request;
pub mod client;
pub mod client_secret;
pub mod consent;
pub mod holder;
pub mod kept_secret;
pub mod log_event;
pub mod log_fact;
pub mod log_head;
pub mod mail;
pub mod membership;
pub mod organization;
pub mod refresh_family;
pub mod scope;
pub mod session;
pub mod signing_key;
pub mod user;
pub mod words;
