//! How much longer (S5): the same test on the traffic to come, with expected counts in place of counts.

use super::counts::{EdgeTrack, Totals};
use super::grid::{COUNT_GRID, POINTS};

/// Beyond a day a forecast says "more than a day", for nobody waits for the difference.
pub const HORIZON_MIN: f64 = 24.0 * 60.0;
/// The largest ratio for which a detectable size is looked for.
const LARGEST_RATIO: f64 = 1e3;
/// Halvings of the span in which a time is looked for: well below a second.
const TIME_HALVINGS: usize = 50;
/// Halvings for a detectable size.
const SIZE_HALVINGS: usize = 40;

/// What has been seen, from which the rest is expected.
#[derive(Debug, Clone, Copy)]
pub struct Forecast<'a> {
    /// Sums so far.
    pub totals: &'a Totals,
    /// Minutes of data so far.
    pub elapsed_min: f64,
    /// The dispersion, which is held.
    pub phi: f64,
}

impl Forecast<'_> {
    /// Minutes until a claim's log evidence reaches a threshold if the true ratio is the given one.
    ///
    /// `None` when it would take more than [`HORIZON_MIN`], or when there is nothing yet to expect from.
    pub fn minutes(&self, track: &EdgeTrack, true_ratio: f64, threshold: f64) -> Option<f64> {
        if self.elapsed_min <= 0.0 || self.totals.events() <= 0.0 {
            return None;
        }
        let per_minute = self.per_minute(track, true_ratio);
        let log_e = |minutes: f64| {
            let seen = track.log_ratios();
            let expected: [f64; POINTS] = std::array::from_fn(|k| seen[k] + minutes * per_minute[k]);
            COUNT_GRID.mix(&expected, self.phi)
        };
        if log_e(0.0) >= threshold {
            return Some(0.0);
        }
        let mut enough = 1.0;
        while log_e(enough) < threshold {
            enough *= 2.0;
            if enough > HORIZON_MIN {
                return None;
            }
        }
        let mut too_few = 0.0;
        for _ in 0..TIME_HALVINGS {
            let middle = 0.5 * (too_few + enough);
            if log_e(middle) < threshold {
                too_few = middle;
            } else {
                enough = middle;
            }
        }
        Some(enough)
    }

    /// The smallest ratio above the edge that would be shown within the minutes left; `None` above a thousandfold.
    pub fn detectable_ratio(&self, track: &EdgeTrack, left_min: f64, threshold: f64) -> Option<f64> {
        let shown = |ratio: f64| {
            self.minutes(track, ratio, threshold)
                .is_some_and(|minutes| minutes <= left_min)
        };
        if !shown(LARGEST_RATIO) {
            return None;
        }
        let (edge, _) = track.claim();
        let (mut low, mut high) = (edge.ln(), LARGEST_RATIO.ln());
        for _ in 0..SIZE_HALVINGS {
            let middle = 0.5 * (low + high);
            if shown(middle.exp()) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high.exp())
    }

    /// What a minute of expected counts adds to the log-likelihood ratio of every size in the grid.
    fn per_minute(&self, track: &EdgeTrack, true_ratio: f64) -> [f64; POINTS] {
        // The baseline's rate is what does not depend on the truth about the canary.
        let baseline = self.totals.baseline.max(0.5) / self.elapsed_min;
        let share = self.totals.mean_share();
        let odds = share / (1.0 - share);
        let canary = baseline * odds * true_ratio;
        let (edge, side) = track.claim();
        let at_edge = (odds * edge).ln_1p();
        std::array::from_fn(|k| {
            let shift = side.past(0.0, COUNT_GRID.delta[k]);
            canary * shift - (baseline + canary) * ((odds * edge * shift.exp()).ln_1p() - at_edge)
        })
    }
}
