//! Time that is measured and not judged. The judge does not know what disturbs a comparison: whoever does says since when,
//! and why in a sentence.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::{Block, Evidence, MetricVerdict, Outcome, Reason, Timestamp, Verdict};

/// A span in which the two arms did not differ by their version alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Its beginning.
    pub since: Timestamp,
    /// Its end; `None` = it goes on.
    pub until: Option<Timestamp>,
    /// Why, as a whole sentence.
    pub why: String,
}

impl Pause {
    /// Whether any part of a block of this length lies in the span.
    pub fn covers(&self, block: &Block, block_s: f64) -> bool {
        let length = SignedDuration::try_from_secs_f64(block_s).unwrap_or(SignedDuration::ZERO);
        let begins_at = block.ends_at().checked_sub(length).unwrap_or(Timestamp::MIN);
        block.ends_at() > self.since && self.until.is_none_or(|until| begins_at < until)
    }
}

impl Evidence {
    /// Leaves out the blocks that lie in a pause, in part or whole.
    pub fn leave_out(&mut self, pauses: &[Pause]) {
        let block_s = self.length_s();
        self.blocks
            .retain(|block| !pauses.iter().any(|pause| pause.covers(block, block_s)));
    }

    /// Leaves out the blocks that began before a moment.
    pub fn leave_out_before(&mut self, moment: Timestamp) {
        let before = Pause {
            since: Timestamp::MIN,
            until: Some(moment),
            why: String::new(),
        };
        self.leave_out(&[before]);
    }
}

impl Verdict {
    /// The same verdict after the share changed: a pass has to be earned anew, by a minimum bake of so many seconds. Harm
    /// stays what it was.
    #[must_use]
    pub fn outdated(mut self, bake_s: f64) -> Self {
        if self.outcome == Outcome::NoWorse {
            self.outcome = Outcome::Inconclusive;
        }
        let passes = |metric: &&mut MetricVerdict| metric.outcome == Outcome::NoWorse;
        for metric in self.metrics.iter_mut().filter(passes) {
            metric.outcome = Outcome::Inconclusive;
            metric.reason = Reason::MinimumBake { remaining_s: bake_s };
        }
        self
    }

    /// The same numbers, and no more than that: a verdict that is not kept up to date is neither a pass nor an alarm.
    #[must_use]
    pub fn while_paused(mut self, pause: Pause) -> Self {
        self.outcome = Outcome::Inconclusive;
        self.together = None;
        self.twins_unfit = None;
        for metric in &mut self.metrics {
            metric.outcome = Outcome::Inconclusive;
            metric.reason = Reason::Paused;
            metric.since = None;
            metric.detectable = None;
        }
        self.paused = Some(pause);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GaugeBlock;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn check(since: i64, until: Option<i64>, expected: &[i64]) {
        let blocks = (1..=6).map(|block| {
            Block::Gauge(GaugeBlock {
                ends_at: at(10 * block),
                baseline: 1.0,
                canary: 1.0,
            })
        });
        let mut evidence = Evidence {
            metric: "threads".into(),
            source: "s".into(),
            query: "q".into(),
            block_s: 10.0,
            blocks: blocks.collect(),
            production: Vec::new(),
            problem: None,
        };
        evidence.leave_out(&[Pause {
            since: at(since),
            until: until.map(at),
            why: "Because.".into(),
        }]);
        let left: Vec<i64> = evidence
            .blocks
            .iter()
            .map(|block| block.ends_at().as_second())
            .collect();
        assert_eq!(left, expected, "{since} to {until:?}");
    }

    #[test]
    fn a_block_that_touches_a_pause_is_left_out() {
        check(25, Some(35), &[10, 20, 50, 60]);
        check(21, Some(29), &[10, 20, 40, 50, 60]);
    }

    #[test]
    fn a_block_beside_a_pause_stays() {
        check(20, Some(30), &[10, 20, 40, 50, 60]);
        check(60, None, &[10, 20, 30, 40, 50, 60]);
        check(0, Some(0), &[10, 20, 30, 40, 50, 60]);
    }

    #[test]
    fn a_pause_that_goes_on_has_no_end() {
        check(25, None, &[10, 20]);
    }
}
