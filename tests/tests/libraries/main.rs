//! Strict client libraries that nobody here wrote, each running every grant against the real binaries from the metadata alone.
//!
//! `TEST_TESSERA_NODE` and `TEST_TESSERA_NODE_MODULES` name Node and what `tests/node` takes from npm, `TEST_TESSERA_PYTHON` a Python
//! that has what `tests/python` takes from its registry; `cargo xtask test` sets them. Where they are not set these tests say so and pass,
//! except in CI.

mod cast;
mod oauth2_crate;
mod programs;
