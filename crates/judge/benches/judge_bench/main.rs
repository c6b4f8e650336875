//! Simulated canaries by the thousand: how often a harmless one is called harmful, and how soon a worse one is found, on
//! noise that is named. It prints the tables that the judge is held to.
//!
//! Seeded: the same arguments print the same numbers on every machine. `cargo xtask judge-bench` runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints tables")]

mod arguments;
mod counts;
mod gauges;
mod latency;
mod noise;
mod peeking;
mod second;
mod table;
mod timing;

use std::process::ExitCode;
use std::time::Instant;

use arguments::Arguments;
use table::Cell;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(3);
        }
    };
    let mut cells: Vec<Cell> = Vec::new();
    cells.extend(counts::cells());
    cells.extend(latency::cells());
    cells.extend(gauges::cells());
    cells.extend(second::cells());
    let began = Instant::now();
    let mut broken = Vec::new();
    for cell in cells.iter().filter(|cell| arguments.wants(cell.table, cell.name)) {
        let rows = table::run(cell, arguments.runs, arguments.seed);
        table::print(cell, &rows);
        broken.extend(table::broken(cell, &rows));
    }
    if arguments.wants("timing", "ticks") {
        broken.extend(timing::report());
    }
    eprintln!(
        "{} runs a cell, seed {}, {:.0} s",
        arguments.runs,
        arguments.seed,
        began.elapsed().as_secs_f64()
    );
    if broken.is_empty() || !arguments.check {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} bounds are broken:\n{}", broken.len(), broken.join("\n"));
    ExitCode::FAILURE
}
