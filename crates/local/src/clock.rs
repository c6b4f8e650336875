//! This crate's only look at the time of day.

use jiff::Timestamp;

/// The time of day: it stamps access logs, cookies, measured cells, samples and reports, so that whoever compares them
/// reads one clock. Durations come from tokio's clock, which tests can pause.
pub(crate) fn clock() -> Timestamp {
    Timestamp::now()
}
