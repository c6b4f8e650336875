//! What the judge says of distributions, gauges, leaks and rates, in numbers and in words; and that blocks that come one
//! by one give the same verdict, bit for bit, as all at once.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use arya_judge::{
    Block, Buckets, CountBlock, Direction, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, Learnt,
    Measured, MetricConfig, MetricKind, Outcome, Past, Reason, Unit, Verdict, judge,
};
use common::{Chance, at, evidence};

/// Upper edges of the buckets that client libraries make without being told, in seconds.
const EDGES: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Response times around 80 ms, every one `slower` times as long.
fn requests(chance: &mut Chance, count: usize, slower: f64) -> Buckets {
    let mut counts = vec![0.0; EDGES.len() + 1];
    for _ in 0..count {
        let seconds = 0.08 * slower * (0.6 * chance.normal()).exp();
        counts[EDGES.partition_point(|edge| *edge < seconds)] += 1.0;
    }
    Buckets {
        upper_edges: EDGES.to_vec(),
        counts,
    }
}

fn latency(seed: u64, blocks: usize, per_block: usize, slower: impl Fn(usize) -> f64) -> Vec<Block> {
    let mut chance = Chance::new(seed);
    let block = |index: usize| {
        Block::Histogram(HistogramBlock {
            ends_at: at(15 * (index as i64 + 1)),
            baseline: requests(&mut chance, per_block, 1.0),
            canary: requests(&mut chance, per_block, slower(index)),
        })
    };
    (0..blocks).map(block).collect()
}

/// Levels around 500 MB with a memory of a quarter of a minute; the canary's is multiplied.
fn memory(seed: u64, samples: usize, canary: impl Fn(usize) -> f64) -> Vec<Block> {
    let mut chance = Chance::new(seed);
    let (mut b, mut c) = (0.0, 0.0);
    let block = |index: usize| {
        b = 0.5 * b + chance.normal();
        c = 0.5 * c + chance.normal();
        Block::Gauge(GaugeBlock {
            ends_at: at(15 * (index as i64 + 1)),
            baseline: 5e8 * (1.0 + 0.01 * b),
            canary: 5e8 * canary(index) * (1.0 + 0.01 * c),
        })
    };
    (0..samples).map(block).collect()
}

fn config(metric: MetricConfig) -> JudgeConfig {
    JudgeConfig {
        metrics: vec![metric],
        planned_s: 3600.0,
        ..JudgeConfig::default()
    }
}

fn check(metric: MetricConfig, blocks: Vec<Block>, outcome: Outcome, words: &[&str]) -> Verdict {
    let verdict = judge(&config(metric.clone()), &[evidence(&metric.name, blocks)]);
    let sentences = format!("{}\n{}", verdict.sentence(), verdict.metrics[0].sentence());
    assert_eq!(verdict.outcome, outcome, "{sentences}");
    for word in words {
        assert!(sentences.contains(word), "{word:?} is not in\n{sentences}");
    }
    assert!(!sentences.contains("NaN") && !sentences.contains("inf"), "{sentences}");
    verdict
}

fn response_time() -> MetricConfig {
    MetricConfig::latency("response time", "q")
}

fn resident() -> MetricConfig {
    MetricConfig::of(MetricKind::Leak, "memory", "q")
}

#[test]
fn a_slower_canary_is_harmful_and_its_percentiles_are_named() {
    let verdict = check(
        response_time(),
        latency(1, 60, 750, |_| 1.35),
        Outcome::Harmful,
        &[
            "Harmful: p95 is ",
            " ms on the canary (45,000 requests)",
            "p99 ",
            "sure that it is worse, most like ",
            "assuming an instance's speed may wander",
        ],
    );
    let Measured::Quantiles(quantiles) = &verdict.metrics[0].measured else {
        panic!("{verdict:?}");
    };
    let (baseline, canary) = quantiles.p95.unwrap();
    assert!(baseline < 0.26 && canary > 0.26, "{quantiles:?}");
    assert!(verdict.metrics[0].ratio.unwrap() > 1.5 && verdict.metrics[0].interval.0 > 1.0);
}

#[test]
fn equal_response_times_become_no_worse() {
    check(
        response_time(),
        latency(2, 200, 750, |_| 1.0),
        Outcome::NoWorse,
        &[
            "No worse: p95 is ",
            "of requests over 250 ms sure of at most",
            "the margin is 1.5x",
        ],
    );
}

#[test]
fn a_slowdown_that_begins_late_is_dated() {
    let verdict = check(
        response_time(),
        latency(3, 200, 750, |block| if block < 120 { 1.0 } else { 1.4 }),
        Outcome::Harmful,
        &["since about"],
    );
    let since = verdict.metrics[0].since.unwrap().as_second() - at(0).as_second();
    assert!(
        (1500..=2100).contains(&since),
        "said to begin after {since} s instead of 1800 s"
    );
}

#[test]
fn few_response_times_say_how_much_longer() {
    check(
        response_time(),
        latency(4, 20, 75, |_| 1.0),
        Outcome::Inconclusive,
        &[
            "if nothing is wrong this clears in about",
            "a slowdown by 25 % would show in about",
            "by the planned end",
        ],
    );
    check(
        response_time(),
        latency(4, 2, 75, |_| 1.0),
        Outcome::Inconclusive,
        &["about 1 min of requests on both arms is needed first"],
    );
}

#[test]
fn a_faster_canary_is_harmful_only_where_faster_is_worse() {
    let faster = MetricConfig {
        worse: Direction::Down,
        ..response_time()
    };
    check(faster, latency(5, 60, 750, |_| 0.7), Outcome::Harmful, &["Harmful"]);
    let verdict = judge(
        &config(response_time()),
        &[evidence("response time", latency(5, 60, 750, |_| 0.7))],
    );
    assert_ne!(verdict.outcome, Outcome::Harmful);
}

#[test]
fn buckets_without_common_boundaries_are_incomparable() {
    let other = |buckets: Buckets| Buckets {
        upper_edges: buckets.upper_edges.iter().map(|edge| edge * 1.01).collect(),
        ..buckets
    };
    let blocks = latency(6, 40, 300, |_| 1.0).into_iter().map(|block| match block {
        Block::Histogram(block) => Block::Histogram(HistogramBlock {
            canary: other(block.canary),
            ..block
        }),
        block => block,
    });
    check(
        response_time(),
        blocks.collect(),
        Outcome::Inconclusive,
        &["too few boundaries in common"],
    );
}

#[test]
fn buckets_that_share_most_boundaries_are_compared_by_those() {
    let fewer = |block: Block| match block {
        Block::Histogram(block) => Block::Histogram(HistogramBlock {
            canary: Buckets {
                counts: block.canary.by(&EDGES[2..9]),
                upper_edges: EDGES[2..9].to_vec(),
            },
            ..block
        }),
        block => block,
    };
    let blocks = latency(7, 60, 750, |_| 1.35).into_iter().map(fewer);
    check(
        response_time(),
        blocks.collect(),
        Outcome::Harmful,
        &["sure that it is worse"],
    );
}

#[test]
fn a_gauge_that_is_a_fifth_higher_is_harmful() {
    let metric = MetricConfig::of(MetricKind::Gauge, "threads", "q");
    let verdict = check(
        metric,
        memory(8, 120, |_| 1.2),
        Outcome::Harmful,
        &[
            "Harmful: the mean is 6",
            "(+2",
            "sure that it is outside what is allowed",
        ],
    );
    let (lower, upper) = verdict.metrics[0].interval;
    assert!(
        lower > 1.15 && upper.unwrap() < 1.25,
        "{:?}",
        verdict.metrics[0].interval
    );
}

#[test]
fn a_leak_is_harmful_and_its_growth_is_named() {
    let leaking = |sample: usize| 1.0 + 0.3 * sample as f64 / 240.0;
    check(
        resident(),
        memory(9, 160, leaking),
        Outcome::Harmful,
        &[
            "Harmful: the mean is",
            "MB on the canary",
            "it grows by",
            "MB an hour against the baseline",
        ],
    );
}

#[test]
fn a_leak_in_progress_is_not_passed_on_its_level() {
    let leaking = |sample: usize| 1.0 + 0.18 * sample as f64 / 240.0;
    let gauge = MetricConfig::of(MetricKind::Gauge, "memory", "q");
    let early = || memory(10, 80, leaking);
    assert_eq!(
        judge(&config(gauge), &[evidence("memory", early())]).outcome,
        Outcome::NoWorse,
        "the level alone passes"
    );
    let verdict = judge(&config(resident()), &[evidence("memory", early())]);
    assert_ne!(verdict.outcome, Outcome::NoWorse, "{}", verdict.sentence());
}

#[test]
fn steady_memory_becomes_no_worse() {
    check(
        resident(),
        memory(11, 200, |_| 1.0),
        Outcome::NoWorse,
        &["the margin is 1.1x"],
    );
}

#[test]
fn few_samples_are_not_enough_independent_data() {
    let verdict = check(
        resident(),
        memory(12, 20, |_| 1.0),
        Outcome::Inconclusive,
        &["not enough independent data yet"],
    );
    assert!(matches!(verdict.metrics[0].reason, Reason::TooFewSamples { .. }));
}

#[test]
fn constants_are_compared_and_not_tested() {
    let constant = |canary: f64| {
        let block = |index: i64| {
            Block::Gauge(GaugeBlock {
                ends_at: at(15 * (index + 1)),
                baseline: 7.0,
                canary,
            })
        };
        (0..60).map(block).collect::<Vec<_>>()
    };
    let metric = || MetricConfig::of(MetricKind::Gauge, "threads", "q");
    check(metric(), constant(7.0), Outcome::NoWorse, &["sure of at most 1x"]);
    check(
        metric(),
        constant(8.0),
        Outcome::Inconclusive,
        &["both never change, 8 at the canary and 7 at the baseline"],
    );
}

#[test]
fn restarts_by_the_second_are_a_rate() {
    let block = |index: i64| {
        Block::Counts(CountBlock {
            ends_at: at(15 * (index + 1)),
            baseline_events: f64::from(u8::from(index % 20 == 0)),
            canary_events: f64::from(u8::from(index % 2 == 0)),
            baseline_exposure: 15.0,
            canary_exposure: 15.0,
        })
    };
    check(
        MetricConfig::of(MetricKind::EventRate, "restarts", "q"),
        (0..100).map(block).collect(),
        Outcome::Harmful,
        &[
            "the canary counts 2 a minute (50 in about 25 min)",
            "assuming an instance's rate of events",
        ],
    );
}

#[test]
fn what_old_instances_showed_is_learnt_scaled_and_said() {
    let metric = response_time();
    let past = Past::learn(metric.kind, &evidence("past", latency(13, 500, 750, |_| 1.0))).unwrap();
    assert!((past.hours - 2.083).abs() < 0.01, "{past:?}");
    let Learnt::Histogram { scores, tails } = &past.learnt else {
        panic!("{past:?}");
    };
    assert!(
        scores.dispersion < 3.0 && tails.len() == 2 && tails[0].0 == 0.25,
        "{past:?}"
    );
    let metric = MetricConfig {
        past: Some(past),
        ..metric
    };
    check(
        metric,
        latency(14, 220, 750, |_| 1.0),
        Outcome::NoWorse,
        &["Its scatter was learnt from 2.1 h of test."],
    );
    let gauge = Past::learn(MetricKind::Leak, &evidence("past", memory(15, 1440, |_| 1.0))).unwrap();
    let Learnt::Gauge(learnt) = gauge.learnt else {
        panic!("{gauge:?}")
    };
    assert!((learnt.memory - 0.5).abs() < 0.1, "{learnt:?}");
    assert_eq!(
        Past::learn(MetricKind::Leak, &evidence("past", memory(15, 100, |_| 1.0))),
        None
    );
}

#[test]
fn metrics_that_are_weak_alone_are_harmful_together_or_named() {
    let metrics: Vec<MetricConfig> = (0..6)
        .map(|i| MetricConfig::error_share(format!("class {i}"), "q"))
        .collect();
    let config = JudgeConfig {
        metrics: metrics
            .iter()
            .map(|m| MetricConfig {
                known_dispersion: Some(1.0),
                ..m.clone()
            })
            .collect(),
        ..JudgeConfig::default()
    };
    let block = |index: i64| {
        Block::Counts(CountBlock {
            ends_at: at(15 * (index + 1)),
            baseline_events: f64::from(u8::from(index % 3 == 0)),
            canary_events: f64::from(u8::from(index % 3 != 0)),
            baseline_exposure: 300.0,
            canary_exposure: 300.0,
        })
    };
    let blocks: Vec<Block> = (0..110).map(block).collect();
    let all: Vec<Evidence> = metrics.iter().map(|m| evidence(&m.name, blocks.clone())).collect();
    let alone = judge(&config, &all[..1]);
    assert_eq!(alone.outcome, Outcome::Inconclusive, "{}", alone.sentence());
    let both = judge(&config, &all);
    assert_eq!(both.outcome, Outcome::Harmful, "{both:?}");
}

/// Metrics of every kind with what they showed.
fn everything() -> (JudgeConfig, Vec<Evidence>) {
    let errors = |index: i64| {
        Block::Counts(CountBlock {
            ends_at: at(15 * (index + 1)),
            baseline_events: (index % 4) as f64,
            canary_events: (index % 5) as f64,
            baseline_exposure: 700.0 + (index % 7) as f64,
            canary_exposure: 700.0 - (index % 3) as f64,
        })
    };
    let metrics = vec![
        MetricConfig::error_share("errors", "q"),
        response_time(),
        resident(),
        MetricConfig {
            unit: Unit::Plain,
            worse: Direction::Any,
            ..MetricConfig::of(MetricKind::Gauge, "threads", "q")
        },
    ];
    let config = JudgeConfig {
        metrics,
        ..JudgeConfig::default()
    };
    let evidence = vec![
        evidence("errors", (0..300).map(errors).collect()),
        evidence(
            "response time",
            latency(20, 300, 120, |block| if block < 200 { 1.0 } else { 1.15 }),
        ),
        evidence("memory", memory(21, 300, |sample| 1.0 + sample as f64 / 4000.0)),
        evidence("threads", memory(22, 300, |_| 1.01)),
    ];
    (config, evidence)
}

/// Feeds blocks in portions, in the order of the given cuts, and asks for a verdict and a chart on the way.
fn in_portions(config: &JudgeConfig, all: &[Evidence], portions: &[std::ops::Range<usize>]) -> Judging {
    let mut judging = Judging::new(config);
    for portion in portions {
        for one in all {
            judging.advance(&Evidence {
                blocks: one.blocks[portion.clone()].to_vec(),
                ..one.clone()
            });
        }
        let _ = judging.verdict();
        let _ = judging.track("errors");
    }
    judging
}

fn bits(verdict: &Verdict) -> String {
    // Every number in full: two doubles that print alike here are the same.
    serde_json::to_string(verdict).unwrap()
}

#[test]
fn blocks_one_by_one_give_the_verdict_of_all_at_once_bit_for_bit() {
    let (config, all) = everything();
    let whole = judge(&config, &all);
    let one_by_one: Vec<_> = (0..300).map(|block| block..block + 1).collect();
    let overlapping = [0..100, 50..220, 0..300];
    let backwards = [200..300, 100..200, 0..100];
    for portions in [&one_by_one[..], &overlapping, &backwards] {
        let judging = in_portions(&config, &all, portions);
        assert_eq!(bits(&judging.verdict()), bits(&whole));
        for metric in &config.metrics {
            let replayed = arya_judge::history(&config, all.iter().find(|one| one.metric == metric.name).unwrap());
            assert_eq!(judging.track(&metric.name), replayed, "{}", metric.name);
        }
    }
    // At every moment on the way, not only at the end.
    for upto in [1, 7, 64, 150, 299] {
        let judging = in_portions(&config, &all, &one_by_one[..upto]);
        let cut: Vec<Evidence> = all
            .iter()
            .map(|one| Evidence {
                blocks: one.blocks[..upto].to_vec(),
                ..one.clone()
            })
            .collect();
        assert_eq!(
            bits(&judging.verdict()),
            bits(&judge(&config, &cut)),
            "after {upto} blocks"
        );
    }
}

#[test]
fn a_correction_of_an_old_block_is_a_replay_with_it() {
    let (config, mut all) = everything();
    let mut judging = in_portions(&config, &all, std::slice::from_ref(&(0..300)));
    let Block::Counts(counts) = &mut all[0].blocks[40] else {
        panic!("no counts")
    };
    counts.canary_events = 25.0;
    let corrected = Evidence {
        blocks: all[0].blocks[40..41].to_vec(),
        ..all[0].clone()
    };
    judging.advance(&corrected);
    assert_eq!(bits(&judging.verdict()), bits(&judge(&config, &all)));
}
