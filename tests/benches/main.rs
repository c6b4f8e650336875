//! How fast and how small the product is, beside something known wherever that can be: `cargo xtask bench [NAME…]`.
//!
//! What is asserted are ratios of one run on one machine; absolute figures are printed, for docs/measurements.md.
//! `--quick` is the form that CI runs: shorter, with the same bounds.

// A bench fails by panicking, as a test does; its table is what it is run for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod balancer;
mod exchange;
mod memory;
mod pages;
mod planner;
mod process;
mod table;
mod upload;

use std::process::ExitCode;

use table::Table;

/// How long a bench may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Quick,
    Full,
}

impl Form {
    fn choose<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

type Bench = fn(Form, &mut Table);

const BENCHES: [(&str, Bench); 5] = [
    ("balancer", balancer::bench),
    ("planner", planner::bench),
    ("pages", pages::bench),
    ("upload", upload::bench),
    ("memory", memory::bench),
];

fn main() -> ExitCode {
    // Cargo itself says `--bench` to every bench.
    let said: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [word, origin, log] = said.as_slice()
        && word == balancer::SERVE
    {
        balancer::serve(origin.parse().unwrap(), log.as_ref());
        return ExitCode::SUCCESS;
    }
    if said == [memory::HOURS] {
        memory::serve_four_hours();
        return ExitCode::SUCCESS;
    }
    let (options, names): (Vec<_>, Vec<_>) = said.into_iter().partition(|word| word.starts_with("--"));
    let form = match options.as_slice() {
        [] => Form::Full,
        [quick] if quick == "--quick" => Form::Quick,
        other => panic!("there is no option {other:?}; there is --quick"),
    };
    for name in &names {
        let known = BENCHES.map(|(name, _)| name);
        assert!(
            known.contains(&name.as_str()),
            "there is no bench `{name}`; there are: {}",
            known.join(", ")
        );
    }
    let mut table = Table::default();
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("== {name}");
            bench(form, &mut table);
        }
    }
    println!("\n{table}");
    if table.all_kept() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
