//! `arya try` as it comes: 100 requests a second, a share of 20 % on each arm, blocks of 5 s, two failures in a thousand
//! requests and no history. Its bad canary fails one request in ten.

use arya_judge::{Block, CountBlock, Evidence, JudgeConfig, Judging, MetricConfig, Timestamp};

use crate::counts::harmful_minute;
use crate::noise::Chance;
use crate::table::{Bound, Canary, Cell};

const LOAD_PER_SECOND: f64 = 100.0;
const SHARE: f64 = 0.2;
const BLOCK_S: i64 = 5;
const USUAL_FAILURES: f64 = 0.002;
const BAD_FAILURES: f64 = 0.1;
const HOUR: usize = 720;
/// Thirty seconds, less two in which answers of a block are waited for, and one until the judge looks again.
const BAD_BY_MINUTE: f64 = 27.0 / 60.0;

/// The minute of the alarm in an hour of a canary that fails so often.
fn hour(chance: &mut Chance, canary_fails: f64) -> Option<f64> {
    let sent = LOAD_PER_SECOND * BLOCK_S as f64;
    let block = |index: usize| {
        // Each request is dealt to an arm by itself, as weights do.
        let on_canary = chance.binomial(sent, SHARE);
        let on_baseline = chance.binomial(sent - on_canary, SHARE / (1.0 - SHARE));
        Block::Counts(CountBlock {
            ends_at: Timestamp::from_second(BLOCK_S * (index as i64 + 1)).expect("an hour after 1970"),
            baseline_events: chance.binomial(on_baseline, USUAL_FAILURES),
            canary_events: chance.binomial(on_canary, canary_fails),
            baseline_exposure: on_baseline,
            canary_exposure: on_canary,
        })
    };
    let evidence = Evidence {
        metric: "errors".to_owned(),
        source: "simulation".to_owned(),
        query: String::new(),
        block_s: BLOCK_S as f64,
        blocks: (0..HOUR).map(block).collect(),
        production: Vec::new(),
        problem: None,
    };
    let config = JudgeConfig {
        metrics: vec![MetricConfig::error_share("errors", "")],
        ..JudgeConfig::default()
    };
    let mut judging = Judging::without_charts(&config);
    judging.advance(&evidence);
    harmful_minute(&judging.verdict())
}

pub(crate) fn cells() -> Vec<Cell> {
    const ROW: &str = "JUDGE, as shipped, no history";
    let cell = |name, canary_fails, bound| Cell {
        table: "try, an hour",
        name,
        canary: Canary::by(name),
        run: Box::new(move |chance: &mut Chance| vec![(ROW, hour(chance, canary_fails))]),
        bounds: vec![(ROW, bound)],
    };
    let bad = 1.0 - (1.0 - USUAL_FAILURES) * (1.0 - BAD_FAILURES);
    vec![
        cell("healthy", USUAL_FAILURES, Bound::Alarms(0.05)),
        cell("canary_bad", bad, Bound::Nearly(BAD_BY_MINUTE)),
    ]
}
