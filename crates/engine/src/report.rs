//! What a look found and led to: the value that pages, API and command line read.

use arya_judge::{Outcome, Timestamp, TrackPoint, Verdict};
use arya_plan::cloud::ErrorKind;
use arya_plan::desired::{Desired, Goal, MainRule};
use arya_plan::observed::Observed;
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, plan};
use arya_plan::proof::RestoreProof;
use arya_plan::seen::Seen;
use arya_plan::timing::Timing;

use crate::store::{StoreError, StoredDeployment, StoredPause, StoredVerdict, epoch};

/// One deployment after its latest look. It holds the probe secret, as [`Desired`] does: the server shows its own
/// documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub desired: Desired,
    /// The latest look that succeeded; `None` = none yet, or the deployment closed in an earlier run.
    pub observed: Option<Observed>,
    pub plan: Option<Plan>,
    pub phase: Phase,
    /// What is said now. While *harmful* is latched this is the harmful verdict; while judging is paused, as without users,
    /// it is never a pass and says since when and why.
    pub verdict: Option<Verdict>,
    /// How each metric's estimate grew, for the chart.
    pub tracks: Vec<Track>,
    /// Since when the two arms are compared.
    pub evidence_from: Option<Timestamp>,
    pub restore_proof: Option<RestoreProof>,
    pub closed_at: Option<Timestamp>,
    /// Why the latest look failed, if it did; `observed` is then older than `as_of`.
    pub cloud_error: Option<String>,
    /// What kind of *no* that was.
    pub cloud_said: Option<ErrorKind>,
    pub as_of: Timestamp,
}

/// One metric's way.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub metric: String,
    pub points: Vec<TrackPoint>,
}

impl Report {
    /// Shows an edit that is newer than what the look saw. A pass is about the share that it was earned at.
    pub(crate) fn show(&mut self, desired: Desired, bake_s: f64) {
        let another = desired.goal != Goal::Absent
            && (desired.share() != self.desired.share() || epoch(&desired) != epoch(&self.desired));
        if another {
            self.verdict = self.verdict.take().map(|verdict| verdict.outdated(bake_s));
        }
        self.desired = desired;
    }

    /// What can be said before the first look of this run.
    pub(crate) fn unseen(stored: &StoredDeployment, verdict: Option<Verdict>, timing: &Timing, now: Timestamp) -> Self {
        let guess = || plan(&stored.desired, &Observed::nothing(now), &Seen::default(), timing).phase;
        let phase = stored.closed_at.map_or_else(guess, |_| Phase::Destroyed);
        Self::in_phase(phase, stored, verdict, now)
    }

    /// What the store says, in a phase that is known.
    pub(crate) fn in_phase(phase: Phase, stored: &StoredDeployment, verdict: Option<Verdict>, now: Timestamp) -> Self {
        Self {
            desired: stored.desired.clone(),
            observed: None,
            plan: None,
            phase,
            verdict,
            tracks: Vec::new(),
            evidence_from: stored.evidence_from,
            restore_proof: stored.restore_proof.clone(),
            closed_at: stored.closed_at,
            cloud_error: None,
            cloud_said: None,
            as_of: stored.closed_at.unwrap_or(now),
        }
    }
}

/// What may be said of a deployment: `current` is what was judged last in this run, `last_said` what the store knows, of
/// an outcome if one is asked for. Traffic that was removed never reads as a pass: while judging is paused only the last
/// numbers are shown, with their time, and a harmful verdict stays until a person overrules it.
pub(crate) fn verdict_to_say(
    stored: &StoredDeployment,
    bake_s: f64,
    current: Option<Verdict>,
    pause: Option<&StoredPause>,
    last_said: impl FnOnce(Option<Outcome>) -> Result<Option<StoredVerdict>, StoreError>,
) -> Result<Option<Verdict>, StoreError> {
    let desired = &stored.desired;
    // A pass of another share, of instances that were replaced, or of before an override is none of this deployment as it
    // is.
    let since = stored.share_since.max(stored.evidence_from).max(desired.judged_from());
    let as_of_now = |said: StoredVerdict| match since {
        Some(since) if said.at < since => said.verdict.outdated(bake_s),
        Some(_) | None => said.verdict,
    };
    let said = |outcome| Ok::<_, StoreError>(last_said(outcome)?.map(as_of_now));
    if desired.is_harmful() {
        return match current {
            Some(verdict) if verdict.outcome == Outcome::Harmful => Ok(Some(verdict)),
            other => Ok(said(Some(Outcome::Harmful))?.or(other)),
        };
    }
    let latest = |current: Option<Verdict>| match current {
        Some(current) => Ok(Some(current)),
        None => said(None),
    };
    match (desired.main_rule, desired.goal) {
        (MainRule::NotYet, _) => Ok(None),
        (MainRule::Seen, Goal::Serve { .. }) => Ok(current.map(|verdict| shown_in(verdict, pause))),
        // Destroyed while it served: the verdict of its last moment is its result.
        (MainRule::Seen, Goal::Absent) => Ok(latest(current)?.map(|verdict| shown_in(verdict, pause))),
        (MainRule::Wanted | MainRule::Made { .. } | MainRule::Away, _) => match pause {
            Some(stored) => Ok(latest(current)?.map(|verdict| verdict.while_paused(stored.pause.clone()))),
            None => Ok(None),
        },
    }
}

/// What is shown of a verdict in a pause, if there is one.
fn shown_in(verdict: Verdict, pause: Option<&StoredPause>) -> Verdict {
    match pause {
        Some(stored) if stored.meanwhile.shows_harm() && verdict.outcome == Outcome::Harmful => verdict,
        Some(stored) => verdict.while_paused(stored.pause.clone()),
        None => verdict,
    }
}
