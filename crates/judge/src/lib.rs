//! Is the canary worse? Measurements of two arms in, a verdict with its reasons out.
//!
//! Pure: the same blocks give the same verdict, whenever and however often it is asked. It must never know a clock, a
//! network, a store, a random number, a log, a cloud or the name of a deployment. A problem with the data is an
//! [`Outcome::Inconclusive`] with a reason, never an error.

pub mod backtest;
mod beside;
mod buckets;
mod config;
mod course;
mod evidence;
#[cfg(test)]
mod fixtures;
mod judging;
pub mod kayenta;
mod past;
mod pause;
mod readings;
mod ruling;
pub mod sequential;
pub mod source;
mod together;
mod twins;
mod verdict;
mod walk;
mod words;

pub use beside::{Beside, Machines, Shown};
pub use buckets::{Buckets, FINEST_SCHEMA, MAX_EDGES};
pub use config::{
    DEFAULT_ABSOLUTE_FLOOR, DEFAULT_ALPHA_FAIL, DEFAULT_ALPHA_PASS, DEFAULT_CANARY_SHARE, DEFAULT_EFFECT_GATE_RATIO,
    DEFAULT_MINIMUM_BAKE_S, DEFAULT_PASS_MARGIN, DEFAULT_PLANNED_S, JudgeConfig, MetricConfig, MetricKind, Unit,
};
pub use course::{AboveEdge, CoursePoint, MOST_COURSE_POINTS, above_edges, course};
pub use evidence::{Block, CountBlock, Evidence, GaugeBlock, HistogramBlock, MAX_BLOCKS};
pub use jiff::Timestamp;
pub use judging::{BLOCKS_REMEMBERED, Judging, TrackPoint, history, judge};
pub use past::{Bounded, Learnt, Past, SHORTEST_PAST_S, Scattered};
pub use pause::{Begin, Pause};
pub use readings::{Paired, Reading, count_blocks, gauge_blocks, paired};
pub use sequential::histogram::Direction;
pub use source::{MetricSource, SourceError};
pub use verdict::{
    ArmCount, DispersionFrom, Means, Measured, MetricVerdict, Outcome, Quantiles, Reason, Silent, Together, TwinsUnfit,
    Verdict,
};
pub use walk::MAX_TRACK_POINTS;
pub use words::{ArmWords, capitalised};
