//! What the judge says of whole canaries, in numbers and in words.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use arya_judge::{
    Block, CountBlock, Evidence, JudgeConfig, Judging, MAX_TRACK_POINTS, MetricConfig, Outcome, Reason, Silent,
    SourceError, Timestamp, Verdict, history, judge,
};

/// Failures and requests of baseline and canary in every block.
type Row = (f64, f64, f64, f64);

fn evidence(name: &str, block_s: f64, rows: impl IntoIterator<Item = Row>) -> Evidence {
    let block =
        |(index, (baseline_events, baseline_exposure, canary_events, canary_exposure)): (usize, Row)| CountBlock {
            ends_at: Timestamp::from_second(1_700_000_100 + ((index + 1) as f64 * block_s) as i64).unwrap(),
            baseline_events,
            canary_events,
            baseline_exposure,
            canary_exposure,
        };
    Evidence {
        metric: name.to_owned(),
        source: "test".to_owned(),
        query: "rate(failed)".to_owned(),
        block_s,
        blocks: rows.into_iter().enumerate().map(block).map(Block::from).collect(),
        production: Vec::new(),
        problem: None,
    }
}

fn config() -> JudgeConfig {
    JudgeConfig {
        metrics: vec![MetricConfig::error_share("errors", "rate(failed)")],
        ..JudgeConfig::default()
    }
}

/// Failures that do not come evenly: `mean` on average, from block to block a little more or less.
fn around(mean: f64, index: usize) -> f64 {
    (mean + [0.0, 1.0, -1.0, 2.0, -2.0, 0.0, 1.0, -1.0][index % 8]).max(0.0)
}

fn check(rows: impl IntoIterator<Item = Row>, outcome: Outcome, words: &[&str]) -> Verdict {
    let verdict = judge(&config(), &[evidence("errors", 15.0, rows)]);
    let sentences = format!("{}\n{}", verdict.sentence(), verdict.metrics[0].sentence());
    assert_eq!(verdict.outcome, outcome, "{sentences}");
    for word in words {
        assert!(sentences.contains(word), "{word:?} is not in\n{sentences}");
    }
    assert!(!sentences.contains("NaN") && !sentences.contains("inf"), "{sentences}");
    verdict
}

#[test]
fn a_canary_that_fails_a_tenth_is_harmful_with_both_numbers() {
    let verdict = check(
        [(0.0, 300.0, 30.0, 299.0), (1.0, 303.0, 31.0, 299.0)],
        Outcome::Harmful,
        &[
            "Harmful: the canary fails 10.2 % of requests (61 of 598), the baseline 0.17 % (1 of 603); sure of at least",
            "alarm level 21:1",
            "since about",
            "No history of this service: assuming an instance's error rate may wander by 25 %.",
        ],
    );
    let metric = &verdict.metrics[0];
    assert!(
        (metric.difference.unwrap() - 10.035).abs() < 0.01,
        "{:?}",
        metric.difference
    );
    assert!(metric.since.is_some() && verdict.as_of.is_some());
}

#[test]
fn equal_arms_become_no_worse() {
    check(
        (0..120).map(|i| (around(6.0, i), 3000.0, around(6.0, i + 3), 3000.0)),
        Outcome::NoWorse,
        &["No worse: the canary fails 0.2 % of requests", "the margin is 1.5x"],
    );
}

#[test]
fn little_data_is_not_enough_evidence_and_says_how_much_longer() {
    check(
        (0..12).map(|i| (around(2.0, i), 300.0, around(2.0, i + 3), 300.0)),
        Outcome::Inconclusive,
        &[
            "Not enough evidence yet:",
            "if nothing is wrong this clears in about",
            "a doubling would show in about",
        ],
    );
}

#[test]
fn no_failures_are_too_few_to_compare() {
    check(
        (0..40).map(|_| (0.0, 300.0, 0.0, 300.0)),
        Outcome::Inconclusive,
        &[
            "the canary fails 0 % of requests (0 of 12,000)",
            "no failures in both arms together, at least 5",
        ],
    );
}

#[test]
fn a_pass_waits_for_the_minimum_bake() {
    let verdict = check(
        (0..19).map(|i| (around(90.0, i), 30_000.0, around(3.0, i + 3), 30_000.0)),
        Outcome::Inconclusive,
        &["it looks no worse and has to run for about 1 min more"],
    );
    assert!(matches!(verdict.metrics[0].reason, Reason::MinimumBake { remaining_s } if remaining_s == 15.0));
}

#[test]
fn a_certain_but_tiny_effect_is_not_harm() {
    let mut config = config();
    config.metrics[0].known_dispersion = Some(1.0);
    config.metrics[0].pass_margin = 1.01;
    let rows = (0..200).map(|i| (around(5000.0, i), 50_000.0, around(5250.0, i + 3), 50_000.0));
    let verdict = judge(&config, &[evidence("errors", 15.0, rows)]);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(
        matches!(verdict.metrics[0].reason, Reason::EffectTooSmall { .. }),
        "{}",
        verdict.sentence()
    );
}

#[test]
fn with_a_history_nothing_is_assumed() {
    let mut config = config();
    config.metrics[0].known_dispersion = Some(2.0);
    let rows = (0..12).map(|i| (around(2.0, i), 300.0, around(2.0, i + 3), 300.0));
    let verdict = judge(&config, &[evidence("errors", 15.0, rows)]);
    assert_eq!(verdict.assumption(), None);
    assert!(verdict.metrics[0].dispersion >= 1.0);
}

#[test]
fn a_growing_share_of_traffic_costs_nothing() {
    let rows = (0..120).map(|i| {
        let requests = 500.0 + 50.0 * i as f64;
        (
            around(requests / 100.0, i),
            requests,
            around(requests / 100.0, i + 3),
            requests,
        )
    });
    check(rows, Outcome::NoWorse, &["No worse"]);
}

#[test]
fn an_alarm_stays_shown_when_the_failures_stop() {
    let bad = (0..8).map(|_| (1.0, 300.0, 12.0, 300.0));
    let good = (0..600).map(|i| (around(4.0, i), 300.0, 0.0, 300.0));
    let verdict = check(bad.chain(good), Outcome::Harmful, &["the evidence has weakened since"]);
    assert!(matches!(
        verdict.metrics[0].reason,
        Reason::RegressionShown { at_least: None, .. }
    ));
}

#[test]
fn a_fault_that_starts_late_is_dated() {
    let before = (0..160).map(|i| (around(6.0, i), 3000.0, around(6.0, i + 3), 3000.0));
    let after = (0..60).map(|i| (around(6.0, i), 3000.0, around(24.0, i + 3), 3000.0));
    let verdict = check(before.chain(after), Outcome::Harmful, &["since about"]);
    let since = verdict.metrics[0].since.unwrap().as_second() - 1_700_000_100;
    assert!(
        (2000..=2700).contains(&since),
        "said to begin after {since} s instead of 2400 s"
    );
}

#[test]
fn a_canary_without_requests_is_named() {
    let verdict = check(
        (0..30).map(|_| (1.0, 300.0, 0.0, 0.0)),
        Outcome::Inconclusive,
        &["the canary receives no requests"],
    );
    assert_eq!(verdict.metrics[0].reason, Reason::NoRequests { silent: Silent::Canary });
    assert!(verdict.comparison_unsound.is_some());
}

#[test]
fn five_minutes_of_silence_end_a_pass() {
    let alive = (0..120).map(|i| (around(6.0, i), 3000.0, around(6.0, i + 3), 3000.0));
    check(
        alive.chain((0..20).map(|_| (0.0, 0.0, 0.0, 0.0))),
        Outcome::Inconclusive,
        &["no requests of both arms at the same time"],
    );
}

#[test]
fn an_uneven_split_holds_a_pass() {
    let verdict = check(
        (0..240).map(|i| (around(6.0, i), 3000.0, around(3.0, i + 3), 1500.0)),
        Outcome::Inconclusive,
        &["Comparison unsound: the canary receives 33 % of the two arms' requests where 50 % is expected."],
    );
    assert_eq!(verdict.metrics[0].reason, Reason::ComparisonUnsound);
}

#[test]
fn a_failed_source_is_neither_pass_nor_fail() {
    let error = SourceError::Unreachable {
        what: "no answer within 5 s".to_owned(),
    };
    let failed = Evidence::failed(&config().metrics[0], "monitor", &error);
    let verdict = judge(&config(), &[failed]);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(
        verdict.sentence().contains("no answer within 5 s"),
        "{}",
        verdict.sentence()
    );
}

#[test]
fn blocks_that_are_no_counts_are_a_failed_source() {
    check(
        [(f64::NAN, 300.0, -1.0, 300.0)],
        Outcome::Inconclusive,
        &["no block holds counts that can be read"],
    );
}

#[test]
fn a_metric_without_evidence_is_inconclusive() {
    assert!(judge(&config(), &[]).sentence().contains("no evidence has arrived"));
}

#[test]
fn without_metrics_there_is_no_verdict() {
    let verdict = judge(&JudgeConfig::default(), &[]);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.sentence(), "Not enough evidence yet: no metric is configured.");
}

#[test]
fn one_harmful_metric_is_enough_and_is_named() {
    let mut config = config();
    config.metrics.push(MetricConfig {
        critical: false,
        ..MetricConfig::error_share("refused", "q")
    });
    let quiet = evidence(
        "errors",
        15.0,
        (0..10).map(|i| (around(6.0, i), 3000.0, around(6.0, i + 3), 3000.0)),
    );
    let loud = evidence("refused", 15.0, (0..10).map(|_| (1.0, 300.0, 30.0, 300.0)));
    let verdict = judge(&config, &[quiet, loud]);
    assert_eq!(verdict.outcome, Outcome::Harmful);
    assert!(
        verdict.sentence().starts_with("Harmful (refused): "),
        "{}",
        verdict.sentence()
    );
    assert_eq!(verdict.metrics[0].outcome, Outcome::Inconclusive);
}

#[test]
fn a_metric_that_is_not_critical_is_not_needed_for_a_pass() {
    let mut config = config();
    config.metrics.push(MetricConfig {
        critical: false,
        ..MetricConfig::error_share("refused", "q")
    });
    let steady = evidence(
        "errors",
        15.0,
        (0..120).map(|i| (around(6.0, i), 3000.0, around(6.0, i + 3), 3000.0)),
    );
    assert_eq!(judge(&config, &[steady]).outcome, Outcome::NoWorse);
}

#[test]
fn the_order_of_blocks_and_repeated_blocks_do_not_matter() {
    let tidy = evidence(
        "errors",
        15.0,
        (0..50).map(|i| (around(6.0, i), 900.0, around(9.0, i + 3), 900.0)),
    );
    let mut untidy = tidy.clone();
    untidy.blocks.reverse();
    untidy.blocks.extend_from_within(10..20);
    assert_eq!(judge(&config(), &[tidy]), judge(&config(), &[untidy]));
}

#[test]
fn a_verdict_survives_being_stored() {
    let verdict = check(
        [(0.0, 300.0, 30.0, 299.0), (1.0, 303.0, 31.0, 299.0)],
        Outcome::Harmful,
        &[],
    );
    let stored = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&stored).unwrap(), verdict);
}

#[test]
fn a_configuration_says_only_what_differs() {
    let config: JudgeConfig = serde_json::from_str(r#"{"metrics":[{"name":"errors"}]}"#).unwrap();
    assert_eq!(config.metrics, [MetricConfig::error_share("errors", "")]);
    assert!(serde_json::from_str::<JudgeConfig>(r#"{"alpha":0.1}"#).is_err());
}

#[test]
fn a_chart_found_anew_is_the_one_that_grew() {
    for blocks in [1, 119, 120, 121, 240, 959, 960] {
        let whole = evidence(
            "errors",
            15.0,
            (0..blocks).map(|i| (around(6.0, i), 900.0, around(7.0, i + 3), 900.0)),
        );
        let mut judging = Judging::new(&config());
        for piece in whole.blocks.chunks(7) {
            let blocks = piece.to_vec();
            judging.advance(&Evidence {
                blocks,
                ..whole.clone()
            });
        }
        assert_eq!(
            history(&config(), &whole),
            judging.track("errors"),
            "of {blocks} blocks"
        );
    }
}

#[test]
fn a_chart_is_bounded_and_ends_in_the_present() {
    let long = evidence(
        "errors",
        15.0,
        (0..960).map(|i| (around(6.0, i), 900.0, around(6.0, i + 3), 900.0)),
    );
    let points = history(&config(), &long);
    assert!(
        points.len() <= MAX_TRACK_POINTS && points.len() >= MAX_TRACK_POINTS / 2,
        "{} points",
        points.len()
    );
    let (last, verdict) = (points.last().unwrap(), judge(&config(), std::slice::from_ref(&long)));
    assert_eq!(Some(last.at), verdict.as_of);
    assert_eq!((last.lower, last.upper), verdict.metrics[0].interval);
}
