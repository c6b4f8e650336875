//! How much longer (S5): the same test on the traffic to come, with expected counts in place of counts.

use super::counts::{EdgeTrack, Side, Totals};
use super::grid::{COUNT_GRID, POINTS};
use super::search::crossing;

/// Beyond a day a forecast says "more than a day", for nobody waits for the difference.
pub const HORIZON_MIN: f64 = 24.0 * 60.0;
/// The largest ratio for which a detectable size is looked for.
const LARGEST_RATIO: f64 = 1e3;
/// Newton's steps to a time: it commonly takes half a dozen.
const MOST_STEPS: usize = 60;

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
        let (seen, weights) = (track.log_ratios(), &COUNT_GRID.log_weight);
        minutes_until(weights, seen, &per_minute, self.phi, threshold)
    }

    /// The smallest ratio past the edge that would be shown within the minutes left; `None` above a thousandfold.
    pub fn detectable_ratio(&self, track: &EdgeTrack, left_min: f64, threshold: f64) -> Option<f64> {
        if self.elapsed_min <= 0.0 || self.totals.events() <= 0.0 {
            return None;
        }
        let (edge, side) = track.claim();
        // Convex in time, so what is not shown now is shown within the time left only if it is at its end.
        let now = track.log_e(self.phi);
        let over = |log_size: f64| {
            let per_minute = self.per_minute(track, side.past(edge.ln(), log_size).exp());
            let (seen, weights) = (track.log_ratios(), &COUNT_GRID.log_weight);
            now.max(after(weights, seen, &per_minute, self.phi, left_min.min(HORIZON_MIN)).0) - threshold
        };
        let largest = LARGEST_RATIO.ln();
        let at_largest = over(largest);
        (at_largest >= 0.0).then(|| side.past(edge.ln(), crossing(over, (largest, at_largest), 0.0)).exp())
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
            let factor = match side {
                Side::Above => COUNT_GRID.factor[k],
                Side::Below => 1.0 / COUNT_GRID.factor[k],
            };
            canary * shift - (baseline + canary) * ((odds * edge * factor).ln_1p() - at_edge)
        })
    }
}

/// Minutes until a mixture of tempered likelihood ratios reaches a threshold, when each of them grows evenly; `None`
/// when it would take more than [`HORIZON_MIN`].
pub fn minutes_until(log_weights: &[f64], seen: &[f64], per_minute: &[f64], phi: f64, threshold: f64) -> Option<f64> {
    let after = |minutes: f64| after(log_weights, seen, per_minute, phi, minutes);
    if after(0.0).0 >= threshold {
        return Some(0.0);
    }
    let mut enough = 1.0;
    while after(enough).0 < threshold {
        enough *= 2.0;
        if enough > HORIZON_MIN {
            return None;
        }
    }
    // The log evidence is convex in time, so Newton's steps come down to the crossing and never pass it.
    for _ in 0..MOST_STEPS {
        let (log_e, growth) = after(enough);
        let step = (log_e - threshold) / growth;
        let moves = step > 1e-9 * enough;
        if !moves {
            break;
        }
        enough -= step;
    }
    Some(enough)
}

/// Log evidence of a mixture after so many minutes, and its growth per minute.
pub fn after(log_weights: &[f64], seen: &[f64], per_minute: &[f64], phi: f64, minutes: f64) -> (f64, f64) {
    let part = |k: usize| log_weights[k] + (seen[k] + minutes * per_minute[k]) / phi;
    let top = (0..seen.len()).map(part).fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut growth) = (0.0, 0.0);
    for (k, rate) in per_minute.iter().enumerate() {
        let weight = (part(k) - top).exp();
        sum += weight;
        growth += weight * rate;
    }
    (top + sum.ln(), growth / sum / phi)
}
