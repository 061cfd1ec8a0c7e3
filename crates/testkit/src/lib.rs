//! For tests: a clock that a test moves, randomness that it can repeat, and a PostgreSQL of its own.

pub mod clock;
pub mod pair;
pub mod postgres;
pub mod process;
pub mod random;

pub use clock::MockClock;
pub use random::SeededRandom;
