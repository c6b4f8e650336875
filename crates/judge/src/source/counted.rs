//! What a load balancer counts of one side in one span, and the blocks that metrics make of it. It knows nothing of where
//! the counts were read.

use super::SourceError;
use super::origin::Origin;
use crate::{ArmCount, Block, Buckets, CountBlock, HistogramBlock, MetricConfig, MetricKind, Shown, Timestamp};

/// Counts of one side in one span.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Side {
    pub(super) requests: f64,
    /// Of them, those that failed as clients saw it, whoever failed.
    pub(super) clients_saw_failed: f64,
    /// Answers that targets gave.
    pub(super) answered: f64,
    /// Of them, those with status 500 to 599.
    pub(super) targets_said_failed: f64,
    /// Seconds until targets answered.
    pub(super) times: Buckets,
}

/// What a metric takes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    ClientsSaw,
    TargetsSaid,
    Times,
}

impl Counted {
    /// What this metric takes; [`SourceError::NoData`] where `source` cannot tell it.
    pub(super) fn of(metric: &MetricConfig, source: &str) -> Result<Self, SourceError> {
        match (&metric.from, metric.kind) {
            (Origin::ClientsSaw, MetricKind::ErrorShare) => Ok(Self::ClientsSaw),
            (Origin::TargetsSaid, MetricKind::ErrorShare) => Ok(Self::TargetsSaid),
            (Origin::ClientsSaw | Origin::TargetsSaid, MetricKind::Histogram) => Ok(Self::Times),
            (Origin::ClientsSaw | Origin::TargetsSaid | Origin::Series(_), _) => {
                let what = format!("{source} tells failures and times of requests only");
                Err(SourceError::NoData { what })
            }
        }
    }

    fn count(self, side: &Side) -> ArmCount {
        let (events, exposure) = match self {
            Self::ClientsSaw => (side.clients_saw_failed, side.requests),
            Self::TargetsSaid | Self::Times => (side.targets_said_failed, side.answered),
        };
        ArmCount { events, exposure }
    }

    /// Both arms in one span.
    pub(super) fn block(self, ends_at: Timestamp, baseline: &Side, canary: &Side) -> Block {
        match self {
            Self::ClientsSaw | Self::TargetsSaid => {
                let (baseline, canary) = (self.count(baseline), self.count(canary));
                Block::Counts(CountBlock {
                    ends_at,
                    baseline_events: baseline.events,
                    canary_events: canary.events,
                    baseline_exposure: baseline.exposure,
                    canary_exposure: canary.exposure,
                })
            }
            Self::Times => Block::Histogram(HistogramBlock {
                ends_at,
                baseline: baseline.times.clone(),
                canary: canary.times.clone(),
            }),
        }
    }

    /// Production in one span, in the same terms.
    pub(super) fn shown(self, production: &Side) -> Shown {
        match self {
            Self::ClientsSaw | Self::TargetsSaid => Shown::Counts(self.count(production)),
            Self::Times => Shown::Histogram(production.times.clone()),
        }
    }
}
