//! The access log of an Application Load Balancer as evidence: what clients saw and what targets said of each arm and of
//! production, and how long targets took, by the second.
//!
//! Lines may come in any order and in any number of pieces, as several load balancer nodes write files of their own. It
//! knows no file and no bucket.

mod line;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read as _};
use std::ops::RangeInclusive;

use super::SourceError;
use super::counted::{Counted, Side};
use crate::buckets::Buckets;
use crate::{Beside, Block, Machines, MetricConfig, Timestamp};
pub use line::{Line, OddLine};
pub use ways::Ways;

/// Upper edges of the times that targets take, in milliseconds: the log has three decimals of a second.
const EDGES_MS: [u32; 26] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10_000,
    20_000, 60_000,
];
/// Seconds that are held, the newest: a little more than what an engine that was away catches up on.
const SECONDS_HELD: usize = 2 * 3600;
/// A load balancer node writes some hundred bytes a request and a file every five minutes: this is some 20,000 requests a
/// second.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Lines of other things than access entries are no log of ours; from this share on it is said.
const ODD_SHARE_MAX: f64 = 0.01;

/// Which lines belong to which side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogArms {
    /// The baseline's target groups, as the log writes them.
    pub baseline: BTreeSet<String>,
    /// The canary's.
    pub canary: BTreeSet<String>,
    /// Requests that these rules matched (by priority) are not users': the probe's.
    pub except_rules: BTreeSet<u32>,
    /// Production's.
    pub production: BTreeSet<String>,
    /// Production is looked at where these rules (by priority) led to it, as they lead to the arms: its groups serve other
    /// requests too.
    pub production_through: BTreeSet<u32>,
}

/// Who an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Baseline,
    Canary,
    Production,
}

impl LogArms {
    fn of(&self, line: &Line) -> Option<Of> {
        let group = line.target_group.as_deref()?;
        if line.rule.is_some_and(|rule| self.except_rules.contains(&rule)) {
            return None;
        }
        if self.baseline.contains(group) {
            return Some(Of::Baseline);
        }
        if self.canary.contains(group) {
            return Some(Of::Canary);
        }
        let through = line.rule.is_some_and(|rule| self.production_through.contains(&rule));
        (through && self.production.contains(group)).then_some(Of::Production)
    }
}

/// Requests of one side in one second.
#[derive(Debug, Clone, PartialEq, Default)]
struct Second {
    requests: u32,
    clients_saw_5xx: u32,
    answered: u32,
    targets_said_5xx: u32,
    times: [u32; EDGES_MS.len() + 1],
}

/// What was read of a log so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccessLog {
    arms: LogArms,
    seconds: BTreeMap<i64, [Second; 3]>,
    lines: u64,
    odd: u64,
    too_old: u64,
}

impl AccessLog {
    /// Nothing yet of these arms.
    pub fn new(arms: LogArms) -> Self {
        Self {
            arms,
            ..Self::default()
        }
    }

    /// Reads lines. What is no entry is counted and left out; entries of other target groups are not looked at.
    pub fn read(&mut self, text: &str) {
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .for_each(|line| self.read_line(line));
    }

    /// Reads a file's lines; whoever has it compressed, as AWS delivers it, hands in the decoder. Memory is bounded by one
    /// line, time by [`FILE_BYTES_MAX`].
    ///
    /// # Errors
    /// When the reader fails or the file is longer.
    pub fn read_from(&mut self, reader: impl BufRead) -> io::Result<()> {
        by_line(reader, |line| self.read(line))
    }

    fn read_line(&mut self, line: &str) {
        self.lines += 1;
        let Ok(line) = Line::parse(line) else {
            self.odd += 1;
            return;
        };
        let Some(of) = self.arms.of(&line) else { return };
        let second = line.time.as_second();
        if self.seconds.len() >= SECONDS_HELD && !self.seconds.contains_key(&second) {
            let oldest = self.seconds.first_key_value().map(|(oldest, _)| *oldest);
            if oldest.is_some_and(|oldest| second < oldest) {
                self.too_old += 1;
                return;
            }
            self.seconds.pop_first();
        }
        self.seconds.entry(second).or_default()[of as usize].add(&line);
    }

    /// Lines that belonged to no second that is held any more.
    pub fn too_old(&self) -> u64 {
        self.too_old
    }

    /// The blocks of a metric, by the time of the answer, that lie whole in the window. The caller ends the window where
    /// no more lines are expected: what comes later for a block that was given is not in it.
    ///
    /// # Errors
    /// [`SourceError::Malformed`] when more than one line in a hundred is no entry; [`SourceError::NoData`] for a metric
    /// that a log cannot tell.
    pub fn blocks(
        &self,
        metric: &MetricConfig,
        window: &RangeInclusive<Timestamp>,
        block_s: i64,
    ) -> Result<Vec<Block>, SourceError> {
        is_a_log(self.odd, self.lines)?;
        let counted = Counted::of(metric, "an access log")?;
        let blocks = self.cells(window, block_s).into_iter();
        Ok(blocks
            .filter(|(_, [baseline, canary, _])| baseline.requests + canary.requests > 0)
            .map(|(ends_at, [baseline, canary, _])| counted.block(ends_at, &baseline.side(), &canary.side()))
            .collect())
    }

    /// What production showed beside these blocks of a metric; nothing where it had no requests.
    pub fn production(
        &self,
        metric: &MetricConfig,
        window: &RangeInclusive<Timestamp>,
        block_s: i64,
        machines: Machines,
    ) -> Vec<Beside> {
        let Ok(counted) = Counted::of(metric, "an access log") else {
            return Vec::new();
        };
        let cells = self.cells(window, block_s).into_iter();
        cells
            .filter(|(_, [_, _, production])| production.requests > 0)
            .map(|(ends_at, [_, _, production])| Beside {
                ends_at,
                shown: counted.shown(&production.side()),
                machines,
            })
            .collect()
    }

    /// The sums of spans that lie whole in the window, by their ends.
    fn cells(&self, window: &RangeInclusive<Timestamp>, block_s: i64) -> Vec<(Timestamp, [Second; 3])> {
        let block_s = block_s.max(1);
        let mut cells: BTreeMap<i64, [Second; 3]> = BTreeMap::new();
        for (second, sides) in &self.seconds {
            let sums = cells.entry(second.div_euclid(block_s)).or_default();
            sums.iter_mut().zip(sides).for_each(|(sum, more)| sum.merge(more));
        }
        let whole = cells.into_iter().filter_map(|(cell, sides)| {
            let (starts, ends) = (cell.checked_mul(block_s)?, cell.checked_add(1)?.checked_mul(block_s)?);
            let (starts_at, ends_at) = (Timestamp::from_second(starts).ok()?, Timestamp::from_second(ends).ok()?);
            (starts_at >= *window.start() && ends_at <= *window.end()).then_some((ends_at, sides))
        });
        whole.collect()
    }
}

/// Where more than one line in a hundred is no entry, nothing that was counted is said.
fn is_a_log(odd: u64, lines: u64) -> Result<(), SourceError> {
    if odd as f64 > ODD_SHARE_MAX * lines as f64 {
        let what = format!("{odd} of {lines} lines are no entries of an access log");
        return Err(SourceError::Malformed { what });
    }
    Ok(())
}

fn by_line(reader: impl BufRead, mut read: impl FnMut(&str)) -> io::Result<()> {
    let mut rest = reader.take(FILE_BYTES_MAX);
    let mut line = Vec::new();
    loop {
        line.clear();
        // What is longer than a line can be comes in pieces, each of which is odd.
        if (&mut rest)
            .take(line::LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)?
            == 0
        {
            break;
        }
        read(&String::from_utf8_lossy(&line));
    }
    if rest.limit() == 0 {
        let what = format!("the log has more than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(())
}

impl Second {
    fn add(&mut self, line: &Line) {
        let failed = |status: Option<u16>| u32::from(status.is_some_and(|status| (500..600).contains(&status)));
        // A client that went away before an answer saw no failure of ours, and is a request all the same.
        self.requests += 1;
        self.clients_saw_5xx += failed(line.elb_status);
        self.answered += u32::from(line.target_status.is_some());
        self.targets_said_5xx += failed(line.target_status);
        if let Some(seconds) = line.target_time_s {
            let ms = seconds * 1000.0;
            self.times[EDGES_MS.partition_point(|edge| f64::from(*edge) < ms)] += 1;
        }
    }

    fn merge(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.clients_saw_5xx = self.clients_saw_5xx.saturating_add(more.clients_saw_5xx);
        self.answered = self.answered.saturating_add(more.answered);
        self.targets_said_5xx = self.targets_said_5xx.saturating_add(more.targets_said_5xx);
        for (sum, more) in self.times.iter_mut().zip(more.times) {
            *sum = sum.saturating_add(more);
        }
    }

    fn side(&self) -> Side {
        Side {
            requests: self.requests.into(),
            clients_saw_failed: self.clients_saw_5xx.into(),
            answered: self.answered.into(),
            targets_said_failed: self.targets_said_5xx.into(),
            times: Buckets {
                upper_edges: EDGES_MS.iter().map(|ms| f64::from(*ms) / 1000.0).collect(),
                counts: self.times.iter().map(|count| f64::from(*count)).collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
