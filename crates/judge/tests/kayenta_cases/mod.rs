//! One case, compared with its expected values.

use arya_judge::kayenta::classifier::{Classified, Criteria, Test, classify};
use arya_judge::kayenta::document::DataDocument;
use arya_judge::kayenta::effect::{cohens_d, common_language, mean_ratio};
use arya_judge::kayenta::mann_whitney::{interval, w_statistic};
use arya_judge::kayenta::options::{Direction, EffectThresholds, Measure, NanStrategy};
use arya_judge::kayenta::result::Number;
use arya_judge::kayenta::scoring::{Scored, Thresholds, score};
use arya_judge::kayenta::statistics::{Summary, percentile, sorted};
use arya_judge::kayenta::transforms::{Fence, Reach, beyond_sigma};
use arya_judge::kayenta::{CanaryConfig, judge};
use serde_json::{Value, json};

/// What a comparison found.
#[derive(Debug)]
pub(crate) struct Seen {
    name: String,
    pub(crate) compared: usize,
    /// One per value that differs.
    pub(crate) lines: Vec<String>,
}

impl Seen {
    fn same(&mut self, field: &str, expected: &Value, got: &Value) {
        self.compared += 1;
        if !is_same(expected, got) {
            self.lines
                .push(format!("{} {field}: expected {expected}, got {got}", self.name));
        }
    }

    /// Each of `fields` of both objects.
    fn same_fields(&mut self, place: &str, fields: &[&str], expected: &Value, got: &Value) {
        for field in fields {
            self.same(&format!("{place}{field}"), &expected[*field], &got[*field]);
        }
    }
}

/// Numbers are compared bit by bit.
fn is_same(expected: &Value, got: &Value) -> bool {
    match (expected.as_f64(), got.as_f64()) {
        (Some(expected), Some(got)) => expected.to_bits() == got.to_bits(),
        (None, None) => expected == got,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

pub(crate) fn differences(case: &Value) -> Seen {
    let mut seen = Seen {
        name: case["name"].as_str().unwrap().to_owned(),
        compared: 0,
        lines: Vec::new(),
    };
    match case["kind"].as_str().unwrap() {
        "judge" => judgement(case, &mut seen),
        "classifier" => classifier(case, &mut seen),
        "mannwhitney" => mann_whitney(case, &mut seen),
        "wstat" => statistic(case, &mut seen),
        "stats" => stats(case, &mut seen),
        "detector" => detector(case, &mut seen),
        "effectsize" => effect_size(case, &mut seen),
        "scorer" => scorer(case, &mut seen),
        other => {
            let line = format!("{} kind: `{other}` is not known", seen.name);
            seen.lines.push(line);
        }
    }
    seen
}

fn numbers(list: &Value) -> Vec<f64> {
    let number = |value: &Value| match value {
        Value::Null => f64::NAN,
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    };
    list.as_array().unwrap().iter().map(number).collect()
}

fn sides(case: &Value) -> (Vec<f64>, Vec<f64>) {
    (numbers(&case["controlValues"]), numbers(&case["experimentValues"]))
}

fn written(number: f64) -> Value {
    serde_json::to_value(Number(number)).unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

/// The answer as it is printed, or none where the judgement is aborted.
fn answer(case: &Value) -> Option<Value> {
    let config: CanaryConfig = serde_json::from_value(case["canaryConfig"].clone()).unwrap();
    let data: DataDocument = serde_json::from_value(case.clone()).unwrap();
    let thresholds = data.thresholds().ok()?;
    let judgement = judge(&config, &data.pairs().ok()?, thresholds).ok()?;
    Some(serde_json::to_value(judgement.answer()).unwrap())
}

fn judgement(case: &Value, seen: &mut Seen) {
    let expected = &case["expected"];
    let answer = answer(case);
    seen.same("aborts", &expected["aborts"], &Value::from(answer.is_none()));
    let Some(answer) = answer.filter(|_| expected["aborts"] == false) else {
        return;
    };
    let result = &answer["judgeResult"];
    let metrics = expected["metrics"].as_array().unwrap();
    for list in [&result["results"], &answer["details"]] {
        seen.same(
            "metrics",
            &Value::from(metrics.len()),
            &Value::from(list.as_array().unwrap().len()),
        );
    }
    for (index, expected) in metrics.iter().enumerate() {
        let place = format!("metrics[{index}].");
        metric(
            &place,
            expected,
            &result["results"][index],
            &answer["details"][index],
            seen,
        );
    }
    if expected["nondeterministic"] != true {
        let groups = result["groupScores"].as_array().unwrap();
        let got = |name: &str| {
            groups
                .iter()
                .find(|group| group["name"] == name)
                .map(|group| group["score"].clone())
        };
        let expected = expected["groupScores"].as_object().unwrap();
        seen.same("groupScores", &Value::from(expected.len()), &Value::from(groups.len()));
        for (name, score) in expected {
            seen.same(&format!("groupScores.{name}"), score, &got(name).unwrap_or_default());
        }
    }
    let got = json!({
        "score": result["score"]["score"],
        "classification": result["score"]["classification"],
        "reasonCategory": answer["summaryReasonCategory"],
    });
    let summary = &expected["summary"];
    if let Some(allowed) = summary["nondeterministic"].as_array() {
        let answered = format!("{}:{:.1}", text(&got, "classification"), got["score"].as_f64().unwrap());
        seen.same(
            "summary.allowed",
            &Value::from(true),
            &Value::from(allowed.contains(&Value::from(answered))),
        );
    } else {
        seen.same_fields(
            "summary.",
            &["score", "classification", "reasonCategory"],
            summary,
            &got,
        );
    }
}

fn metric(place: &str, expected: &Value, result: &Value, details: &Value, seen: &mut Seen) {
    seen.same_fields(place, &["name", "muted", "groups"], expected, result);
    let numbers = ["testRan", "noiseApplied", "lower", "upper", "estimate", "effectSize"];
    seen.same_fields(place, &numbers, expected, details);
    seen.same(&format!("{place}name"), &expected["name"], &details["name"]);
    if let Some(allowed) = expected["nondeterministic"].as_array() {
        let answered = format!("{}:{}", text(result, "classification"), result["critical"]);
        let is_allowed = allowed.contains(&Value::from(answered));
        seen.same(&format!("{place}allowed"), &Value::from(true), &Value::from(is_allowed));
    } else {
        seen.same_fields(place, &["classification", "critical"], expected, result);
        seen.same(
            &format!("{place}reasonCategory"),
            &expected["reasonCategory"],
            &details["reasonCategory"],
        );
    }
    if expected["noiseApplied"] != true {
        seen.same(
            &format!("{place}ratio"),
            &expected["ratio"],
            &result["resultMetadata"]["ratio"],
        );
    }
    for (side, metadata) in [
        ("controlStats", "controlMetadata"),
        ("experimentStats", "experimentMetadata"),
    ] {
        let (expected, got) = (&expected[side], &result[metadata]["stats"]);
        let fields = ["min", "max", "mean", "std", "count"];
        seen.same_fields(&format!("{place}{side}."), &fields, expected, got);
    }
}

fn criteria(params: &Value) -> Criteria {
    let measure = match params["measure"].as_str() {
        Some("cles") => Measure::Cles,
        _ => Measure::MeanRatio,
    };
    // The classifier's own defaults are 1.0 for either measure.
    let threshold = |name: &str| params[name].as_f64().unwrap_or(1.0);
    Criteria {
        tolerance: params["tolerance"].as_f64().unwrap(),
        confidence: params["confLevel"].as_f64().unwrap(),
        direction: match params["direction"].as_str() {
            Some("increase") => Direction::Increase,
            Some("decrease") => Direction::Decrease,
            _ => Direction::Either,
        },
        nan_strategy: match params["nanStrategy"].as_str() {
            Some("replace") => NanStrategy::Replace,
            _ => NanStrategy::Remove,
        },
        critical: params["critical"] == true,
        must_have_data: params["mustHaveData"] == true,
        effect: EffectThresholds {
            measure,
            allowed_increase: threshold("allowedIncrease"),
            allowed_decrease: threshold("allowedDecrease"),
            critical_increase: threshold("criticalIncrease"),
            critical_decrease: threshold("criticalDecrease"),
        },
    }
}

fn classifier(case: &Value, seen: &mut Seen) {
    // Upstream's benchmark for comparison, which only its own tests use; the judge has no such part.
    if case["params"]["classifier"] == "MeanInequality" {
        return;
    }
    let (control, experiment) = sides(case);
    let got = classify(&control, &experiment, &criteria(&case["params"]));
    let Classified {
        classification,
        reason,
        critical,
        ratio,
        test,
    } = got;
    let got = json!({
        "classification": classification.name(),
        "reasonCategory": reason.name(),
        "critical": critical,
        "noiseApplied": test == Test::Constant,
        "deviation": ratio.map(written),
    });
    let expected = &case["expected"];
    seen.same_fields(
        "",
        &["classification", "reasonCategory", "critical", "noiseApplied"],
        expected,
        &got,
    );
    if test != Test::Constant {
        seen.same("deviation", &expected["deviation"], &got["deviation"]);
    }
    let numbers = match test {
        Test::Ran { interval, effect_size } => json!({
            "lower": written(interval.lower),
            "upper": written(interval.upper),
            "estimate": written(interval.estimate),
            "effectSize": written(effect_size),
        }),
        Test::NotRun | Test::Threw | Test::Constant => Value::Null,
    };
    seen.same_fields("", &["lower", "upper", "estimate", "effectSize"], expected, &numbers);
}

fn mann_whitney(case: &Value, seen: &mut Seen) {
    let (control, experiment) = sides(case);
    let answer = interval(&control, &experiment, case["confLevel"].as_f64().unwrap());
    let expected = &case["expected"];
    let throws = expected.get("exception").is_some();
    seen.same("throws", &Value::from(throws), &Value::from(answer.is_err()));
    if let Ok(interval) = answer {
        let got = json!({
            "lower": written(interval.lower),
            "upper": written(interval.upper),
            "estimate": written(interval.estimate),
        });
        seen.same_fields("", &["lower", "upper", "estimate"], expected, &got);
    }
}

fn statistic(case: &Value, seen: &mut Seen) {
    let (control, experiment) = sides(case);
    let number = |field: &str| numbers(&json!([case[field]]))[0];
    let answer = w_statistic(&control, &experiment, number("mu"), number("z"));
    let expected = &case["expected"];
    seen.same("throws", &expected["throws"], &Value::from(answer.is_err()));
    if let Ok(w) = answer {
        seen.same("w", &expected["w"], &written(w));
    }
}

fn stats(case: &Value, seen: &mut Seen) {
    let values = numbers(&case["values"]);
    let summary = Summary::of(&values);
    let got = json!({
        "min": written(summary.min),
        "max": written(summary.max),
        "mean": written(summary.mean),
        "std": written(summary.std),
        "count": summary.count,
    });
    let expected = &case["expected"];
    seen.same_fields("", &["min", "max", "mean", "std", "count"], expected, &got);
    let sorted = sorted(&values);
    for (percent, value) in expected["percentiles"].as_object().into_iter().flatten() {
        let got = written(percentile(&sorted, percent.parse().unwrap()));
        seen.same(&format!("percentiles.{percent}"), value, &got);
    }
}

fn detector(case: &Value, seen: &mut Seen) {
    let (params, values) = (&case["params"], numbers(&case["values"]));
    let outliers: Vec<bool> = if params["detector"] == "ksigma" {
        beyond_sigma(&values, params["k"].as_f64().unwrap())
    } else {
        let reach = if params["reduceSensitivity"] == true {
            Reach::Wide
        } else {
            Reach::Plain
        };
        let fence = Fence::interquartile(&values, params["factor"].as_f64().unwrap(), reach);
        values.iter().map(|value| fence.excludes(*value)).collect()
    };
    let expected = case["expected"]["outliers"].as_array().unwrap();
    seen.same("outliers", &Value::from(expected.len()), &Value::from(outliers.len()));
    for (index, (expected, got)) in expected.iter().zip(outliers).enumerate() {
        seen.same(&format!("outliers[{index}]"), expected, &Value::from(got));
    }
}

fn effect_size(case: &Value, seen: &mut Seen) {
    let (control, experiment) = sides(case);
    let (baseline, canary) = (Summary::of(&control), Summary::of(&experiment));
    let got = json!({
        "meanRatio": written(mean_ratio(baseline.mean, canary.mean)),
        "cles": written(common_language(&control, &experiment)),
        "cohenD": written(cohens_d(&baseline, &canary)),
    });
    let expected = &case["expected"];
    // A case may ask for some of them only.
    for field in ["meanRatio", "cles", "cohenD"] {
        if expected.get(field).is_some_and(|value| !value.is_null()) {
            seen.same(field, &expected[field], &got[field]);
        }
    }
}

fn scorer(case: &Value, seen: &mut Seen) {
    use arya_judge::kayenta::classifier::Classification as C;
    let classes = [C::Pass, C::High, C::Low, C::Nodata, C::NodataFailMetric, C::Error];
    let results = case["results"].as_array().unwrap();
    let groups: Vec<Vec<String>> = results
        .iter()
        .map(|result| serde_json::from_value(result["groups"].clone()).unwrap())
        .collect();
    let scored: Vec<Scored> = results
        .iter()
        .zip(&groups)
        .map(|(result, groups)| Scored {
            classification: classes
                .into_iter()
                .find(|class| class.name() == text(result, "classification"))
                .unwrap(),
            critical: result["critical"] == true,
            muted: result["muted"] == true,
            groups,
            reason: None,
        })
        .collect();
    let weights: Vec<(String, f64)> = case["groupWeights"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(group, weight)| (group.clone(), weight.as_f64().unwrap()))
        .collect();
    let number = |field: &str| case["thresholds"][field].as_f64().unwrap();
    let thresholds = Thresholds {
        pass: number("pass"),
        marginal: number("marginal"),
    };
    let answer = score(&scored, &weights, thresholds);
    let got = json!({
        "score": written(answer.score),
        "classification": answer.rating.name(),
        "reasonCategory": answer.outright.as_ref().map_or("NONE", |outright| outright.name()),
    });
    let expected = &case["expected"];
    seen.same_fields("", &["score", "classification", "reasonCategory"], expected, &got);
    let groups = expected["groupScores"].as_object().unwrap();
    seen.same(
        "groupScores",
        &Value::from(groups.len()),
        &Value::from(answer.groups.len()),
    );
    for (name, score) in groups {
        let group = answer.groups.iter().find(|group| group.name == *name);
        let got = group.map_or(Value::Null, |group| written(group.score));
        seen.same(&format!("groupScores.{name}"), score, &got);
    }
}
