//! What others would say of the same canaries: Kayenta's interval looked at every minute.

use arya_judge::kayenta::mann_whitney;

/// Kayenta's confidence, and its tolerance as a part of the estimate.
const CONFIDENCE: f64 = 0.98;
const TOLERANCE: f64 = 0.25;
/// Looks begin with so many points.
const FIRST_LOOK: usize = 3;

/// The first minute at which Kayenta's rule for one metric says *High*, when asked every minute. One point a minute; a
/// point that is no number is left out.
pub(crate) fn first_high(baseline: &[f64], canary: &[f64]) -> Option<f64> {
    let known = |points: &[f64]| {
        points
            .iter()
            .copied()
            .filter(|point| point.is_finite())
            .collect::<Vec<_>>()
    };
    let high = |minute: &usize| {
        let (control, experiment) = (known(&baseline[..*minute]), known(&canary[..*minute]));
        let found = mann_whitney::interval(&control, &experiment, CONFIDENCE);
        found.is_ok_and(|interval| interval.lower > TOLERANCE * interval.estimate.abs() && interval.lower > 0.0)
    };
    (FIRST_LOOK..=baseline.len()).find(high).map(|minute| minute as f64)
}

/// Means by the minute of values by block.
pub(crate) fn by_minute(values: &[f64], blocks: usize) -> Vec<f64> {
    values
        .chunks_exact(blocks)
        .map(|minute| minute.iter().sum::<f64>() / blocks as f64)
        .collect()
}
