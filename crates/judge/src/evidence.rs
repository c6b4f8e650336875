//! What was measured: blocks of both arms, oldest first. It knows where a number came from only as text to show.

use serde::{Deserialize, Serialize};

use crate::buckets::{Buckets, common_edges};
use crate::sequential::guard::REFERENCE_BLOCK_S;
use crate::{Beside, MetricKind, SourceError, Timestamp};

/// Above this a count is no longer exact in a double, so something is wrong with the source.
pub(crate) const LARGEST_COUNT: f64 = 9e15;
/// Beyond this the square of a sample is no number.
const LARGEST_SAMPLE: f64 = 1e140;

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
    /// Aligned spans in which both arms were asked, all of the metric's kind.
    pub blocks: Vec<Block>,
    /// What production showed in the spans of these blocks, where the source counts it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub production: Vec<Beside>,
    /// What went wrong with the source, if anything; the blocks are then what was known before.
    pub problem: Option<String>,
}

impl Evidence {
    /// Blocks of 15 s, the length that is usual, of the arms alone.
    pub fn of(metric: &crate::MetricConfig, source: impl Into<String>, blocks: Vec<Block>) -> Self {
        Self {
            metric: metric.name.clone(),
            source: source.into(),
            query: metric.query.clone(),
            block_s: REFERENCE_BLOCK_S,
            blocks,
            production: Vec::new(),
            problem: None,
        }
    }

    /// Evidence without a single block, because the source failed.
    pub fn failed(metric: &crate::MetricConfig, source: impl Into<String>, error: &SourceError) -> Self {
        Self {
            problem: Some(error.to_string()),
            ..Self::of(metric, source, Vec::new())
        }
    }

    /// The length of a block as it is judged.
    pub(crate) fn length_s(&self) -> f64 {
        match self.block_s {
            length if length.is_nan() => REFERENCE_BLOCK_S,
            length => length.clamp(SHORTEST_BLOCK_S, LONGEST_BLOCK_S),
        }
    }
}

/// What both arms showed in one span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Events and what they are counted in.
    Counts(CountBlock),
    /// Requests by bucket.
    Histogram(HistogramBlock),
    /// One sample of each arm.
    Gauge(GaugeBlock),
}

impl Block {
    /// The end of the span.
    pub fn ends_at(&self) -> Timestamp {
        match self {
            Self::Counts(block) => block.ends_at,
            Self::Histogram(block) => block.ends_at,
            Self::Gauge(block) => block.ends_at,
        }
    }

    /// The counts, where it is of counts.
    pub fn counts(&self) -> Option<&CountBlock> {
        match self {
            Self::Counts(counts) => Some(counts),
            Self::Histogram(_) | Self::Gauge(_) => None,
        }
    }

    /// Whether its numbers are what they should be: finite, not negative where they are counts, and not too large.
    pub fn is_readable(&self) -> bool {
        match self {
            Self::Counts(block) => block.is_readable(),
            Self::Histogram(block) => block.baseline.is_readable() && block.canary.is_readable(),
            Self::Gauge(block) => block.baseline.abs() <= LARGEST_SAMPLE && block.canary.abs() <= LARGEST_SAMPLE,
        }
    }

    /// Whether it says something of both arms.
    pub fn compares(&self) -> bool {
        match self {
            Self::Counts(block) => block.compares(),
            Self::Histogram(block) => {
                let requests = block.baseline.total() > 0.0 && block.canary.total() > 0.0;
                requests && !common_edges(&block.baseline, &block.canary).is_empty()
            }
            Self::Gauge(_) => true,
        }
    }

    /// Whether it measures what a metric of this kind is about.
    pub(crate) fn is_of(&self, kind: MetricKind) -> bool {
        match self {
            Self::Counts(_) => matches!(kind, MetricKind::ErrorShare | MetricKind::EventRate),
            Self::Histogram(_) => kind == MetricKind::Histogram,
            Self::Gauge(_) => matches!(kind, MetricKind::Gauge | MetricKind::Leak),
        }
    }

    /// What was seen of each arm: requests, or seconds for rates; `None` where nothing is counted.
    pub(crate) fn exposures(&self) -> Option<(f64, f64)> {
        match self {
            Self::Counts(block) => Some((block.baseline_exposure, block.canary_exposure)),
            Self::Histogram(block) => Some((block.baseline.total(), block.canary.total())),
            Self::Gauge(_) => None,
        }
    }

    /// Two spans as one; of samples the mean. The blocks must be of one kind.
    pub(crate) fn merged(&self, later: &Self) -> Self {
        match (self, later) {
            (Self::Counts(a), Self::Counts(b)) => Self::Counts(CountBlock {
                ends_at: b.ends_at,
                baseline_events: a.baseline_events + b.baseline_events,
                canary_events: a.canary_events + b.canary_events,
                baseline_exposure: a.baseline_exposure + b.baseline_exposure,
                canary_exposure: a.canary_exposure + b.canary_exposure,
            }),
            (Self::Histogram(a), Self::Histogram(b)) => Self::Histogram(HistogramBlock {
                ends_at: b.ends_at,
                baseline: a.baseline.merged(&b.baseline),
                canary: a.canary.merged(&b.canary),
            }),
            (Self::Gauge(a), Self::Gauge(b)) => Self::Gauge(GaugeBlock {
                ends_at: b.ends_at,
                baseline: 0.5 * (a.baseline + b.baseline),
                canary: 0.5 * (a.canary + b.canary),
            }),
            (Self::Counts(_) | Self::Histogram(_) | Self::Gauge(_), _) => later.clone(),
        }
    }
}

impl From<CountBlock> for Block {
    fn from(block: CountBlock) -> Self {
        Self::Counts(block)
    }
}

impl From<HistogramBlock> for Block {
    fn from(block: HistogramBlock) -> Self {
        Self::Histogram(block)
    }
}

impl From<GaugeBlock> for Block {
    fn from(block: GaugeBlock) -> Self {
        Self::Gauge(block)
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
    /// What the baseline's events are counted in: all its requests, or seconds.
    pub baseline_exposure: f64,
    /// What the canary's events are counted in.
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

/// Requests of both arms by bucket in one span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramBlock {
    /// The end of the span.
    pub ends_at: Timestamp,
    /// The baseline's requests.
    pub baseline: Buckets,
    /// The canary's requests.
    pub canary: Buckets,
}

/// A sample of both arms at one scrape, or their means in one span.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaugeBlock {
    /// The time of the sample, or the end of the span.
    pub ends_at: Timestamp,
    /// The baseline's.
    pub baseline: f64,
    /// The canary's.
    pub canary: f64,
}
