//! Organizations: what applications and people belong to.

use std::fmt;
use std::str::FromStr;

use crate::random::Randomness;
use crate::token::InvalidId;

/// What every organization's identifier begins with.
pub const ID_PREFIX: &str = "org_";

random_id! {
    /// An organization's identifier: random, and never used again.
    OrganizationId, prefix ID_PREFIX
}
