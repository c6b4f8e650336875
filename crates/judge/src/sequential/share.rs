//! The traffic share check (S1.8): if the arms do not get the traffic they should, comparing them is in doubt.
//!
//! The count test again, with requests as events and the planned share as exposure, two-sided. It holds a pass and
//! never fails a canary.

use super::counts::{Block, CountTest, Side, gains};
use super::grid::{COUNT_GRID, log_sum_exp};
use super::guard::{Guard, Known};

/// Chance of calling a sound comparison unsound; outside the family of the metrics.
const ALPHA: f64 = 0.01;
/// A share that is off by less than this fraction of all requests disturbs no comparison of rates.
const SMALLEST_GAP: f64 = 0.02;

/// Requests of both arms that are split otherwise than planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnevenSplit {
    /// The canary's share of the requests of both arms, a fraction.
    pub measured: f64,
    /// What was planned, a fraction.
    pub expected: f64,
}

/// The check, followed block by block.
#[derive(Debug, Clone)]
pub struct ShareCheck {
    expected: f64,
    test: CountTest,
}

impl ShareCheck {
    /// A check that has seen nothing; `expected` is the canary's part, in (0, 1).
    pub fn new(expected: f64, block_s: f64) -> Self {
        Self {
            expected,
            test: CountTest::new(Guard::new(Known::Nothing, block_s)),
        }
    }

    /// Adds the requests of a block.
    pub fn push(&mut self, baseline: f64, canary: f64) {
        if let Some(block) = self.split(baseline, canary) {
            self.test.push(block);
        }
    }

    fn split(&self, baseline: f64, canary: f64) -> Option<Block> {
        Block::new(baseline, canary, 1.0 - self.expected, self.expected)
    }

    /// Requests of both arms so far.
    pub fn requests(&self) -> f64 {
        self.test.totals().events()
    }

    /// How the requests are split; `None` when they may well be split as planned.
    pub fn uneven(&self) -> Option<UnevenSplit> {
        let events = self.requests();
        if events <= 0.0 {
            return None;
        }
        let totals = self.test.totals();
        let (expected, measured) = (self.expected, totals.canary / events);
        if (measured - expected).abs() < SMALLEST_GAP {
            return None;
        }
        // What is expected is the same of every block, so all of them together say what each of them does.
        let whole = self.split(totals.baseline, totals.canary)?;
        let phi = self.test.dispersion();
        let against = |side| COUNT_GRID.mix(&gains(&whole, 1.0, side), phi);
        let log_e = log_sum_exp(&[against(Side::Above), against(Side::Below)]) - 2f64.ln();
        (log_e >= (1.0 / ALPHA).ln()).then_some(UnevenSplit { measured, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(per_block: (f64, f64), expected: f64, uneven: bool) {
        let requests: Vec<(f64, f64)> = (0..80)
            .map(|i| (per_block.0 + f64::from(i % 3), per_block.1 + f64::from(i % 5)))
            .collect();
        let mut split = ShareCheck::new(expected, 15.0);
        requests
            .iter()
            .for_each(|(baseline, canary)| split.push(*baseline, *canary));
        assert_eq!(split.uneven().is_some(), uneven, "{per_block:?} at {expected}");
    }

    #[test]
    fn even_split_is_sound() {
        check((300.0, 300.0), 0.5, false);
    }

    #[test]
    fn canary_that_gets_a_third_instead_of_half_is_noticed() {
        check((300.0, 140.0), 0.5, true);
    }

    #[test]
    fn canary_without_requests_is_noticed() {
        check((300.0, 0.0), 0.5, true);
    }

    #[test]
    fn a_planned_tenth_is_sound_at_a_tenth() {
        check((900.0, 100.0), 0.1, false);
    }

    #[test]
    fn no_requests_are_not_an_uneven_split() {
        let mut split = ShareCheck::new(0.5, 15.0);
        split.push(0.0, 0.0);
        assert_eq!(split.uneven(), None);
    }
}
