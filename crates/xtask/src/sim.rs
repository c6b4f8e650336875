//! `cargo xtask sim`: simulated lives of deployments, optimised, and what may be asked of them.

use std::process::Command;

use anyhow::Result;

use crate::stages::run;

/// Which lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lives {
    /// What every change must pass: all lives within the bounds, the planted bugs, some lives by chance.
    Bounds,
    /// All lives in which two things go wrong on the way to destroy, in every setting; hours.
    Deep,
    /// One, from the line that a failure prints.
    Replay(String),
    /// Long ones by chance, from a seed, for so many minutes.
    Chance { seed: u64, minutes: u64 },
}

/// Lives through them, and prints how many there were and how long each bound took.
pub(crate) fn sim(lives: &Lives) -> Result<()> {
    let mut command = cargo_test();
    command.args(["--", "--nocapture", "--test-threads=1"]);
    match lives {
        Lives::Bounds => {}
        Lives::Deep => {
            command.arg("every_life_within_the_bounds").env("ARYA_SIM_DEEP", "1");
        }
        Lives::Replay(script) => {
            command.arg("lives_that_broke").env("ARYA_SIM_REPLAY", script);
        }
        Lives::Chance { seed, minutes } => {
            command
                .arg("lives_by_chance")
                .env("ARYA_SIM_SEED", seed.to_string())
                .env("ARYA_SIM_MINUTES", minutes.to_string());
        }
    }
    run(&mut command)
}

/// Compiles them, as a stage of its own, so that the stage that runs them has a budget for running.
pub(crate) fn compile() -> Result<()> {
    run(cargo_test().arg("--no-run"))
}

fn cargo_test() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--release", "--package", "tests", "--features", "simulation"]);
    command.args(["--test", "simulation", "--quiet"]);
    command
}
