//! Cells, their rows, and the tables that are printed.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::thread;

use crate::arguments::Arguments;
use crate::noise::Chance;

/// What one simulated canary gives: for each method, the minute of its first alarm, if any.
pub(crate) type Alarms = Vec<(&'static str, Option<f64>)>;

/// What a simulated canary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canary {
    /// No worse than the baseline: every alarm is a false one.
    Harmless,
    Worse,
}

impl Canary {
    /// Cells of harmless canaries are called so by their name.
    pub(crate) fn by(name: &str) -> Self {
        if name.starts_with("healthy") {
            Self::Harmless
        } else {
            Self::Worse
        }
    }
}

/// One kind of canary under one kind of noise.
pub(crate) struct Cell {
    pub(crate) table: &'static str,
    pub(crate) name: &'static str,
    pub(crate) canary: Canary,
    pub(crate) run: Box<dyn Fn(&mut Chance) -> Alarms + Sync>,
    /// Bounds by row: the most alarms (a share), or the latest median minute.
    pub(crate) bounds: Vec<(&'static str, Bound)>,
}

/// What a row of a cell must keep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// A harmless canary: the share that may be called harmful.
    Alarms(f64),
    /// A worse canary: the minute by which half of them must be found.
    Median(f64),
    /// A worse canary: the minute by which 19 of 20 must be found.
    Nearly(f64),
}

/// What all canaries of a cell gave.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) method: &'static str,
    minutes: Vec<Option<f64>>,
}

impl Row {
    fn share(&self) -> f64 {
        self.minutes.iter().flatten().count() as f64 / self.minutes.len() as f64
    }

    /// The median over all canaries; `None` when fewer than half were found.
    fn median(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self
            .minutes
            .iter()
            .map(|minute| minute.unwrap_or(f64::INFINITY))
            .collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            0.5 * (sorted[middle - 1] + sorted[middle])
        } else {
            sorted[middle]
        };
        median.is_finite().then_some(median)
    }
}

/// Simulates a cell on all cores; each canary has its own stream of chance, so the number of cores changes nothing.
pub(crate) fn run(cell: &Cell, arguments: &Arguments) -> Vec<Row> {
    let (runs, seed) = (arguments.runs, arguments.seed);
    let cores = arguments
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    let name: u64 = cell
        .table
        .bytes()
        .chain(cell.name.bytes())
        .fold(7, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let part = |core: usize| -> Vec<(usize, Alarms)> {
        let mine = (core..runs).step_by(cores);
        mine.map(|canary| (canary, (cell.run)(&mut Chance::new(seed ^ name, canary as u64 + 1))))
            .collect()
    };
    let mut all: Vec<(usize, Alarms)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|core| scope.spawn(move || part(core))).collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().expect("a simulation does not panic"));
        done.flatten().collect()
    });
    all.sort_by_key(|(canary, _)| *canary);
    let mut order: Vec<&'static str> = Vec::new();
    let mut rows: BTreeMap<&'static str, Vec<Option<f64>>> = BTreeMap::new();
    for (method, minute) in all.into_iter().flat_map(|(_, alarms)| alarms) {
        if !order.contains(&method) {
            order.push(method);
        }
        rows.entry(method).or_default().push(minute);
    }
    let row = |method| Row {
        method,
        minutes: rows.remove(method).unwrap_or_default(),
    };
    order.into_iter().map(row).collect()
}

/// One table as it is stated elsewhere: a line a method, a column a cell. Of harmless canaries the share alarmed, of
/// worse ones also the median minute, where more than half were found.
pub(crate) fn print(title: &str, cells: &[(&Cell, Vec<Row>)]) {
    let runs = cells
        .first()
        .and_then(|(_, rows)| rows.first())
        .map_or(0, |row| row.minutes.len());
    println!("\n**{title}** ({runs} runs a cell)\n");
    let names: Vec<&str> = cells.iter().map(|(cell, _)| cell.name).collect();
    println!(
        "| method | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    let mut methods: Vec<&'static str> = Vec::new();
    for row in cells.iter().flat_map(|(_, rows)| rows) {
        if !methods.contains(&row.method) {
            methods.push(row.method);
        }
    }
    for method in methods {
        let entries: Vec<String> = cells.iter().map(|(cell, rows)| entry(cell, rows, method)).collect();
        println!("| {method} | {} |", entries.join(" | "));
    }
}

fn entry(cell: &Cell, rows: &[Row], method: &str) -> String {
    let Some(row) = rows.iter().find(|row| row.method == method) else {
        return String::new();
    };
    let share = 100.0 * row.share();
    match cell.canary {
        Canary::Harmless => format!("{share:.1}%"),
        Canary::Worse => {
            let median = row.median().map_or_else(
                || "-".to_owned(),
                |minute| ((100.0 * minute).round() / 100.0).to_string(),
            );
            format!("{share:.0}% / {median}")
        }
    }
}

/// A line for each bound that does not hold, with slack for chance: three standard errors of a share.
pub(crate) fn broken(cell: &Cell, rows: &[Row]) -> Vec<String> {
    let find = |method: &str| rows.iter().find(|row| row.method == method);
    let line = |(method, bound): &(&'static str, Bound)| {
        let row = find(method)?;
        let place = format!("{}: {}: {method}", cell.table, cell.name);
        let runs = row.minutes.len() as f64;
        let slack = |share: f64| 3.0 * (share * (1.0 - share) / runs).sqrt();
        let by = |latest: f64| row.minutes.iter().flatten().filter(|minute| **minute <= latest).count() as f64 / runs;
        match bound {
            Bound::Alarms(most) => (row.share() > most + slack(*most)).then(|| {
                let (share, most) = (100.0 * row.share(), 100.0 * most);
                format!("{place}: {share:.1} % alarmed, at most {most:.1} % allowed")
            }),
            Bound::Median(latest) => (by(*latest) < 0.5 - slack(0.5)).then(|| {
                format!(
                    "{place}: {:.0} % found by minute {latest}, half of them expected",
                    100.0 * by(*latest)
                )
            }),
            Bound::Nearly(latest) => (by(*latest) < 0.95 - slack(0.95)).then(|| {
                format!(
                    "{place}: {:.1} % found by minute {latest}, 95 % expected",
                    100.0 * by(*latest)
                )
            }),
        }
    };
    cell.bounds.iter().filter_map(line).collect()
}
