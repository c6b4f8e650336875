//! The traffic share check (S1.8): if the arms do not get the traffic they should, comparing them is in doubt.
//!
//! The count test again, with requests as events and the planned share as exposure, two-sided. It holds a pass and
//! never fails a canary.

use super::counts::{Block, CountTest, EdgeTrack, Side};
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

/// Looks whether requests `(baseline, canary)` by block are split as expected; `None` when they may well be.
pub fn uneven_split(requests: &[(f64, f64)], expected: f64, block_s: f64) -> Option<UnevenSplit> {
    let mut test = CountTest::new(Guard::new(Known::Nothing, block_s));
    let (mut above, mut below) = (EdgeTrack::new(1.0, Side::Above), EdgeTrack::new(1.0, Side::Below));
    for &(baseline, canary) in requests {
        let block = Block::new(baseline, canary, 1.0 - expected, expected)?;
        above.push(&block);
        below.push(&block);
        test.push(block);
    }
    let events = test.totals().events();
    if events <= 0.0 {
        return None;
    }
    let measured = test.totals().canary / events;
    let phi = test.dispersion();
    let log_e = super::grid::log_sum_exp(&[above.log_e(phi), below.log_e(phi)]) - 2f64.ln();
    let shown = log_e >= (1.0 / ALPHA).ln() && (measured - expected).abs() >= SMALLEST_GAP;
    shown.then_some(UnevenSplit { measured, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(per_block: (f64, f64), expected: f64, uneven: bool) {
        let requests: Vec<(f64, f64)> = (0..80)
            .map(|i| (per_block.0 + f64::from(i % 3), per_block.1 + f64::from(i % 5)))
            .collect();
        assert_eq!(
            uneven_split(&requests, expected, 15.0).is_some(),
            uneven,
            "{per_block:?} at {expected}"
        );
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
        assert_eq!(uneven_split(&[(0.0, 0.0); 9], 0.5, 15.0), None);
    }
}
