//! The stage of the AWS adapter and of the program with it: the SDK is compiled once, for its lints and its tests
//! together, and moto is installed beside it. Nothing else in `cargo xtask test` needs either.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::stages::{root, run};

/// What the tests need of the independent AWS, with versions.
const REQUIREMENTS: &str = "tests/aws/requirements.txt";
/// The `aws` command that uploads are measured beside.
const AWS_COMMAND: &str = "tests/aws/awscli.txt";
/// The newest that this compiler builds.
const S3_SERVER: &str = "0.14.1";

pub(crate) fn test() -> Result<()> {
    let mut command = with_moto()?;
    command.args(["--lib", "--test", "moto", "--test", "wire", "--test", "aws"]);
    run(&mut command)
}

/// The tests whose instances are machines. They need images that `cargo xtask rig` makes, and Docker.
pub(crate) fn on_machines() -> Result<Command> {
    let mut command = with_moto()?;
    command.args(["--test", "rig"]);
    Ok(command)
}

/// `cargo test` of the adapter and the program, to be told which tests.
fn with_moto() -> Result<Command> {
    install("target/moto", REQUIREMENTS)?;
    let mut command = Command::new(env!("CARGO"));
    // The program with them, in one run of cargo: another choice of packages would be other features, and the SDK twice. Its
    // tests that need no AWS are the unit stage's.
    command.args(["test", "--package", "arya-aws", "--package", "arya"]);
    command.args(["--features", "arya/on-moto", "--quiet"]);
    // The lints in the compiler's place while the tests are built. `cargo clippy` would compile the SDK a second time, and
    // its largest crate alone takes minutes and 8 GB.
    command.env("RUSTC_WORKSPACE_WRAPPER", clippy_driver()?);
    command.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    Ok(command)
}

/// The upload beside the `aws` command, and presigned URLs, at a server that checks what was signed.
pub(crate) fn bench_s3() -> Result<()> {
    install("target/awscli", AWS_COMMAND)?;
    let server = root().join("target/s3s-fs");
    if !server.join("bin/s3s-fs").is_file() {
        let mut command = Command::new(env!("CARGO"));
        command.args(["install", "--quiet", "--locked", "--version", S3_SERVER, "s3s-fs"]);
        command.args(["--features", "binary", "--root"]).arg(&server);
        // Its dependencies are none of ours.
        run(command.env("CARGO_TARGET_DIR", server.join("build")))?;
    }
    let args = ["test", "--release", "--package", "arya-aws", "--test", "s3"];
    run(Command::new(env!("CARGO")).args(args))
}

/// A life on the account that the variable names, which the test compares with the one that the credentials are of.
pub(crate) fn live() -> Result<()> {
    for name in ["ARYA_LIVE_ACCOUNT", "ARYA_LIVE_SPEC"] {
        ensure!(
            std::env::var_os(name).is_some_and(|value| !value.is_empty()),
            "{name} is not set. Nothing was done. docs/real-aws-checklist.md says what it takes."
        );
    }
    let args = ["test", "--package", "arya-aws", "--test", "live", "--", "--nocapture"];
    run(Command::new(env!("CARGO")).args(args))
}

/// Where rustup keeps the lints' compiler, beside the compiler itself.
fn clippy_driver() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(root())
        .output()
        .context("rustc could not be asked where it lies")?;
    let sysroot = String::from_utf8(output.stdout).context("rustc lies where no text leads")?;
    let driver = PathBuf::from(sysroot.trim()).join("bin/clippy-driver");
    ensure!(
        driver.is_file(),
        "there is no clippy-driver beside rustc. Nothing was run. Install it: rustup component add clippy"
    );
    Ok(driver)
}

/// Installs Python packages into a folder, unless what is there was made from the same list.
fn install(into: &str, list: &str) -> Result<()> {
    let (folder, list) = (root().join(into), root().join(list));
    let (done, wanted) = (folder.join("installed.txt"), std::fs::read(&list)?);
    if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let install = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(folder.join("bin/pip")).args(install).arg(&list))?;
    std::fs::write(done, wanted).with_context(|| format!("{into} could not be written to"))
}
