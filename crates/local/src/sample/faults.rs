//! How badly the sample service behaves right now, and its dice. Must never know which route is served.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The faults of a release, as the control channel sets them. A key that is absent keeps its value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Share of requests that fail, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_share: Option<f64>,
    /// Milliseconds that every answer takes on top, at most 60 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_latency_ms: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    #[error("not a JSON object with error_share and extra_latency_ms")]
    NotUnderstood(#[source] serde_json::Error),
    #[error("error_share must be between 0 and 1, extra_latency_ms at most 60000")]
    OutOfRange,
}

/// The faults in force. Requests read them, the control channel writes them.
#[derive(Debug)]
pub(super) struct FaultsInForce {
    now: Mutex<(f64, Duration)>,
}

impl FaultsInForce {
    pub(super) fn new(error_share: f64, extra_latency: Duration) -> Self {
        Self {
            now: Mutex::new((error_share, extra_latency)),
        }
    }

    /// Share of failing requests and additional latency.
    pub(super) fn now(&self) -> (f64, Duration) {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn apply(&self, line: &str) -> Result<(), ControlError> {
        let wanted: Faults = serde_json::from_str(line).map_err(ControlError::NotUnderstood)?;
        let share_fits = wanted.error_share.is_none_or(|share| (0.0..=1.0).contains(&share));
        let delay_fits = wanted.extra_latency_ms.is_none_or(|ms| ms <= 60_000);
        if !(share_fits && delay_fits) {
            return Err(ControlError::OutOfRange);
        }
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        now.0 = wanted.error_share.unwrap_or(now.0);
        now.1 = wanted.extra_latency_ms.map_or(now.1, Duration::from_millis);
        Ok(())
    }
}

/// Uniform numbers for errors and jitter: SplitMix64 (Steele, Lea, Flood 2014), whose state is one counter, so that
/// concurrent requests need no lock. Not for secrets.
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    /// Two instances must not fail on the same requests, so the seed is random.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(getrandom::u64().unwrap_or(0x5eed)))
    }

    /// The next number, uniform in [0, 1).
    pub(super) fn roll(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(f64, u64)>) {
        let faults = FaultsInForce::new(0.5, Duration::from_millis(7));
        assert_eq!(faults.apply(line).is_ok(), expected.is_some(), "{line}");
        let (share, latency_ms) = expected.unwrap_or((0.5, 7));
        assert_eq!(faults.now(), (share, Duration::from_millis(latency_ms)));
    }

    #[test]
    fn both_faults_change_at_once() {
        check(r#"{"error_share":0.1,"extra_latency_ms":150}"#, Some((0.1, 150)));
    }

    #[test]
    fn an_absent_key_keeps_its_value() {
        check(r#"{"extra_latency_ms":0}"#, Some((0.5, 0)));
        check("{}", Some((0.5, 7)));
    }

    #[test]
    fn nonsense_changes_nothing() {
        check("worse please", None);
        check(r#"{"error_share":2}"#, None);
        check(r#"{"error_share":0.1,"extra_latency_ms":90000}"#, None);
        check(r#"{"eror_share":0.1}"#, None);
    }

    #[test]
    fn rolls_are_uniform() {
        let dice = Dice(AtomicU64::new(1));
        let below = (0..100_000).filter(|_| dice.roll() < 0.1).count();
        assert!((9_700..10_300).contains(&below), "{below}");
    }
}
