//! What a look found and led to: the value that pages, API and command line read.

use arya_judge::{Timestamp, TrackPoint, Verdict};
use arya_plan::desired::Desired;
use arya_plan::observed::Observed;
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, plan};
use arya_plan::proof::RestoreProof;
use arya_plan::seen::Seen;
use arya_plan::timing::Timing;
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use crate::store::StoredDeployment;

/// One deployment after its latest look. Its JSON holds the probe secret, as [`Desired`] does: it is for the server,
/// which shows its own documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub desired: Desired,
    /// The latest look that succeeded; `None` = none yet, or the deployment closed in an earlier run.
    pub observed: Option<Observed>,
    #[serde(serialize_with = "plan_as_json")]
    pub plan: Option<Plan>,
    pub phase: Phase,
    /// What is said now. While *harmful* is latched this is the harmful verdict; without users it is never a pass.
    pub verdict: Option<Verdict>,
    /// How each metric's estimate grew, for the chart.
    pub tracks: Vec<Track>,
    /// Since when the two arms are compared.
    pub evidence_from: Option<Timestamp>,
    pub restore_proof: Option<RestoreProof>,
    pub closed_at: Option<Timestamp>,
    /// Why the latest look failed, if it did; `observed` is then older than `as_of`.
    pub cloud_error: Option<String>,
    pub as_of: Timestamp,
}

/// One metric's way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    pub metric: String,
    pub points: Vec<TrackPoint>,
}

impl Report {
    /// What can be said before the first look of this run.
    pub(crate) fn unseen(stored: &StoredDeployment, verdict: Option<Verdict>, timing: &Timing, now: Timestamp) -> Self {
        let guess = plan(&stored.desired, &Observed::nothing(now), &Seen::default(), timing);
        Self {
            desired: stored.desired.clone(),
            observed: None,
            plan: None,
            phase: if stored.closed_at.is_some() {
                Phase::Destroyed
            } else {
                guess.phase
            },
            verdict,
            tracks: Vec::new(),
            evidence_from: stored.evidence_from,
            restore_proof: stored.restore_proof.clone(),
            closed_at: stored.closed_at,
            cloud_error: None,
            as_of: stored.closed_at.unwrap_or(now),
        }
    }
}

/// Steps and waiting reasons as sentences: a step's own fields may hold the probe rule's secret.
fn plan_as_json<S: Serializer>(plan: &Option<Plan>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(plan) = plan else {
        return serializer.serialize_none();
    };
    let mut json = serializer.serialize_struct("Plan", 4)?;
    json.serialize_field("phase", &plan.phase)?;
    json.serialize_field("steps", &plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    json.serialize_field("waiting", &plan.waiting)?;
    json.serialize_field("look_again_in_s", &plan.look_again_in.as_secs_f64())?;
    json.end()
}
