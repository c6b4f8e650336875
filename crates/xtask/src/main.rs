//! The project's own commands. `cargo xtask test` is what CI runs; everything else is a part of it or longer than it.
// A command of the terminal prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod aws;
mod bench;
mod fuzz;
mod judge_bench;
mod pin_images;
mod rig;
mod sim;
mod stages;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::sim::Lives;

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
    /// The long run before a release: twenty cycles under load, crashing canaries, ten minutes of a healthy one
    Soak,
    /// Speed and memory beside known programs: judge, balancer, planner, pages, upload, memory, or all of them; and by its
    /// name alone s3, which compiles the AWS SDK in release
    Bench {
        names: Vec<String>,
        /// The short form that CI runs
        #[arg(long)]
        quick: bool,
    },
    /// How often the judge is wrong and how soon it is right, on named noise: the tables of docs/judge-evaluation.md
    JudgeBench {
        /// Only cells whose table or name has one of these parts, separated by `;`
        #[arg(long)]
        cells: Option<String>,
        /// Simulated canaries a cell
        #[arg(long, default_value_t = 1000)]
        runs: u32,
        /// At once; all cores when not said
        #[arg(long)]
        threads: Option<u32>,
    },
    /// Simulated lives: all within the bounds that CI checks, one by its script, or long ones by chance
    Sim {
        /// The line that a failure prints
        #[arg(long, conflicts_with_all = ["seed", "minutes"])]
        replay: Option<String>,
        /// Lives by chance, from this number
        #[arg(long, requires = "minutes")]
        seed: Option<u64>,
        /// For so long
        #[arg(long)]
        minutes: Option<u64>,
    },
    /// Simulated lives: two things go wrong in each, in every setting; hours
    SimAll,
    /// Searches for inputs that break a reader
    Fuzz {
        /// A folder of tests/fuzz/corpus
        target: String,
        /// How long to search
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Puts what reaches new code into the repository's corpus
        #[arg(long)]
        keep: bool,
    },
    /// Instances that set themselves up, in containers that are machines: one from its first second to ready, and two faults
    Rig,
    /// The same with every fault
    RigAll,
    /// Writes the digest of each of the monitor's images into provisioning/monitor/images.env, on a machine that reaches their
    /// registries
    PinImages {
        /// Writes nothing; fails where the file is not what the registries say now
        #[arg(long)]
        check: bool,
        /// The host of names that have none; Docker on this machine is asked when not said
        #[arg(long)]
        hub: Option<String>,
    },
    /// A small deployment on a real account, from nothing to nothing: ARYA_LIVE_ACCOUNT names the account, ARYA_LIVE_SPEC a
    /// spec whose images and compose files are files beside it. See docs/real-aws-checklist.md
    Live,
    /// The README's pictures, made anew from the browser story
    Screenshots,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test { only } => stages::test(&only),
        Command::Soak => stages::soak(),
        Command::Bench { names, quick } => {
            let form = if quick { bench::Form::Quick } else { bench::Form::Full };
            bench::bench(&names, form)
        }
        Command::JudgeBench { cells, runs, threads } => judge_bench::tables(cells.as_deref(), runs, threads),
        Command::Sim { replay, seed, minutes } => sim::sim(&match (replay, minutes) {
            (Some(script), _) => Lives::Replay(script),
            (None, Some(minutes)) => Lives::Chance {
                seed: seed.unwrap_or(1),
                minutes,
            },
            (None, None) => Lives::Bounds,
        }),
        Command::SimAll => sim::sim(&Lives::Deep),
        Command::Fuzz { target, seconds, keep } => {
            let found = if keep { fuzz::Found::Keep } else { fuzz::Found::Leave };
            fuzz::fuzz(&target, seconds, found)
        }
        Command::Rig => rig::whole(rig::Stories::Ci),
        Command::RigAll => rig::whole(rig::Stories::All),
        Command::PinImages { check, hub } => {
            let then = if check {
                pin_images::Then::Compare
            } else {
                pin_images::Then::Write
            };
            pin_images::pin(then, hub)
        }
        Command::Live => aws::live(),
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
