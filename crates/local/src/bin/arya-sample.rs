//! The sample service as a program of its own: what this crate's tests pack into images, where `arya try` packs itself.
//!
//! Takes any arguments, as an image's `["/arya", "sample"]` gives them, and never looks at them.

use std::process::ExitCode;

use arya_local::sample::{SampleConfig, run};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let config = SampleConfig::from_env()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let served = runtime.block_on(run(config, tokio::io::stdin()));
    // A read of standard input cannot be interrupted; it must not keep the process alive.
    runtime.shutdown_background();
    Ok(served?)
}
