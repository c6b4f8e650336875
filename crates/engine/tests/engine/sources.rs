//! A source that answers nonsense: inconclusive with the reason, never a pass or an alarm, and never without end. What a
//! monitor's HTTP API may answer is beside its client; here is what could reach the engine all the same.

use std::ops::RangeInclusive;

use arya_judge::{
    Block, Buckets, CountBlock, Evidence, HistogramBlock, MAX_BLOCKS, MetricConfig, Outcome, SourceError, Timestamp,
};

use crate::rig::Rig;
use crate::world::{BLOCK_S, Script};

type Window = RangeInclusive<Timestamp>;

fn evidence(metric: &MetricConfig, blocks: Vec<Block>) -> Result<Evidence, SourceError> {
    Ok(Evidence {
        block_s: BLOCK_S as f64,
        ..Evidence::of(metric, "nonsense", blocks)
    })
}

/// The ends of the blocks of a window.
fn ends(window: &Window) -> impl DoubleEndedIterator<Item = i64> + Clone + use<> {
    let first = window.start().as_second().div_euclid(BLOCK_S) + 1;
    (first..=window.end().as_second().div_euclid(BLOCK_S)).map(|block| block * BLOCK_S)
}

/// Failures and requests of baseline and canary.
fn counts(end: i64, [baseline_events, baseline_exposure, canary_events, canary_exposure]: [f64; 4]) -> Block {
    Block::Counts(CountBlock {
        ends_at: Timestamp::from_second(end).unwrap(),
        baseline_events,
        canary_events,
        baseline_exposure,
        canary_exposure,
    })
}

const WELL: [f64; 4] = [100.0, 10_000.0, 100.0, 10_000.0];

/// A source that answers so for three minutes: the verdict is *inconclusive*, and says this.
async fn check(script: Script, expected: &str) {
    let rig = Rig::new();
    rig.world.answers_by(script);
    let mut report = rig.until_judged().await;
    for _ in 0..180 {
        report = rig.tick().await;
        assert_eq!(report.verdict.as_ref().unwrap().outcome, Outcome::Inconclusive);
    }
    let sentence = report.verdict.unwrap().sentence();
    assert!(sentence.contains(expected), "{sentence}");
    assert!(rig.world.main_rule_stands(&rig.desired));
    // It is asked as often as a source that answers well, or once a second, and no more.
    assert!(
        rig.world.windows().len() <= 200,
        "{} questions",
        rig.world.windows().len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_error_is_a_reason() {
    let what = "http://monitor:9090 answered 500 Internal Server Error";
    check(
        |_, _| {
            Err(SourceError::Unreachable {
                what: "http://monitor:9090 answered 500 Internal Server Error".into(),
            })
        },
        what,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn html_instead_of_numbers_is_a_reason() {
    let script: Script = |_, _| {
        Err(SourceError::Malformed {
            what: "expected a JSON answer, found `<!doctype html>`".into(),
        })
    };
    check(
        script,
        "cannot be read: expected a JSON answer, found `<!doctype html>`",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn numbers_that_are_none_and_counters_that_fall_are_a_reason() {
    let script: Script = |metric, window| {
        let odd = [
            [f64::NAN, 10_000.0, 100.0, 10_000.0],
            [100.0, 10_000.0, -5.0, 10_000.0],
            [100.0, f64::INFINITY, 100.0, 10_000.0],
            [100.0, 10_000.0, 1e300, 10_000.0],
        ];
        let blocks = ends(window).map(|end| counts(end, odd[(end / BLOCK_S) as usize % odd.len()]));
        evidence(metric, blocks.collect())
    };
    check(script, "no block holds counts that can be read").await;
}

#[tokio::test(start_paused = true)]
async fn arms_whose_clocks_are_minutes_apart_are_never_seen_at_the_same_time() {
    // Of each pair of minutes the baseline is counted in one and the canary in the other.
    let script: Script = |metric, window| {
        let blocks = ends(window).map(|end| {
            let baseline = (end / 60) % 2 == 0;
            let one = if baseline {
                [100.0, 10_000.0, 0.0, 0.0]
            } else {
                [0.0, 0.0, 100.0, 10_000.0]
            };
            counts(end, one)
        });
        evidence(metric, blocks.collect())
    };
    check(script, "so there is nothing to compare").await;
}

#[tokio::test(start_paused = true)]
async fn blocks_of_other_times_are_not_taken() {
    let script: Script = |metric, window| {
        let (start, end) = (window.start().as_second(), window.end().as_second());
        let strange = [start - 600, start, end + 5, end + 600, end + 86_400 * 365];
        let bad = |end: i64| counts(end, [0.0, 10_000.0, 9_000.0, 10_000.0]);
        evidence(metric, strange.into_iter().map(bad).collect())
    };
    check(script, "so there is nothing to compare").await;
}

#[tokio::test(start_paused = true)]
async fn blocks_of_another_kind_are_a_reason() {
    let script: Script = |metric, window| {
        let blocks = ends(window).map(|end| {
            let buckets = Buckets {
                upper_edges: vec![0.1],
                counts: vec![1.0, 1.0],
            };
            Block::Histogram(HistogramBlock {
                ends_at: Timestamp::from_second(end).unwrap(),
                baseline: buckets.clone(),
                canary: buckets,
            })
        });
        evidence(metric, blocks.collect())
    };
    check(script, "no block holds counts that can be read").await;
}

#[tokio::test(start_paused = true)]
async fn buckets_that_differ_between_the_arms_are_a_reason() {
    let rig = Rig::new();
    rig.world.offer(vec![MetricConfig::latency("latency", "q")]);
    rig.world.answers_by(|metric, window| {
        let buckets = |edges: [f64; 3]| Buckets {
            upper_edges: edges.to_vec(),
            counts: vec![500.0, 400.0, 90.0, 10.0],
        };
        let blocks = ends(window).map(|end| {
            Block::Histogram(HistogramBlock {
                ends_at: Timestamp::from_second(end).unwrap(),
                baseline: buckets([0.1, 0.2, 0.3]),
                canary: buckets([0.15, 0.25, 0.35]),
            })
        });
        evidence(metric, blocks.collect())
    });
    rig.until_judged().await;
    let mut said = String::new();
    for _ in 0..120 {
        let verdict = rig.tick().await.verdict.unwrap();
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        said = verdict.sentence();
    }
    assert!(said.contains("too few boundaries in common"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn blocks_out_of_order_and_twice_count_once() {
    let rig = Rig::new();
    rig.world.answers_by(|metric, window| {
        let mut blocks: Vec<Block> = ends(window).map(|end| counts(end, WELL)).rev().collect();
        blocks.extend_from_within(..);
        evidence(metric, blocks)
    });
    rig.until_judged().await;
    for _ in 0..120 {
        rig.tick().await;
    }
    let report = rig.tick().await;
    let verdict = report.verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::NoWorse, "{}", verdict.sentence());
    let lived = verdict
        .as_of
        .unwrap()
        .duration_since(report.evidence_from.unwrap())
        .as_secs();
    assert!(verdict.metrics[0].canary.exposure <= 10_000.0 * (lived / BLOCK_S + 1) as f64);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_more_than_can_be_is_cut_off() {
    let rig = Rig::new();
    // A hundred thousand blocks within a tenth of a second, in every answer.
    rig.world.answers_by(|metric, window| {
        let start = window.start();
        let block = |n: i64| {
            let ends_at = start
                .checked_add(std::time::Duration::from_micros(1 + n.unsigned_abs()))
                .ok()?;
            let Block::Counts(counted) = counts(0, [0.0, 1.0, 0.0, 1.0]) else {
                return None;
            };
            Some(Block::Counts(CountBlock { ends_at, ..counted }))
        };
        let mut said = evidence(metric, (0..100_000).filter_map(block).collect())?;
        said.block_s = 1e-3;
        Ok(said)
    });
    rig.until_judged().await;
    for _ in 0..10 {
        rig.tick().await;
    }
    let metric = &crate::rig::usual_judge().metrics[0];
    let kept = rig.store.evidence(&rig.desired.id, 0, metric).unwrap().unwrap();
    assert!(kept.blocks.len() <= arya_engine::BLOCKS_KEPT && kept.blocks.len() >= MAX_BLOCKS);
    assert!(kept.block_s >= 0.1, "{}", kept.block_s);
}
