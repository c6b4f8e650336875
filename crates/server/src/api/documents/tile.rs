//! One metric in the short words of its tile; every word is the judge's own.

use arya_judge::MetricVerdict;
use serde::{Deserialize, Serialize};

use super::verdict::Told;

/// What a tile says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct TileDocument {
    /// The number that says most of each arm, such as `240 ms`, and what it rests on.
    pub(crate) baseline: String,
    pub(crate) baseline_of: String,
    pub(crate) canary: String,
    pub(crate) canary_of: String,
    /// Canary less baseline.
    pub(crate) difference: Option<String>,
    /// What the interval is of, and the interval.
    pub(crate) compared: String,
    pub(crate) interval: String,
    /// Evidence for a regression, beside the one that alarms.
    pub(crate) evidence: String,
    /// What is still waited for, at the end what was missing; `None` once something is said.
    pub(crate) outlook: Option<String>,
}

impl TileDocument {
    pub(super) fn of(metric: &MetricVerdict, told: Told) -> Self {
        let (baseline, canary) = metric.arms();
        Self {
            baseline: baseline.value,
            baseline_of: baseline.rests_on,
            canary: canary.value,
            canary_of: canary.rests_on,
            difference: metric.difference_in_words(),
            compared: metric.compared(),
            interval: match told {
                Told::SoFar | Told::OnHold => metric.interval_in_words(),
                Told::AtTheEnd => metric.last_interval_in_words(),
            },
            evidence: metric.evidence_in_words(),
            outlook: match told {
                Told::SoFar => metric.outlook(),
                Told::OnHold | Told::AtTheEnd => metric
                    .missing()
                    .map(|missing| format!("{}: {missing}", metric.outcome.last_word())),
            },
        }
    }
}
