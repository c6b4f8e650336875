//! `cargo xtask bench`: the benches of `tests/benches`, against the program as it is released, and the judge's own.

use std::process::Command;

use anyhow::Result;

use crate::aws;
use crate::stages::{binary, build, run};

/// How long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What CI runs: the same bounds, seen for a shorter time.
    Quick,
    /// With four hours of serving, which pass twelve times as fast.
    Full,
}

/// The one bench that needs no program: it lies with the judge, beside the plain version that it is measured against.
const JUDGE: &str = "judge";

/// The one that needs the AWS SDK, another S3 server and the `aws` command, and so is run only by its name.
const S3: &str = "s3";

/// Runs these benches, or all but those with the AWS SDK.
pub(crate) fn bench(names: &[String], form: Form) -> Result<()> {
    let (s3, names): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| name == S3);
    if !s3.is_empty() {
        println!("== {S3}");
        aws::bench_s3()?;
        if names.is_empty() {
            return Ok(());
        }
    }
    let (judge, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.as_str() == JUDGE);
    if names.is_empty() || !judge.is_empty() {
        println!("== {JUDGE}");
        run(judge_bench().args(["--", "--ratio"]))?;
    }
    if !names.is_empty() && others.is_empty() {
        return Ok(());
    }
    build()?;
    let mut command = product_bench();
    command.args(["--", "--bench"]).args(others).env("ARYA_BIN", binary());
    if form == Form::Quick {
        command.arg("--quick");
    }
    run(&mut command)
}

/// Compiles them, as a stage of its own, so that the stage that measures has a budget for measuring.
pub(crate) fn compile() -> Result<()> {
    run(judge_bench().arg("--no-run"))?;
    run(product_bench().arg("--no-run"))
}

fn judge_bench() -> Command {
    cargo_bench("arya-judge", "kayenta")
}

fn product_bench() -> Command {
    cargo_bench("tests", "bench")
}

fn cargo_bench(package: &str, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["bench", "--package", package, "--bench", name, "--quiet"]);
    command
}
