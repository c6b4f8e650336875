//! The open cases of the always-valid judge, value by value against the reference's answers.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;

use arya_judge::sequential::combine;
use arya_judge::sequential::document::{CountsDocument, DocumentError, judge_counts};
use serde_json::Value;

/// One line per value that differs.
fn differences(file: &str, case: &Value) -> Vec<String> {
    let mut document: CountsDocument = serde_json::from_value(case.clone()).unwrap();
    let expected = case["expected"].as_array().unwrap();
    document.looks = expected
        .iter()
        .map(|look| look["block"].as_u64().unwrap() as usize)
        .collect();
    document.edges = expected[0]["up"]
        .as_object()
        .unwrap()
        .keys()
        .map(|edge| edge.parse().unwrap())
        .collect();
    let answer = serde_json::to_value(judge_counts(&document).unwrap()).unwrap();
    let mut lines = Vec::new();
    for (want, got) in expected.iter().zip(answer["looks"].as_array().unwrap()) {
        compare(
            &format!("{file} look {}", want["block"]),
            "",
            want,
            got,
            &case["tolerance"],
            &mut lines,
        );
    }
    lines
}

fn compare(place: &str, field: &str, want: &Value, got: &Value, tolerance: &Value, lines: &mut Vec<String>) {
    match want {
        Value::Object(entries) => {
            let names: Vec<_> = got.as_object().map(|map| map.keys().collect()).unwrap_or_default();
            for (name, inner) in entries {
                compare(place, &format!("{field}.{name}"), inner, &got[name], tolerance, lines);
            }
            if names.len() != entries.len() {
                lines.push(format!(
                    "{place} {field}: expected {} keys, got {names:?}",
                    entries.len()
                ));
            }
        }
        Value::Array(entries) => {
            for (index, inner) in entries.iter().enumerate() {
                compare(
                    place,
                    &format!("{field}[{index}]"),
                    inner,
                    &got[index],
                    tolerance,
                    lines,
                );
            }
        }
        Value::Number(_) if close(field, want, got, tolerance) => {}
        _ if want == got => {}
        _ => lines.push(format!("{place} {field}: expected {want}, got {got}")),
    }
}

fn close(field: &str, want: &Value, got: &Value, tolerance: &Value) -> bool {
    let (Some(want), Some(got)) = (want.as_f64(), got.as_f64()) else {
        return false;
    };
    let within = |name: &str| tolerance[name].as_f64().unwrap();
    let relative = |share: f64| (want - got).abs() <= share * want.abs();
    match field {
        _ if field.contains("cs95") || field.contains("one_sided") => relative(within("cs_relative")),
        _ if field.contains("minutes") || field.contains("detectable") => relative(within("minutes_relative")),
        _ if field.ends_with(".p") => relative(within("p_relative")),
        ".ratio" => relative(within("ratio_relative")),
        _ => (want - got).abs() <= within("log_e"),
    }
}

#[test]
fn counts_agree_with_every_open_vector() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sequential");
    let mut lines = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if file.starts_with("counts_") {
            let case: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            lines.extend(differences(&file, &case));
            cases += 1;
        }
    }
    assert!(lines.is_empty(), "{} values differ:\n{}", lines.len(), lines.join("\n"));
    assert!(cases >= 12, "only {cases} cases in {}", folder.display());
}

#[test]
fn a_value_outside_its_tolerance_is_one_line_with_place_and_both_values() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sequential/counts_history.json");
    let mut case: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    case["expected"][1]["up"]["1.25"]["p"] = Value::from(0.125);
    let lines = differences("counts_history.json", &case);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("counts_history.json look 20 .up.1.25.p: expected 0.125, got "),
        "{}",
        lines[0]
    );
}

#[test]
fn combined_metrics_agree_with_every_open_vector() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sequential");
    let numbers = |list: &Value| -> Vec<f64> { list.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect() };
    for file in ["combine.json", "combine_strong.json"] {
        let case: Value = serde_json::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap();
        let (log_es, weights) = (numbers(&case["log_e"]), numbers(&case["weights"]));
        let global = combine::global(&log_es, &weights);
        let expected = case["expected"]["global_log_e"].as_f64().unwrap();
        assert!(
            (global - expected).abs() <= 1e-9,
            "{file} global_log_e: expected {expected}, got {global}"
        );
        let adjusted = combine::adjusted(&log_es, &weights);
        let expected = numbers(&case["expected"]["closed_adjusted_log_e"]);
        let equal = adjusted
            .iter()
            .zip(&expected)
            .all(|(got, want)| (got - want).abs() <= 1e-9);
        assert!(
            equal,
            "{file} closed_adjusted_log_e: expected {expected:?}, got {adjusted:?}"
        );
    }
}

fn refused(text: &str) -> String {
    judge_counts(&serde_json::from_str(text).unwrap())
        .unwrap_err()
        .to_string()
}

#[test]
fn another_kind_is_not_known_to_this_version() {
    let document: CountsDocument = serde_json::from_str(r#"{"kind":"gauge","baseline":[1.0]}"#).unwrap();
    assert!(matches!(
        judge_counts(&document),
        Err(DocumentError::UnknownKind { .. })
    ));
    assert!(refused(r#"{"kind":"gauge"}"#).contains("not known to this version"));
}

#[test]
fn numbers_out_of_range_are_refused_with_field_value_and_limit() {
    assert_eq!(
        refused(r#"{"kind":"counts","settings":{"alpha":0}}"#),
        "settings.alpha is 0; it must be above 0 and below 1"
    );
    assert!(refused(r#"{"kind":"counts","blocks_xb_xc_eb_ec":[[1,-2,3,4]]}"#).contains("blocks_xb_xc_eb_ec[0]"));
    assert!(refused(r#"{"kind":"counts","looks":[4]}"#).contains("looks is 4; it must be at most 0"));
}

#[test]
fn infinite_bounds_are_written_as_text() {
    let document: CountsDocument =
        serde_json::from_str(r#"{"kind":"counts","blocks_xb_xc_eb_ec":[[0,0,9,9]]}"#).unwrap();
    let answer = serde_json::to_value(judge_counts(&document).unwrap()).unwrap();
    assert_eq!(answer["looks"][0]["cs95"], serde_json::json!([0.0, "inf"]));
}
