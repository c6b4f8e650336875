//! What surprises in Kayenta's scores, case by case: the judge keeps all of it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::kayenta::scoring::Rating;
use arya_judge::kayenta::{Judgement, MetricPair, Thresholds, judge};
use serde_json::{Value, json};

/// Baseline and canary.
type Sides = ([f64; 4], [f64; 4]);

const SHIFTED: Sides = ([1.0, 1.1, 1.2, 1.3], [9.0, 9.1, 9.2, 9.3]);
const EQUAL: Sides = ([1.0, 1.1, 1.2, 1.3], [1.0, 1.1, 1.2, 1.3]);

fn judged(metrics: &[(Value, Sides)], classifier: Value) -> Judgement {
    let named = |index: usize| format!("m{index}");
    let configured = metrics.iter().enumerate().map(|(index, (metric, _))| {
        let mut metric = metric.clone();
        metric["name"] = json!(named(index));
        metric
    });
    let config = json!({"metrics": configured.collect::<Vec<_>>(), "classifier": classifier});
    let pairs = metrics
        .iter()
        .enumerate()
        .map(|(index, (_, (control, experiment)))| MetricPair {
            name: named(index),
            control: control.to_vec(),
            experiment: experiment.to_vec(),
            ..MetricPair::default()
        });
    let thresholds = Thresholds {
        pass: 95.0,
        marginal: 50.0,
    };
    let config = serde_json::from_value(config).unwrap();
    judge(&config, &pairs.collect::<Vec<_>>(), thresholds).unwrap()
}

fn in_groups(groups: &[&str]) -> Value {
    json!({"groups": groups})
}

fn scores(judgement: &Judgement) -> Vec<(&str, f64)> {
    let groups = judgement.score.groups.iter();
    groups.map(|group| (group.name.as_str(), group.score)).collect()
}

#[test]
fn thresholds_in_the_configuration_do_nothing() {
    let metrics = [(in_groups(&["g"]), EQUAL), (in_groups(&["g"]), SHIFTED)];
    let plain = judged(&metrics, json!({}));
    assert_eq!((plain.score.score, plain.score.rating), (50.0, Rating::Marginal));
    for thresholds in [json!({"pass": 10, "marginal": 5}), json!({"pass": 100, "marginal": 99})] {
        assert_eq!(judged(&metrics, json!({"scoreThresholds": thresholds})), plain);
    }
}

#[test]
fn a_muted_critical_failure_is_reported_critical_and_not_scored() {
    let canary = json!({"critical": true, "muted": true});
    let muted = json!({"groups": ["g", "only muted"], "analysisConfigurations": {"canary": canary}});
    let judgement = judged(&[(muted, SHIFTED), (in_groups(&["g"]), EQUAL)], json!({}));
    let result = &judgement.results[0];
    assert!(result.muted && result.classified.critical);
    assert_eq!(result.classified.classification.name(), "High");
    assert_eq!(judgement.score.score, 100.0);
    assert_eq!(judgement.score.outright, None);
    assert_eq!(scores(&judgement), [("g", 100.0)]);
}

#[test]
fn a_group_that_a_metric_names_twice_counts_it_twice() {
    let metrics = [
        (in_groups(&["g", "g"]), SHIFTED),
        (in_groups(&["g"]), EQUAL),
        (in_groups(&["g"]), EQUAL),
    ];
    let judgement = judged(&metrics, json!({"groupWeights": {"g": 100}}));
    assert_eq!(judgement.results[0].groups, ["g", "g"]);
    assert_eq!(scores(&judgement), [("g", 50.0)]);
    assert_eq!(judgement.score.score, 50.0);
}

#[test]
fn weights_beyond_100_leave_a_negative_share_and_a_negative_score() {
    let metrics = [(in_groups(&["weighed"]), SHIFTED), (in_groups(&["left"]), EQUAL)];
    let judgement = judged(&metrics, json!({"groupWeights": {"weighed": 130}}));
    assert_eq!((judgement.score.score, judgement.score.rating), (-30.0, Rating::Fail));
    let judgement = judged(&metrics[1..], json!({"groupWeights": {"left": -12.345}}));
    assert_eq!(judgement.score.score, -12.35);
}

#[test]
fn a_score_of_zero_has_no_sign() {
    for weight in [-50.0, -0.001, -0.0] {
        let class = if weight == -50.0 { SHIFTED } else { EQUAL };
        let judgement = judged(&[(in_groups(&["g"]), class)], json!({"groupWeights": {"g": weight}}));
        assert_eq!(judgement.score.score.to_bits(), 0.0_f64.to_bits(), "{weight}");
        let answer = serde_json::to_string(&judgement.answer()).unwrap();
        assert!(answer.contains(r#""score":{"score":0.0,"#), "{answer}");
    }
}
