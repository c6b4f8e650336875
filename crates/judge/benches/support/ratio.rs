//! The fast interval against the plain one, side by side in one run.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use arya_judge::kayenta::mann_whitney;

use super::plain;
use super::samples::{Kind, Sides, sets};

/// How many times faster than the plain version the interval must be. On an idle machine it is 33 to 40 times at the size
/// that is asked, the largest: there the price of sorting weighs most on the plain one.
const LEAST_RATIO: f64 = 25.0;

/// The best of so many rounds counts for either; a neighbour on the machine spoils some, hardly all.
const ROUNDS: usize = 7;

/// The standard normal quantile at half of what 0.98 leaves.
const QUANTILE: f64 = -2.326347874040841;

/// Prints the ratio of every kind and size, and fails if the one that counts is too small.
pub(crate) fn check() -> ExitCode {
    let mut met = false;
    for (kind, size) in [
        (Kind::Ties, 60),
        (Kind::Ties, 1_000),
        (Kind::Ties, 10_000),
        (Kind::Continuous, 60),
        (Kind::Continuous, 1_000),
        (Kind::Continuous, 10_000),
    ] {
        let (fast, plain) = best(&sets(4, size, kind));
        let ratio = plain.as_secs_f64() / fast.as_secs_f64();
        say(&format!(
            "{kind:?}, {size} on each side: {fast:.1?} against {plain:.1?} plain, {ratio:.1} times"
        ));
        met = ratio >= LEAST_RATIO;
    }
    if met {
        return ExitCode::SUCCESS;
    }
    say(&format!("The last one must be at least {LEAST_RATIO} times."));
    ExitCode::FAILURE
}

/// The shortest times of one interval, fast and plain, over all sets.
fn best(sets: &[Sides]) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    // About as long as the plain one takes, so that both meet the same disturbances.
    const PASSES: u32 = 20;
    for _ in 0..ROUNDS {
        let fast = timed(PASSES, sets, |control, experiment| {
            black_box(mann_whitney::interval(control, experiment, 0.98).is_ok());
        });
        let plain = timed(1, sets, |control, experiment| {
            black_box(plain::interval(control, experiment, QUANTILE).is_some());
        });
        best = (best.0.min(fast), best.1.min(plain));
    }
    best
}

fn timed(passes: u32, sets: &[Sides], mut interval: impl FnMut(&[f64], &[f64])) -> Duration {
    let begun = Instant::now();
    for _ in 0..passes {
        for (control, experiment) in sets {
            interval(black_box(control), black_box(experiment));
        }
    }
    begun.elapsed() / (passes * sets.len() as u32)
}

#[allow(clippy::print_stdout, reason = "a measurement is there to be read")]
fn say(line: &str) {
    println!("{line}");
}
