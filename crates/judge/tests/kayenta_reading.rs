//! How options are read, and what ends a judgement: the odd rules, one by one.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::kayenta::config::CanaryMetric;
use arya_judge::kayenta::options::{Direction, Measure, MetricOptions, NanStrategy, Outliers};
use arya_judge::kayenta::{Abort, CanaryConfig, MetricPair, Thresholds, judge};
use serde_json::{Value, json};

fn read(canary: Value) -> Result<MetricOptions, Abort> {
    MetricOptions::read(
        &serde_json::from_value(json!({"name": "m", "analysisConfigurations": {"canary": canary}})).unwrap(),
    )
}

fn refused(canary: Value) -> String {
    read(canary).unwrap_err().to_string()
}

#[test]
fn what_is_left_out_has_a_default() {
    let none = serde_json::from_value(json!({"name": "m"})).unwrap();
    let usual = MetricOptions::read(&none).unwrap();
    assert_eq!(usual.direction, Direction::Either);
    assert_eq!(usual.nan_strategy, NanStrategy::Remove);
    assert_eq!(usual.outliers, Outliers::Keep);
    assert!(!usual.critical && !usual.must_have_data && !usual.muted);
    assert_eq!(usual.effect.measure, Measure::MeanRatio);
    assert_eq!(
        (usual.effect.allowed_increase, usual.effect.critical_decrease),
        (1.0, 1.0)
    );
    for nothing in [json!({}), Value::Null, json!({"effectSize": null, "outliers": 3})] {
        assert_eq!(read(nothing.clone()).unwrap(), usual, "{nothing}");
    }
    let other_entry = json!({"name": "m", "analysisConfigurations": {"other": {"critical": true}}});
    assert_eq!(
        MetricOptions::read(&serde_json::from_value(other_entry).unwrap()).unwrap(),
        usual
    );
}

#[test]
fn words_are_read_exactly_and_others_are_the_default() {
    let options = read(json!({
        "direction": "decrease", "nanStrategy": "replace", "outliers": {"strategy": "remove"},
        "effectSize": {"measure": "cles"}
    }))
    .unwrap();
    assert_eq!(options.direction, Direction::Decrease);
    assert_eq!(options.nan_strategy, NanStrategy::Replace);
    assert_eq!(options.outliers, Outliers::Remove { factor: 3.0 });
    assert_eq!(options.effect.measure, Measure::Cles);
    assert_eq!(
        (options.effect.allowed_decrease, options.effect.critical_increase),
        (0.5, 0.5)
    );
    for other in [
        json!("Increase"),
        json!("up"),
        json!(3),
        json!(true),
        json!(["increase"]),
        json!({"increase": 1}),
    ] {
        let options = read(json!({
            "direction": other, "nanStrategy": other, "outliers": {"strategy": other}, "effectSize": {"measure": other}
        }));
        let options = options.unwrap();
        assert_eq!(options.direction, Direction::Either, "{other}");
        assert_eq!(options.nan_strategy, NanStrategy::Remove, "{other}");
        assert_eq!(options.outliers, Outliers::Keep, "{other}");
        assert_eq!(options.effect.allowed_increase, 1.0, "{other}");
    }
}

#[test]
fn a_null_is_a_zero_or_false_and_no_text() {
    let options = read(json!({
        "critical": null, "mustHaveData": null, "muted": null,
        "effectSize": {"allowedIncrease": null, "criticalIncrease": null}
    }));
    let options = options.unwrap();
    assert!(!options.critical && !options.must_have_data && !options.muted);
    assert_eq!(
        (options.effect.allowed_increase, options.effect.critical_increase),
        (0.0, 0.0)
    );
    assert_eq!(
        (options.effect.allowed_decrease, options.effect.critical_decrease),
        (1.0, 1.0)
    );
    for (canary, option) in [
        (json!({"direction": null}), "direction"),
        (json!({"nanStrategy": null}), "nanStrategy"),
        (json!({"outliers": {"strategy": null}}), "outliers.strategy"),
        (json!({"effectSize": {"measure": null}}), "effectSize.measure"),
    ] {
        let text = refused(canary);
        assert!(text.contains("`m`") && text.contains(&format!("`{option}`")), "{text}");
    }
    let text = refused(json!({"outliers": {"strategy": "remove", "outlierFactor": null}}));
    assert!(text.contains("it is 0"), "{text}");
}

#[test]
fn numbers_are_decimals_or_whole_ones_of_32_bits() {
    let factor = |number: Value| read(json!({"outliers": {"strategy": "remove", "outlierFactor": number}}));
    for (number, expected) in [
        (json!(2), 2.0),
        (json!(1.5), 1.5),
        (json!(1e20), 1e20),
        (json!(2_147_483_647), 2_147_483_647.0),
    ] {
        assert_eq!(factor(number).unwrap().outliers, Outliers::Remove { factor: expected });
    }
    for number in [
        json!(2_147_483_648_i64),
        json!(-2_147_483_649_i64),
        json!(u64::MAX),
        json!("2"),
        json!(true),
        json!([2]),
        json!({}),
    ] {
        let text = factor(number.clone()).unwrap_err().to_string();
        assert!(text.contains("`outliers.outlierFactor`"), "{number}: {text}");
    }
    // Read even when nothing uses it.
    assert!(read(json!({"outliers": {"outlierFactor": "3"}})).is_err());
    assert!(read(json!({"effectSize": {"criticalDecrease": "3"}})).is_err());
    for number in [json!(0), json!(-1), json!(-0.5)] {
        assert!(matches!(factor(number), Err(Abort::OutlierFactor { .. })));
    }
    let kept = read(json!({"outliers": {"strategy": "keep", "outlierFactor": 0}}));
    assert_eq!(kept.unwrap().outliers, Outliers::Keep);
}

#[test]
fn truth_is_true_or_false() {
    assert!(read(json!({"critical": true})).unwrap().critical);
    for option in ["critical", "mustHaveData", "muted"] {
        for wrong in [json!("true"), json!(1), json!([true]), json!({})] {
            let text = refused(json!({option: wrong}));
            assert!(
                text.contains(&format!("`{option}`")) && text.contains("true or false"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_list_on_the_way_gives_a_list() {
    let listed = |effect: Value| read(json!({"effectSize": effect}));
    assert_eq!(
        listed(json!([{"measure": "cles"}])).unwrap().effect.measure,
        Measure::MeanRatio
    );
    assert!(listed(json!([{"allowedIncrease": 2}])).is_err());
    assert!(listed(json!([[{"allowedIncrease": 2}]])).is_err());
    assert_eq!(listed(json!([{}, 3, []])).unwrap().effect.allowed_increase, 1.0);
}

#[test]
fn an_entry_that_is_no_object_is_refused_with_its_place() {
    for (configurations, words) in [
        (r#"{"canary": []}"#, "`analysisConfigurations.canary`: a list stands"),
        (r#"{"canary": "x"}"#, "`analysisConfigurations.canary`: a text stands"),
        (r#"{"other": 3}"#, "`analysisConfigurations.other`: a number stands"),
        (r#"[{"canary": {}}]"#, "`analysisConfigurations`: a list stands"),
    ] {
        let metric = format!(r#"{{"name": "m", "analysisConfigurations": {configurations}}}"#);
        let text = serde_json::from_str::<CanaryMetric>(&metric).unwrap_err().to_string();
        assert!(
            text.contains(words) && text.contains("where an object is needed at line 1"),
            "{text}"
        );
    }
}

#[test]
fn a_whole_number_beyond_64_bits_is_no_decimal() {
    let read = |canary: &str| {
        let metric = format!(r#"{{"name": "m", "analysisConfigurations": {{"canary": {canary}}}}}"#);
        MetricOptions::read(&serde_json::from_str(&metric).unwrap())
    };
    let long = "10000000000000000000000";
    for (canary, option) in [
        (
            format!(r#"{{"effectSize": {{"allowedIncrease": {long}}}}}"#),
            "effectSize.allowedIncrease",
        ),
        (
            format!(r#"{{"effectSize": {{"criticalDecrease": -{long}}}}}"#),
            "effectSize.criticalDecrease",
        ),
        (
            format!(r#"{{"outliers": {{"outlierFactor": {long}}}}}"#),
            "outliers.outlierFactor",
        ),
    ] {
        let text = read(&canary).unwrap_err().to_string();
        assert!(text.contains(&format!("`{option}`")) && text.contains(long), "{text}");
    }
    // As a decimal it is fine, and where nobody reads it too; of two of one name the later counts.
    for canary in [
        format!(r#"{{"effectSize": {{"allowedIncrease": {long}.0}}}}"#),
        r#"{"effectSize": {"allowedIncrease": 1e22}}"#.to_owned(),
        format!(r#"{{"effectSize": {{"ours": {long}}}, "x": {long}, "y": "{long}"}}"#),
        format!(r#"{{"effectSize": {{"allowedIncrease": {long}, "allowedIncrease": 1e22}}}}"#),
    ] {
        read(&canary).unwrap();
    }
}

fn aborted(config: &Value, pair: &str) -> Abort {
    let config: CanaryConfig = serde_json::from_value(config.clone()).unwrap();
    let pair = MetricPair {
        name: pair.to_owned(),
        control: vec![1.0, 2.0],
        experiment: vec![1.0, 3.0],
        ..MetricPair::default()
    };
    let thresholds = Thresholds {
        pass: 95.0,
        marginal: 75.0,
    };
    judge(&config, &[pair], thresholds).unwrap_err()
}

#[test]
fn what_ends_a_judgement_names_its_cause() {
    let good = json!({"metrics": [{"name": "m", "groups": []}], "classifier": {}});
    let with = |key: &str, value: Value| {
        let mut config = good.clone();
        config[key] = value;
        config
    };
    assert_eq!(aborted(&good, "x"), Abort::UnknownMetric { metric: "x".to_owned() });
    assert_eq!(aborted(&with("classifier", Value::Null), "m"), Abort::NoClassifier);
    let unknown = with("judge", json!({"name": "dredd-v1.0"}));
    assert_eq!(
        aborted(&unknown, "m"),
        Abort::UnknownJudge {
            name: "dredd-v1.0".to_owned()
        }
    );
    let ungrouped = with("metrics", json!([{"name": "m", "groups": null}]));
    assert_eq!(aborted(&ungrouped, "m"), Abort::NoGroups { metric: "m".to_owned() });
    let weightless = with("classifier", json!({"groupWeights": {"g": null}}));
    assert_eq!(aborted(&weightless, "m"), Abort::NoWeight { group: "g".to_owned() });
}

#[test]
fn a_metric_without_data_is_not_looked_at_and_the_first_of_a_name_counts() {
    let config: CanaryConfig = serde_json::from_value(json!({
        "judge": {"name": ""},
        "metrics": [
            {"name": "wrong", "analysisConfigurations": {"canary": {"critical": "yes"}}},
            {"name": "m", "groups": ["first"]},
            {"name": "m", "groups": ["second"]}
        ],
        "classifier": {"groupWeights": null}
    }))
    .unwrap();
    let pair = MetricPair {
        name: "m".to_owned(),
        ..MetricPair::default()
    };
    let thresholds = Thresholds {
        pass: 95.0,
        marginal: 75.0,
    };
    let judgement = judge(&config, &[pair], thresholds).unwrap();
    assert_eq!(judgement.results[0].groups, ["first"]);
}
