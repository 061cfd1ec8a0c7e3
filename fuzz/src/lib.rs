//! What the fuzz targets in `tests/` share: seeds, and what a random script makes of them.
//!
//! Uniformly random bytes almost never get past a parser's first rule. So bolero does not draw inputs here but short scripts:
//! which seed to begin with, and what to do to it. `cargo test -p tessera-fuzz` replays the seeds and searches briefly,
//! `cargo xtask fuzz` searches for as long as it is told.
//!
//! A new seed is a file in `corpus/<target>/`. So is the input of a failure, once it is mended.

mod mutate;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};

pub use bolero;
pub use mutate::{Input, mutate};

/// How long a script is at most, in bytes: the choice of a seed and up to eight changes.
pub const LONGEST_SCRIPT: usize = mutate::CHOICE + 8 * mutate::STEP;

/// How often a target runs in an ordinary `cargo test`; `BOLERO_RANDOM_TEST_TIME_MS` and `BOLERO_RANDOM_ITERATIONS` say
/// otherwise.
pub const ITERATIONS: usize = 4000;

/// What a target begins with.
#[derive(Clone, Debug)]
pub struct Seeds {
    inputs: Vec<(PathBuf, Vec<u8>)>,
    /// What is inserted now and then: words that mean something to the parser.
    pub words: &'static [&'static [u8]],
}

impl Seeds {
    /// Reads `corpus/<target>/`.
    pub fn load(target: &str, words: &'static [&'static [u8]]) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut inputs = Vec::new();
        for file in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = file?.path();
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            inputs.push((path, bytes));
        }
        ensure!(!inputs.is_empty(), "{} has no seeds", folder.display());
        // The order of a folder is nobody's; a script must mean the same on every machine.
        inputs.sort();
        Ok(Self { inputs, words })
    }

    /// Adds a seed that no file can hold, as a token signed with a key of this run.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.inputs.push((name.into(), bytes));
        self
    }

    /// Runs the property on each seed as it is, and returns how many of them it took for good.
    ///
    /// # Panics
    /// Where the property does; the seed's name is printed.
    pub fn replay(&self, property: impl Fn(&[u8]) -> bool) -> usize {
        let run = |(name, bytes): &(PathBuf, Vec<u8>)| {
            let _named = Named(name);
            property(bytes)
        };
        self.inputs.iter().filter(|seed| run(seed)).count()
    }

    /// The input a script stands for.
    #[must_use]
    pub fn input(&self, script: &[u8]) -> Input {
        let seeds: Vec<&[u8]> = self.inputs.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        mutate(&seeds, self.words, script)
    }
}

/// Says which seed it was, should the property panic.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    #[allow(clippy::print_stderr, reason = "it is part of a failing test's output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0.display());
        }
    }
}

/// A fuzz target: a test that replays the seeds and then searches. The property returns whether the parser accepted the input,
/// and panics where a promise is broken. At least one seed must be accepted, else the target tests nothing.
#[macro_export]
macro_rules! target {
    ($name:ident, $seeds:expr, $property:path) => {
        #[test]
        fn $name() {
            let seeds: $crate::Seeds = $seeds;
            let taken = seeds.replay($property);
            assert!(taken > 0, "no seed is accepted");
            let tried = $crate::Tried::default();
            $crate::bolero::check!()
                .with_iterations($crate::ITERATIONS)
                .with_generator($crate::script())
                .map(|script: Vec<u8>| seeds.input(&script))
                .for_each(|input: &$crate::Input| tried.count($property(&input.0)));
            tried.report();
        }
    };
}

/// How many inputs a target has tried.
#[derive(Debug, Default)]
pub struct Tried {
    all: AtomicU64,
    accepted: AtomicU64,
}

impl Tried {
    /// Counts one more.
    pub fn count(&self, accepted: bool) {
        self.all.fetch_add(1, Ordering::Relaxed);
        self.accepted.fetch_add(u64::from(accepted), Ordering::Relaxed);
    }

    /// Says how many, as `cargo xtask fuzz` reads it.
    #[allow(clippy::print_stdout, reason = "it is part of a test's output")]
    pub fn report(&self) {
        let [all, accepted] = [&self.all, &self.accepted].map(|count| count.load(Ordering::Relaxed));
        println!("\ntried {all} inputs, accepted {accepted}");
    }
}

/// Scripts of every length there is.
#[must_use]
pub fn script() -> impl bolero::ValueGenerator<Output = Vec<u8>> {
    bolero::produce::<Vec<u8>>().with().len(mutate::CHOICE..=LONGEST_SCRIPT)
}
