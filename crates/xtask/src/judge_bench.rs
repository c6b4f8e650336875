//! `cargo xtask judge-bench`: simulated canaries by the thousand, in the tables that docs/judge-evaluation.md holds.

use std::process::Command;

use anyhow::Result;

use crate::stages::run;

/// What CI simulates: of every kind of metric harmless canaries on usual and on harsh noise, and worse ones; seconds in
/// all. Bounds are checked with three standard errors of slack.
const SUBSET: &str = "Errors, 50/s; Latency, classic, 50/s; Gauges, AR 0.5; Whole canary, 8 metrics: healthy; try, an hour; \
     Second set, errors 50/s; Second set, gauges: AR .9 plus white noise";
const SUBSET_RUNS: &str = "60";

/// Prints the tables of some cells or of all; with `runs` simulated canaries each.
pub(crate) fn tables(cells: Option<&str>, runs: u32, threads: Option<u32>) -> Result<()> {
    let mut command = bench();
    command.args(["--", "--runs", &runs.to_string()]);
    if let Some(cells) = cells {
        command.args(["--cells", cells]);
    }
    if let Some(threads) = threads {
        command.args(["--threads", &threads.to_string()]);
    }
    run(&mut command)
}

/// The subset that CI runs: a broken bound is a failure.
pub(crate) fn check() -> Result<()> {
    run(bench().args(["--", "--check", "--runs", SUBSET_RUNS, "--cells", SUBSET]))
}

/// Compiles it, so that the stage that simulates has a budget for simulating.
pub(crate) fn compile() -> Result<()> {
    run(bench().arg("--no-run"))
}

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["bench", "--package", "arya-judge", "--bench", "judge_bench", "--quiet"]);
    command
}
