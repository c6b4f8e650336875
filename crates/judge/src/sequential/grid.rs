//! The sizes of effect that an e-process bets on, and how much on each (S0, S1.3).

use std::sync::LazyLock;

/// Sizes of effect in the grid for counts.
pub const POINTS: usize = 32;
/// Sizes of effect in the grids for gauges.
pub const GAUGE_POINTS: usize = 24;

/// Effects and the logarithms of their weights; the weights sum to one.
#[derive(Debug)]
pub struct Grid<const K: usize> {
    /// How far past the edge, in the unit of the grid; positive and rising.
    pub delta: [f64; K],
    /// The same as factors.
    pub factor: [f64; K],
    /// The factors of as much in the other direction.
    pub inverse: [f64; K],
    /// Logarithm of the part of the bet that is on it.
    pub log_weight: [f64; K],
}

/// Differences of log ratios, from +3 % to a hundredfold, most on +65 %: one mixture costs about two nats against
/// knowing the size.
pub static COUNT_GRID: LazyLock<Grid<POINTS>> = LazyLock::new(|| Grid::log_spaced(0.03, 4.6, 0.5, 1.0));
/// Shifts of a gauge in standard deviations of the paired difference.
pub static GAUGE_GRID: LazyLock<Grid<GAUGE_POINTS>> = LazyLock::new(|| Grid::log_spaced(0.1, 5.0, 0.8, 1.0));
/// Drifts of a gauge over the planned time, in standard deviations of what a straight line leaves.
pub static SLOPE_GRID: LazyLock<Grid<GAUGE_POINTS>> = LazyLock::new(|| Grid::log_spaced(0.5, 50.0, 4.0, 1.0));

impl<const K: usize> Grid<K> {
    /// Points evenly spaced in the logarithm from `low` to `high`, weighted by a log-normal curve.
    fn log_spaced(low: f64, high: f64, centre: f64, spread: f64) -> Self {
        let (from, step) = (low.ln(), (high / low).ln() / (K - 1) as f64);
        let delta: [f64; K] = std::array::from_fn(|k| (from + step * k as f64).exp());
        let raw = delta.map(|d| -0.5 * ((d / centre).ln() / spread).powi(2));
        let whole = log_sum_exp(&raw);
        Self {
            delta,
            factor: delta.map(f64::exp),
            inverse: delta.map(|d| (-d).exp()),
            log_weight: raw.map(|weight| weight - whole),
        }
    }

    /// `log Σ w_k exp(ratio_k / phi)`: the mixture of tempered likelihood ratios.
    pub fn mix(&self, log_ratios: &[f64; K], phi: f64) -> f64 {
        let terms: [f64; K] = std::array::from_fn(|k| self.log_weight[k] + log_ratios[k] / phi);
        log_sum_exp(&terms)
    }
}

/// An exponential so far below the largest changes no digit of the sum.
const NEGLIGIBLE: f64 = -45.0;

/// Logarithm of a sum of exponentials, without overflow. Of nothing it is minus infinity.
pub fn log_sum_exp(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top.is_infinite() {
        return top;
    }
    // Not a number stays none.
    let part = |term: &f64| {
        let below = term - top;
        if below < NEGLIGIBLE { 0.0 } else { below.exp() }
    };
    top + terms.iter().map(part).sum::<f64>().ln()
}

/// Raises each of `largest` to what was added since `before`, where that is more.
pub fn raise(largest: &mut [f64], now: &[f64], before: &[f64]) {
    for ((most, now), before) in largest.iter_mut().zip(now).zip(before) {
        let more = now - before;
        // Written out, because the compiler takes several at a time of this.
        *most = if more > *most { more } else { *most };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one() {
        assert!(log_sum_exp(&COUNT_GRID.log_weight).abs() < 1e-12);
    }

    #[test]
    fn grid_runs_from_three_percent_to_a_hundredfold() {
        assert!((COUNT_GRID.delta[0] - 0.03).abs() < 1e-12);
        assert!((COUNT_GRID.delta[POINTS - 1] - 4.6).abs() < 1e-9);
    }

    #[test]
    fn sum_of_huge_exponentials_does_not_overflow() {
        assert!((log_sum_exp(&[5000.0, 5000.0]) - (5000.0 + 2f64.ln())).abs() < 1e-9);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }
}
