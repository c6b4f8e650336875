//! What two old instances show of a metric when they are compared with each other: how much it scatters by itself.

use serde::{Deserialize, Serialize};

use crate::buckets::common_edges;
use crate::sequential::cautious::{BOUND, Spread};
use crate::sequential::counts::{Block as Counted, CountTest, Totals};
use crate::sequential::gauge::GaugePast;
use crate::sequential::guard::{Guard, Known, REFERENCE_BLOCK_S};
use crate::sequential::histogram::{Direction, HistogramTest, Scatter};
use crate::sequential::rehearsal::caution;
use crate::sequential::tilts::{Edges, nearest_edge};
use crate::walk::group::{GaugeGroup, HistogramGroup};
use crate::{Block, Evidence, MetricKind};

/// With less than two hours the scatter of minutes is not seen often enough to rely on it.
pub const SHORTEST_PAST_S: f64 = 2.0 * 3600.0;
/// The shares of requests that a pass looks at.
pub(crate) const WATCHED: [f64; 2] = [0.95, 0.99];

/// What is known of a metric, and from what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// Which instances were compared, for display.
    pub from: String,
    /// Hours of data on both.
    pub hours: f64,
    /// What they showed.
    pub learnt: Learnt,
}

/// What two old instances showed, by kind of metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learnt {
    /// Of counts.
    Counts(Scattered),
    /// Of a distribution: its scores, and the shares above the edges nearest its 95th and 99th percentile.
    Histogram {
        /// Scatter of the scores.
        scores: Scattered,
        /// The edges, with the scatter of the share above each.
        tails: Vec<(f64, Scattered)>,
    },
    /// Of a gauge.
    Gauge(GaugePast),
}

/// How much more than by chance something scatters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scattered {
    /// Dispersion at blocks of 15 s, at least 1.
    pub dispersion: f64,
    /// How much such a block said, on average; excess scatter is scaled by it to what a block says now.
    pub information: f64,
    /// The same for the alarm, which bounds what a block may say; only of counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Bounded>,
}

/// What is known of counts whose blocks are bounded: see [`crate::sequential::cautious`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounded {
    /// How far the score of a usual block strays, in standard deviations of independent events; at least 1.
    pub spread: f64,
    /// Dispersion of bounded scores at blocks of 15 s, at least 1.
    pub dispersion: f64,
    /// How many times more the counts must be doubted for no hour of the past to alarm, at least 1.
    pub caution: f64,
}

impl Past {
    /// Whether it says something of a metric of this kind.
    pub(crate) fn is_of(&self, kind: MetricKind) -> bool {
        match self.learnt {
            Learnt::Counts(_) => matches!(kind, MetricKind::ErrorShare | MetricKind::EventRate),
            Learnt::Histogram { .. } => kind == MetricKind::Histogram,
            Learnt::Gauge(_) => matches!(kind, MetricKind::Gauge | MetricKind::Leak),
        }
    }

    /// Learns from evidence in which `baseline` and `canary` are two instances of the same old version.
    ///
    /// `None` with less than [`SHORTEST_PAST_S`] of data, or when there is nothing in it to learn from.
    pub fn learn(kind: MetricKind, evidence: &Evidence) -> Option<Self> {
        let block_s = evidence.length_s();
        let known = |block: &&Block| block.is_of(kind) && block.is_readable() && block.compares();
        let mut blocks: Vec<&Block> = evidence.blocks.iter().filter(known).collect();
        blocks.sort_by_key(|block| block.ends_at());
        blocks.dedup_by_key(|block| block.ends_at());
        let seconds = blocks.len() as f64 * block_s;
        if seconds < SHORTEST_PAST_S {
            return None;
        }
        let learnt = match kind {
            MetricKind::ErrorShare | MetricKind::EventRate => Learnt::Counts(of_counts(&blocks, block_s)?),
            MetricKind::Histogram => of_histogram(&blocks, block_s)?,
            MetricKind::Gauge | MetricKind::Leak => Learnt::Gauge(of_gauge(&blocks, block_s)?),
        };
        Some(Self {
            from: evidence.source.clone(),
            hours: seconds / 3600.0,
            learnt,
        })
    }
}

fn of_counts(blocks: &[&Block], block_s: f64) -> Option<Scattered> {
    let counted = blocks.iter().filter_map(|block| match block {
        Block::Counts(counts) => Counted::new(
            counts.baseline_events,
            counts.canary_events,
            counts.baseline_exposure,
            counts.canary_exposure,
        ),
        Block::Histogram(_) | Block::Gauge(_) => None,
    });
    let counted: Vec<Counted> = counted.collect();
    let scattered = scattered(counted.clone(), block_s)?;
    let alarm = bounded(&counted, block_s, scattered.information);
    Some(Scattered {
        alarm: Some(alarm),
        ..scattered
    })
}

fn scattered(blocks: Vec<Counted>, block_s: f64) -> Option<Scattered> {
    let guard = Guard::new(Known::Poisson, block_s);
    let mut test = CountTest::new(guard);
    blocks.iter().for_each(|block| test.push(*block));
    let (dispersion, information) = guard.learn(&blocks, test.totals().log_ratio());
    (information > 0.0).then_some(Scattered {
        dispersion,
        information,
        alarm: None,
    })
}

/// What counts show of an alarm on them.
fn bounded(blocks: &[Counted], block_s: f64, information: f64) -> Bounded {
    let guard = Guard::new(Known::Poisson, block_s);
    let mut totals = Totals::default();
    blocks.iter().for_each(|block| totals.add(block));
    let (scores, dispersion) = guard.learn_within(blocks, totals.log_ratio(), BOUND);
    let known = Known::Learnt {
        dispersion,
        information,
    };
    let spread = Spread::seen(scores, information);
    Bounded {
        spread: scores,
        dispersion,
        caution: caution(blocks, block_s, known, spread),
    }
}

fn of_histogram(blocks: &[&Block], block_s: f64) -> Option<Learnt> {
    let Some(Block::Histogram(first)) = blocks.first() else {
        return None;
    };
    let edges = Edges::new(&common_edges(&first.baseline, &first.canary))?;
    let mut group = HistogramGroup::new(block_s);
    let mut test = HistogramTest::new(edges.clone(), Direction::Any, Scatter::Independent);
    let mut spans = Vec::new();
    for block in blocks {
        let Block::Histogram(block) = block else { continue };
        // What has other boundaries than the beginning is another time of the service.
        if common_edges(&block.baseline, &block.canary) != edges.upper() {
            continue;
        }
        let (baseline, canary) = (block.baseline.by(edges.upper()), block.canary.by(edges.upper()));
        if let Some((baseline, canary)) = group.push(&baseline, &canary) {
            test.push(&baseline, &canary);
            spans.push((baseline, canary));
        }
    }
    let scores = Scattered {
        dispersion: test.own_dispersion(),
        information: test.information_per_block(),
        alarm: None,
    };
    let shares = shares_at_edges(test.counts().0)?;
    let tail = |q: &f64| {
        let edge = nearest_edge(&shares, *q);
        let above = |counts: &[f64]| counts[edge + 1..].iter().sum::<f64>();
        let total = |counts: &[f64]| counts.iter().sum::<f64>();
        let counted = spans
            .iter()
            .filter_map(|(b, c)| Counted::new(above(b), above(c), total(b), total(c)));
        Some((edges.upper()[edge], scattered(counted.collect(), group.span_s())?))
    };
    let tails = WATCHED.iter().filter_map(tail).collect();
    (scores.information > 0.0).then_some(Learnt::Histogram { scores, tails })
}

/// Shares of requests at or below each edge; `None` without requests.
pub(crate) fn shares_at_edges(counts: &[f64]) -> Option<Vec<f64>> {
    let total: f64 = counts.iter().sum();
    let mut sum = 0.0;
    let shares = counts[..counts.len() - 1].iter().map(|count| {
        sum += count;
        sum / total
    });
    (total > 0.0).then(|| shares.collect())
}

fn of_gauge(blocks: &[&Block], block_s: f64) -> Option<GaugePast> {
    let mut group = GaugeGroup::new(block_s);
    let differences: Vec<f64> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Gauge(pair) => group.push(pair.baseline, pair.canary),
            Block::Counts(_) | Block::Histogram(_) => None,
        })
        .map(|(baseline, canary)| canary - baseline)
        .collect();
    let past = GaugePast::learn(&differences)?;
    // Memory is kept as that of samples 15 s apart.
    let exponent = REFERENCE_BLOCK_S / group.span_s();
    Some(GaugePast {
        memory: past.memory.powf(exponent),
        ..past
    })
}
