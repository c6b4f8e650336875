//! What happens to a side's values before they are judged: missing values, then outliers.

use std::borrow::Cow;

use super::options::{NanStrategy, Outliers};
use super::statistics::{mean, percentile, population_std, sorted};

/// The values that are judged, in their order.
pub fn prepared(values: &[f64], nan: NanStrategy, outliers: Outliers) -> Cow<'_, [f64]> {
    let numbers = without_nan(values, nan);
    match outliers {
        Outliers::Keep => numbers,
        Outliers::Remove { factor } => {
            let fence = Fence::interquartile(&numbers, factor, Reach::Wide);
            if numbers.iter().any(|value| fence.excludes(*value)) {
                numbers
                    .iter()
                    .copied()
                    .filter(|value| !fence.excludes(*value))
                    .collect()
            } else {
                numbers
            }
        }
    }
}

/// Infinities are values like others.
fn without_nan(values: &[f64], strategy: NanStrategy) -> Cow<'_, [f64]> {
    if !values.iter().any(|value| value.is_nan()) {
        return Cow::Borrowed(values);
    }
    let values = values.iter().copied();
    match strategy {
        NanStrategy::Remove => values.filter(|value| !value.is_nan()).collect(),
        NanStrategy::Replace => values.map(|value| if value.is_nan() { 0.0 } else { value }).collect(),
    }
}

/// How far an interquartile fence reaches at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// As far as the factor says. The judge never asks for it; cases of Kayenta's own tests do.
    Plain,
    /// Also to the 1st and 99th percentile, so that of 101 values at most one is outside at each end.
    Wide,
}

/// Beyond which values are outliers. NaN excludes nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fence {
    lower: f64,
    upper: f64,
}

impl Fence {
    /// From the quartiles outwards by `factor` (above 0) interquartile ranges, on values without NaN.
    pub fn interquartile(values: &[f64], factor: f64, reach: Reach) -> Self {
        let sorted = sorted(values);
        let (first, third) = (percentile(&sorted, 25.0), percentile(&sorted, 75.0));
        let range = third - first;
        let (lower, upper) = (first - factor * range, third + factor * range);
        match reach {
            Reach::Plain => Self { lower, upper },
            Reach::Wide => Self {
                lower: least(percentile(&sorted, 1.0), lower),
                upper: greatest(percentile(&sorted, 99.0), upper),
            },
        }
    }

    /// Whether a value is an outlier.
    pub fn excludes(&self, value: f64) -> bool {
        value > self.upper || value < self.lower
    }
}

/// The smaller one, and NaN if either is: Rust's own `min` would drop it.
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The larger one, and NaN if either is.
fn greatest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Which values are further from the mean than `factor` population standard deviations. Kayenta has this detector
/// beside the interquartile one and its judge never asks it; here it is so that the cases of Kayenta's own tests can be
/// compared whole.
pub fn beyond_sigma(values: &[f64], factor: f64) -> Vec<bool> {
    let (mean, limit) = (mean(values), factor * population_std(values));
    values.iter().map(|value| (value - mean).abs() > limit).collect()
}
