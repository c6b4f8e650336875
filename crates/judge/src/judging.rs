//! From blocks to a verdict: each metric is followed block by block, then the metrics are heard together.
//!
//! Everything is computed from the blocks alone, so an alarm that was once shown is found again in every re-run and
//! stays shown. It must not know sentences.

use crate::ruling::Ruling;
use crate::sequential::combine;
use crate::sequential::share::uneven_split;
use crate::walk::{Walk, kept};
use crate::{CountBlock, Evidence, JudgeConfig, MetricConfig, MetricVerdict, Outcome, Timestamp, Verdict, words};

/// A planned share outside of these cannot be told from none or all.
const SHARES: (f64, f64) = (0.001, 0.999);
/// What is said of a metric for which there is no evidence at all.
const NOTHING_ARRIVED: &str = "no evidence has arrived for this metric";
/// What is said of evidence in which every block is refused.
const NOTHING_READABLE: &str = "no block holds counts that can be read (finite, not negative, below 9e15)";
/// The most points of a chart: one every minute of two hours; more cannot be told apart on a screen.
pub const MAX_TRACK_POINTS: usize = 120;

/// Judges a canary by everything that was measured so far.
///
/// The same evidence gives the same verdict. Metrics without evidence and evidence without a metric are no error:
/// the former is inconclusive with the reason, the latter is not looked at.
pub fn judge(config: &JudgeConfig, evidence: &[Evidence]) -> Verdict {
    let find = |metric: &MetricConfig| evidence.iter().find(|one| one.metric == metric.name);
    let critical: Vec<bool> = config.metrics.iter().map(|metric| metric.critical).collect();
    let weights = combine::weights(&critical);
    let walks: Vec<Walk> = config
        .metrics
        .iter()
        .zip(&weights)
        .map(|(metric, weight)| Walk::over(config, metric, *weight, find(metric)))
        .collect();
    let log_es: Vec<f64> = walks.iter().map(|walk| walk.now.log_e).collect();
    let adjusted = combine::adjusted(&log_es, &weights);
    let comparison_unsound = unsound(config, &walks);
    let metrics: Vec<MetricVerdict> = config
        .metrics
        .iter()
        .zip(&walks)
        .zip(adjusted)
        .map(|((metric, walk), adjusted)| {
            let problem = problem(find(metric), walk);
            let unsound = comparison_unsound.is_some();
            Ruling {
                config,
                metric,
                walk,
                adjusted,
                unsound,
                problem,
            }
            .verdict()
        })
        .collect();
    let as_of = walks
        .iter()
        .filter_map(|walk| walk.blocks.last())
        .map(|block| block.ends_at)
        .max();
    Verdict {
        outcome: outcome_of(&metrics),
        metrics,
        as_of,
        comparison_unsound,
    }
}

/// One point of a chart: what would have been shown at that time.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrackPoint {
    /// The end of the block.
    pub at: Timestamp,
    /// Estimated ratio of the canary's rate to the baseline's.
    pub estimate: f64,
    /// Lower end of the confidence sequence, at least 0.
    pub lower: f64,
    /// Upper end; `None` means not bounded yet.
    pub upper: Option<f64>,
    /// Natural logarithm of the evidence for a regression.
    pub log_e: f64,
}

/// How one metric's estimate, interval and evidence grew: a point every so many blocks and one at the end, at most
/// [`MAX_TRACK_POINTS`].
pub fn history(config: &JudgeConfig, evidence: &Evidence, every_n_blocks: usize) -> Vec<TrackPoint> {
    let Some(metric) = config.metrics.iter().find(|metric| metric.name == evidence.metric) else {
        return Vec::new();
    };
    let (blocks, block_s) = evidence.usable_blocks();
    let compared: Vec<CountBlock> = blocks.into_iter().filter(CountBlock::compares).collect();
    let every = every_n_blocks.max(compared.len().div_ceil(MAX_TRACK_POINTS)).max(1);
    let mut walk = Walk::new(config, metric, 1.0, block_s);
    let mut points = Vec::with_capacity(compared.len() / every + 1);
    for (index, block) in compared.iter().enumerate() {
        walk.push(block);
        // Counted from the end, so that the last point is the present.
        if (compared.len() - 1 - index).is_multiple_of(every) {
            walk.settle();
            points.push(walk.point(config, block.ends_at));
        }
    }
    points
}

/// Why a metric's evidence says nothing, if it does not.
fn problem<'a>(evidence: Option<&'a Evidence>, walk: &Walk) -> Option<&'a str> {
    let Some(evidence) = evidence else {
        return Some(NOTHING_ARRIVED);
    };
    let unreadable = walk.blocks.is_empty() && !evidence.blocks.is_empty();
    evidence
        .problem
        .as_deref()
        .or_else(|| unreadable.then_some(NOTHING_READABLE))
}

fn outcome_of(metrics: &[MetricVerdict]) -> Outcome {
    if metrics.iter().any(|metric| metric.outcome == Outcome::Harmful) {
        return Outcome::Harmful;
    }
    // Where nothing is critical, everything is needed.
    let any_critical = metrics.iter().any(|metric| metric.critical);
    let mut needed = metrics
        .iter()
        .filter(|metric| metric.critical || !any_critical)
        .peekable();
    let something = needed.peek().is_some();
    if something && needed.all(|metric| metric.outcome == Outcome::NoWorse) {
        Outcome::NoWorse
    } else {
        Outcome::Inconclusive
    }
}

/// The traffic of the metric with the most requests, against the planned split.
fn unsound(config: &JudgeConfig, walks: &[Walk]) -> Option<String> {
    let requests = |walk: &&Walk| {
        walk.blocks
            .iter()
            .map(|block| block.baseline_exposure + block.canary_exposure)
            .sum()
    };
    let walk = walks.iter().max_by(|a, b| f64::total_cmp(&requests(a), &requests(b)))?;
    let split: Vec<(f64, f64)> = walk
        .blocks
        .iter()
        .map(|block| (block.baseline_exposure, block.canary_exposure))
        .collect();
    let expected = kept(config.canary_share, SHARES);
    uneven_split(&split, expected, walk.block_s).map(|split| words::uneven(&split))
}
