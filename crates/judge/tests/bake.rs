//! The minimum bake counts anew after a change, for every kind of metric and for each by its own blocks; and a verdict
//! that is paused is neither a pass nor an alarm.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use arya_judge::{
    Block, Buckets, CountBlock, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, MetricConfig, MetricKind,
    Outcome, Pause, Reason, judge,
};
use common::{Chance, at, evidence};

const KINDS: [MetricKind; 5] = [
    MetricKind::ErrorShare,
    MetricKind::EventRate,
    MetricKind::Histogram,
    MetricKind::Gauge,
    MetricKind::Leak,
];

/// Two arms that are alike, in 15 s blocks; so much of it that a pass needs no more than the bake.
fn alike(kind: MetricKind, blocks: usize) -> Evidence {
    let mut chance = Chance::new(11);
    let block = |index: usize| -> Block {
        let ends_at = at(15 * (index as i64 + 1));
        match kind {
            MetricKind::ErrorShare | MetricKind::EventRate => {
                let exposure = if kind == MetricKind::EventRate { 15.0 } else { 30_000.0 };
                Block::Counts(CountBlock {
                    ends_at,
                    baseline_events: chance.poisson(90.0),
                    canary_events: chance.poisson(90.0),
                    baseline_exposure: exposure,
                    canary_exposure: exposure,
                })
            }
            MetricKind::Histogram => {
                let mut buckets = || Buckets {
                    upper_edges: vec![0.05, 0.1, 0.25],
                    counts: vec![
                        4000.0,
                        3000.0,
                        800.0 + chance.poisson(60.0),
                        100.0 + chance.poisson(10.0),
                    ],
                };
                Block::Histogram(HistogramBlock {
                    ends_at,
                    baseline: buckets(),
                    canary: buckets(),
                })
            }
            MetricKind::Gauge | MetricKind::Leak => Block::Gauge(GaugeBlock {
                ends_at,
                baseline: 100.0 + chance.normal(),
                canary: 100.0 + chance.normal(),
            }),
        }
    };
    evidence("m", (0..blocks).map(block).collect())
}

fn config(kind: MetricKind) -> JudgeConfig {
    JudgeConfig {
        metrics: vec![MetricConfig {
            known_dispersion: Some(1.0),
            ..MetricConfig::of(kind, "m", "q")
        }],
        planned_s: 3600.0,
        ..JudgeConfig::default()
    }
}

/// Judged after so many blocks, with a change of the share at a second; the reason of the only metric.
fn reason(kind: MetricKind, blocks: usize, changed_at: Option<i64>) -> (Outcome, Reason) {
    let mut judging = Judging::new(&config(kind));
    judging.advance(&alike(kind, blocks));
    judging.set_bake_from(changed_at.map(at));
    let verdict = judging.verdict();
    (verdict.outcome, verdict.metrics[0].reason.clone())
}

#[test]
fn a_pass_expires_with_the_share_and_needs_the_minimum_bake_again_for_every_kind() {
    for kind in KINDS {
        let (outcome, before) = reason(kind, 220, None);
        assert_eq!(outcome, Outcome::NoWorse, "{kind:?} {before:?}");
        // The block that ends at 3,300 s is whole after the change, the one before it is not.
        let (outcome, after) = reason(kind, 220, Some(3_280));
        assert_eq!(outcome, Outcome::Inconclusive, "{kind:?}");
        assert_eq!(after, Reason::MinimumBake { remaining_s: 285.0 }, "{kind:?}");
        let (outcome, after) = reason(kind, 220, Some(2_990));
        assert_eq!(outcome, Outcome::NoWorse, "{kind:?} {after:?}");
    }
}

#[test]
fn each_metric_is_baked_by_its_own_blocks() {
    let mut both = config(MetricKind::ErrorShare);
    both.metrics.push(MetricConfig {
        name: "late".into(),
        ..both.metrics[0].clone()
    });
    let mut judging = Judging::new(&both);
    let early = alike(MetricKind::ErrorShare, 220);
    // Measured for the last ten minutes only, which is twice the bake.
    let late = Evidence {
        metric: "late".into(),
        blocks: early.blocks[180..].to_vec(),
        ..early.clone()
    };
    judging.advance(&early);
    judging.advance(&late);
    judging.set_bake_from(Some(at(2_990)));
    let reasons: Vec<Reason> = judging
        .verdict()
        .metrics
        .into_iter()
        .map(|metric| metric.reason)
        .collect();
    assert!(
        reasons
            .iter()
            .all(|reason| matches!(reason, Reason::WithinMargin { .. })),
        "{reasons:?}"
    );
}

#[test]
fn a_paused_verdict_keeps_its_numbers_and_claims_nothing() {
    let pause = Pause {
        since: at(3_310),
        until: None,
        why: "Somebody changed our main rule by hand.".into(),
    };
    for kind in KINDS {
        let before = judge(&config(kind), &[alike(kind, 220)]);
        let paused = before.clone().while_paused(pause.clone());
        assert_eq!(paused.outcome, Outcome::Inconclusive);
        assert_eq!(paused.metrics[0].outcome, Outcome::Inconclusive);
        assert_eq!(paused.metrics[0].canary, before.metrics[0].canary);
        assert_eq!(paused.metrics[0].measured, before.metrics[0].measured);
        let sentence = paused.sentence();
        let expected = "Not enough evidence yet: judging is paused since 23:09:10 UTC. Somebody changed our main rule by \
                        hand. Last measured at 23:09:00 UTC: ";
        assert!(sentence.starts_with(expected), "{sentence}");
        let said = serde_json::to_string(&paused).unwrap();
        assert_eq!(serde_json::from_str::<arya_judge::Verdict>(&said).unwrap(), paused);
    }
}

#[test]
fn a_pass_that_is_outdated_has_to_be_earned_anew_and_harm_stays() {
    let block = |canary_events: f64| {
        move |index: i64| {
            Block::Counts(CountBlock {
                ends_at: at(15 * (index + 1)),
                baseline_events: 3.0,
                canary_events,
                baseline_exposure: 300.0,
                canary_exposure: 300.0,
            })
        }
    };
    let said = |events| {
        let blocks: Vec<Block> = (0..240).map(block(events)).collect();
        judge(&config(MetricKind::ErrorShare), &[evidence("m", blocks)])
    };
    let (good, bad) = (said(3.0), said(60.0));
    assert_eq!((good.outcome, bad.outcome), (Outcome::NoWorse, Outcome::Harmful));
    let outdated = good.outdated(300.0);
    assert_eq!(outdated.outcome, Outcome::Inconclusive);
    assert!(
        outdated
            .sentence()
            .contains("has to run for about 5 min more before this is said"),
        "{}",
        outdated.sentence()
    );
    assert_eq!(bad.clone().outdated(300.0), bad);
}

#[test]
fn a_harmful_verdict_that_is_paused_is_no_alarm() {
    let bad = (0..8).map(|index| {
        Block::Counts(CountBlock {
            ends_at: at(15 * (index + 1)),
            baseline_events: 3.0,
            canary_events: 60.0,
            baseline_exposure: 300.0,
            canary_exposure: 300.0,
        })
    });
    let harmful = judge(&config(MetricKind::ErrorShare), &[evidence("m", bad.collect())]);
    assert_eq!(harmful.outcome, Outcome::Harmful);
    let paused = harmful.while_paused(Pause {
        since: at(130),
        until: None,
        why: "The share is 0.".into(),
    });
    assert_eq!(paused.outcome, Outcome::Inconclusive);
    assert!(!paused.sentence().contains("Harmful") && !paused.metrics[0].sentence().contains("sure"));
}

#[test]
fn a_pause_before_anything_was_measured_has_no_numbers() {
    let paused = judge(&config(MetricKind::ErrorShare), &[]).while_paused(Pause {
        since: at(0),
        until: None,
        why: "The share is 0.".into(),
    });
    assert_eq!(
        paused.sentence(),
        "Not enough evidence yet: judging is paused since 22:14:00 UTC. The share is 0."
    );
}
