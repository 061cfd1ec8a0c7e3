//! What decides whether an access token is active, for everybody who must: the issuer, the introspector, and the callers of
//! their own services.
//!
//! A check has two halves. *Is it one of ours?* The signature and the claims never change, so the answer is remembered, by the
//! token's digest. *Does it still stand?* Expiry, revocations, watermarks, the client's and the key's state, and the caller's
//! audience are looked up anew each time, in the replica's memory. A token that was verified before costs no signature, and
//! one that was revoked a moment ago is inactive all the same.
//!
//! Who cannot tell says so ([`CannotTell`]): never inactive for want of knowledge, and never active.
//!
//! - [`claims`]: the shape of the claims, written and read.
//! - [`checker`]: [`Checker`], which answers.
//! - [`Introspection`]: what an introspection endpoint answers.
//! - [`requirement()`]: whether scopes suffice.

mod budget;
mod cache;
pub mod checker;
pub mod claims;
mod introspection;
mod keyring;
mod live;
pub mod requirement;
mod verified;

pub use checker::{Answer, CannotTell, Checker, CheckerOptions, Refused, Source, Verdict};
pub use claims::AccessClaims;
pub use introspection::{Introspection, ScopedIntrospection};
pub use live::AudienceRule;
pub use requirement::requirement;
pub use verified::{ActiveToken, Verified};
