//! Whatever the counts and the configuration: no panic, no infinite number, no sentence with a number that is none.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::sequential::document::{CountsDocument, CountsSettings, judge_counts};
use arya_judge::{CountBlock, Evidence, JudgeConfig, MetricConfig, Outcome, Timestamp, Verdict, history, judge};
use proptest::prelude::*;

/// Counts as a broken source may send them, together with usual ones.
fn count() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0u32..400).prop_map(f64::from),
        2 => Just(0.0),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(1e-300), Just(9e15), Just(1e300)],
        1 => any::<f64>(),
    ]
}

fn block() -> impl Strategy<Value = CountBlock> {
    (0i64..2_000, count(), count(), count(), count()).prop_map(
        |(second, baseline_events, canary_events, baseline_exposure, canary_exposure)| CountBlock {
            ends_at: Timestamp::from_second(second).unwrap(),
            baseline_events,
            canary_events,
            baseline_exposure,
            canary_exposure,
        },
    )
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let block_s = prop_oneof![Just(5.0), Just(15.0), Just(60.0), any::<f64>()];
    (
        prop::collection::vec(block(), 0..60),
        block_s,
        prop::option::of("[a-z]{3}"),
    )
        .prop_map(|(blocks, block_s, problem)| Evidence {
            metric: "errors".to_owned(),
            source: "property".to_owned(),
            query: String::new(),
            block_s,
            blocks,
            problem,
        })
}

fn config() -> impl Strategy<Value = JudgeConfig> {
    let level = || prop_oneof![3 => Just(0.05), 1 => any::<f64>()];
    let known = prop::option::of(prop_oneof![1.0..50.0, any::<f64>()]);
    (
        level(),
        level(),
        level(),
        any::<f64>(),
        any::<f64>(),
        known,
        any::<f64>(),
    )
        .prop_map(
            |(alpha_fail, alpha_pass, canary_share, planned_s, pass_margin, known_dispersion, wild)| JudgeConfig {
                alpha_fail,
                alpha_pass,
                canary_share,
                planned_s,
                minimum_bake_s: wild,
                metrics: vec![MetricConfig {
                    pass_margin,
                    known_dispersion,
                    ..MetricConfig::error_share("errors", "")
                }],
            },
        )
}

fn every_number_is_one(verdict: &Verdict) -> Result<(), TestCaseError> {
    for metric in &verdict.metrics {
        let (lower, upper) = metric.interval;
        let numbers = [
            metric.baseline.events,
            metric.canary.exposure,
            metric.ratio.unwrap_or_default(),
            metric.difference.unwrap_or_default(),
            lower,
            upper.unwrap_or_default(),
            metric.log_e,
            metric.log_e_alarm,
            metric.dispersion,
        ];
        prop_assert!(numbers.iter().all(|number| number.is_finite()), "{metric:?}");
        prop_assert!(metric.dispersion >= 1.0);
        for sentence in [metric.sentence(), verdict.sentence()] {
            prop_assert!(!sentence.contains("NaN") && !sentence.contains("inf "), "{sentence}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_counts_give_finite_numbers(config in config(), evidence in evidence()) {
        let verdict = judge(&config, std::slice::from_ref(&evidence));
        every_number_is_one(&verdict)?;
        if evidence.blocks.iter().all(|block| !block.is_readable() || !block.compares()) {
            prop_assert_eq!(verdict.outcome, Outcome::Inconclusive);
        }
        prop_assert_eq!(&verdict, &judge(&config, std::slice::from_ref(&evidence)), "judged twice");
        for point in history(&config, &evidence, 3) {
            let numbers = [point.estimate, point.lower, point.upper.unwrap_or_default(), point.log_e];
            prop_assert!(numbers.iter().all(|number| number.is_finite()), "{:?}", point);
        }
    }

    #[test]
    fn a_source_with_a_problem_is_never_a_pass(mut evidence in evidence()) {
        evidence.problem = Some("refused".to_owned());
        let config = JudgeConfig { metrics: vec![MetricConfig::error_share("errors", "")], ..JudgeConfig::default() };
        prop_assert_ne!(judge(&config, &[evidence]).outcome, Outcome::NoWorse);
    }

    #[test]
    fn an_alarm_never_goes_away_with_more_blocks(blocks in prop::collection::vec((0u32..20, 0u32..60), 1..60)) {
        let config = JudgeConfig { metrics: vec![MetricConfig::error_share("errors", "")], ..JudgeConfig::default() };
        let mut evidence = Evidence {
            metric: "errors".to_owned(), source: String::new(), query: String::new(),
            block_s: 15.0, blocks: Vec::new(), problem: None,
        };
        let mut alarmed = false;
        for (index, (baseline, canary)) in blocks.iter().enumerate() {
            evidence.blocks.push(CountBlock {
                ends_at: Timestamp::from_second(15 * (index as i64 + 1)).unwrap(),
                baseline_events: f64::from(*baseline),
                canary_events: f64::from(*canary),
                baseline_exposure: 300.0,
                canary_exposure: 300.0,
            });
            let harmful = judge(&config, std::slice::from_ref(&evidence)).outcome == Outcome::Harmful;
            prop_assert!(harmful || !alarmed, "the alarm went away at block {}", index);
            alarmed = harmful;
        }
    }

    #[test]
    fn arbitrary_documents_are_answered_or_refused(
        rows in prop::collection::vec(prop::array::uniform4(count()), 0..20),
        alpha in any::<f64>(), pass_margin in any::<f64>(), edges in prop::collection::vec(any::<f64>(), 0..3),
    ) {
        let settings = CountsSettings { alpha, pass_margin, ..CountsSettings::default() };
        let document = CountsDocument {
            settings, blocks_xb_xc_eb_ec: rows, edges, looks: vec![0],
        };
        if let Ok(answer) = judge_counts(&document) {
            prop_assert!(!serde_json::to_string(&answer).unwrap().contains("nan"));
        }
    }
}
