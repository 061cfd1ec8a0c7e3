//! Questions that leave a token's age aside.

use tessera_keys::jws;
use tessera_types::Timestamp;

use super::{CannotTell, Checker, Standing};
use crate::claims::{self, AccessClaims};
use crate::live::{self, AudienceRule};
use crate::verified::Verified;

impl Checker {
    /// The claims of a token that this issuer signed, whatever became of it since: for revoking it. Whether it has expired is a
    /// matter of clocks, and a revocation must not be skipped for one that runs ahead (security.md, item 29).
    ///
    /// # Errors
    /// [`CannotTell::NotReady`] where the keys are not known yet.
    pub fn identify(&self, token: &str) -> Result<Option<AccessClaims>, CannotTell> {
        let state = self.state()?;
        let Ok(parsed) = jws::parse_unverified(token) else { return Ok(None) };
        let Some(entry) = parsed.header.kid.as_ref().and_then(|kid| state.key(kid)) else { return Ok(None) };
        if *parsed.header.alg != *entry.fact.algorithm.as_str() {
            return Ok(None);
        }
        let profile = claims::profile_of(parsed.header.typ.as_deref());
        let claims = profile.and_then(|profile| AccessClaims::parse(profile, &parsed.claims).ok());
        let Some(claims) = claims.filter(|claims| claims.issuer == self.0.issuer_url) else { return Ok(None) };
        let key = self.0.keys.parsed(&entry, &state).ok_or(CannotTell::NotReady)?;
        Ok(jws::verify(&parsed, key.public()).is_ok().then_some(claims))
    }

    /// Whether nothing but its age speaks against a token that was verified before: for what goes on longer than a token lives, such
    /// as a feed that was opened with it.
    #[must_use]
    pub fn is_unrevoked(&self, verified: &Verified, rule: AudienceRule<'_>) -> bool {
        let Ok(state) = self.state() else { return false };
        let last_moment = Timestamp(verified.claims().expires.0.saturating_sub(1));
        let now = self.0.clock.now().min(last_moment);
        matches!(live::standing(&state, verified, now, self.0.not_before_leeway, rule), Standing::Active(..))
    }
}
