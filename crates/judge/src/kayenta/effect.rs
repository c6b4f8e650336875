//! Effect sizes: how large a difference is, whatever the test says about it.

use super::options::Measure;
use super::statistics::{Summary, sorted};

/// Mean of the canary over mean of the baseline; NaN when either is zero, and then every threshold counts as met.
pub fn mean_ratio(control_mean: f64, experiment_mean: f64) -> f64 {
    if control_mean == 0.0 || experiment_mean == 0.0 {
        f64::NAN
    } else {
        experiment_mean / control_mean
    }
}

/// The chance that a canary's value is larger than a baseline's, ties counting half; in [0, 1], and never NaN for
/// sides of less than 32,768 values. From there on the counts overflow 32 bits and wrap, as in Kayenta.
pub fn common_language(control: &[f64], experiment: &[f64]) -> f64 {
    let wrapped = |count: usize| count as i32;
    let (n, m) = (wrapped(control.len()), wrapped(experiment.len()));
    let least = f64::from(m.wrapping_mul(m.wrapping_add(1)));
    let pairs_twice = f64::from(2_i32.wrapping_mul(n).wrapping_mul(m));
    (2.0 * rank_sum(control, experiment) - least) / pairs_twice
}

/// Sum of the canary's ranks among all values; equal values share the average of their ranks. Zeros of different sign
/// are not equal, and NaN ranks as infinity.
fn rank_sum(control: &[f64], experiment: &[f64]) -> f64 {
    let ranked = |values: &[f64]| {
        let nan_last: Vec<f64> = values
            .iter()
            .map(|value| if value.is_nan() { f64::INFINITY } else { *value })
            .collect();
        sorted(&nan_last)
    };
    let (control, experiment) = (ranked(control), ranked(experiment));
    let (mut below, mut sum, mut at) = (0, 0.0, 0);
    while let Some(&value) = experiment.get(at) {
        below += control[below..]
            .iter()
            .take_while(|other| other.total_cmp(&value).is_lt())
            .count();
        let run = |values: &[f64]| {
            values
                .iter()
                .take_while(|other| other.total_cmp(&value).is_eq())
                .count()
        };
        let (own, others) = (run(&experiment[at..]), run(&control[below..]));
        let first = (below + at + 1) as f64;
        let length = (own + others) as f64;
        sum += own as f64 * ((2.0 * first + length - 1.0) / 2.0);
        below += others;
        at += own;
    }
    sum
}

/// The effect size that the options ask for.
pub fn measured(measure: Measure, ratio: f64, control: &[f64], experiment: &[f64]) -> f64 {
    match measure {
        Measure::MeanRatio => ratio,
        Measure::Cles => common_language(control, experiment),
    }
}

/// Cohen's d with the pooled standard deviation. Kayenta has it and its judge never asks it; here it is so that the cases
/// of Kayenta's own tests can be compared whole.
pub fn cohens_d(control: &Summary, experiment: &Summary) -> f64 {
    let weighted = |side: &Summary| (side.count as f64 - 1.0) * (side.std * side.std);
    let freedom = (control.count + experiment.count) as f64 - 2.0;
    let pooled = ((weighted(experiment) + weighted(control)) / freedom).sqrt();
    (experiment.mean - control.mean).abs() / pooled
}
