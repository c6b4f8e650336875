//! Time that is measured and not judged. The judge does not know what disturbs a comparison: whoever does says since when,
//! and why in a sentence.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::source::Origin;
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
        self.holds_any_of(self.begins_at(block), block)
    }

    fn begins_at(&self, block: &Block) -> Timestamp {
        block.ends_at().checked_sub(self.block_length).unwrap_or(Timestamp::MIN)
    }

    /// Whether a part of what began then and ends with the block lies in a span.
    fn holds_any_of(&self, begins_at: Timestamp, block: &Block) -> bool {
        let first = self.spans.partition_point(|(_, until)| *until <= begins_at);
        self.spans.get(first).is_some_and(|(since, _)| *since < block.ends_at())
    }
}

/// When the blocks of a source begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Their length before they end.
    ByTheirLength,
    /// Where the one before ended, however long ago that was: what a monitor did not scrape for a while is in the first block
    /// after it. With the end of the one before the first, if there was one.
    WhereTheLastEnded(Option<Timestamp>),
}

impl Begin {
    /// As the blocks of a metric from there do, after one that ended then.
    pub fn of(origin: &Origin, last_end: Option<Timestamp>) -> Self {
        match origin {
            Origin::Series(_) => Self::WhereTheLastEnded(last_end),
            Origin::ClientsSaw | Origin::TargetsSaid => Self::ByTheirLength,
        }
    }
}

impl Evidence {
    /// Leaves out the blocks that lie in a pause, in part or whole. Once: of what is left nobody knows any more where the
    /// one before ended.
    pub fn leave_out(&mut self, pauses: &[Pause], begin: Begin) {
        let left_out = LeftOut::by(pauses, self.length_s());
        let mut last_end = match begin {
            Begin::WhereTheLastEnded(last_end) => last_end,
            Begin::ByTheirLength => None,
        };
        self.blocks.retain(|block| {
            let by_length = left_out.begins_at(block);
            let begins_at = last_end.map_or(by_length, |last_end| last_end.min(by_length));
            if begin != Begin::ByTheirLength {
                last_end = Some(block.ends_at());
            }
            !left_out.holds_any_of(begins_at, block)
        });
    }
}

impl Pause {
    /// Everything up to a moment.
    pub fn until(moment: Timestamp, why: String) -> Self {
        Self {
            since: Timestamp::MIN,
            until: Some(moment),
            why,
        }
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
        evidence.leave_out(&pauses.iter().map(pause).collect::<Vec<_>>(), Begin::ByTheirLength);
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

    /// What is left of blocks that end then, around a pause from 25 to 35.
    #[track_caller]
    fn check_scraped(ends: &[i64], last_end: Option<i64>, expected: &[i64]) {
        let block = |end: &i64| {
            Block::Gauge(GaugeBlock {
                ends_at: at(*end),
                baseline: 1.0,
                canary: 1.0,
            })
        };
        let metric = crate::MetricConfig::error_share("m", "");
        let mut evidence = Evidence {
            block_s: 10.0,
            ..Evidence::of(&metric, "s", ends.iter().map(block).collect())
        };
        let pause = Pause {
            since: at(25),
            ..Pause::until(at(35), String::new())
        };
        evidence.leave_out(&[pause], Begin::WhereTheLastEnded(last_end.map(at)));
        let left: Vec<i64> = evidence
            .blocks
            .iter()
            .map(|block| block.ends_at().as_second())
            .collect();
        assert_eq!(left, expected, "{ends:?} after {last_end:?}");
    }

    #[test]
    fn the_first_block_after_a_gap_of_scrapes_holds_what_came_in_the_gap() {
        check_scraped(&[10, 20, 60, 70], None, &[10, 20, 70]);
        check_scraped(&[60, 70], Some(20), &[70]);
        check_scraped(&[60, 70], Some(50), &[60, 70]);
        check_scraped(&[60, 70], None, &[60, 70]);
        check_scraped(&[10, 20, 30, 40, 50], None, &[10, 20, 50]);
    }

    #[test]
    fn a_pause_that_goes_on_has_no_end() {
        check(25, None, &[10, 20]);
    }
}
