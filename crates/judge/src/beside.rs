//! What production showed in the same spans as the two arms. Production and baseline run the same old version, so beside
//! each other they show how much a metric scatters by itself; and where both arms are far from production, comparing the
//! arms says nothing. It must never be judged as an arm: nobody installed it for the comparison.

use serde::{Deserialize, Serialize};

use crate::evidence::LARGEST_COUNT;
use crate::{ArmCount, Block, Buckets, CountBlock, HistogramBlock, MetricKind, Timestamp};

/// More targets than any load balancer's groups hold together.
const MOST_TARGETS: u32 = 100_000;

/// Production's numbers in the span of a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// The end of the span: that of the block that it stands beside.
    pub ends_at: Timestamp,
    /// What all of production's targets showed together.
    pub shown: Shown,
    /// How many machines are behind the numbers.
    pub machines: Machines,
}

/// What production showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Events and what they are counted in, as of an arm.
    Counts(ArmCount),
    /// Requests by bucket.
    Histogram(Buckets),
}

/// Machines that share the load, from which the load of one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machines {
    /// Production's healthy targets, at least 1.
    pub production: u32,
    /// Instances of each arm, at least 1.
    pub each_arm: u32,
}

impl Beside {
    /// Whether its numbers are what they should be.
    pub fn is_readable(&self) -> bool {
        let readable = |count: f64| (0.0..=LARGEST_COUNT).contains(&count);
        let counts = match &self.shown {
            Shown::Counts(count) => readable(count.events) && readable(count.exposure),
            Shown::Histogram(buckets) => buckets.is_readable(),
        };
        let machines = |count: u32| (1..=MOST_TARGETS).contains(&count);
        counts && machines(self.machines.production) && machines(self.machines.each_arm)
    }

    /// Whether it can stand beside blocks of a metric of this kind.
    pub(crate) fn is_of(&self, kind: MetricKind) -> bool {
        match self.shown {
            Shown::Counts(_) => kind == MetricKind::ErrorShare,
            Shown::Histogram(_) => kind == MetricKind::Histogram,
        }
    }

    /// Two spans as one. The machines are the later ones.
    pub(crate) fn merged(&self, later: &Self) -> Self {
        let shown = match (&self.shown, &later.shown) {
            (Shown::Counts(a), Shown::Counts(b)) => Shown::Counts(ArmCount {
                events: a.events + b.events,
                exposure: a.exposure + b.exposure,
            }),
            (Shown::Histogram(a), Shown::Histogram(b)) => Shown::Histogram(a.merged(b)),
            (Shown::Counts(_) | Shown::Histogram(_), _) => later.shown.clone(),
        };
        Self { shown, ..later.clone() }
    }

    /// A block in which production has the baseline's place, and the baseline the canary's.
    pub(crate) fn against_baseline(&self, block: &Block) -> Option<Block> {
        match (&self.shown, block) {
            (Shown::Counts(production), Block::Counts(arms)) => Some(Block::Counts(CountBlock {
                ends_at: arms.ends_at,
                baseline_events: production.events,
                canary_events: arms.baseline_events,
                baseline_exposure: production.exposure,
                canary_exposure: arms.baseline_exposure,
            })),
            (Shown::Histogram(production), Block::Histogram(arms)) => Some(Block::Histogram(HistogramBlock {
                ends_at: arms.ends_at,
                baseline: production.clone(),
                canary: arms.baseline.clone(),
            })),
            (Shown::Counts(_) | Shown::Histogram(_), _) => None,
        }
    }
}

/// The same block with the arms in each other's places.
pub(crate) fn turned(block: &Block) -> Block {
    match block {
        Block::Counts(counts) => Block::Counts(CountBlock {
            ends_at: counts.ends_at,
            baseline_events: counts.canary_events,
            canary_events: counts.baseline_events,
            baseline_exposure: counts.canary_exposure,
            canary_exposure: counts.baseline_exposure,
        }),
        Block::Histogram(buckets) => Block::Histogram(HistogramBlock {
            ends_at: buckets.ends_at,
            baseline: buckets.canary.clone(),
            canary: buckets.baseline.clone(),
        }),
        Block::Gauge(pair) => Block::Gauge(crate::GaugeBlock {
            ends_at: pair.ends_at,
            baseline: pair.canary,
            canary: pair.baseline,
        }),
    }
}
