//! Cells, their rows, and the tables that are printed.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::thread;

use crate::noise::Chance;

/// What one simulated canary gives: for each method, the minute of its first alarm, if any.
pub(crate) type Alarms = Vec<(&'static str, Option<f64>)>;

/// One kind of canary under one kind of noise.
pub(crate) struct Cell {
    pub(crate) table: &'static str,
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn Fn(&mut Chance) -> Alarms + Sync>,
    /// Bounds by row: the most alarms (a share), or the latest median minute.
    pub(crate) bounds: Vec<(&'static str, Bound)>,
}

/// What a row of a cell must keep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// A harmless canary: the share that may be called harmful.
    Alarms(f64),
    /// A worse canary: the median minute by which it must be found.
    Median(f64),
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
pub(crate) fn run(cell: &Cell, runs: usize, seed: u64) -> Vec<Row> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
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

/// One line a method: share alarmed, and the median minute where more than half were.
pub(crate) fn print(cell: &Cell, rows: &[Row]) {
    println!(
        "\n**{}: {}** ({} runs)\n\n| method | alarmed | median minute |\n|---|---|---|",
        cell.table,
        cell.name,
        rows.first().map_or(0, |row| row.minutes.len())
    );
    for row in rows {
        let median = row
            .median()
            .map_or_else(|| "-".to_owned(), |minute| format!("{minute}"));
        println!("| {} | {:.1}% | {median} |", row.method, 100.0 * row.share());
    }
}

/// A line for each bound that does not hold, with slack for chance: three standard errors of a share.
pub(crate) fn broken(cell: &Cell, rows: &[Row]) -> Vec<String> {
    let find = |method: &str| rows.iter().find(|row| row.method == method);
    let line = |(method, bound): &(&'static str, Bound)| {
        let row = find(method)?;
        let place = format!("{}: {}: {method}", cell.table, cell.name);
        match bound {
            Bound::Alarms(most) => {
                let slack = 3.0 * (most * (1.0 - most) / row.minutes.len() as f64).sqrt();
                (row.share() > most + slack).then(|| {
                    format!(
                        "{place}: {:.1} % alarmed, at most {:.1} % allowed",
                        100.0 * row.share(),
                        100.0 * most
                    )
                })
            }
            Bound::Median(latest) => {
                let median = row.median().unwrap_or(f64::INFINITY);
                (median > *latest).then(|| format!("{place}: found at minute {median}, at most {latest} allowed"))
            }
        }
    };
    cell.bounds.iter().filter_map(line).collect()
}
