//! The answer: three outcomes, their numbers and their reasons. It knows nothing of how they were computed.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The three answers. There is no fourth, and never only two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A regression is shown.
    Harmful,
    /// A regression beyond the margin is excluded.
    NoWorse,
    /// Neither, yet.
    Inconclusive,
}

/// What the judge says of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Harmful if any metric is; no worse if every critical metric is; else inconclusive.
    pub outcome: Outcome,
    /// One per configured metric, in the configured order.
    pub metrics: Vec<MetricVerdict>,
    /// The end of the latest block that was judged.
    pub as_of: Option<Timestamp>,
    /// Why the two arms may not be comparable, as a sentence. It holds *no worse*, never *harmful*.
    pub comparison_unsound: Option<String>,
}

/// What the judge says of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricVerdict {
    /// The metric's configured name.
    pub name: String,
    /// This metric alone.
    pub outcome: Outcome,
    /// Whether *no worse* needs it.
    pub critical: bool,
    /// What the baseline counted, over all judged blocks.
    pub baseline: ArmCount,
    /// What the canary counted, over all judged blocks.
    pub canary: ArmCount,
    /// Estimated ratio of the canary's rate to the baseline's, half an event added to each; `None` without requests.
    pub ratio: Option<f64>,
    /// Canary's share less the baseline's, in percentage points; `None` when an arm had no requests.
    pub difference: Option<f64>,
    /// Confidence sequence of the ratio at the configured level; no upper end means not bounded yet.
    pub interval: (f64, Option<f64>),
    /// Natural logarithm of the evidence for a regression now (0 = none, 3 = twenty to one).
    pub log_e: f64,
    /// Natural logarithm of the evidence at which a regression counts as shown.
    pub log_e_alarm: f64,
    /// How much more than by pure chance the counts are taken to scatter; at least 1.
    pub dispersion: f64,
    /// What that number rests on.
    pub dispersion_from: DispersionFrom,
    /// Why the outcome is what it is.
    pub reason: Reason,
    /// About when the regression began.
    pub since: Option<Timestamp>,
    /// What the source was asked.
    pub query: String,
}

/// What the dispersion guard rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispersionFrom {
    /// Two old instances against each other.
    History,
    /// An assumption, since nothing is known of this service.
    Assumption,
}

/// Events and what they are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ArmCount {
    /// Failed requests.
    pub events: f64,
    /// All requests.
    pub exposure: f64,
}

impl ArmCount {
    /// Failed requests in percent of all; `None` without requests.
    pub fn share_percent(&self) -> Option<f64> {
        (self.exposure > 0.0).then(|| 100.0 * self.events / self.exposure)
    }
}

/// Why a metric's outcome is what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// An arm has no requests, so there is nothing to compare.
    NoRequests {
        /// Which one.
        silent: Silent,
    },
    /// Fewer events than any statement could rest on.
    TooFewEvents {
        /// Events of both arms together.
        events: f64,
        /// How many are needed at least.
        needed: f64,
        /// Minutes until *harmful* if the canary fails twice as often; `None` when that cannot be foreseen.
        minutes_to_fail_if_double: Option<f64>,
    },
    /// A regression is certain and too small to matter.
    EffectTooSmall {
        /// Ratio below which nothing is said.
        gate_ratio: f64,
        /// Difference in percentage points below which nothing is said.
        floor_points: f64,
    },
    /// The canary is worse.
    RegressionShown {
        /// The ratio is at least this, at the metric's own level; `None` when the evidence has weakened since.
        at_least: Option<f64>,
        /// The block at which it was first shown.
        shown_at: Timestamp,
    },
    /// The canary is not worse than the margin.
    WithinMargin {
        /// The ratio is at most this, at the metric's own level.
        at_most: Option<f64>,
        /// The margin that is excluded.
        margin: f64,
    },
    /// The canary looks no worse but has not run for long enough.
    MinimumBake {
        /// Seconds still to go.
        remaining_s: f64,
    },
    /// The canary looks no worse, but the arms do not get the traffic they should.
    ComparisonUnsound,
    /// The data allow both answers.
    NotEnoughEvidence {
        /// Minutes until *no worse* if the arms are equal; `None` means more than a day.
        minutes_to_pass: Option<f64>,
        /// Minutes until *harmful* if the canary fails twice as often; `None` means more than a day.
        minutes_to_fail_if_double: Option<f64>,
    },
    /// The source gave nothing to judge.
    SourceFailed {
        /// What it said.
        what: String,
    },
}

/// Which arm is without requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Silent {
    /// The old version's instance.
    Baseline,
    /// The new version's instance.
    Canary,
    /// Both.
    Both,
}
