//! Error rates by simulation, on the noise that is named in each test: seeded, so that a failure can be repeated.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use arya_judge::{Block, CountBlock, Evidence, JudgeConfig, MetricConfig, Outcome, Timestamp, Verdict, judge};
use common::Chance;

/// A canary that is simulated: requests per second on each arm, and the share of failures.
struct Canary {
    per_second: f64,
    baseline_fails: f64,
    canary_fails: f64,
    block_s: f64,
    blocks: usize,
}

impl Canary {
    fn run(&self, seed: u64) -> Evidence {
        let mut chance = Chance::new(seed);
        let requests = self.per_second * self.block_s;
        let block = |index: usize| CountBlock {
            ends_at: Timestamp::from_second(1_700_000_000 + ((index + 1) as f64 * self.block_s) as i64).unwrap(),
            baseline_events: chance.poisson(requests * self.baseline_fails),
            canary_events: chance.poisson(requests * self.canary_fails),
            baseline_exposure: requests,
            canary_exposure: requests,
        };
        Evidence {
            metric: "errors".to_owned(),
            source: "simulation".to_owned(),
            query: String::new(),
            block_s: self.block_s,
            blocks: (0..self.blocks).map(block).map(Block::from).collect(),
            production: Vec::new(),
            problem: None,
        }
    }
}

/// What was said at the end. An alarm of any earlier block stays, so this counts every look.
fn last_word(evidence: Evidence) -> Verdict {
    let config = JudgeConfig {
        metrics: vec![MetricConfig::error_share("errors", "")],
        ..JudgeConfig::default()
    };
    judge(&config, &[evidence])
}

fn count(runs: u64, canary: &Canary, outcome: Outcome) -> usize {
    (1..=runs)
        .filter(|seed| last_word(canary.run(*seed)).outcome == outcome)
        .count()
}

/// Twins with Poisson failures, an hour, looked at after every block.
fn check_twins(per_second: f64, fails: f64) {
    let twins = Canary {
        per_second,
        baseline_fails: fails,
        canary_fails: fails,
        block_s: 15.0,
        blocks: 240,
    };
    let alarms = count(400, &twins, Outcome::Harmful);
    // The promise is 5 %; two points more are what 400 runs may add by chance.
    assert!(
        alarms <= 28,
        "{alarms} of 400 harmless canaries were called harmful at {per_second}/s failing {fails}"
    );
}

#[test]
fn busy_twins_are_rarely_called_harmful() {
    check_twins(20.0, 0.01);
}

#[test]
fn twins_that_seldom_fail_are_rarely_called_harmful() {
    check_twins(20.0, 0.0005);
}

#[test]
fn a_tenth_of_failures_is_harmful_within_a_minute() {
    for block_s in [5.0, 15.0] {
        let blocks = (60.0 / block_s) as usize;
        let bad = Canary {
            per_second: 20.0,
            baseline_fails: 0.002,
            canary_fails: 0.1,
            block_s,
            blocks,
        };
        let found = count(100, &bad, Outcome::Harmful);
        assert!(found >= 99, "found in {found} of 100 runs at blocks of {block_s} s");
    }
}

#[test]
fn a_canary_three_times_as_bad_is_seldom_called_no_worse() {
    let bad = Canary {
        per_second: 20.0,
        baseline_fails: 0.01,
        canary_fails: 0.03,
        block_s: 15.0,
        blocks: 80,
    };
    assert_eq!(count(100, &bad, Outcome::NoWorse), 0);
}
