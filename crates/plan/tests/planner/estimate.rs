//! The time that a plan promises, held against the judge itself.

use arya_judge::{Block, CountBlock, Evidence, JudgeConfig, MetricConfig, Outcome, Timestamp, judge};

const BLOCK_S: f64 = 5.0;

/// After how many seconds the judge calls a canary harmful that newly fails 1 % of its requests, evenly.
fn seconds_to_harmful(rate: f64) -> f64 {
    let metric = MetricConfig::error_share("errors", "");
    let config = JudgeConfig {
        metrics: vec![metric],
        ..JudgeConfig::default()
    };
    let mut blocks = Vec::new();
    for n in 1..=2000_i64 {
        let exposure = rate * BLOCK_S;
        blocks.push(Block::Counts(CountBlock {
            ends_at: Timestamp::from_second(n * 5).unwrap(),
            baseline_events: 0.0,
            canary_events: exposure * 0.01,
            baseline_exposure: exposure,
            canary_exposure: exposure,
        }));
        let evidence = Evidence {
            metric: "errors".into(),
            source: String::new(),
            query: String::new(),
            block_s: BLOCK_S,
            blocks: blocks.clone(),
            production: Vec::new(),
            problem: None,
        };
        if n % 4 == 0 && judge(&config, &[evidence]).outcome == Outcome::Harmful {
            return n as f64 * BLOCK_S;
        }
    }
    f64::INFINITY
}

#[test]
fn the_promised_time_to_a_verdict_is_what_the_judge_takes() {
    for rate in [1.0, 5.0, 20.0, 100.0] {
        let (promised, taken) = (arya_plan::preview::seconds_to_harmful(rate), seconds_to_harmful(rate));
        let ratio = promised / taken;
        assert!(
            (0.8..=1.25).contains(&ratio),
            "{rate} req/s: promised {promised} s, taken {taken} s"
        );
    }
}
