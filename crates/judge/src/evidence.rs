//! What was measured: blocks of event counts of both arms. It knows where a number came from only as text to show.

use serde::{Deserialize, Serialize};

use crate::sequential::guard::REFERENCE_BLOCK_S;
use crate::{SourceError, Timestamp};

/// Above this a count is no longer exact in a double, so something is wrong with the source.
const LARGEST_COUNT: f64 = 9e15;

/// Less than a millionth of a request is what subtractions leave behind, not traffic.
const SMALLEST_EXPOSURE: f64 = 1e-6;
/// No source scrapes more often than this, in seconds.
const SHORTEST_BLOCK_S: f64 = 0.1;
/// A block of a day has no time course left to judge.
const LONGEST_BLOCK_S: f64 = 86_400.0;

/// The most blocks that are judged one by one: a day of 5 s blocks. Longer evidence is merged in pairs, which keeps
/// every event and costs only the time resolution of the late-onset search.
pub const MAX_BLOCKS: usize = 17_280;

/// One metric's measurements of both arms, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The name of the [`crate::MetricConfig`] this answers.
    pub metric: String,
    /// Where it came from, for display.
    pub source: String,
    /// The exact question that was asked, for display.
    pub query: String,
    /// Length of a block in seconds. Three of 5 s serve as well as one of 15 s: see [`crate::sequential::guard`].
    /// From 0.1 to 86,400; other values are taken as the nearest of these.
    pub block_s: f64,
    /// Aligned spans in which both arms were asked.
    pub blocks: Vec<CountBlock>,
    /// What went wrong with the source, if anything; the blocks are then what was known before.
    pub problem: Option<String>,
}

impl Evidence {
    /// Evidence without a single block, because the source failed.
    pub fn failed(metric: &crate::MetricConfig, source: impl Into<String>, error: &SourceError) -> Self {
        Self {
            metric: metric.name.clone(),
            source: source.into(),
            query: metric.query.clone(),
            block_s: REFERENCE_BLOCK_S,
            blocks: Vec::new(),
            problem: Some(error.to_string()),
        }
    }

    /// The blocks that can be judged, in order of time: readable numbers only, of two with the same end the later
    /// entry, and at most [`MAX_BLOCKS`]. The second value is the length of such a block in seconds.
    pub fn usable_blocks(&self) -> (Vec<CountBlock>, f64) {
        let mut blocks: Vec<CountBlock> = self
            .blocks
            .iter()
            .filter(|block| block.is_readable())
            .copied()
            .collect();
        blocks.sort_by_key(|block| block.ends_at);
        // `dedup_by` keeps the first of a run; a correction comes later, so the kept one takes its numbers.
        blocks.dedup_by(|later, kept| {
            let same = later.ends_at == kept.ends_at;
            if same {
                *kept = *later;
            }
            same
        });
        let mut block_s = match self.block_s {
            length if length.is_nan() => REFERENCE_BLOCK_S,
            length => length.clamp(SHORTEST_BLOCK_S, LONGEST_BLOCK_S),
        };
        while blocks.len() > MAX_BLOCKS {
            blocks = blocks.chunks(2).map(merged).collect();
            block_s *= 2.0;
        }
        (blocks, block_s)
    }
}

/// Counts of both arms in one span.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CountBlock {
    /// The end of the span.
    pub ends_at: Timestamp,
    /// Events (failed requests) of the baseline.
    pub baseline_events: f64,
    /// Events of the canary.
    pub canary_events: f64,
    /// What the baseline's events are counted in: all its requests.
    pub baseline_exposure: f64,
    /// What the canary's events are counted in: all its requests.
    pub canary_exposure: f64,
}

impl CountBlock {
    /// Whether all four numbers are counts: finite, not negative, and small enough to be exact.
    pub fn is_readable(&self) -> bool {
        let readable = |count: f64| (0.0..=LARGEST_COUNT).contains(&count);
        readable(self.baseline_events)
            && readable(self.canary_events)
            && readable(self.baseline_exposure)
            && readable(self.canary_exposure)
    }

    /// Whether both arms had requests; a block without says nothing about their ratio.
    pub fn compares(&self) -> bool {
        self.baseline_exposure >= SMALLEST_EXPOSURE && self.canary_exposure >= SMALLEST_EXPOSURE
    }
}

fn merged(blocks: &[CountBlock]) -> CountBlock {
    let mut sum = blocks[0];
    for block in &blocks[1..] {
        sum.ends_at = block.ends_at;
        sum.baseline_events += block.baseline_events;
        sum.canary_events += block.canary_events;
        sum.baseline_exposure += block.baseline_exposure;
        sum.canary_exposure += block.canary_exposure;
    }
    sum
}
