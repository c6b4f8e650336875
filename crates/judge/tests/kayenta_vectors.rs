//! The open cases of Kayenta's judge, value by value against what Kayenta itself answered.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod kayenta_cases;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use kayenta_cases::differences;
use serde_json::Value;

/// Every family of cases, with how many of each there are at least.
const FAMILIES: [(&str, usize); 20] = [
    ("border", 13),
    ("const", 13),
    ("detector", 7),
    ("dirnan", 14),
    ("edge", 28),
    ("effect", 25),
    ("groups", 23),
    ("halfconst", 4),
    ("large", 14),
    ("mw", 16),
    ("nodata", 13),
    ("outlier", 13),
    ("scale", 7),
    ("scorer", 16),
    ("small", 15),
    ("stats", 11),
    ("tagged", 2),
    ("ties", 13),
    ("wstat", 8),
    ("zsign", 9),
];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/kayenta"))
}

fn case(file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join(file)).unwrap()).unwrap()
}

#[test]
fn every_value_of_every_vector_is_kayentas() {
    let mut compared = 0;
    let mut lines = Vec::new();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    files.sort();
    for file in &files {
        let file = file.to_string_lossy();
        let family = file.split(['-', '.']).next().unwrap().to_owned();
        *found.entry(family).or_default() += 1;
        let seen = differences(&case(&file));
        compared += seen.compared;
        lines.extend(seen.lines);
    }
    for (family, least) in FAMILIES {
        let cases = found.get(family).copied().unwrap_or_default();
        assert!(cases >= least, "{cases} cases of the family {family}, expected {least}");
    }
    println!("{} cases, {compared} values compared", files.len());
    assert!(
        lines.is_empty(),
        "{} of {compared} values in {} cases differ:\n{}",
        lines.len(),
        files.len(),
        lines.join("\n")
    );
    assert!(compared > 5000, "only {compared} values were compared");
}

#[test]
fn a_value_that_differs_is_one_line_with_case_field_and_both_values() {
    let mut case = case("large-001-n60.json");
    let lower = &mut case["expected"]["metrics"][0]["lower"];
    let right = lower.as_f64().unwrap();
    // The nearest other double.
    *lower = Value::from(f64::from_bits(right.to_bits() + 1));
    let seen = differences(&case);
    assert_eq!(seen.lines.len(), 1, "{:?}", seen.lines);
    let expected = format!(
        "large-001-n60 metrics[0].lower: expected {}, got {right}",
        case["expected"]["metrics"][0]["lower"]
    );
    assert_eq!(seen.lines[0], expected);
}

#[test]
fn a_kind_that_nobody_knows_is_a_difference() {
    let seen = differences(&serde_json::json!({"name": "x", "kind": "y", "expected": {}}));
    assert_eq!(seen.lines, ["x kind: `y` is not known"]);
}
