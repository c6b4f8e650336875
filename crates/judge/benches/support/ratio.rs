//! The fast interval against the plain one, side by side in one run.

use std::fmt;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use arya_judge::kayenta::mann_whitney;

use super::plain;
use super::samples::{Kind, Sides, sets};

/// How many times faster than the plain version the interval must be. It is 33 to 45 times at the size that is asked, the
/// largest: there the price of sorting weighs most on the plain one.
const LEAST_RATIO: f64 = 25.0;

/// The best call of every set counts for either, over so many rounds: a call is milliseconds long, so that even on a busy
/// machine some calls of each have a core to themselves.
const ROUNDS: usize = 7;

/// A ratio that is too small is looked at again over this many rounds in all. More rounds favour neither side: the best
/// times of both only approach what they are without neighbours.
const ROUNDS_MAX: usize = 40;

/// Half of them with equal sides, half shifted.
const SETS: usize = 4;

/// About as many calls of the fast one as take the time of one plain call, so that both meet the same disturbances.
const FAST_CALLS: usize = 20;

/// The standard normal quantile at half of what 0.98 leaves.
const QUANTILE: f64 = -2.326347874040841;

/// Prints the ratio of every kind and size, and fails if the one that counts, the last, is too small.
pub(crate) fn check() -> ExitCode {
    for (kind, size) in [
        (Kind::Ties, 60),
        (Kind::Ties, 1_000),
        (Kind::Ties, 10_000),
        (Kind::Continuous, 60),
        (Kind::Continuous, 1_000),
    ] {
        let mut race = Race::new(kind, size);
        (0..ROUNDS).for_each(|_| race.round());
        say(&race.to_string());
    }
    let mut race = Race::new(Kind::Continuous, 10_000);
    for round in 1..=ROUNDS_MAX {
        race.round();
        if round >= ROUNDS && race.ratio() >= LEAST_RATIO {
            say(&race.to_string());
            return ExitCode::SUCCESS;
        }
    }
    say(&format!("{race}, but it must be at least {LEAST_RATIO} times"));
    ExitCode::FAILURE
}

struct Race {
    what: String,
    sets: Vec<Sides>,
    fast: Best,
    plain: Best,
}

/// The shortest call of each set.
struct Best(Vec<Duration>);

impl Race {
    fn new(kind: Kind, size: usize) -> Self {
        let sets = sets(SETS, size, kind);
        let [fast, plain] = [(); 2].map(|()| Best(vec![Duration::MAX; sets.len()]));
        Self {
            what: format!("{kind:?}, {size} on each side"),
            sets,
            fast,
            plain,
        }
    }

    fn round(&mut self) {
        for (at, (control, experiment)) in self.sets.iter().enumerate() {
            for _ in 0..FAST_CALLS {
                self.fast.time(at, || {
                    black_box(mann_whitney::interval(black_box(control), black_box(experiment), 0.98).is_ok());
                });
            }
            self.plain.time(at, || {
                black_box(plain::interval(black_box(control), black_box(experiment), QUANTILE).is_some());
            });
        }
    }

    fn ratio(&self) -> f64 {
        self.plain.mean().as_secs_f64() / self.fast.mean().as_secs_f64()
    }
}

impl fmt::Display for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, fast, plain, ratio) = (&self.what, self.fast.mean(), self.plain.mean(), self.ratio());
        write!(f, "{what}: {fast:.1?} against {plain:.1?} plain, {ratio:.1} times")
    }
}

impl Best {
    fn time(&mut self, at: usize, call: impl FnOnce()) {
        let begun = Instant::now();
        call();
        self.0[at] = self.0[at].min(begun.elapsed());
    }

    fn mean(&self) -> Duration {
        self.0.iter().sum::<Duration>() / self.0.len() as u32
    }
}

#[allow(clippy::print_stdout, reason = "a measurement is there to be read")]
fn say(line: &str) {
    println!("{line}");
}
