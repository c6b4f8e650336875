//! Is the canary worse? Measurements of two arms in, a verdict with its reasons out.
//!
//! Pure: the same blocks give the same verdict, whenever and however often it is asked. It must never know a clock, a
//! network, a store, a random number, a log, a cloud or the name of a deployment. A problem with the data is an
//! [`Outcome::Inconclusive`] with a reason, never an error.

mod config;
mod evidence;
mod judging;
pub mod kayenta;
mod ruling;
pub mod sequential;
mod source;
mod verdict;
mod walk;
mod words;

pub use config::{
    DEFAULT_ABSOLUTE_FLOOR, DEFAULT_ALPHA_FAIL, DEFAULT_ALPHA_PASS, DEFAULT_CANARY_SHARE, DEFAULT_EFFECT_GATE_RATIO,
    DEFAULT_MINIMUM_BAKE_S, DEFAULT_PASS_MARGIN, DEFAULT_PLANNED_S, JudgeConfig, MetricConfig, MetricKind,
};
pub use evidence::{CountBlock, Evidence, MAX_BLOCKS};
pub use jiff::Timestamp;
pub use judging::{MAX_TRACK_POINTS, TrackPoint, history, judge};
pub use source::{MetricSource, SourceError};
pub use verdict::{ArmCount, DispersionFrom, MetricVerdict, Outcome, Reason, Silent, Verdict};
