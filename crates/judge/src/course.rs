//! What both arms measured, for a person who looks closer: over time, and by the edges of a distribution. Sums of blocks
//! and nothing more; whether a difference means anything is for the tests to say.

use serde::{Deserialize, Serialize};

use crate::buckets::{Buckets, common_edges};
use crate::sequential::quantile;
use crate::{ArmCount, Block, Evidence, MetricKind, Timestamp};

/// More points cannot be told apart in a chart.
pub const MOST_COURSE_POINTS: usize = 120;
/// The quantile that a distribution is followed by.
const FOLLOWED: f64 = 0.95;

/// What both arms measured in a few blocks: a part of all requests, events per second, a 95th percentile or a mean, in
/// the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CoursePoint {
    /// The end of the latest of the blocks.
    pub at: Timestamp,
    /// The baseline's; `None` where it had no requests.
    pub baseline: Option<f64>,
    /// The canary's.
    pub canary: Option<f64>,
}

/// The share of each arm's requests above an edge of the buckets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AboveEdge {
    /// In the metric's unit.
    pub edge: f64,
    /// From 0 to 1.
    pub baseline: f64,
    /// From 0 to 1.
    pub canary: f64,
}

/// Both arms over time: as many blocks to a point as make at most [`MOST_COURSE_POINTS`] of them.
pub fn course(kind: MetricKind, evidence: &Evidence) -> Vec<CoursePoint> {
    let readable = |block: &&Block| block.is_of(kind) && block.is_readable();
    let blocks: Vec<&Block> = evidence.blocks.iter().filter(readable).collect();
    let together = blocks.len().div_ceil(MOST_COURSE_POINTS).max(1);
    blocks.chunks(together).filter_map(point).collect()
}

/// Both arms by every edge that all blocks have; nothing for what is no distribution, or without requests on an arm.
pub fn above_edges(evidence: &Evidence) -> Vec<AboveEdge> {
    let blocks = evidence.blocks.iter().filter(|block| block.is_readable());
    let Some((baseline, canary)) = summed(blocks) else {
        return Vec::new();
    };
    let edges = common_edges(&baseline, &canary);
    let (on_baseline, on_canary) = (baseline.by(&edges), canary.by(&edges));
    let (all_baseline, all_canary) = (baseline.total(), canary.total());
    if all_baseline <= 0.0 || all_canary <= 0.0 {
        return Vec::new();
    }
    let above = |counts: &[f64], all: f64, edge: usize| counts[edge + 1..].iter().sum::<f64>() / all;
    let line = |(place, edge): (usize, &f64)| AboveEdge {
        edge: *edge,
        baseline: above(&on_baseline, all_baseline, place),
        canary: above(&on_canary, all_canary, place),
    };
    edges.iter().enumerate().map(line).collect()
}

/// What a few blocks of one kind say together; nothing of none.
pub(crate) fn point(blocks: &[&Block]) -> Option<CoursePoint> {
    let at = blocks.last()?.ends_at();
    let (baseline, canary) = match blocks.first()? {
        Block::Counts(_) => rates(blocks),
        Block::Histogram(_) => {
            let (baseline, canary) = summed(blocks.iter().copied())?;
            let p95 = |arm: &Buckets| quantile::estimate(&arm.counts, &arm.upper_edges, FOLLOWED);
            (p95(&baseline), p95(&canary))
        }
        Block::Gauge(_) => means(blocks),
    };
    Some(CoursePoint { at, baseline, canary })
}

fn rates(blocks: &[&Block]) -> (Option<f64>, Option<f64>) {
    let (mut baseline, mut canary) = (ArmCount::default(), ArmCount::default());
    for counts in blocks.iter().filter_map(|block| block.counts()) {
        baseline.events += counts.baseline_events;
        baseline.exposure += counts.baseline_exposure;
        canary.events += counts.canary_events;
        canary.exposure += counts.canary_exposure;
    }
    (baseline.rate(), canary.rate())
}

fn means(blocks: &[&Block]) -> (Option<f64>, Option<f64>) {
    let pairs = || {
        blocks.iter().filter_map(|block| match block {
            Block::Gauge(pair) => Some(pair),
            Block::Counts(_) | Block::Histogram(_) => None,
        })
    };
    let samples = pairs().count();
    let mean = |sum: f64| (samples > 0).then(|| sum / samples as f64);
    (
        mean(pairs().map(|pair| pair.baseline).sum()),
        mean(pairs().map(|pair| pair.canary).sum()),
    )
}

/// Both arms' buckets of all histograms among the blocks, by the edges they all have.
fn summed<'b>(blocks: impl Iterator<Item = &'b Block>) -> Option<(Buckets, Buckets)> {
    let mut sum: Option<(Buckets, Buckets)> = None;
    for block in blocks {
        let Block::Histogram(one) = block else { continue };
        match &mut sum {
            None => sum = Some((one.baseline.clone(), one.canary.clone())),
            Some((baseline, canary)) => {
                add(baseline, &one.baseline);
                add(canary, &one.canary);
            }
        }
    }
    sum
}

fn add(sum: &mut Buckets, one: &Buckets) {
    if sum.upper_edges != one.upper_edges {
        *sum = sum.merged(one);
        return;
    }
    for (sum, count) in sum.counts.iter_mut().zip(&one.counts) {
        *sum += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::end_of as at;
    use crate::{CountBlock, GaugeBlock, HistogramBlock, MetricConfig};

    fn evidence(blocks: Vec<Block>) -> Evidence {
        Evidence::of(&MetricConfig::error_share("one", ""), "test", blocks)
    }

    fn buckets(counts: [f64; 3]) -> Buckets {
        Buckets {
            upper_edges: vec![0.1, 1.0],
            counts: counts.to_vec(),
        }
    }

    #[test]
    fn counts_become_shares_and_silence_a_gap() {
        let block = |n, events, exposure| {
            Block::Counts(CountBlock {
                ends_at: at(n),
                baseline_events: 1.0,
                canary_events: events,
                baseline_exposure: 100.0,
                canary_exposure: exposure,
            })
        };
        let points = course(
            MetricKind::ErrorShare,
            &evidence(vec![block(1, 5.0, 50.0), block(2, 0.0, 0.0)]),
        );
        assert_eq!(
            points.iter().map(|p| (p.baseline, p.canary)).collect::<Vec<_>>(),
            [(Some(0.01), Some(0.1)), (Some(0.01), None)]
        );
    }

    #[test]
    fn many_blocks_become_few_points_and_lose_nothing() {
        let block = |n: i64| {
            Block::Gauge(GaugeBlock {
                ends_at: at(n),
                baseline: n as f64,
                canary: 2.0 * n as f64,
            })
        };
        let points = course(MetricKind::Gauge, &evidence((1..=1000).map(block).collect()));
        assert!(points.len() <= MOST_COURSE_POINTS, "{}", points.len());
        assert_eq!(points[0].baseline, Some(5.0));
        assert_eq!(points.last().unwrap().at, at(1000));
    }

    #[test]
    fn a_distribution_is_told_by_the_shares_above_its_edges() {
        let block = |n| {
            Block::Histogram(HistogramBlock {
                ends_at: at(n),
                baseline: buckets([90.0, 10.0, 0.0]),
                canary: buckets([50.0, 30.0, 20.0]),
            })
        };
        let known = evidence(vec![block(1), block(2)]);
        let above: Vec<_> = above_edges(&known)
            .iter()
            .map(|line| (line.edge, line.baseline, line.canary))
            .collect();
        assert_eq!(above, [(0.1, 0.1, 0.5), (1.0, 0.0, 0.2)]);
        let points = course(MetricKind::Histogram, &known);
        assert_eq!((points.len(), points[0].canary), (2, Some(1.0)));
    }

    #[test]
    fn what_is_no_distribution_has_no_edges() {
        assert_eq!(above_edges(&evidence(vec![])), []);
        let pair = GaugeBlock {
            ends_at: at(1),
            baseline: 1.0,
            canary: 1.0,
        };
        assert_eq!(above_edges(&evidence(vec![Block::Gauge(pair)])), []);
    }
}
