//! What others would say of the same canaries: Kayenta's interval and its score looked at every minute, and thresholds.

use arya_judge::kayenta::mann_whitney;
use arya_judge::kayenta::scoring::Rating;
use arya_judge::kayenta::{CanaryConfig, MetricPair, Thresholds, judge};
use serde_json::json;

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

/// A rollback comes with so many failed checks, one a minute.
const FAILED_CHECKS: usize = 5;

/// The minute of the fifth failed check.
pub(crate) fn fifth(failed: impl Iterator<Item = bool>) -> Option<f64> {
    let minutes = (1..).zip(failed).filter(|(_, failed)| *failed);
    minutes.map(|(minute, _)| f64::from(minute)).nth(FAILED_CHECKS - 1)
}

/// One metric's values a minute: name, baseline, canary.
pub(crate) type Minutes = (&'static str, Vec<f64>, Vec<f64>);

/// Kayenta's whole judgement, asked every minute: each metric in a group of its own, all weights alike, more is worse.
/// The first minutes at which the score is no pass (below 95), and at which it is a failure (below 75).
pub(crate) fn first_scores(metrics: &[Minutes]) -> (Option<f64>, Option<f64>) {
    let weight = 100.0 / metrics.len() as f64;
    let weights: serde_json::Map<_, _> = metrics
        .iter()
        .map(|(name, ..)| ((*name).to_owned(), json!(weight)))
        .collect();
    let asked: Vec<_> = metrics
        .iter()
        .map(|(name, ..)| json!({"name": name, "groups": [name], "analysisConfigurations": {"canary": {"direction": "increase"}}}))
        .collect();
    let config: CanaryConfig =
        serde_json::from_value(json!({"metrics": asked, "classifier": {"groupWeights": weights}}))
            .expect("it is written in Kayenta's form");
    let thresholds = Thresholds {
        pass: 95.0,
        marginal: 75.0,
    };
    let looks = metrics.first().map_or(0, |(_, baseline, _)| baseline.len());
    let (mut no_pass, mut failure) = (None, None);
    for look in FIRST_LOOK..=looks {
        let pair = |(name, baseline, canary): &Minutes| MetricPair {
            name: (*name).to_owned(),
            control: baseline[..look].to_vec(),
            experiment: canary[..look].to_vec(),
            ..MetricPair::default()
        };
        let pairs: Vec<MetricPair> = metrics.iter().map(pair).collect();
        let judged = judge(&config, &pairs, thresholds).expect("every pair has its metric");
        let rating = judged.score.rating;
        no_pass = no_pass.or((rating != Rating::Pass).then_some(look as f64));
        failure = failure.or((rating == Rating::Fail).then_some(look as f64));
        if failure.is_some() {
            break;
        }
    }
    (no_pass, failure)
}
