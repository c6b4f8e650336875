//! What several tests judge.

use crate::{Block, CountBlock, Evidence, JudgeConfig, MetricConfig, Timestamp};

/// The end of the n-th block of 15 s; the zeroth ends with a minute.
pub(crate) fn end_of(n: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_040 + 15 * n).unwrap()
}

/// So many blocks in which 500 requests reach each arm, and these of them fail: the baseline's, and the canary's.
pub(crate) fn errors(blocks: i64, failing: impl Fn(i64) -> (f64, f64)) -> (JudgeConfig, Vec<Evidence>) {
    let block = |n: i64| {
        let (baseline_events, canary_events) = failing(n);
        Block::Counts(CountBlock {
            ends_at: end_of(n),
            baseline_events,
            canary_events,
            baseline_exposure: 500.0,
            canary_exposure: 500.0,
        })
    };
    let config = JudgeConfig {
        metrics: vec![MetricConfig::error_share("errors", "")],
        ..JudgeConfig::default()
    };
    let evidence = Evidence::of(&config.metrics[0], "test", (1..=blocks).map(block).collect());
    (config, vec![evidence])
}
