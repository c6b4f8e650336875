//! The open cases of the always-valid judge, value by value against the reference's answers.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::PathBuf;

use arya_judge::sequential::document::{Document, answer};
use serde_json::{Value, json};

/// Every case there is. A file that is not named here fails the test, and so does a name without a file.
const CASES: [&str; 43] = [
    "combine",
    "combine_strong",
    "counter_preprocess",
    "counts_better",
    "counts_bursty",
    "counts_dead_canary_blocks",
    "counts_double_50rps",
    "counts_double_5rps",
    "counts_history",
    "counts_late_onset",
    "counts_new_error_class",
    "counts_no_events",
    "counts_null_5rps",
    "counts_ramping_weights",
    "counts_request_rate",
    "counts_unequal_10pct",
    "gauge_constant",
    "gauge_constant_apart",
    "gauge_history_ar0",
    "gauge_history_ar0.5",
    "gauge_history_ar0.9",
    "gauge_leak_ar0",
    "gauge_leak_ar0.5",
    "gauge_leak_ar0.9",
    "gauge_missing",
    "gauge_null_ar0",
    "gauge_null_ar0.5",
    "gauge_null_ar0.9",
    "gauge_shift_ar0",
    "gauge_shift_ar0.5",
    "gauge_shift_ar0.9",
    "hist_any",
    "hist_classic_null",
    "hist_classic_slower10",
    "hist_classic_tail",
    "hist_down",
    "hist_gaps",
    "hist_history",
    "hist_native_null",
    "hist_native_slower10",
    "hist_native_tail",
    "hist_one_bucket",
    "hist_tiny",
];

/// Keys of an answer and the tolerance that a case states for them. `p` holds for keys of that very name.
const TOLERANCES: [(&str, &str); 9] = [
    ("cs95_difference", "cs_relative"),
    ("cs95", "cs_relative"),
    ("one_sided", "cs_relative"),
    ("minutes", "minutes_relative"),
    ("detectable", "minutes_relative"),
    ("ratio", "ratio_relative"),
    ("neff", "neff_relative"),
    ("q0.", "quantile_relative"),
    ("T", "T_relative"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sequential")
}

fn case(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()).unwrap()
}

/// One line per value that differs.
fn differences(name: &str, case: &Value) -> Vec<String> {
    let mut asked = case.clone();
    if let Some(expected) = case["expected"].as_array() {
        let look = |row: &Value| row.get("block").or(row.get("sample")).cloned().unwrap();
        asked["looks"] = expected.iter().map(look).collect();
        if let Some(up) = expected[0]["up"].as_object() {
            asked["edges"] = up.keys().map(|edge| json!(edge.parse::<f64>().unwrap())).collect();
        }
    }
    let document: Document = serde_json::from_value(asked).unwrap();
    let mut got = serde_json::to_value(answer(&document).unwrap()).unwrap();
    assert_eq!(got["kind"], case["kind"]);
    let mut lines = Vec::new();
    if let Some(expected) = case["expected"].as_array() {
        for (want, got) in expected.iter().zip(got["looks"].as_array().unwrap()) {
            let look = want.get("block").or(want.get("sample")).unwrap();
            compare(
                &format!("{name} look {look}"),
                "",
                want,
                got,
                &case["tolerance"],
                &mut lines,
            );
        }
    } else {
        got.as_object_mut().unwrap().remove("kind");
        compare(name, "", &case["expected"], &got, &case["tolerance"], &mut lines);
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
            let count = got.as_array().map_or(0, Vec::len);
            if count != entries.len() {
                lines.push(format!(
                    "{place} {field}: expected {} entries, got {count}",
                    entries.len()
                ));
            }
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
    let relative = |name: &str| (want - got).abs() <= tolerance[name].as_f64().unwrap_or(0.0) * want.abs();
    let named = TOLERANCES.iter().find(|(part, _)| field.contains(part));
    match (field.ends_with(".p") || field.ends_with(".p_slope"), named) {
        (true, _) => relative("p_relative"),
        (false, Some((_, name))) => relative(name),
        (false, None) => (want - got).abs() <= tolerance["log_e"].as_f64().unwrap_or(0.0),
    }
}

#[test]
fn every_open_case_is_met_within_its_tolerances() {
    let lines: Vec<String> = CASES.iter().flat_map(|name| differences(name, &case(name))).collect();
    assert!(lines.is_empty(), "{} values differ:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn every_file_is_a_case() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    assert_eq!(files, CASES);
}

#[test]
fn a_value_outside_its_tolerance_is_one_line_with_place_and_both_values() {
    let mut case = case("counts_history");
    case["expected"][1]["up"]["1.25"]["p"] = Value::from(0.125);
    let lines = differences("counts_history", &case);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("counts_history look 20 .up.1.25.p: expected 0.125, got "),
        "{}",
        lines[0]
    );
}

fn refused(text: &str) -> String {
    match serde_json::from_str::<Document>(text) {
        Ok(document) => answer(&document).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_cannot_be_judged_is_refused_with_field_value_and_limit() {
    let check = |text: &str, words: &str| assert!(refused(text).contains(words), "{}", refused(text));
    check(
        r#"{"kind":"entrails"}"#,
        "expected one of `counts`, `histogram`, `gauge`, `combine`, `preprocess`",
    );
    check(
        r#"{"kind":"counts","settings":{"alpha":0}}"#,
        "settings.alpha is 0; it must be above 0 and below 1",
    );
    check(
        r#"{"kind":"counts","blocks_xb_xc_eb_ec":[[1,-2,3,4]]}"#,
        "blocks_xb_xc_eb_ec[0]",
    );
    check(r#"{"kind":"counts","looks":[4]}"#, "looks is 4; it must be at most 0");
    check(r#"{"kind":"histogram","upper_edges":[2,1]}"#, "rising");
    check(
        r#"{"kind":"histogram","upper_edges":[1,2],"baseline":[[1,2]],"canary":[[1,2,3]]}"#,
        "baseline[0] is [1.0, 2.0]; it must be 3 counts",
    );
    check(
        r#"{"kind":"gauge","baseline":[1],"canary":[]}"#,
        "the number of entries in canary is 0; it must be 1",
    );
    check(r#"{"kind":"combine","log_e":[1],"weights":[0]}"#, "weights");
    check(r#"{"kind":"combine","log_e":[],"weights":[]}"#, "log_e");
}

#[test]
fn what_a_look_does_not_define_is_null_and_what_is_infinite_is_text() {
    let looks = |text: &str| {
        let document: Document = serde_json::from_str(text).unwrap();
        serde_json::to_value(answer(&document).unwrap()).unwrap()["looks"].clone()
    };
    let counts = looks(r#"{"kind":"counts","blocks_xb_xc_eb_ec":[[0,0,9,9]]}"#);
    assert_eq!(counts[0]["cs95"], json!([0.0, "inf"]));
    let gauge = looks(r#"{"kind":"gauge","baseline":[1,null],"canary":[2,3]}"#);
    assert_eq!((&gauge[0]["sample"], &gauge[0]["T"]), (&json!(2), &Value::Null));
    let empty = looks(r#"{"kind":"histogram","upper_edges":[1,2]}"#);
    assert_eq!(empty[0]["q0.5"]["baseline"], json!("nan"));
}
