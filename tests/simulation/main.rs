//! Simulated lives: the real reconciler and the real store on a world that lies, loses, and is edited by others, with every
//! promise of ARCHITECTURE.md checked after every look. `cargo xtask sim` runs what is here.

// A simulation prints what it did, and panics where a promise is broken.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod act;
mod bounds;
mod checkers;
mod explore;
mod life;
mod planted;
mod process;
mod random;
mod setting;
mod shrink;
mod watch;

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::act::Script;
use crate::checkers::Violation;
use crate::explore::{Bound, explore};

/// What the bounds that every change must pass amount to, at the least.
const CASES_AT_LEAST: u64 = 200_000;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What this process has cost so far: time by the clock says more of the neighbours. 0 where the kernel does not tell.
fn processor_s() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in brackets; the 14th and the 15th are the times in user and in system mode.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// A failure as a person wants to read it: the promise, the smallest life that breaks it, and what happened in it.
fn told(script: &Script, violation: &Violation) -> String {
    let (script, violation, feed) = shrink::shrink(script, violation);
    format!(
        "{violation}\nReplay it: cargo xtask sim --replay \"{script}\"\n{}\n",
        feed.join("\n")
    )
}

fn follow(bounds: &[Bound]) -> u64 {
    let mut cases = 0;
    let mut failures = String::new();
    for bound in bounds {
        let begun = Instant::now();
        let found = explore(bound, threads());
        let took = begun.elapsed().as_secs_f64();
        println!(
            "{:>9} lives, {:>9} looks, {took:>5.1} s: {} ({:?})",
            found.cases, found.looks, bound.name, bound.setting
        );
        cases += found.cases;
        for failure in found.failures.iter().take(2) {
            let told = told(&failure.script, &failure.violation);
            // At once, for all bounds may take hours.
            println!("{told}");
            let _ = writeln!(failures, "{told}");
        }
    }
    assert!(failures.is_empty(), "Promises were broken.\n\n{failures}");
    cases
}

#[test]
fn every_life_within_the_bounds_keeps_every_promise() {
    let (begun, cost_before) = (Instant::now(), processor_s());
    let deep = std::env::var_os("ARYA_SIM_DEEP").is_some();
    let cases = follow(&if deep { bounds::deep() } else { bounds::all() });
    println!(
        "{cases} lives that differ in what happened, each to its end, in {:.1} s; {:.1} s of processor time on {} threads",
        begun.elapsed().as_secs_f64(),
        processor_s() - cost_before,
        threads()
    );
    assert!(cases >= CASES_AT_LEAST);
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for (bug, bound, promise) in planted::TABLE {
        let found = planted::look_for(bug, bound);
        match &found {
            Some(failure) => println!(
                "{bug:?}: \"{}\" says so after {} lives of \"{bound}\": {}",
                failure.violation.checker, failure.after_cases, failure.script
            ),
            None => println!("{bug:?}: not found in \"{bound}\""),
        }
        if found.is_none_or(|failure| failure.violation.checker != promise) {
            missed.push((bug, promise));
        }
    }
    assert!(missed.is_empty(), "not found, or by others: {missed:?}");
}

#[test]
fn lives_by_chance_keep_every_promise() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("ARYA_SIM_SEED").unwrap_or(1);
    let minutes = number("ARYA_SIM_MINUTES");
    let (time, lives) = match minutes {
        Some(minutes) => (Duration::from_secs(60 * minutes), u64::MAX),
        None => (Duration::MAX, 300),
    };
    let runs = random::run(seed, time, lives);
    println!("{} lives by chance, {} looks, seed {seed}", runs.lives, runs.looks);
    if let Some((script, violation)) = runs.failure {
        panic!("seed {seed}\n{}", told(&script, &violation));
    }
}

/// Lives that broke a promise once.
const KEPT: [&str; 2] = [
    // A person deletes our main rule before a look has shown it: it came back.
    "Plain 10 7:Edit(DeleteOurRule(Main))",
    // The dead target of an instance that was replaced stayed in its group, and its arm was never healthy.
    "Plain 60 5:Edit(TerminateOurs(Place{role:Baseline,index:0}))",
];

#[test]
fn lives_that_broke_a_promise_once_keep_it() {
    let asked = std::env::var("ARYA_SIM_REPLAY").ok();
    let scripts: Vec<&str> = asked.as_deref().map_or(KEPT.to_vec(), |script| vec![script]);
    for script in scripts {
        let script: Script = script.parse().unwrap();
        let (life, lived) = life::live(&script);
        if asked.is_some() {
            println!("{script}\n{}", life.feed().join("\n"));
        }
        if let Err(violation) = lived {
            panic!("{}", told(&script, &violation));
        }
    }
}
