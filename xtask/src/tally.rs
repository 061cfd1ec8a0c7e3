//! Counting tests: what each test binary says at its end, and the one line all of it adds up to.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were not run.
    pub(crate) skipped: u64,
}

impl Tally {
    /// Reads the line a test binary ends with: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn of_result_line(line: &str) -> Option<Self> {
        let counts = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
        let mut tally = Self::default();
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => tally.passed = number.parse().ok()?,
                Some((number, "failed")) => tally.failed = number.parse().ok()?,
                Some((number, "ignored")) => tally.skipped = number.parse().ok()?,
                _ => {}
            }
        }
        Some(tally)
    }

    /// Reads the closing line back, as `Display` writes it.
    pub(crate) fn of_closing_line(line: &str) -> Option<Self> {
        let mut tally = Self::default();
        let mut parts = line.split(", ");
        tally.passed = number_before(parts.next()?, " passed")?;
        tally.failed = number_before(parts.next()?, " failed")?;
        if let Some(skipped) = parts.next() {
            tally.skipped = number_before(skipped, " skipped")?;
        }
        parts.next().is_none().then_some(tally)
    }
}

fn number_before(text: &str, word: &str) -> Option<u64> {
    text.strip_suffix(word)?.parse().ok()
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_of_test_binaries_are_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s";
        assert_eq!(Tally::of_result_line(line), Some(Tally { passed: 12, failed: 0, skipped: 1 }));
        let line = "test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s";
        assert_eq!(Tally::of_result_line(line), Some(Tally { passed: 5, failed: 2, skipped: 0 }));
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in ["", "running 3 tests", "test a ... ok", "12 passed; 0 failed", "test result: nothing"] {
            assert_eq!(Tally::of_result_line(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_closing_line_reads_back_as_written() {
        for tally in [Tally { passed: 7, failed: 0, skipped: 0 }, Tally { passed: 7, failed: 1, skipped: 2 }] {
            assert_eq!(Tally::of_closing_line(&tally.to_string()), Some(tally));
        }
        assert_eq!(Tally { passed: 7, failed: 0, skipped: 0 }.to_string(), "7 passed, 0 failed");
    }

    #[test]
    fn nothing_else_reads_as_a_closing_line() {
        for line in ["7 passed", "7 passed; 0 failed", "x passed, 0 failed", "7 passed, 0 failed, 1 skipped, 2 more"] {
            assert_eq!(Tally::of_closing_line(line), None, "{line:?}");
        }
    }

    #[test]
    fn tallies_add_up() {
        let mut sum = Tally { passed: 1, failed: 0, skipped: 2 };
        sum += Tally { passed: 4, failed: 1, skipped: 0 };
        assert_eq!(sum, Tally { passed: 5, failed: 1, skipped: 2 });
    }
}
