//! What is kept between looks and may be lost in a crash: timers, attempts, and what the feed has said already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arya_judge::{Outcome, Timestamp};
use arya_plan::cloud::CloudError;
use arya_plan::desired::Change;
use arya_plan::identity::Place;
use arya_plan::observed::{BootPhase, Observed};
use arya_plan::phase::Phase;
use arya_plan::plan::Plan;
use arya_plan::proof::RestoreProof;
use arya_plan::seen::Seen;
use arya_plan::timing::Timing;

use super::judging::Judged;
use super::stepping::Attempts;
use crate::event::{Event, RecordedEvent};
use crate::store::Known;

/// The longest pause when the cloud asks for patience. Longer would leave a canary unwatched for too long.
pub const BACK_OFF_AT_MOST: Duration = Duration::from_secs(30);
/// The shortest: AWS refills its request buckets once a second.
pub const BACK_OFF_AT_LEAST: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) known: Known,
    pub(crate) seen: Seen,
    pub(crate) observed: Option<Arc<Observed>>,
    pub(crate) plan: Option<Plan>,
    pub(crate) cloud_error: Option<CloudError>,
    pub(crate) blind_since: Option<Timestamp>,
    pub(crate) attempts: Attempts,
    pub(crate) judged: Judged,
    /// The phase that the feed told last.
    pub(crate) phase: Option<Phase>,
    /// The outcome that the feed told last.
    pub(crate) outcome: Option<Outcome>,
    /// What each instance reported last, by place and incarnation.
    pub(crate) reported: BTreeMap<(Place, u32), BootPhase>,
    pub(crate) launched: BTreeMap<(Place, u32), Timestamp>,
    /// The proof that failed last, as the feed told it.
    failed_proof: Option<RestoreProof>,
    throttled_for: Option<Duration>,
    /// Changes that a planted bug acts on before they are stored.
    #[cfg(feature = "simulation")]
    pub(crate) put_off: Vec<(Change, arya_plan::desired::Actor)>,
}

impl Memory {
    /// What the feed says was told already, so that a restart does not tell it again.
    pub(crate) fn recall(events: &[RecordedEvent]) -> Self {
        let mut memory = Self::default();
        for recorded in events {
            match &recorded.event {
                Event::PhaseChanged { to } => memory.phase = Some(*to),
                Event::VerdictChanged { outcome, .. } => memory.outcome = Some(*outcome),
                Event::InstanceReported {
                    place,
                    incarnation,
                    phase,
                    ..
                } => {
                    memory.reported.insert((*place, *incarnation), *phase);
                }
                Event::Launched { place, incarnation } => {
                    memory.launched.insert((*place, *incarnation), recorded.at);
                }
                Event::Changed {
                    change: Change::LatchHarmful { .. },
                    ..
                } => memory.outcome = Some(Outcome::Harmful),
                Event::Created { .. }
                | Event::Changed { .. }
                | Event::Abandoned
                | Event::Done { .. }
                | Event::Refused { .. }
                | Event::Unanswered { .. }
                | Event::JudgingPaused { .. }
                | Event::JudgingResumed { .. }
                | Event::Interrupted { .. }
                | Event::Restored { .. }
                | Event::Noted { .. } => {}
            }
        }
        memory
    }

    /// Whether a proof that failed differs from what the feed told last; remembers it as told.
    pub(crate) fn is_news(&mut self, failed: &RestoreProof) -> bool {
        self.failed_proof.replace(failed.clone()).as_ref() != Some(failed)
    }

    /// The cloud asked for patience once more: how long to be patient, twice as long each time.
    pub(crate) fn throttled(&mut self, timing: &Timing) -> Duration {
        let first = timing.look_moving.max(BACK_OFF_AT_LEAST);
        let pause = self
            .throttled_for
            .map_or(first, |last| last.saturating_mul(2))
            .min(BACK_OFF_AT_MOST);
        self.throttled_for = Some(pause);
        pause
    }

    /// The cloud answered everything that was asked.
    pub(crate) const fn not_throttled(&mut self) {
        self.throttled_for = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arya_plan::proof::{Difference, Whose};

    #[test]
    fn a_proof_that_fails_the_same_way_again_is_no_news() {
        let failed = |what: &str| RestoreProof {
            differences: vec![Difference {
                what: what.into(),
                whose: Whose::Ours,
                sentence: "Our rule still stands.".into(),
            }],
        };
        let mut memory = Memory::default();
        let news = ["a", "a", "b", "b", "a"].map(|what| memory.is_news(&failed(what)));
        assert_eq!(news, [true, false, true, false, true]);
    }
}
