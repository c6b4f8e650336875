//! Which pairs series make, and which missing values the judge then sees.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::kayenta::mixing::{MetricSet, MixError, Side, mix};
use arya_judge::kayenta::{CanaryConfig, MetricPair};
use serde_json::json;

/// A minute apart, three expected.
fn set(tags: &[(&str, &str)], values: &[f64]) -> MetricSet {
    MetricSet {
        name: "m".to_owned(),
        tags: tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        start_ms: 1_000,
        end_ms: 181_500,
        step_ms: 60_000,
        values: values.to_vec(),
    }
}

fn mixed(control: &[MetricSet], experiment: &[MetricSet]) -> Result<Vec<MetricPair>, MixError> {
    let config: CanaryConfig = serde_json::from_value(json!({"metrics": [{"name": "m"}]})).unwrap();
    mix(&config, control, experiment)
}

/// Tags, then both sides, with `-` for a missing value.
fn told(pairs: &[MetricPair]) -> Vec<String> {
    let values = |values: &[f64]| -> String {
        values
            .iter()
            .map(|value| {
                if value.is_nan() {
                    "-".to_owned()
                } else {
                    value.to_string()
                }
            })
            .collect()
    };
    let tags = |pair: &MetricPair| pair.tags.values().cloned().collect::<String>();
    pairs
        .iter()
        .map(|pair| format!("{}:{}/{}", tags(pair), values(&pair.control), values(&pair.experiment)))
        .collect()
}

fn check(control: &[MetricSet], experiment: &[MetricSet], expected: &[&str]) {
    assert_eq!(told(&mixed(control, experiment).unwrap()), expected);
}

#[test]
fn short_series_are_filled_at_the_end_and_long_ones_are_not_cut() {
    check(&[set(&[], &[1.0])], &[set(&[], &[1.0, 2.0, 3.0, 4.0])], &[":1--/1234"]);
    check(&[set(&[], &[])], &[set(&[], &[1.0, f64::NAN])], &[":---/1--"]);
}

#[test]
fn without_a_step_nothing_is_expected() {
    let mut unknown = set(&[], &[]);
    unknown.step_ms = 0;
    check(&[unknown.clone()], &[set(&[], &[1.0])], &[":/1--"]);
    unknown.step_ms = -1;
    check(&[unknown], &[set(&[], &[1.0])], &[":/1--"]);
}

#[test]
fn equal_tags_make_a_pair_and_a_missing_side_is_no_data() {
    let (a, b, c) = (&[("z", "a")][..], &[("z", "b")][..], &[("z", "c")][..]);
    check(
        &[set(a, &[1.0]), set(b, &[2.0])],
        &[set(c, &[4.0]), set(b, &[3.0])],
        &["a:1--/---", "b:2--/3--", "c:---/4--"],
    );
}

#[test]
fn an_untagged_side_against_tagged_ones_is_no_data() {
    let (a, b) = (&[("z", "a")][..], &[("z", "b")][..]);
    check(
        &[set(&[], &[9.0])],
        &[set(a, &[1.0]), set(b, &[2.0])],
        &["a:---/1--", "b:---/2--"],
    );
    check(&[set(a, &[1.0])], &[set(&[], &[9.0])], &["a:1--/---"]);
    // Where both sides have one they are a pair like any other.
    check(
        &[set(&[], &[9.0]), set(a, &[1.0])],
        &[set(&[], &[8.0])],
        &[":9--/8--", "a:1--/---"],
    );
}

#[test]
fn metrics_keep_the_order_of_the_configuration() {
    let config: CanaryConfig = serde_json::from_value(json!({"metrics": [{"name": "b"}, {"name": "a"}]})).unwrap();
    let named = |name: &str| MetricSet {
        name: name.to_owned(),
        ..MetricSet::default()
    };
    let sets = [named("a"), named("b"), named("unasked")];
    let names: Vec<String> = mix(&config, &sets, &sets)
        .unwrap()
        .into_iter()
        .map(|pair| pair.name)
        .collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn what_cannot_be_paired_names_the_metric() {
    let one = [set(&[], &[1.0])];
    assert_eq!(
        mixed(&one, &[]),
        Err(MixError::NoSeries {
            metric: "m".to_owned(),
            side: Side::Experiment
        })
    );
    let error = mixed(&[set(&[("zone", "a")], &[])], &[set(&[("host", "a")], &[])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the metric `m` has the tags ["zone"] in the baseline and ["host"] in the canary"#
    );
    let mut endless = set(&[], &[]);
    (endless.start_ms, endless.end_ms, endless.step_ms) = (i64::MIN, i64::MAX, 1);
    assert!(matches!(mixed(&[endless], &one), Err(MixError::TooLong { .. })));
}
