//! The operating system's randomness.

use rand::TryRng as _;
use rand::rngs::SysRng;
use tessera_types::Randomness;

/// Reads the operating system's generator for every request; keeps no state that a forked or restored process could repeat.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Randomness for SystemRandom {
    /// Fills the buffer.
    ///
    /// # Panics
    /// Where the operating system has no randomness to give: no secret made after that would be one.
    fn fill(&self, buffer: &mut [u8]) {
        SysRng.try_fill_bytes(buffer).expect("the operating system gives randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let first: [u8; 32] = tessera_types::random::bytes(&SystemRandom);
        let second: [u8; 32] = tessera_types::random::bytes(&SystemRandom);
        assert_ne!(first, second);
    }
}
