//! What holds for the whole judgement and its readers on any input.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::kayenta::classifier::Test;
use arya_judge::kayenta::config::QueryType;
use arya_judge::kayenta::document::DataDocument;
use arya_judge::kayenta::{CanaryConfig, Judgement, MetricPair, Thresholds, judge};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

const THRESHOLDS: Thresholds = Thresholds {
    pass: 95.0,
    marginal: 75.0,
};

fn config(canary: &Value) -> CanaryConfig {
    let metric = json!({"name": "m", "groups": ["g"], "analysisConfigurations": {"canary": canary}});
    serde_json::from_value(json!({"metrics": [metric], "classifier": {"groupWeights": {"g": 100}}})).unwrap()
}

fn judged(canary: &Value, control: &[f64], experiment: &[f64]) -> Judgement {
    let pair = MetricPair {
        name: "m".to_owned(),
        control: control.to_vec(),
        experiment: experiment.to_vec(),
        ..MetricPair::default()
    };
    judge(&config(canary), &[pair], THRESHOLDS).unwrap()
}

/// Any double, the odd ones often.
fn any_double() -> impl Strategy<Value = f64> {
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        1.0,
    ];
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        select(odd.to_vec()),
        -3.0..3.0_f64
    ]
}

/// Measurements as they come: positive, of like size, sometimes tied.
fn measurements() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![vec(1.0..1000.0_f64, 1..40), vec((1..20_u32).prop_map(f64::from), 1..40)]
}

fn options() -> impl Strategy<Value = Value> {
    let threshold = prop_oneof![Just(json!(1.0)), Just(json!(0)), Just(json!(0.5)), Just(Value::Null)];
    (
        select(vec!["increase", "decrease", "either", "?"]),
        select(vec!["remove", "replace"]),
        select(vec!["remove", "keep"]),
        select(vec!["cles", "meanRatio"]),
        any::<[bool; 3]>(),
        threshold,
    )
        .prop_map(|(direction, nan, outliers, measure, [critical, must, muted], allowed)| {
            json!({
                "direction": direction, "nanStrategy": nan, "critical": critical, "mustHaveData": must, "muted": muted,
                "outliers": {"strategy": outliers},
                "effectSize": {"measure": measure, "allowedIncrease": allowed, "criticalIncrease": allowed}
            })
        })
}

/// Any JSON, often with the keys of a configuration.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = select(vec![
        "metrics",
        "name",
        "groups",
        "query",
        "type",
        "classifier",
        "groupWeights",
        "analysisConfigurations",
        "canary",
        "direction",
        "effectSize",
        "allowedIncrease",
        "outliers",
        "strategy",
        "tags",
        "controlValues",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec!["", "g", "prometheus", "remove", "NaN", "Infinity", "1e999"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((keys.clone(), inner), 0..4).prop_map(|entries| {
                Value::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

fn full_config() -> Value {
    json!({
        "id": "1", "name": "n", "description": "d", "configVersion": "1", "applications": ["ad-hoc"],
        "createdTimestamp": 1, "updatedTimestampIso": "2026-01-01T00:00:00Z",
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {"a": [1]}},
        "metrics": [{
            "name": "m", "query": {"type": "prometheus", "metricName": "up", "labelBindings": ["a"]}, "groups": ["g"],
            "analysisConfigurations": {"canary": {
                "direction": "increase", "nanStrategy": "remove", "critical": true, "mustHaveData": false,
                "outliers": {"strategy": "remove", "outlierFactor": 3},
                "effectSize": {"measure": "cles", "allowedIncrease": 0.5, "criticalIncrease": 1}
            }},
            "scopeName": "default"
        }],
        "templates": {"t": "${a}"},
        "classifier": {"groupWeights": {"g": 50.5}, "scoreThresholds": {"pass": 95, "marginal": 75}}
    })
}

fn full_data() -> Value {
    json!({
        "metrics": [{"name": "m", "id": "1", "tags": {"a": "b"}, "controlValues": [1, null, 2.5],
            "experimentValues": ["Infinity", 3]}],
        "thresholds": {"pass": 95, "marginal": 75}
    })
}

/// The places of a document, itself among them.
fn places(value: &Value) -> Vec<String> {
    fn walk(at: &str, value: &Value, places: &mut Vec<String>) {
        places.push(at.to_owned());
        match value {
            Value::Object(entries) => entries
                .iter()
                .for_each(|(key, inner)| walk(&format!("{at}/{key}"), inner, places)),
            Value::Array(list) => {
                list.iter()
                    .enumerate()
                    .for_each(|(index, inner)| walk(&format!("{at}/{index}"), inner, places));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk("", value, &mut found);
    found
}

fn replaced(mut document: Value, place: &Index, other: Value) -> Value {
    let places = places(&document);
    *document.pointer_mut(&places[place.index(places.len())]).unwrap() = other;
    document
}

/// Judges whatever can be read; what cannot is refused without a panic.
fn try_all(config: &str, data: &str) {
    let Ok(config) = serde_json::from_str::<CanaryConfig>(config) else {
        return;
    };
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<CanaryConfig>(&written).unwrap(), config);
    let Ok(data) = serde_json::from_str::<DataDocument>(data) else {
        return;
    };
    let thresholds = data.thresholds().unwrap_or(THRESHOLDS);
    if let Ok(pairs) = data.pairs()
        && let Ok(judgement) = judge(&config, &pairs, thresholds)
    {
        serde_json::to_string(&judgement.answer()).unwrap();
    }
}

fn close(one: f64, other: f64) -> bool {
    one == other || (one - other).abs() <= 1e-12 * one.abs().max(other.abs()) || one.is_nan() && other.is_nan()
}

proptest! {
    #[test]
    fn the_order_of_values_changes_no_bound(
        (control, mixed_control) in measurements().prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
        (experiment, mixed) in measurements().prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
        canary in options(),
    ) {
        let one = &judged(&canary, &control, &experiment).results[0];
        let other = &judged(&canary, &mixed_control, &mixed).results[0];
        match (one.classified.test, other.classified.test) {
            (Test::Ran { interval: a, .. }, Test::Ran { interval: b, .. }) => {
                let bits = |interval: arya_judge::kayenta::mann_whitney::Interval| {
                    [interval.lower, interval.upper, interval.estimate].map(f64::to_bits)
                };
                prop_assert_eq!(bits(a), bits(b));
            }
            (a, b) => prop_assert_eq!(a, b),
        }
        for (a, b) in [(one.control, other.control), (one.experiment, other.experiment)] {
            prop_assert!(close(a.mean, b.mean) && close(a.std, b.std), "{:?} {:?}", a, b);
            prop_assert_eq!((a.min, a.max, a.count), (b.min, b.max, b.count));
        }
        match (one.classified.ratio, other.classified.ratio) {
            (Some(a), Some(b)) => prop_assert!(close(a, b), "{} {}", a, b),
            (a, b) => prop_assert_eq!(a, b),
        }
    }

    #[test]
    fn a_power_of_two_scales_the_statistics_and_leaves_effects_alone(
        control in measurements(), experiment in measurements(), power in -60..60_i32, canary in options(),
    ) {
        let factor = f64::powi(2.0, power);
        let scaled = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value * factor).collect() };
        let one = &judged(&canary, &control, &experiment).results[0];
        let other = &judged(&canary, &scaled(&control), &scaled(&experiment)).results[0];
        prop_assert_eq!(one.classified.ratio, other.classified.ratio);
        for (a, b) in [(one.control, other.control), (one.experiment, other.experiment)] {
            let scaled = [a.min, a.max, a.mean, a.std].map(|number| number * factor);
            prop_assert_eq!((scaled, a.count), ([b.min, b.max, b.mean, b.std], b.count));
        }
        if let (Test::Ran { effect_size: a, .. }, Test::Ran { effect_size: b, .. }) = (one.classified.test, other.classified.test) {
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn swapped_sides_have_complementary_chances(control in vec(any_double(), 1..30), experiment in vec(any_double(), 1..30)) {
        use arya_judge::kayenta::effect::common_language;
        let (one, other) = (common_language(&control, &experiment), common_language(&experiment, &control));
        prop_assert!((0.0..=1.0).contains(&one));
        prop_assert!(close(one + other, 1.0), "{one} {other}");
    }

    #[test]
    fn any_doubles_are_judged(
        pairs in vec((vec(any_double(), 0..12), vec(any_double(), 0..12)), 0..4),
        canary in options(),
        (pass, marginal) in (any_double(), any_double()),
    ) {
        let pairs: Vec<MetricPair> = pairs
            .into_iter()
            .map(|(control, experiment)| MetricPair { name: "m".to_owned(), control, experiment, ..MetricPair::default() })
            .collect();
        let judgement = judge(&config(&canary), &pairs, Thresholds { pass, marginal }).unwrap();
        prop_assert_eq!(judgement.results.len(), pairs.len());
        serde_json::to_string(&judgement.answer()).unwrap();
    }

    #[test]
    fn any_json_is_judged_or_refused(
        (place, other) in (any::<Index>(), any_json()),
        (place_in_data, other_data) in (any::<Index>(), any_json()),
    ) {
        let config = replaced(full_config(), &place, other.clone());
        let data = replaced(full_data(), &place_in_data, other_data.clone());
        try_all(&config.to_string(), &full_data().to_string());
        try_all(&full_config().to_string(), &data.to_string());
        try_all(&config.to_string(), &data.to_string());
        try_all(&other.to_string(), &other_data.to_string());
    }

    #[test]
    fn any_text_is_judged_or_refused(cut in any::<Index>(), text in ".{0,8}") {
        let broken = |document: &Value| {
            let whole = document.to_string();
            let at = cut.index(whole.len());
            [format!("{}{text}{}", &whole[..at], &whole[at..]), format!("{}{text}", &whole[..at])]
        };
        for (config, data) in broken(&full_config()).iter().zip(&broken(&full_data())) {
            try_all(config, &full_data().to_string());
            try_all(&full_config().to_string(), data);
        }
        try_all(&text, &text);
    }

    #[test]
    fn queries_of_every_type_are_written_back_unchanged(of in select(QueryType::ALL.to_vec()), fields in any_json()) {
        let mut config = full_config();
        config["metrics"][0]["query"] = json!({"type": of.name(), "metricName": fields.clone(), "q": [fields]});
        let read: CanaryConfig = serde_json::from_value(config.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(&read).unwrap(), config);
    }
}
