//! The authorization endpoint and the pages over plain HTTP, against real processes. `tests/browser` has them in a real browser.
//! The numbers in the doc comments are those of the list the requirements come from; `SECURITY.md` says which attack each stands for.

mod account;
mod applications;
mod authorize;
mod consent;
mod cors;
mod decisions;
mod headers;
mod login;
mod markup;
mod methods;
mod proxied;
mod redirects;
mod sessions;
