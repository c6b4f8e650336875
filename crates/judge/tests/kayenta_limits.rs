//! What docs/judge.md says about Kayenta's score, shown on data.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::kayenta::scoring::Rating;
use arya_judge::kayenta::{CanaryConfig, Judgement, MetricPair, Thresholds, judge};
use serde_json::{Value, json};

fn judged(canary: Value, control: &[f64], experiment: &[f64]) -> Judgement {
    let metric = json!({"name": "m", "groups": ["g"], "analysisConfigurations": {"canary": canary}});
    let config: CanaryConfig =
        serde_json::from_value(json!({"metrics": [metric], "classifier": {"groupWeights": {"g": 100}}})).unwrap();
    let pair = MetricPair {
        name: "m".to_owned(),
        control: control.to_vec(),
        experiment: experiment.to_vec(),
        ..MetricPair::default()
    };
    let thresholds = Thresholds {
        pass: 95.0,
        marginal: 75.0,
    };
    judge(&config, &[pair], thresholds).unwrap()
}

fn check(canary: Value, control: &[f64], experiment: &[f64], class: &str, score: f64) {
    let judgement = judged(canary, control, experiment);
    assert_eq!(judgement.results[0].classified.classification.name(), class);
    assert_eq!(judgement.score.score, score);
}

#[test]
fn a_critical_metric_that_cannot_be_judged_scores_100() {
    check(
        json!({"critical": true, "mustHaveData": true}),
        &[1.0],
        &[1.9],
        "Error",
        100.0,
    );
}

#[test]
fn three_values_are_enough_to_fail_a_canary() {
    check(json!({"critical": true}), &[1.0], &[1.1, 1.2], "High", 0.0);
}

#[test]
fn seven_of_ten_values_a_hundred_times_worse_pass() {
    let baseline = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.07, 0.93, 1.01];
    let canary = [1.04, 0.96, 1.03, 101.0, 99.0, 103.0, 97.0, 105.0, 95.0, 100.0];
    check(json!({"direction": "increase"}), &baseline, &canary, "Pass", 100.0);
}

#[test]
fn an_infinite_value_passes() {
    check(
        json!({"critical": true}),
        &[1.0, 2.0, 3.0],
        &[900.0, 901.0, f64::INFINITY],
        "Pass",
        100.0,
    );
}

#[test]
fn an_infinite_value_passes_not_where_it_is_dropped_or_all_there_is_on_the_baseline() {
    let high = f64::INFINITY;
    let dropped = json!({"critical": true, "outliers": {"strategy": "remove"}});
    let (baseline, canary) = ([1.0, 2.0, 3.0, 4.0].repeat(5), [900.0, 901.0, 902.0].repeat(34));
    // The fence reaches at least to the 99th percentile, which of up to 101 values is the infinite one itself.
    for (finite, class, score) in [(100, "Pass", 100.0), (101, "High", 0.0)] {
        let with_infinity = [&canary[..finite], &[high]].concat();
        check(dropped.clone(), &baseline, &with_infinity, class, score);
    }
    check(json!({}), &[high; 3], &[1.0; 3], "Error", 100.0);
    check(json!({}), &[high; 3], &[1.0, 2.0], "Error", 100.0);
}

#[test]
fn differences_beyond_all_doubles_pass() {
    check(json!({"critical": true}), &[-1e308], &[1e308], "Pass", 100.0);
}

#[test]
fn one_value_against_negative_zeros_is_judged_and_against_zeros_it_is_not() {
    for zeros in [&[-0.0][..], &[0.0, -0.0]] {
        check(json!({"direction": "increase"}), zeros, &[5.0], "High", 0.0);
    }
    check(json!({"direction": "increase"}), &[0.0; 3], &[5.0], "Error", 100.0);
}

#[test]
fn one_value_against_one_is_an_error_where_kayenta_gives_no_other_answer() {
    for (baseline, canary) in [(5.0, 11.0), (4.1, 12.0), (100.0, 227.0), (-5.0, -11.0)] {
        check(json!({}), &[baseline], &[canary], "Error", 100.0);
    }
}

#[test]
fn an_empty_side_passes_where_missing_values_are_zeros() {
    let canary = json!({"nanStrategy": "replace", "critical": true, "mustHaveData": true});
    check(canary, &[1.0, 2.0, 3.0], &[], "Pass", 100.0);
}

/// Uniform numbers in [0, 1) from a seed: the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        // Knuth's multiplier and increment; the upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, sd 1.
    fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

#[test]
fn looking_after_every_value_raises_many_times_the_false_alarms_of_one_look() {
    const RUNS: usize = 150;
    const LOOKS: usize = 60;
    let mut chance = Chance(7);
    let (mut at_the_end, mut at_some_look) = (0, 0);
    for _ in 0..RUNS {
        let mut values = || -> Vec<f64> { (0..LOOKS).map(|_| 10.0 + 2.0 * chance.noise()).collect() };
        let (baseline, canary) = (values(), values());
        let alarms = |look: usize| judged(json!({}), &baseline[..look], &canary[..look]).score.rating != Rating::Pass;
        at_some_look += usize::from((1..=LOOKS).any(alarms));
        at_the_end += usize::from(alarms(LOOKS));
    }
    println!("{at_the_end} of {RUNS} alarms at the last look, {at_some_look} at some look");
    assert!(
        at_some_look >= 10 * at_the_end.max(1),
        "{at_some_look} against {at_the_end}"
    );
}
