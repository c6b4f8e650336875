//! The stages of `cargo xtask test`: what each runs, what it needs, and how long it may take.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::sim::{self, Lives};
use crate::{aws, bench, judge_bench, rig};

/// One stage. Over budget is a failure: a slow check is a check that people stop running.
struct Stage {
    name: &'static str,
    /// About twice what two shared cores take from an empty `target/`; all stages together take some ten minutes there.
    budget_s: u64,
    /// Programs that must be there, with the Debian package that brings them.
    needs: &'static [(&'static str, &'static str)],
    run: fn() -> Result<()>,
}

const STAGES: [Stage; 19] = [
    Stage {
        name: "fmt",
        budget_s: 20,
        needs: &[],
        run: || cargo(&["fmt", "--all", "--check"]),
    },
    Stage {
        name: "clippy",
        budget_s: 300,
        needs: &[],
        run: clippy,
    },
    Stage {
        name: "unit",
        budget_s: 540,
        needs: &[],
        run: unit,
    },
    Stage {
        name: "aws",
        budget_s: 960,
        needs: &[("python3", "python3-venv")],
        run: aws::test,
    },
    Stage {
        name: "fuzz",
        budget_s: 120,
        needs: &[],
        run: || cargo(&["test", "--package", "fuzz", "--quiet"]),
    },
    Stage {
        name: "build",
        budget_s: 360,
        needs: &[],
        run: build,
    },
    Stage {
        name: "tidy",
        budget_s: 120,
        needs: &[],
        run: || product_test("tidy", &[]),
    },
    Stage {
        name: "api",
        budget_s: 240,
        needs: &[],
        run: || product_test("stories", &["api"]),
    },
    Stage {
        name: "stories",
        budget_s: 420,
        needs: &[],
        run: || product_test("told", &[]).and_then(|()| product_test("stories", &["story"])),
    },
    Stage {
        name: "browser",
        budget_s: 150,
        needs: &[("chromium", "chromium"), ("chromedriver", "chromium-driver")],
        run: || product_test("browser", &[]),
    },
    Stage {
        name: "machines",
        budget_s: 420,
        needs: &[],
        run: rig::prepare,
    },
    Stage {
        // Seconds, once the stage `aws` has compiled the SDK.
        name: "account",
        budget_s: 960,
        needs: &[("python3", "python3-venv")],
        run: rig::compile_on_account,
    },
    Stage {
        name: "rig",
        budget_s: 300,
        needs: &[],
        run: || rig::rig(rig::Stories::Ci),
    },
    Stage {
        name: "lives",
        budget_s: 300,
        needs: &[],
        run: sim::compile,
    },
    Stage {
        name: "sim",
        budget_s: 120,
        needs: &[],
        run: || sim::sim(&Lives::Bounds),
    },
    Stage {
        name: "canaries",
        budget_s: 240,
        needs: &[],
        run: judge_bench::compile,
    },
    Stage {
        name: "judge",
        budget_s: 120,
        needs: &[],
        run: judge_bench::check,
    },
    Stage {
        name: "benches",
        budget_s: 240,
        needs: &[],
        run: bench::compile,
    },
    Stage {
        name: "bench",
        budget_s: 150,
        needs: &[("nginx", "nginx-light")],
        run: || bench::bench(&[], bench::Form::Quick),
    },
];

/// What a change may cost its author in waiting, from an empty `target/`: forty minutes on an idle machine, and what
/// neighbours may add.
const ALL_STAGES: Duration = Duration::from_secs(50 * 60);

/// Runs all stages, or those named.
pub(crate) fn test(only: &[String]) -> Result<()> {
    for name in only {
        let known: Vec<_> = STAGES.iter().map(|s| s.name).collect();
        ensure!(
            known.contains(&name.as_str()),
            "there is no stage `{name}`; there are: {}",
            known.join(", ")
        );
    }
    let asked = |names: &[&str]| only.is_empty() || only.iter().any(|name| names.contains(&name.as_str()));
    // What runs the program builds it first, as a stage of its own.
    let wanted = |stage: &&Stage| {
        asked(&[stage.name])
            || (stage.name == "build" && asked(&["api", "stories", "browser", "rig", "bench"]))
            || (["machines", "account"].contains(&stage.name) && asked(&["rig"]))
            || (stage.name == "lives" && asked(&["sim"]))
            || (stage.name == "canaries" && asked(&["judge"]))
            || (stage.name == "benches" && asked(&["bench"]))
    };
    let chosen: Vec<_> = STAGES.iter().filter(wanted).collect();
    // Said before the first minute is spent, not after the last.
    chosen.iter().try_for_each(|stage| requirements(stage))?;
    let all_begun = Instant::now();
    let mut report = Vec::new();
    for stage in &chosen {
        println!("== {} (budget {} s)", stage.name, stage.budget_s);
        let begun = Instant::now();
        (stage.run)().with_context(|| format!("stage `{}` failed", stage.name))?;
        let took = begun.elapsed();
        report.push(format!(
            "{:>8}  {:>5.1} s of {} s",
            stage.name,
            took.as_secs_f64(),
            stage.budget_s
        ));
        ensure!(
            took <= Duration::from_secs(stage.budget_s),
            "stage `{}` passed but took {:.0} s; its budget is {} s",
            stage.name,
            took.as_secs_f64(),
            stage.budget_s
        );
    }
    ensure!(
        all_begun.elapsed() <= ALL_STAGES,
        "every stage passed, but together they took longer than {} s",
        ALL_STAGES.as_secs()
    );
    println!("\nAll stages passed:\n{}", report.join("\n"));
    Ok(())
}

fn requirements(stage: &Stage) -> Result<()> {
    for (program, package) in stage.needs {
        if find_program(program).is_none() {
            bail!(
                "stage `{}` needs the program `{program}`, which is not on the PATH. Nothing was run. On Debian: apt-get \
                 install {package}",
                stage.name
            );
        }
    }
    Ok(())
}

pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Servers lie where a user's PATH often does not lead.
    let of_the_system = PathBuf::from("/usr/sbin");
    std::env::split_paths(&path)
        .chain([of_the_system])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("xtask lies two folders below the root")
}

pub(crate) fn binary() -> PathBuf {
    root().join("target/release/arya")
}

fn cargo(args: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO")).args(args))
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .current_dir(root())
        .status()
        .with_context(|| format!("{shown} could not be started"))?;
    ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}

fn clippy() -> Result<()> {
    cargo(&[
        "clippy",
        "--workspace",
        "--exclude",
        "arya-aws",
        "--no-default-features",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])?;
    // What is compiled for the simulation alone.
    cargo(&[
        "clippy",
        "--package",
        "tests",
        "--features",
        "simulation",
        "--test",
        "simulation",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])
}

/// Everything but the tests of the whole product, which need the built program, and the AWS adapter, which has a stage.
fn unit() -> Result<()> {
    cargo(&[
        "test",
        "--workspace",
        "--no-default-features",
        "--exclude",
        "arya-aws",
        "--exclude",
        "tests",
        "--exclude",
        "fuzz",
        "--quiet",
    ])
}

/// The README's own command, so that what is tested is what a newcomer runs.
pub(crate) fn build() -> Result<()> {
    cargo(&["build", "--release", "--no-default-features", "--quiet"])
}

fn product_test(target: &str, filter: &[&str]) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--package", "tests", "--test", target, "--quiet", "--"])
        .args(filter);
    // One story at a time: they measure times, and two cores carry one world.
    command.arg("--test-threads=1").env("ARYA_BIN", binary());
    run(&mut command)
}

/// The stories that are too long for every change.
pub(crate) fn soak() -> Result<()> {
    long_test("soak", &[])
}

/// Runs the browser story with a folder to keep its pictures in.
pub(crate) fn screenshots() -> Result<()> {
    let folder = root().join("docs/screenshots");
    std::fs::create_dir_all(&folder)?;
    long_test("browser", &[("ARYA_SCREENSHOTS", folder)])
}

fn long_test(target: &str, variables: &[(&str, PathBuf)]) -> Result<()> {
    build()?;
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "test",
        "--package",
        "tests",
        "--test",
        target,
        "--",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    run(command.env("ARYA_BIN", binary()))
}
