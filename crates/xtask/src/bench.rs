//! `cargo xtask bench`: the benches of `tests/benches`, against the program as it is released.

use std::process::Command;

use anyhow::Result;

use crate::stages::{binary, build, run};

/// How long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What CI runs: the same bounds, seen for a shorter time.
    Quick,
    /// With four hours of serving, which pass twelve times as fast.
    Full,
}

/// Runs these benches, or all.
pub(crate) fn bench(names: &[String], form: Form) -> Result<()> {
    build()?;
    let mut command = cargo_bench();
    command.args(["--", "--bench"]).args(names).env("ARYA_BIN", binary());
    if form == Form::Quick {
        command.arg("--quick");
    }
    run(&mut command)
}

/// Compiles them, as a stage of its own, so that the stage that measures has a budget for measuring.
pub(crate) fn compile() -> Result<()> {
    run(cargo_bench().arg("--no-run"))
}

fn cargo_bench() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["bench", "--package", "tests", "--bench", "bench", "--quiet"]);
    command
}
