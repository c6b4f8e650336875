//! The project's own commands. `cargo xtask test` is what CI runs; everything else is a part of it or longer than it.
// A command of the terminal prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod stages;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Arya's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything CI runs, in stages with a time budget each
    Test {
        /// Only these stages, in their usual order
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// The long run before a release: 3 cycles under load, and ten minutes of a healthy canary
    Soak,
    /// The README's pictures, made anew from the browser story
    Screenshots,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test { only } => stages::test(&only),
        Command::Soak => stages::soak(),
        Command::Screenshots => stages::screenshots(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}
