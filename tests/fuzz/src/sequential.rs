//! Measurements for the always-valid judge: its documents, and configuration and evidence as they are stored.
//!
//! The first byte chooses which of them the rest is read as. What is read is answered, as JSON that can be written and
//! with nothing that is no number; what is refused is refused in few words.

use arya_judge::sequential::document::{Document, answer};
use arya_judge::{Evidence, JudgeConfig, Judging, Outcome, judge};
use serde_json::{Value, json};

const DOCUMENT: u8 = 0;
/// A sentence that is longer is read by nobody.
const SAID_CHARACTERS: usize = 300;

pub(crate) fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((&DOCUMENT, rest)) => document(rest),
        Some((_, rest)) => evidence(rest),
        None => {}
    }
}

fn document(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Document>(bytes) else {
        return;
    };
    match answer(&document) {
        Ok(answer) => drop(serde_json::to_string(&answer).expect("an answer can be written")),
        Err(error) => {
            let said = error.to_string();
            assert!(
                said.contains("must be") && said.chars().count() < SAID_CHARACTERS,
                "{said:?}"
            );
        }
    }
}

/// A configuration and evidence: judged at once, and once more with every block twice, which must agree.
fn evidence(bytes: &[u8]) {
    let Ok((config, evidence)) = serde_json::from_slice::<(JudgeConfig, Vec<Evidence>)>(bytes) else {
        return;
    };
    let whole = judge(&config, &evidence);
    assert!(
        whole.metrics.iter().all(|metric| metric.log_e.is_finite()),
        "evidence that is no number: {whole:?}"
    );
    let nothing = evidence.iter().all(|one| one.blocks.is_empty());
    assert!(
        !nothing || whole.outcome == Outcome::Inconclusive,
        "certain of nothing: {whole:?}"
    );
    let [one] = evidence.as_slice() else { return };
    let mut judging = Judging::without_charts(&config);
    judging.advance(one);
    judging.advance(one);
    assert_eq!(
        json!(judging.verdict()).to_string(),
        json!(whole).to_string(),
        "the same blocks twice make another verdict"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let with = |mode: u8| move |document: Value| [&[mode], document.to_string().as_bytes()].concat();
    let stored = stored().into_iter().map(with(1));
    documents().into_iter().map(with(DOCUMENT)).chain(stored).collect()
}

/// One of each kind.
fn documents() -> [Value; 5] {
    let settings =
        json!({"guard": true, "phi_hist": null, "alpha": 0.05, "pass_margin": 1.5, "minutes_per_block": 0.25});
    [
        json!({"kind": "counts", "settings": settings, "edges": [1.0, 1.25], "looks": [1, 3],
            "blocks_xb_xc_eb_ec": [[0, 3, 700, 710], [1, 9, 700, 690], [0, 0, 0, 5]]}),
        json!({"kind": "histogram", "settings": {"direction": "up", "phi_hist": null}, "looks": [2],
            "upper_edges": [0.1, 0.5], "baseline": [[9, 2, 1], [8, 3, 0]], "canary": [[5, 5, 2], [4, 4, 4]]}),
        json!({"kind": "gauge", "looks": [9], "settings":
            {"margin": 0.0, "pass_margin": 0.1, "horizon": 240, "history_ar_sd_neff": [0.5, 14.0, 200.0]},
            "baseline": [1, 2, 1, 2, 1, null, 1, 2, 1, 2], "canary": [2, 3, 2, 3, 2, 3, 2, 3, 2, 3]}),
        json!({"kind": "combine", "log_e": [3.0, -1.0], "weights": [0.5, 0.5]}),
        json!({"kind": "preprocess", "baseline": [0, 9, 2], "canary": [1, null, 7]}),
    ]
}

/// One metric of each kind, with a history where there is one to write.
fn stored() -> [Value; 5] {
    let block = |second: u32, kind: &str, mut numbers: Value| {
        numbers["ends_at"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
        json!({kind: numbers})
    };
    let counts = |second| {
        let numbers = json!({"baseline_events": 1.0, "canary_events": 7.0, "baseline_exposure": 90.0,
            "canary_exposure": 80.0});
        block(second, "counts", numbers)
    };
    let buckets = |counts: [f64; 3]| json!({"upper_edges": [0.1, 0.5], "counts": counts});
    let times = |second| {
        let numbers = json!({"baseline": buckets([9.0, 1.0, 0.0]), "canary": buckets([1.0, 5.0, 4.0])});
        block(second, "histogram", numbers)
    };
    let level = |second: u32| block(second, "gauge", json!({"baseline": f64::from(second), "canary": 9.0}));
    let one = |kind: &str, past: &Value, blocks: Vec<Value>| {
        let config = json!({"metrics": [{"name": "m", "kind": kind, "past": past}]});
        let evidence =
            json!({"metric": "m", "source": "s", "query": "", "block_s": 5.0, "blocks": blocks, "problem": null});
        json!([config, [evidence]])
    };
    let learnt = json!({"from": "two", "hours": 6.0, "learnt": {"counts": {"dispersion": 2.0, "information": 3.0,
        "alarm": {"spread": 1.2, "dispersion": 1.5, "caution": 1.1}}}});
    let none = Value::Null;
    [
        one("error_share", &learnt, (1..9).map(counts).collect()),
        one("event_rate", &none, vec![counts(5), counts(3), counts(3)]),
        one("histogram", &none, (1..9).map(times).collect()),
        one("gauge", &none, (1..40).map(level).collect()),
        one("leak", &none, (1..40).map(level).collect()),
    ]
}
