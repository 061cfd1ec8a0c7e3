//! One target for everything that reads what strangers send. Each asserts what its parser promises, not only that it ends.

mod basic;
mod cookie;
mod feed;
mod form;
mod jwt;
mod multipart;
mod redirect;
mod rewritten;
