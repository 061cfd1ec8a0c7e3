//! Administration: who may, and what it refuses.

mod access;
mod applications;
mod clients;
mod users;
