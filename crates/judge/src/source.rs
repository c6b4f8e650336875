//! The port through which measurements arrive. Adapters outside implement it; the judge never calls it itself.

pub mod access_log;
pub mod answer;
mod blocks;
mod counted;
pub mod minutes;
mod origin;
pub mod pack;
pub mod posted;
mod production;
mod question;
mod scrapes;
mod selector;

use std::future::Future;
use std::ops::RangeInclusive;

use crate::{Evidence, MetricConfig, Timestamp};
pub use blocks::{SHORTEST_BLOCK_S, block_s, blocks, look_back_s};
pub use origin::{Origin, Watched};
pub use production::production;
pub use question::{Whose, everything_of, samples_of, series_of};
pub use selector::{Selector, SelectorError};

/// Where evidence comes from: one source per metric, never mixed.
pub trait MetricSource: Send + Sync + 'static {
    /// Reads what both arms of a deployment reported in a span of time.
    ///
    /// `deployment` is an identifier that only the source understands.
    ///
    /// # Errors
    /// When the source cannot be asked or understood. No failing requests is not an error but zero events; no
    /// requests at all is [`SourceError::NoData`] or an evidence without blocks.
    fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> impl Future<Output = Result<Evidence, SourceError>> + Send;

    /// The metrics that a deployment can be judged by, chosen from what its arms show; `None` while that is not known
    /// yet, or where a source offers no choice.
    ///
    /// # Errors
    /// When the source cannot be asked or understood.
    fn metrics(
        &self,
        _deployment: &str,
        _now: Timestamp,
    ) -> impl Future<Output = Result<Option<Vec<MetricConfig>>, SourceError>> + Send {
        std::future::ready(Ok(None))
    }
}

/// Why a source gave no evidence. Never a pass and never a fail: [`Evidence::failed`] turns it into a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nobody answered, or not in time, or with a refusal.
    #[error("the source of measurements cannot be reached: {what}")]
    Unreachable {
        /// What was tried and what came back.
        what: String,
    },
    /// An answer came and cannot be read.
    #[error("the source of measurements answered something that cannot be read: {what}")]
    Malformed {
        /// What was expected and what was found.
        what: String,
    },
    /// An answer came and there is nothing in it for these arms and this span.
    #[error("the source has no data: {what}")]
    NoData {
        /// Which series or lines are missing.
        what: String,
    },
}
