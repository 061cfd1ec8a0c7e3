//! Administration: who may, and what it refuses.

mod access;
mod clients;
mod users;
