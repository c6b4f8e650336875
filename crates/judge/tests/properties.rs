//! Whatever the counts and the configuration: no panic, no infinite number, no sentence with a number that is none.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::sequential::document::{CountsDocument, CountsSettings, Document, answer, judge_counts};
use arya_judge::{
    Block, Buckets, CountBlock, Direction, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, MetricConfig,
    MetricKind, Outcome, Reading, Timestamp, Verdict, count_blocks, gauge_blocks, history, judge, paired,
};
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

fn block() -> impl Strategy<Value = Block> {
    (0i64..2_000, count(), count(), count(), count()).prop_map(
        |(second, baseline_events, canary_events, baseline_exposure, canary_exposure)| {
            Block::Counts(CountBlock {
                ends_at: Timestamp::from_second(second).unwrap(),
                baseline_events,
                canary_events,
                baseline_exposure,
                canary_exposure,
            })
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
            production: Vec::new(),
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
                taught_until: None,
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
        for point in history(&config, &evidence) {
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
            block_s: 15.0, blocks: Vec::new(), production: Vec::new(), problem: None,
        };
        let mut alarmed = false;
        for (index, (baseline, canary)) in blocks.iter().enumerate() {
            evidence.blocks.push(Block::Counts(CountBlock {
                ends_at: Timestamp::from_second(15 * (index as i64 + 1)).unwrap(),
                baseline_events: f64::from(*baseline),
                canary_events: f64::from(*canary),
                baseline_exposure: 300.0,
                canary_exposure: 300.0,
            }));
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

/// Samples and bucket counts as a broken source may send them.
fn histogram() -> impl Strategy<Value = Block> {
    let buckets = || {
        let edges = prop_oneof![
            4 => Just(vec![0.1, 0.25, 0.5, 1.0]),
            1 => Just(vec![0.1, 0.25, 0.5]),
            1 => prop::collection::vec(any::<f64>(), 0..4),
        ];
        (edges, prop::collection::vec(count(), 3..6)).prop_map(|(upper_edges, mut counts)| {
            counts.resize(upper_edges.len() + 1, 1.0);
            Buckets { upper_edges, counts }
        })
    };
    (0i64..2_000, buckets(), buckets()).prop_map(|(second, baseline, canary)| {
        Block::Histogram(HistogramBlock {
            ends_at: Timestamp::from_second(second).unwrap(),
            baseline,
            canary,
        })
    })
}

fn gauge() -> impl Strategy<Value = Block> {
    let sample = || prop_oneof![4 => -5.0..500.0, 1 => Just(7.0), 1 => any::<f64>(), 1 => Just(1e139)];
    (0i64..2_000, sample(), sample()).prop_map(|(second, baseline, canary)| {
        Block::Gauge(GaugeBlock {
            ends_at: Timestamp::from_second(second).unwrap(),
            baseline,
            canary,
        })
    })
}

/// Any kind of metric with any kind of blocks, as a confused source may send them.
fn confused() -> impl Strategy<Value = (MetricConfig, Evidence)> {
    let kinds = [
        MetricKind::ErrorShare,
        MetricKind::EventRate,
        MetricKind::Histogram,
        MetricKind::Gauge,
        MetricKind::Leak,
    ];
    let worse = [Direction::Up, Direction::Down, Direction::Any];
    let blocks = prop_oneof![
        prop::collection::vec(histogram(), 0..40),
        prop::collection::vec(gauge(), 0..120),
        prop::collection::vec(prop_oneof![histogram(), gauge(), block()], 0..40),
    ];
    let margins = (any::<f64>(), any::<f64>(), any::<f64>());
    (
        prop::sample::select(kinds.to_vec()),
        prop::sample::select(worse.to_vec()),
        blocks,
        prop_oneof![Just(5.0), Just(15.0), any::<f64>()],
        prop::option::of(margins),
    )
        .prop_map(|(kind, worse, blocks, block_s, margins)| {
            let mut metric = MetricConfig {
                worse,
                ..MetricConfig::of(kind, "errors", "")
            };
            if let Some(margins) = margins {
                (metric.allowed_ratio, metric.effect_gate_ratio, metric.pass_margin) = margins;
            }
            let evidence = Evidence {
                metric: "errors".to_owned(),
                source: "property".to_owned(),
                query: String::new(),
                block_s,
                blocks,
                production: Vec::new(),
                problem: None,
            };
            (metric, evidence)
        })
}

/// A text of JSON that may or may not be a document.
fn document() -> impl Strategy<Value = String> {
    let number = || prop_oneof![4 => -2.0..100.0, 1 => any::<f64>(), 1 => Just(0.0)];
    let row = move || prop::collection::vec(number(), 0..5);
    let numbers = move |values: &[f64]| {
        let text: Vec<String> = values
            .iter()
            .map(|v| if v.is_finite() { v.to_string() } else { "null".into() })
            .collect();
        format!("[{}]", text.join(","))
    };
    let kinds = prop::sample::select(vec!["counts", "histogram", "gauge", "combine", "preprocess"]);
    let rows = prop::collection::vec(row(), 0..6);
    (kinds, rows.clone(), rows, row(), row(), row()).prop_map(move |(kind, many, others, a, b, c)| {
        let nested = |rows: &[Vec<f64>]| {
            let rows: Vec<String> = rows.iter().map(|row| numbers(row)).collect();
            format!("[{}]", rows.join(","))
        };
        let (baseline, canary) = match kind {
            "histogram" => (nested(&many), nested(&others)),
            _ => (numbers(&a), numbers(&b)),
        };
        format!(
            r#"{{"kind":"{kind}","upper_edges":{},"baseline":{baseline},"canary":{canary},"log_e":{},"weights":{},"blocks_xb_xc_eb_ec":{}}}"#,
            numbers(&c),
            numbers(&a),
            numbers(&b),
            nested(&many)
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_blocks_for_any_kind_give_finite_numbers((metric, evidence) in confused(), cut in 0usize..60) {
        let config = JudgeConfig { metrics: vec![metric], ..JudgeConfig::default() };
        let verdict = judge(&config, std::slice::from_ref(&evidence));
        every_number_is_one(&verdict)?;
        let text = serde_json::to_string(&verdict).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Verdict>(&text).unwrap(), &verdict, "stored and read");
        // In two portions, the later one first.
        let mut judging = Judging::new(&config);
        let cut = cut.min(evidence.blocks.len());
        for blocks in [&evidence.blocks[cut..], &evidence.blocks[..cut]] {
            judging.advance(&Evidence { blocks: blocks.to_vec(), ..evidence.clone() });
        }
        let ends: Vec<Timestamp> = evidence.blocks.iter().map(Block::ends_at).collect();
        let repeated = (1..ends.len()).any(|i| ends[..i].contains(&ends[i]));
        // Of two blocks with one end the later entry wins, so only without such a pair the order says nothing.
        if !repeated {
            prop_assert_eq!(serde_json::to_string(&judging.verdict()).unwrap(), text);
        }
        for point in judging.track("errors") {
            let numbers = [point.estimate, point.lower, point.upper.unwrap_or_default(), point.log_e];
            prop_assert!(numbers.iter().all(|number| number.is_finite()), "{:?}", point);
        }
    }

    #[test]
    fn any_document_is_answered_or_refused(text in document()) {
        if let Ok(document) = serde_json::from_str::<Document>(&text)
            && let Ok(answered) = answer(&document)
        {
            let json = serde_json::to_value(&answered).unwrap();
            prop_assert_eq!(&json["kind"], &serde_json::from_str::<serde_json::Value>(&text).unwrap()["kind"]);
        }
    }

    #[test]
    fn any_readings_become_readable_blocks(
        samples in prop::collection::vec((-100_000i64..100_000, any::<f64>()), 0..60),
        others in prop::collection::vec((-100_000i64..100_000, 0.0..1e6), 0..60),
        every_s in any::<f64>(),
    ) {
        let series = |samples: &[(i64, f64)]| -> Vec<Reading> {
            samples.iter().map(|(at, value)| Reading { at: Timestamp::from_second(*at).unwrap(), value: *value }).collect()
        };
        let (a, b) = (series(&samples), series(&others));
        let pairs = paired(&a, &b, if every_s.is_nan() { 15.0 } else { every_s });
        let blocks = count_blocks(&pairs, &paired(&b, &b, 15.0));
        prop_assert!(blocks.iter().all(|block| block.baseline_exposure >= 0.0));
        prop_assert!(gauge_blocks(&pairs).len() <= pairs.at.len());
    }
}
