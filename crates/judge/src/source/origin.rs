//! Where a metric is measured, and of which series or counts it is made.

use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::{MetricConfig, MetricKind, SourceError};

/// Where a metric is measured: one place, never two mixed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The load balancer: failures as clients saw them, whoever made them; times as it measured them.
    #[default]
    ClientsSaw,
    /// The load balancer: failures that the targets themselves answered.
    TargetsSaid,
    /// The deployment's monitor, which scrapes both arms.
    Series(Watched),
}

impl Origin {
    /// The kind of metric that it makes by itself.
    pub fn kind(&self) -> MetricKind {
        match self {
            Self::ClientsSaw | Self::TargetsSaid => MetricKind::ErrorShare,
            Self::Series(watched) => watched.kind(),
        }
    }

    /// What is asked, for display where nobody wrote something better.
    pub fn shown(&self) -> String {
        match self {
            Self::ClientsSaw | Self::TargetsSaid => String::new(),
            Self::Series(watched) => watched.promql(),
        }
    }
}

impl MetricConfig {
    /// The series that it is made of.
    ///
    /// # Errors
    /// It is measured elsewhere, so that a monitor has nothing of it.
    pub fn watched(&self) -> Result<&Watched, SourceError> {
        match &self.from {
            Origin::Series(watched) => Ok(watched),
            Origin::ClientsSaw | Origin::TargetsSaid => Err(SourceError::NoData {
                what: format!("the metric `{}` is not made of series", self.name),
            }),
        }
    }
}

/// Of which series a metric is made. Increments and resets are found in the raw samples, so no functions are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Watched {
    /// Counters of failures among counters of everything.
    Share {
        /// What failed.
        events: Selector,
        /// Everything, failures included.
        of: Selector,
    },
    /// Counters of events, judged per second.
    Rate(Selector),
    /// A histogram, classic or native, by its name without `_bucket`.
    Buckets(Selector),
    /// A gauge as it is: the sum over an instance's series, the mean over an arm's instances.
    Level(Selector),
    /// A counter's increase per second of each instance, as a level: processor seconds.
    Speed(Selector),
    /// One counter's increase by another's: the mean of a summary that has no buckets.
    Mean {
        /// Seconds, or whatever is added up.
        sum: Selector,
        /// How often.
        count: Selector,
    },
}

impl Watched {
    /// Whether blocks of it are what a metric of this kind is judged by.
    pub fn suits(&self, kind: MetricKind) -> bool {
        match self {
            Self::Share { .. } => kind == MetricKind::ErrorShare,
            Self::Rate(_) => kind == MetricKind::EventRate,
            Self::Buckets(_) => kind == MetricKind::Histogram,
            Self::Level(_) => matches!(kind, MetricKind::Gauge | MetricKind::Leak),
            Self::Speed(_) | Self::Mean { .. } => kind == MetricKind::Gauge,
        }
    }

    /// The kind of metric that it makes by itself.
    pub fn kind(&self) -> MetricKind {
        match self {
            Self::Share { .. } => MetricKind::ErrorShare,
            Self::Rate(_) => MetricKind::EventRate,
            Self::Buckets(_) => MetricKind::Histogram,
            Self::Level(_) | Self::Speed(_) | Self::Mean { .. } => MetricKind::Gauge,
        }
    }

    /// The names of all series that it is made of.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Share { events, of } => vec![events.name.clone(), of.name.clone()],
            Self::Rate(one) | Self::Level(one) | Self::Speed(one) => vec![one.name.clone()],
            Self::Buckets(one) => vec![one.name.clone(), one.with_suffix("_bucket").name],
            Self::Mean { sum, count } => vec![sum.name.clone(), count.name.clone()],
        }
    }

    /// The same in PromQL, for a person who wants to look at it elsewhere.
    pub fn promql(&self) -> String {
        let rate = |by: &str, of: &Selector| format!("sum by ({by}) (rate({of}[1m]))");
        match self {
            Self::Share { events, of } => format!("{} / {}", rate("arm", events), rate("arm", of)),
            Self::Rate(events) => rate("arm", events),
            Self::Buckets(of) => format!(
                "histogram_quantile(0.95, {})",
                rate("arm, le", &of.with_suffix("_bucket"))
            ),
            Self::Level(of) => format!("avg by (arm) (sum by (arm, instance) ({of}))"),
            Self::Speed(of) => format!("avg by (arm) ({})", rate("arm, instance", of)),
            Self::Mean { sum, count } => format!("{} / {}", rate("arm", sum), rate("arm", count)),
        }
    }
}
