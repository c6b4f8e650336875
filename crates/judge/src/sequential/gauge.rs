//! The test on gauges (S3): is the canary's mean above the baseline's, or growing away from it?
//!
//! Samples of both arms are paired, which removes what moves both. Neighbouring samples of memory or load are alike, so
//! they count as fewer: their memory is measured with caution and shared with what a history, or an assumption, says.
//! The error rates hold for long series and were found by simulation, not by theorem.

use super::grid::{GAUGE_GRID, SLOPE_GRID};
use super::guard::REFERENCE_BLOCK_S;
use super::search::crossing;
use super::student::Statistic;

/// Without a history a gauge is assumed to remember this long, in seconds.
const ASSUMED_MEMORY_S: f64 = 150.0;
/// How many samples that assumption is worth.
const ASSUMPTION_WEIGHT: f64 = 40.0;
/// How many samples a history is worth.
const HISTORY_WEIGHT: f64 = 1_440.0;
/// Memory beyond this cannot be told from a walk that never returns.
const LARGEST_MEMORY: f64 = 0.98;
/// Below so many effective samples nothing is said without a history, and with one.
const FEWEST_EFFECTIVE: f64 = 6.0;
const FEWEST_EFFECTIVE_WITH_HISTORY: f64 = 2.0;
/// Fewer pairs than these have no level, and no slope.
const FEWEST_PAIRS: usize = 8;
const FEWEST_PAIRS_OF_A_SLOPE: usize = 12;
/// A spread below this part of the level is what rounding leaves of a constant.
const FLAT: f64 = 1e-12;
/// Samples of a history from which memory can be read, and effective ones that must be in it.
const FEWEST_PAIRS_OF_A_HISTORY: usize = 100;
const FEWEST_EFFECTIVE_OF_A_HISTORY: f64 = 4.0;
/// Lags from which the fall of correlations is read: a minute and a quarter of samples.
const SLOW_LAGS: usize = 4;
/// The largest shift, in standard errors, that a bound is looked for at.
const LARGEST_SHIFT: f64 = 1e4;

/// What two old instances against each other showed of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GaugePast {
    /// Correlation of neighbouring samples, from 0 to 0.98.
    pub memory: f64,
    /// Standard deviation of the difference, in the gauge's unit.
    pub spread: f64,
    /// Effective number of samples.
    pub effective: f64,
}

impl GaugePast {
    /// Reads a long series of differences between two old instances; `None` when there is too little in it.
    pub fn learn(differences: &[f64]) -> Option<Self> {
        let n = differences.len() as f64;
        let left = centred(differences);
        let squares = sum_of_squares(&left);
        if differences.len() < FEWEST_PAIRS_OF_A_HISTORY || squares <= 0.0 {
            return None;
        }
        let lag_one = neighbours(&left) / squares;
        let memory = (lag_one + (1.0 + 3.0 * lag_one.max(0.0)) / n).max(slow_memory(&left, squares));
        let memory = memory.clamp(0.0, LARGEST_MEMORY);
        let effective = n * independent_part(memory);
        (effective > FEWEST_EFFECTIVE_OF_A_HISTORY).then(|| Self {
            memory,
            spread: (squares / n * effective / (effective - 1.0)).sqrt(),
            effective,
        })
    }
}

/// How a gauge is tested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaugeSettings {
    /// What is known of this gauge.
    pub past: Option<GaugePast>,
    /// The planned number of pairs: the time over which a slope's drift is counted.
    pub horizon: f64,
    /// Correlation of neighbouring samples that is assumed without a history.
    pub assumed_memory: f64,
}

impl GaugeSettings {
    /// Settings for pairs that are so many seconds apart over a planned time.
    pub fn spaced(past: Option<GaugePast>, planned_s: f64, pair_s: f64) -> Self {
        // Stated for 15 s in the specification as 0.905.
        let at_reference: f64 = 0.905;
        let exponent = pair_s / REFERENCE_BLOCK_S;
        debug_assert!((at_reference - (-REFERENCE_BLOCK_S / ASSUMED_MEMORY_S).exp()).abs() < 1e-3);
        Self {
            past,
            horizon: (planned_s / pair_s).max(1.0),
            assumed_memory: at_reference.powf(exponent),
        }
    }
}

/// The level of a difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Effective samples.
    pub effective: f64,
    /// Correlation of neighbours, as it is used.
    pub memory: f64,
    /// Mean difference.
    pub mean: f64,
    /// Standard deviation of the difference.
    pub spread: f64,
    /// What the test looks at.
    pub statistic: Statistic,
}

/// The trend of a difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// Growth of the difference over the planned time.
    pub over_horizon: f64,
    /// Standard error of that growth.
    pub error: f64,
    /// What the test looks at.
    pub statistic: Statistic,
}

/// Paired samples, oldest first.
#[derive(Debug, Clone)]
pub struct GaugeTest {
    settings: GaugeSettings,
    baseline: Vec<f64>,
    canary: Vec<f64>,
    sums: (f64, f64),
}

impl GaugeTest {
    /// A test that has seen nothing.
    pub fn new(settings: GaugeSettings) -> Self {
        Self {
            settings,
            baseline: Vec::new(),
            canary: Vec::new(),
            sums: (0.0, 0.0),
        }
    }

    /// Adds a pair; one that is not two numbers says nothing.
    pub fn push(&mut self, baseline: f64, canary: f64) {
        if baseline.is_finite() && canary.is_finite() {
            self.baseline.push(baseline);
            self.canary.push(canary);
            self.sums.0 += baseline;
            self.sums.1 += canary;
        }
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.baseline.len()
    }

    /// Mean of the baseline and of the canary; `None` without pairs.
    pub fn means(&self) -> Option<(f64, f64)> {
        let pairs = self.pairs() as f64;
        (pairs > 0.0).then(|| (self.sums.0 / pairs, self.sums.1 / pairs))
    }

    /// Whether the difference does not vary at all: there is then nothing to test, only two numbers to compare (S3.6).
    pub fn is_constant(&self) -> bool {
        let differences = self.differences(1.0);
        self.pairs() > 0 && self.is_flat(sum_of_squares(&centred(&differences)) / self.pairs() as f64)
    }

    /// The level of the canary less `factor` times the baseline; `None` while too little independent data is there.
    pub fn level(&self, factor: f64) -> Option<Level> {
        let n = self.pairs();
        if n < FEWEST_PAIRS {
            return None;
        }
        let differences = self.differences(factor);
        let left = centred(&differences);
        let variance = sum_of_squares(&left) / n as f64;
        if self.is_flat(variance) {
            return None;
        }
        // Memory is measured after a straight line is removed: else a leak would look like memory.
        let memory = self.memory(&without_line(&left));
        let effective = n as f64 * independent_part(memory);
        if effective < self.fewest_effective().max(1.5) {
            return None;
        }
        let (freedom, variance) = self.pooled(effective - 1.0, variance * effective / (effective - 1.0));
        let mean = mean(&differences);
        Some(Level {
            effective,
            memory,
            mean,
            spread: variance.sqrt(),
            statistic: Statistic {
                t: mean / (variance / effective).sqrt(),
                freedom,
                information: effective,
            },
        })
    }

    /// How the canary less the baseline grows; `None` while too little independent data is there.
    pub fn slope(&self) -> Option<Slope> {
        let n = self.pairs();
        if n < FEWEST_PAIRS_OF_A_SLOPE {
            return None;
        }
        let left = centred(&self.differences(1.0));
        let horizon = self.settings.horizon;
        let (product, squares) = against_time(&left);
        let (slope, time) = (product / squares * horizon, squares / (horizon * horizon));
        let left = without_line(&left);
        let variance = sum_of_squares(&left) / n as f64;
        if self.is_flat(variance) {
            return None;
        }
        let part = independent_part(self.memory(&left));
        let effective = n as f64 * part;
        if effective < self.fewest_effective().max(2.5) {
            return None;
        }
        let (freedom, variance) = self.pooled(effective - 2.0, variance * effective / (effective - 2.0));
        let information = time * part;
        let error = (variance / information).sqrt();
        Some(Slope {
            over_horizon: slope,
            error,
            statistic: Statistic {
                t: slope / error,
                freedom,
                information,
            },
        })
    }

    /// Part of the planned time that has passed, and the part at the middle of the pairs so far.
    pub fn progress(&self) -> (f64, f64) {
        let passed = self.pairs() as f64 / self.settings.horizon;
        (passed, 0.5 * passed)
    }

    fn differences(&self, factor: f64) -> Vec<f64> {
        let pairs = self.canary.iter().zip(&self.baseline);
        pairs.map(|(canary, baseline)| canary - factor * baseline).collect()
    }

    fn fewest_effective(&self) -> f64 {
        match self.settings.past {
            Some(_) => FEWEST_EFFECTIVE_WITH_HISTORY,
            None => FEWEST_EFFECTIVE,
        }
    }

    fn is_flat(&self, variance: f64) -> bool {
        let size = |values: &[f64]| values.iter().map(|v| v.abs()).sum::<f64>() / values.len() as f64;
        let scale = size(&self.baseline) + size(&self.canary);
        variance <= (FLAT * scale.max(1e-300)).powi(2)
    }

    /// The correlation of neighbours, cautiously: with its bias and one standard error added, then averaged with what
    /// is known or assumed, and never below a history.
    fn memory(&self, left: &[f64]) -> f64 {
        let n = left.len() as f64;
        let squares = sum_of_squares(left);
        let lag_one = if squares > 0.0 { neighbours(left) / squares } else { 0.0 };
        let positive = lag_one.max(0.0);
        let error = ((1.0 - positive * positive).max(0.0) / n).sqrt();
        let cautious = (lag_one + (2.0 + 4.0 * positive) / n + error).clamp(0.0, LARGEST_MEMORY);
        match self.settings.past {
            Some(past) => ((n * cautious + HISTORY_WEIGHT * past.memory) / (n + HISTORY_WEIGHT))
                .max(past.memory)
                .min(LARGEST_MEMORY),
            None => (n * cautious + ASSUMPTION_WEIGHT * self.settings.assumed_memory) / (n + ASSUMPTION_WEIGHT),
        }
    }

    /// Degrees of freedom and variance together with those of the history.
    fn pooled(&self, freedom: f64, variance: f64) -> (f64, f64) {
        let Some(past) = self.settings.past else {
            return (freedom, variance);
        };
        let known = past.effective - 1.0;
        let together = freedom + known;
        (
            together,
            (freedom * variance + known * past.spread * past.spread) / together,
        )
    }
}

impl Level {
    /// Evidence that the mean is above zero.
    pub fn log_e_above(&self) -> f64 {
        self.statistic.log_e(&GAUGE_GRID)
    }

    /// Evidence that the mean is below zero.
    pub fn log_e_below(&self) -> f64 {
        self.statistic.reversed().log_e(&GAUGE_GRID)
    }

    /// Half the width of the mean's confidence sequence at a threshold of log evidence; infinite when not bounded.
    pub fn half_width(&self, threshold: f64) -> f64 {
        let over = |t: f64| Statistic { t, ..self.statistic }.log_e(&GAUGE_GRID) - threshold;
        widest(over) * self.spread / self.effective.sqrt()
    }
}

impl Slope {
    /// Evidence that the difference grows.
    pub fn log_e_above(&self) -> f64 {
        self.statistic.log_e(&SLOPE_GRID)
    }

    /// Evidence that it shrinks.
    pub fn log_e_below(&self) -> f64 {
        self.statistic.reversed().log_e(&SLOPE_GRID)
    }

    /// Half the width of the growth's confidence sequence at a threshold of log evidence; infinite when not bounded.
    pub fn half_width(&self, threshold: f64) -> f64 {
        let over = |t: f64| Statistic { t, ..self.statistic }.log_e(&SLOPE_GRID) - threshold;
        widest(over) * self.error
    }
}

/// The shift in standard errors from which on the evidence is over its threshold.
fn widest(over: impl Fn(f64) -> f64) -> f64 {
    let at_largest = over(LARGEST_SHIFT);
    if at_largest < 0.0 {
        f64::INFINITY
    } else {
        crossing(over, (LARGEST_SHIFT, at_largest), 0.0)
    }
}

/// The part of samples with this correlation of neighbours that counts as independent.
fn independent_part(memory: f64) -> f64 {
    (1.0 - memory) / (1.0 + memory)
}

/// The memory of a series whose slow part lies under white noise, as that of the AR(1) series with the same long-run
/// variance. Neighbours alone do not show it: noise of a measurement halves their correlation, and leaves the slow part
/// as slow as it is. Beyond the first lag correlations fall by a constant factor (an ARMA(1,1) series), which is read
/// from several lags, and only where they are visible at all; 0 otherwise.
fn slow_memory(left: &[f64], squares: f64) -> f64 {
    let n = left.len() as f64;
    let correlation = |lag: usize| -> f64 {
        let products = left.iter().zip(left.iter().skip(lag));
        products.map(|(a, b)| a * b).sum::<f64>() / squares
    };
    let lags: Vec<f64> = (1..=SLOW_LAGS + 1).map(correlation).collect();
    let (near, far): (f64, f64) = (lags[..SLOW_LAGS].iter().sum(), lags[1..].iter().sum());
    let visible = 2.0 / n.sqrt();
    if lags[0] <= visible || lags[1] <= visible || far <= 0.0 {
        return 0.0;
    }
    let factor = far / near;
    let factor = (factor + (1.0 + 3.0 * factor) / n).clamp(0.0, LARGEST_MEMORY);
    let long_run = 1.0 + 2.0 * lags[0] / (1.0 - factor);
    (long_run - 1.0) / (long_run + 1.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn centred(values: &[f64]) -> Vec<f64> {
    let mean = mean(values);
    values.iter().map(|value| value - mean).collect()
}

fn sum_of_squares(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

fn neighbours(values: &[f64]) -> f64 {
    values.windows(2).map(|pair| pair[0] * pair[1]).sum()
}

/// Products of centred values with centred time, and of centred time with itself, in samples.
fn against_time(values: &[f64]) -> (f64, f64) {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    values
        .iter()
        .enumerate()
        .fold((0.0, 0.0), |(product, squares), (i, value)| {
            let time = i as f64 - middle;
            (product + time * value, squares + time * time)
        })
}

/// Centred values less their straight line.
fn without_line(values: &[f64]) -> Vec<f64> {
    let (product, squares) = against_time(values);
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let line = |i: usize| (i as f64 - middle) * product / squares;
    values.iter().enumerate().map(|(i, value)| value - line(i)).collect()
}
