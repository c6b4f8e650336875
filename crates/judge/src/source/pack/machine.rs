//! What is known of how measurements scatter where all instances share one machine, as in the local world.

use crate::{MetricConfig, MetricKind};

/// How much more than independent requests times scatter there. All instances share one machine's processors, and one of
/// them is kept waiting for a while now and then: two of one version, 42 spans of 15 s each on two processors that 10 to
/// 20 others wanted too, differed with a variance of 1.6 to 3.7 times what chance would give, and once in 60 spans with 34
/// times. A service ten times as slow is still seen within seconds.
const TIMES_DISPERSION: f64 = 8.0;

/// The same of failures, which on one machine are as independent as they come: two of one version, 458 failures beside
/// builds, differed with a variance of 0.4 to 1.2 times what chance would give. Without it a wander would be assumed as of a
/// service that nobody knows, and a plainly broken canary found 10 s later.
const FAILURES_DISPERSION: f64 = 1.25;

impl MetricConfig {
    /// The metric where all instances share one machine.
    #[must_use]
    pub fn on_one_machine(self) -> Self {
        let known_dispersion = match self.kind {
            MetricKind::ErrorShare => Some(FAILURES_DISPERSION),
            MetricKind::Histogram => Some(TIMES_DISPERSION),
            MetricKind::EventRate | MetricKind::Gauge | MetricKind::Leak => self.known_dispersion,
        };
        Self {
            known_dispersion,
            ..self
        }
    }
}
