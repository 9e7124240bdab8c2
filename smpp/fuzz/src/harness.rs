//! Lives here: running a target over the committed seeds and mutations of them, on stable and without coverage.
//! Never here: targets, mutations.

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::mutate::mutate;
use crate::random::SplitMix64;

/// Mutations in an ordinary test run: some tenths of a second in a debug build.
const ROUNDS: u64 = 4000;

/// The seed of an ordinary run, so that a commit passes or fails for everybody alike.
const SEED: u64 = 0x6D_6E61_7261;

/// A fuzz target and where its seeds lie.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also libFuzzer's.
    pub name: &'static str,
    /// The function.
    pub function: fn(&[u8]),
    /// Folder below `seeds/`, or its whole path.
    pub seeds: &'static str,
    /// What is worth having in an input besides what every binary one has.
    pub words: &'static [&'static [u8]],
}

/// How long a run is.
enum Length {
    Rounds(u64),
    Until(Instant),
}

impl Target {
    /// Runs the target over its seeds and then over mutations; `failures` is the folder for an input that fails.
    /// The environment may ask for another length (`MNARA_FUZZ_SECONDS`), another seed (`MNARA_FUZZ_SEED`) or for
    /// one input alone (`MNARA_FUZZ_INPUT`, a file).
    ///
    /// # Panics
    /// When the target does; the seed, the round and the file with the input are printed before.
    pub fn run(&self, failures: &Path) {
        if let Some(file) = env::var_os("MNARA_FUZZ_INPUT") {
            let input = fs::read(&file).expect("MNARA_FUZZ_INPUT names a file");
            (self.function)(&input);
            return;
        }
        let seconds = number("MNARA_FUZZ_SECONDS");
        let seed = number("MNARA_FUZZ_SEED").unwrap_or_else(|| match seconds {
            None => SEED,
            Some(_) => now_as_seed(),
        });
        let length = seconds.map_or(Length::Rounds(ROUNDS), |seconds| {
            Length::Until(Instant::now() + Duration::from_secs(seconds))
        });
        let seeds = read_seeds(self.seeds);
        for (round, input) in (0..).zip(&seeds) {
            self.run_one(input, seed, round, failures);
        }
        let mut random = SplitMix64::new(seed);
        let mut round = 0;
        while length.goes_on(round) {
            let input = mutate(&mut random, &seeds, self.words);
            self.run_one(&input, seed, round, failures);
            round += 1;
        }
        println!(
            "{}: {} seeds, {round} mutations, MNARA_FUZZ_SEED={seed}",
            self.name,
            seeds.len()
        );
    }

    fn run_one(&self, input: &[u8], seed: u64, round: u64, failures: &Path) {
        // Nothing of a failed run is used again.
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.function)(input))) else {
            return;
        };
        let file = failures.join(format!("{}-{seed}-{round}", self.name));
        let kept = fs::create_dir_all(failures).and_then(|()| fs::write(&file, input));
        println!(
            "{} fails in round {round}: MNARA_FUZZ_SEED={seed}\ninput ({kept:?}): MNARA_FUZZ_INPUT={}\n{}",
            self.name,
            file.display(),
            input.escape_ascii()
        );
        resume_unwind(panic);
    }
}

impl Length {
    fn goes_on(&self, round: u64) -> bool {
        match self {
            Self::Rounds(rounds) => round < *rounds,
            Self::Until(end) => Instant::now() < *end,
        }
    }
}

/// A number from the environment.
///
/// # Panics
/// When it is set and no number: a run that silently ignores it would be mistaken for a replay.
fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

fn now_as_seed() -> u64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_nanos() as u64)
}

/// The seeds of a folder, in the order of their names.
fn read_seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files
        .iter()
        .map(|file| fs::read(file).expect("a readable seed"))
        .collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}
