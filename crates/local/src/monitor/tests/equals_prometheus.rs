//! Recorded answers: `reference.json` holds samples, queries and what a real Prometheus 2.42 said to them. Where 2.53
//! differs (a counter extrapolated to its zero) the recording holds no such case.

use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Deserialize)]
struct Reference {
    series: Vec<Recorded>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Recorded {
    labels: std::collections::BTreeMap<String, String>,
    points: Vec<(i64, f64)>,
}

#[derive(Deserialize)]
struct Case {
    query: String,
    at: Option<i64>,
    start: Option<i64>,
    end: Option<i64>,
    step_s: Option<u64>,
    answer: Value,
}

/// The largest relative difference between two orders of adding the same numbers.
const TOLERANCE: f64 = 1e-9;

fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (Value::String(a), Value::String(b)) => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
            _ => a == b,
        },
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => ours == theirs,
    }
}

/// Series come in no particular order unless a query sorts them.
fn sorted(mut answer: Value, query: &str) -> Value {
    if let Some(list) = answer["result"]
        .as_array_mut()
        .filter(|_| !query.contains("sort") && !query.contains("topk"))
    {
        list.sort_by_key(|series| series["metric"].to_string());
    }
    answer
}

#[test]
fn answers_are_those_of_prometheus() {
    let reference: Reference = serde_json::from_str(include_str!("reference.json")).unwrap();
    let series: Vec<_> = reference
        .series
        .into_iter()
        .map(|series| (Labels::from_pairs(series.labels), series.points))
        .collect();
    let monitor = holding(&series);
    let mut different = Vec::new();
    for case in &reference.cases {
        let ours = match (case.at, case.start, case.end, case.step_s) {
            (Some(ms), ..) => monitor.query(&case.query, at(ms)),
            (None, Some(start), Some(end), Some(step)) => {
                monitor.query_range(&case.query, at(start), at(end), Duration::from_secs(step))
            }
            _ => panic!("{} has no time", case.query),
        };
        let theirs = &case.answer["data"];
        let equal = match &ours {
            Ok(ours) => {
                let ours = sorted(serde_json::to_value(ours).unwrap(), &case.query);
                same(&ours, &sorted(theirs.clone(), &case.query))
            }
            Err(QueryError::Execution(_)) => case.answer["errorType"] == "execution",
            Err(QueryError::Parse(_) | QueryError::Request(_)) => case.answer["errorType"] == "bad_data",
        };
        if !equal {
            let ours = ours.map(|ours| serde_json::to_string(&ours).unwrap());
            different.push(format!(
                "{} at {:?}\n  ours   {ours:?}\n  theirs {}",
                case.query, case.at, case.answer
            ));
        }
    }
    let (all, few) = (reference.cases.len(), &different[..different.len().min(12)]);
    assert!(
        different.is_empty(),
        "{} of {all} answers differ:\n{}",
        different.len(),
        few.join("\n")
    );
}
