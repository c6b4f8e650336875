//! Configurations: what is kept, what is tolerated, what is checked.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::kayenta::CanaryConfig;
use arya_judge::kayenta::config::CanaryMetric;
use arya_judge::kayenta::validation::{ConfigProblem, ExecutionRequest, MetricNames, check_run, check_stored};
use serde_json::{Value, json};

fn config(document: Value) -> CanaryConfig {
    serde_json::from_value(document).unwrap()
}

fn written(document: &Value) -> Value {
    serde_json::to_value(config(document.clone())).unwrap()
}

#[test]
fn everything_is_written_back_unknown_keys_and_every_query_type_among_it() {
    let queries = [
        json!({"type": "prometheus", "metricName": "up", "resourceType": "aws_ec2_instance", "labelBindings": ["a=\"b\""],
            "groupByFields": ["zone"], "customInlineTemplate": "PromQL:up", "customFilterTemplate": "t"}),
        json!({"type": "stackdriver", "metricType": "x", "resourceType": "gce_instance", "crossSeriesReducer": "REDUCE_MEAN",
            "perSeriesAligner": "ALIGN_MEAN", "groupByFields": []}),
        json!({"type": "atlas", "q": "name,up,:eq"}),
        json!({"type": "datadog", "metricName": "avg:cpu"}),
        json!({"type": "graphite", "metricName": "a.b"}),
        json!({"type": "influxdb", "metricName": "cpu", "fields": ["x"]}),
        json!({"type": "newrelic", "q": "FROM x", "select": "SELECT y"}),
        json!({"type": "signalfx", "metricName": "cpu", "queryPairs": [{"key": "a", "value": "b"}], "aggregationMethod": "mean"}),
        json!({"type": "wavefront", "metricName": "ts()", "summarization": "MEAN", "aggregate": "avg"}),
    ];
    let metrics: Vec<Value> = queries
        .iter()
        .map(|query| json!({"name": "m", "query": query, "groups": [], "scopeName": "default", "ours": {"a": [1.5]}}))
        .collect();
    let document = json!({
        "id": "1", "name": "n", "createdTimestamp": 1, "createdTimestampIso": "x", "applications": [], "metrics": metrics,
        "classifier": {"groupWeights": {"b": 1.25, "a": 2.5}, "scoreThresholds": {"pass": "?"}}, "templates": {"t": "${a}"},
        "judge": {"name": "j", "judgeConfigurations": {}, "other": null}, "unknown": {"deep": [null, 1]}
    });
    assert_eq!(written(&document), document);
}

#[test]
fn options_are_written_back_to_the_letter() {
    let metric =
        r#"{"name":"m","analysisConfigurations":{"canary":{"z":10000000000000000000000, "a":[1.50]},"b":null}}"#;
    let read: CanaryMetric = serde_json::from_str(metric).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), metric);
}

#[test]
fn nulls_are_left_out_when_written() {
    let document = json!({"id": null, "metrics": null, "classifier": null, "templates": null, "applications": null});
    assert_eq!(written(&document), json!({"metrics": []}));
}

#[test]
fn a_number_or_a_truth_value_will_do_for_a_text() {
    let document = json!({"configVersion": 1, "name": true, "metrics": []});
    assert_eq!(
        written(&document),
        json!({"configVersion": "1", "name": "true", "metrics": []})
    );
    assert!(serde_json::from_value::<CanaryConfig>(json!({"name": ["n"]})).is_err());
}

#[test]
fn weights_keep_their_order_and_of_two_the_later_counts() {
    let text = r#"{"classifier":{"groupWeights":{"z":1,"a":2,"z":3}}}"#;
    let config: CanaryConfig = serde_json::from_str(text).unwrap();
    let weights = config.classifier.unwrap().group_weights.unwrap().0;
    assert_eq!(weights, [("z".to_owned(), Some(3.0)), ("a".to_owned(), Some(2.0))]);
}

#[test]
fn an_unknown_query_type_is_refused_with_the_known_ones() {
    let refused = |query: Value| {
        let document = json!({"metrics": [{"name": "m", "query": query}]});
        serde_json::from_value::<CanaryConfig>(document)
            .unwrap_err()
            .to_string()
    };
    let text = refused(json!({"type": "cloudwatch"}));
    assert!(
        text.contains("`cloudwatch`") && text.contains("prometheus") && text.contains("wavefront"),
        "{text}"
    );
    assert!(refused(json!({"metricName": "x"})).contains("no `type`"));
    assert!(refused(json!({"type": 3})).contains("no text"));
}

fn stored(document: Value) -> Vec<ConfigProblem> {
    check_stored(&config(document), MetricNames::Unique)
}

#[test]
fn a_name_is_letters_digits_hyphen_underscore_and_by_accident_comma() {
    let named = |name: &str| stored(json!({"name": name, "applications": ["a"], "metrics": []}));
    for good in ["a", "A-Z_0,9"] {
        assert_eq!(named(good), [], "{good}");
    }
    for bad in ["a b", "a.b", "ä", "a\n"] {
        assert_eq!(named(bad), [ConfigProblem::NameLetters { name: bad.to_owned() }]);
    }
    assert_eq!(named(""), [ConfigProblem::NoName]);
}

#[test]
fn a_stored_configuration_has_applications_and_names_that_differ() {
    let document = json!({"metrics": [{"name": "a"}, {}, {"name": "a"}, {"name": ""}]});
    let problems = stored(document.clone());
    let same = ConfigProblem::SameMetricName { name: "a".to_owned() };
    let unnamed = |number| ConfigProblem::NoMetricName { number };
    let mut expected = vec![
        ConfigProblem::NoName,
        ConfigProblem::NoApplications,
        unnamed(2),
        same.clone(),
        unnamed(4),
    ];
    assert_eq!(problems, expected);
    expected.retain(|problem| *problem != same);
    assert_eq!(check_stored(&config(document), MetricNames::Any), expected);
}

fn run(metrics: Value, request: Value) -> Vec<String> {
    let request: ExecutionRequest = serde_json::from_value(request).unwrap();
    check_run(&config(json!({"metrics": metrics})), &request)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_run_needs_metrics_scopes_with_both_sides_and_thresholds() {
    let request = json!({"scopes": {"default": {"controlScope": {}, "experimentScope": {}}, "half": {"controlScope": {}},
        "unused": {}}, "thresholds": {"pass": 95, "marginal": 75}});
    assert_eq!(
        run(json!([{"name": "m", "scopeName": "default"}]), request.clone()),
        [""; 0]
    );
    assert_eq!(
        run(
            json!([{"name": "a"}, {"name": "b", "scopeName": "x"}, {"name": "c", "scopeName": "half"}, {"scopeName": "half"}]),
            request
        ),
        [
            "metric `a` has no `scopeName`",
            "metric `b` belongs to the scope `x`, which the request does not have",
            "the scope `half` has no `experimentScope`",
        ]
    );
    assert_eq!(
        run(json!([]), json!({})),
        ["the configuration has no metrics", "the request has no `thresholds`"]
    );
}
