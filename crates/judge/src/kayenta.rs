//! Kayenta's judge (`NetflixACAJudge-v1.0`), number for number: the score that teams of Spinnaker know, beside our own
//! verdict. What it computes is kept even where it is odd, because the verdict depends on the last bit of these numbers.

mod abort;
mod analysis;
pub mod classifier;
pub mod config;
mod constants;
pub mod document;
pub mod effect;
mod judging;
pub mod mann_whitney;
pub mod minutes;
pub mod mixing;
pub mod options;
mod reading;
pub mod result;
pub mod scoring;
pub mod statistics;
pub mod transforms;
pub mod validation;

pub use abort::Abort;
pub use config::CanaryConfig;
pub use judging::{CONFIDENCE, JUDGE_NAME, Judgement, MetricPair, MetricResult, TOLERANCE, judge};
pub use scoring::Thresholds;
