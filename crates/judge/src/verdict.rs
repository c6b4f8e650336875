//! The answer: three outcomes, their numbers and their reasons. It knows nothing of how they were computed.

use serde::{Deserialize, Serialize};

use crate::{Pause, Timestamp, Unit};

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
    /// Set when several metrics together show harm that none of them shows alone.
    #[serde(default)]
    pub together: Option<Together>,
    /// Set while nothing new is judged; the numbers are then those of `as_of`.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// Set when both arms are far from production in the same way, so that comparing them says nothing of the canary.
    #[serde(default)]
    pub twins_unfit: Option<TwinsUnfit>,
}

/// Both arms fail, or are slow, alike, and production does not. The counts are those of the last five minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TwinsUnfit {
    /// The metric that shows it.
    pub metric: String,
    /// Since when, without a break.
    pub since: Timestamp,
    /// The end of the latest block in which it was so.
    pub at: Timestamp,
    /// Failed requests of production's, or its requests above the first edge.
    pub production: ArmCount,
    /// Those of the baseline, or its requests above the second edge.
    pub baseline: ArmCount,
    /// Those of the canary.
    pub canary: ArmCount,
    /// Of a distribution: the edge that production's requests are counted above, and the arms'.
    pub slower: Option<(f64, f64)>,
}

/// Harm that only all metrics together show (S4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// When it was first shown.
    pub at: Timestamp,
    /// The metrics that contributed most, the largest first.
    pub metrics: Vec<String>,
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
    /// What the baseline counted: events of all; of a distribution, requests above the edge nearest its 95th percentile.
    /// Nothing for a gauge.
    pub baseline: ArmCount,
    /// What the canary counted.
    pub canary: ArmCount,
    /// Estimated ratio of the canary's rate to the baseline's, half an event added to each; of a gauge that of the
    /// means. `None` without data.
    pub ratio: Option<f64>,
    /// Canary less baseline: of shares in percentage points, of rates per second, of means in their unit; `None` when an
    /// arm had no requests.
    pub difference: Option<f64>,
    /// Confidence sequence of the ratio at the configured level; no upper end means not bounded yet.
    pub interval: (f64, Option<f64>),
    /// Natural logarithm of the evidence for a regression now (0 = none, 3 = twenty to one).
    pub log_e: f64,
    /// Natural logarithm of the evidence at which a regression counts as shown.
    pub log_e_alarm: f64,
    /// How much more than by pure chance the numbers are taken to scatter; at least 1.
    pub dispersion: f64,
    /// What that number rests on.
    pub dispersion_from: DispersionFrom,
    /// Which past it was learnt from, for display.
    #[serde(default)]
    pub learnt_from: Option<String>,
    /// Seconds of production beside the baseline that were learnt from; `None` where there is no such thing.
    #[serde(default)]
    pub beside_s: Option<f64>,
    /// How many of these seconds were before the canary had users (an A/A spell); `None` without such a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spell_s: Option<f64>,
    /// What was measured, in its own terms.
    #[serde(default)]
    pub measured: Measured,
    /// What its numbers are.
    #[serde(default)]
    pub unit: Unit,
    /// The smallest regression, as a ratio, that would be shown within the planned time; `None` while unknown.
    #[serde(default)]
    pub detectable: Option<f64>,
    /// The ratio that *no worse* excludes; below 1 where less is worse. `None` in verdicts of earlier versions.
    #[serde(default)]
    pub margin: Option<f64>,
    /// Why the outcome is what it is.
    pub reason: Reason,
    /// About when the regression began.
    pub since: Option<Timestamp>,
    /// What the source was asked.
    pub query: String,
}

impl MetricVerdict {
    /// The one number that says most of each arm: a share in percent, events per second, a 95th percentile, a mean.
    pub fn values(&self) -> (Option<f64>, Option<f64>) {
        let both = |pair: Option<(f64, f64)>| (pair.map(|(b, _)| b), pair.map(|(_, c)| c));
        match &self.measured {
            Measured::Share => (self.baseline.share_percent(), self.canary.share_percent()),
            Measured::Rate => (self.baseline.rate(), self.canary.rate()),
            Measured::Quantiles(quantiles) => both(quantiles.p95),
            Measured::Means(means) => both(means.means),
        }
    }
}

/// What a metric measured, in its own terms; always baseline before canary.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Measured {
    /// Events of all requests.
    #[default]
    Share,
    /// Events in seconds.
    Rate,
    /// A distribution.
    Quantiles(Quantiles),
    /// A gauge.
    Means(Means),
}

/// What is shown of two distributions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Quantiles {
    /// The medians.
    pub median: Option<(f64, f64)>,
    /// The 95th percentiles.
    pub p95: Option<(f64, f64)>,
    /// The 99th percentiles.
    pub p99: Option<(f64, f64)>,
    /// Requests of each arm.
    pub requests: (f64, f64),
    /// The edge that shares are counted above.
    pub edge: Option<f64>,
    /// The way of being different that explains the data best.
    pub best: Option<String>,
}

/// What is shown of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Means {
    /// The means.
    pub means: Option<(f64, f64)>,
    /// By how much the difference grows in an hour, for a gauge that may leak.
    pub growth_per_hour: Option<f64>,
    /// Pairs of samples, of 15 s or longer.
    pub samples: usize,
    /// So many independent ones they are worth.
    pub effective: Option<f64>,
}

/// What the dispersion guard rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispersionFrom {
    /// Two old instances against each other.
    History,
    /// Production beside the baseline, during this canary: they scattered more than what would have been assumed.
    Production,
    /// An assumption, since nothing is known of this service.
    Assumption,
}

/// Events and what they are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ArmCount {
    /// Failed requests, or other events.
    pub events: f64,
    /// All requests, or seconds.
    pub exposure: f64,
}

impl ArmCount {
    /// Failed requests in percent of all; `None` without requests.
    pub fn share_percent(&self) -> Option<f64> {
        self.rate().map(|rate| 100.0 * rate)
    }

    /// Events by exposure; `None` without exposure.
    pub fn rate(&self) -> Option<f64> {
        (self.exposure > 0.0).then(|| self.events / self.exposure)
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
    /// The arms' buckets have too few boundaries in common.
    Incomparable,
    /// Both arms' numbers do not vary, and they are not the same: there is nothing to test, a person has to look.
    ConstantApart {
        /// The baseline's.
        baseline: f64,
        /// The canary's.
        canary: f64,
    },
    /// Too few samples that are independent of each other.
    TooFewSamples {
        /// Pairs of samples so far.
        samples: usize,
        /// Whether their memory is known from history rather than assumed.
        history: bool,
    },
    /// What is usual has to be known first.
    FirstMinute {
        /// Seconds of requests on both arms that are needed.
        needed_s: f64,
    },
    /// A regression is certain and too small to matter.
    EffectTooSmall {
        /// Ratio below which nothing is said.
        gate_ratio: f64,
        /// Difference below which nothing is said: percentage points of shares, events per second of rates.
        floor: f64,
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
        /// Minutes until *harmful* if the canary is worse by the regression below; `None` means more than a day.
        minutes_to_fail: Option<f64>,
        /// The regression that is foreseen, as a ratio.
        regression: f64,
    },
    /// Nothing is judged now; the numbers are the last ones.
    Paused,
    /// Both arms are far from production, so that comparing them says nothing: see [`Verdict::twins_unfit`].
    TwinsUnfit,
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
