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
        LeftOut::by(std::slice::from_ref(self), block_s).holds(block)
    }
}

/// Spans that are left out, in order and apart from each other, so that a block among thousands finds its own among
/// hundreds at once.
struct LeftOut {
    spans: Vec<(Timestamp, Timestamp)>,
    block_length: SignedDuration,
}

impl LeftOut {
    fn by(pauses: &[Pause], block_s: f64) -> Self {
        let span = |pause: &Pause| (pause.since, pause.until.unwrap_or(Timestamp::MAX));
        let mut spans: Vec<_> = pauses
            .iter()
            .map(span)
            .filter(|(since, until)| since <= until)
            .collect();
        spans.sort_unstable();
        spans.dedup_by(|later, kept| {
            let joins = later.0 <= kept.1;
            if joins {
                kept.1 = kept.1.max(later.1);
            }
            joins
        });
        Self {
            spans,
            block_length: SignedDuration::try_from_secs_f64(block_s).unwrap_or(SignedDuration::ZERO),
        }
    }

    fn holds(&self, block: &Block) -> bool {
        let begins_at = block.ends_at().checked_sub(self.block_length).unwrap_or(Timestamp::MIN);
        let first = self.spans.partition_point(|(_, until)| *until <= begins_at);
        self.spans.get(first).is_some_and(|(since, _)| *since < block.ends_at())
    }
}

impl Evidence {
    /// Leaves out the blocks that lie in a pause, in part or whole.
    pub fn leave_out(&mut self, pauses: &[Pause]) {
        let left_out = LeftOut::by(pauses, self.length_s());
        self.blocks.retain(|block| !left_out.holds(block));
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
        check_all(&[(since, until)], 6, expected);
    }

    fn check_all(pauses: &[(i64, Option<i64>)], blocks: i64, expected: &[i64]) {
        let blocks = (1..=blocks).map(|block| {
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
        let pause = |(since, until): &(i64, Option<i64>)| Pause {
            since: at(*since),
            until: until.map(at),
            why: "Because.".into(),
        };
        evidence.leave_out(&pauses.iter().map(pause).collect::<Vec<_>>());
        let left: Vec<i64> = evidence
            .blocks
            .iter()
            .map(|block| block.ends_at().as_second())
            .collect();
        assert_eq!(left, expected, "{pauses:?}");
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
    fn pauses_in_any_order_that_overlap_or_lie_in_each_other_are_all_left_out() {
        check_all(&[(41, Some(45)), (11, Some(35)), (15, Some(20))], 6, &[10, 60]);
        check_all(&[(51, None), (1, Some(2))], 6, &[20, 30, 40, 50]);
        check_all(
            &[(30, Some(30)), (35, Some(25)), (12, Some(13))],
            6,
            &[10, 30, 40, 50, 60],
        );
    }

    #[test]
    fn of_a_week_of_blocks_and_as_many_pauses_as_are_kept_the_right_ones_stay() {
        let pauses: Vec<_> = (0..500).map(|n| (200 * n + 5, Some(200 * n + 115))).collect();
        let left: Vec<i64> = (1..=10_000)
            .map(|n| 10 * n)
            .filter(|end| (end - 10) % 200 >= 120)
            .collect();
        check_all(&pauses, 10_000, &left);
    }

    #[test]
    fn a_pause_that_goes_on_has_no_end() {
        check(25, None, &[10, 20]);
    }
}
