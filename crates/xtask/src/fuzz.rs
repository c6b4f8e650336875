//! `cargo xtask fuzz`: searches for inputs that break a reader, with libFuzzer on the stable compiler.
//!
//! No sanitizer is needed: there is no unsafe code of ours. Coverage comes from a pass that stable LLVM has anyway.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::stages::{root, run};

/// What cargo-fuzz would set, less the sanitizers: counters in line, and comparisons traced so that magic words are found.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Seconds for one input. The slowest kept one takes a tenth of one.
const INPUT_S: u32 = 10;
/// Far above what any reader may use for inputs as small as these.
const MEMORY_MIB: u32 = 512;
/// Long inputs are slow to mutate and tell little more.
const INPUT_BYTES: u32 = 32 * 1024;

/// What is kept of an input in bytes, and how many inputs of one target: the corpora are cloned by everyone and replayed
/// with every change. What has no room is found again by the next search.
const KEPT_INPUT_BYTES: u32 = 4 * 1024;
const KEPT_INPUTS: usize = 250;

/// Whether new inputs that reach new code go into the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Keep,
    Leave,
}

/// Fuzzes one target for so many seconds. An input that breaks it lies in `target/fuzzing/<target>/` then.
pub(crate) fn fuzz(target: &str, seconds: u32, found: Found) -> Result<()> {
    let kept = root().join("tests/fuzz/corpus").join(target);
    ensure!(
        kept.is_dir(),
        "there is no corpus `{}`; a target is made as tests/fuzz/src/lib.rs says",
        kept.display()
    );
    let program = build()?;
    let work = root().join("target/fuzzing").join(target);
    let grown = work.join("corpus");
    std::fs::create_dir_all(&grown).with_context(|| format!("making {}", grown.display()))?;
    let mut search = fuzzer(&program, target);
    search.args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_S}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
        format!("-max_len={INPUT_BYTES}"),
        format!("-artifact_prefix={}/", work.display()),
        "-print_final_stats=1".to_owned(),
    ]);
    search.env("ARYA_FUZZ_SEEDS", &grown);
    run(search.arg(&grown).arg(&kept))?;
    match found {
        Found::Keep => keep(&program, target, &[&grown, &kept]),
        Found::Leave => Ok(()),
    }
}

/// Replaces the kept corpus by the smallest inputs of these folders that reach the same code together; where they are too
/// many, by as many of every size, since the small ones are those that are refused early.
fn keep(program: &Path, target: &str, from: &[&PathBuf]) -> Result<()> {
    let merged = root().join("target/fuzzing").join(target).join("merged");
    let _ = std::fs::remove_dir_all(&merged);
    std::fs::create_dir_all(&merged).with_context(|| format!("making {}", merged.display()))?;
    let mut merge = fuzzer(program, target);
    merge.args(["-set_cover_merge=1", &format!("-max_len={KEPT_INPUT_BYTES}")]);
    run(merge.arg(&merged).args(from))?;
    let kept = root().join("tests/fuzz/corpus").join(target);
    for old in std::fs::read_dir(&kept)? {
        let old = old?.path();
        // Inputs with a name of words were put there by a person, for a reason.
        if old.file_name().is_some_and(|name| is_hash(&name.to_string_lossy())) {
            std::fs::remove_file(old)?;
        }
    }
    let mut new = Vec::new();
    for file in std::fs::read_dir(&merged)? {
        let file = file?;
        new.push((file.metadata()?.len(), file.file_name()));
    }
    new.sort();
    let one_in = new.len().div_ceil(KEPT_INPUTS).max(1);
    for (_, name) in new.iter().step_by(one_in) {
        std::fs::copy(merged.join(name), kept.join(name))?;
    }
    Ok(())
}

/// libFuzzer names inputs by their SHA-1.
fn is_hash(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn fuzzer(program: &Path, target: &str) -> Command {
    let mut command = Command::new(program);
    command.env("ARYA_FUZZ_TARGET", target);
    // Some targets write files; in memory that is ten times as fast.
    if Path::new("/dev/shm").is_dir() {
        command.env("TMPDIR", "/dev/shm");
    }
    command
}

fn build() -> Result<PathBuf> {
    let host = host()?;
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--package",
        "fuzz",
        "--features",
        "libfuzzer",
        "--profile",
        "fuzz",
    ]);
    // With a named host the flags do not reach build scripts, and the folder is not the one of everyday builds.
    build.args(["--target", &host]).env("RUSTFLAGS", COVERAGE);
    run(&mut build)?;
    Ok(root().join("target").join(host).join("fuzz/arya-fuzz"))
}

fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("asking rustc for its host")?;
    let text = String::from_utf8(output.stdout).context("rustc's answer is text")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names its host")?.to_owned())
}
