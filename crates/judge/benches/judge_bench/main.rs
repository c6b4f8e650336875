//! Simulated canaries by the thousand: how often a harmless one is called harmful, and how soon a worse one is found, on
//! noise that is named. It prints the tables that the judge is held to.
//!
//! Seeded: the same arguments print the same numbers on every machine. `cargo xtask judge-bench` runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints tables")]

mod arguments;
mod counts;
mod family;
mod gauges;
mod latency;
mod noise;
mod peeking;
mod second;
mod table;
mod third;
mod timing;
mod trying;

use std::process::ExitCode;
use std::time::Instant;

use arguments::Arguments;
use table::{Cell, Row};

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
    cells.extend(family::cells());
    cells.extend(trying::cells());
    cells.extend(second::cells());
    cells.extend(third::cells());
    let began = Instant::now();
    let mut broken = Vec::new();
    let wanted = cells.iter().filter(|cell| arguments.wants(cell.table, cell.name));
    for of_table in by_table(wanted).chunk_by(|a, b| a.table == b.table) {
        let mut done: Vec<(&Cell, Vec<Row>)> = Vec::new();
        for cell in of_table {
            let rows = table::run(cell, &arguments);
            broken.extend(table::broken(cell, &rows));
            done.push((cell, rows));
        }
        table::print(of_table[0].table, &done);
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

/// Cells of one table side by side, tables in the order in which they first come.
fn by_table<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<&'a Cell> {
    let mut cells: Vec<&Cell> = cells.collect();
    let mut order: Vec<&str> = Vec::new();
    for cell in &cells {
        if !order.contains(&cell.table) {
            order.push(cell.table);
        }
    }
    cells.sort_by_key(|cell| order.iter().position(|table| *table == cell.table));
    cells
}
