//! The program: command line, HTTP API, pages. The only place where worlds and adapters are chosen.

mod api;
mod app;
mod artifacts;
mod auth;
#[cfg(feature = "aws")]
mod aws;
mod cli;
mod client;
mod config;
mod connection;
mod counters;
#[cfg_attr(
    not(feature = "aws"),
    allow(dead_code, reason = "the local world's monitor is in this process")
)]
mod door;
pub mod foreign;
mod guard;
mod left;
mod login;
mod output;
mod pages;
mod patience;
mod prometheus;
mod running;
mod serve;
#[cfg(feature = "aws")]
mod serve_mode;
mod signals;
mod sources;
mod standing;
mod tools;
mod try_mode;
mod web;
mod world;

use std::process::ExitCode;

/// The whole program: reads the command line, does what it says, answers the exit code.
pub fn run() -> ExitCode {
    let asked = match cli::read() {
        Ok(asked) => asked,
        Err(code) => return code,
    };
    if let Some(code) = asked.at_once() {
        return code;
    }
    // Logs are for operators: warnings unless asked otherwise, and never on standard output.
    let filter = tracing_subscriber::EnvFilter::try_from_env("ARYA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!(
                "The program cannot start its threads: {error}. Nothing was done."
            ));
            return ExitCode::from(cli::TOOL_ERROR);
        }
    };
    let code = runtime.block_on(asked.run());
    // A thread that still reads standard input must not keep the process.
    runtime.shutdown_background();
    code
}
