//! The systems of the five documents the product was asked for with: their clients' requests as they stand there, and what comes back.
//!
//! `docs/seeds.md` says which test shows which sentence.

mod answers;
mod cast;
mod failures;
mod https;
mod oracles;
mod refreshing;
mod rules;
mod scopes;
mod verbatim;
