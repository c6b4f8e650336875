//! The plan: what would be made and what speaks against it.

use arya_judge::Timestamp;
use arya_plan::preview::{OtherDoor, Preview, Quota, ResourceLine, RuleLine, SharesLine, TimeToVerdict};
use arya_plan::problem::{Problem, Severity};
use arya_plan::spec::Instances;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PlanDocument {
    /// Whether it can be applied as it is.
    pub(crate) applicable: bool,
    pub(crate) sentence: String,
    pub(crate) rules_before: Vec<RuleLine>,
    pub(crate) rules_after: Vec<RuleLine>,
    pub(crate) resources: Vec<ResourceLine>,
    /// Every step in order, in words.
    pub(crate) checklist: Vec<String>,
    /// Blocking ones first.
    pub(crate) problems: Vec<ProblemLine>,
    pub(crate) quotas: Vec<Quota>,
    /// US dollars.
    pub(crate) price_per_hour: f64,
    /// What that figure is and is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price_note: Option<String>,
    /// What is launched, with what *same as production* stands for; absent where machines are none of AWS's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instances: Option<Instances>,
    pub(crate) other_doors: Vec<OtherDoor>,
    /// How their shares are known, or why they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) other_doors_note: Option<String>,
    pub(crate) time_to_verdict: TimeToVerdict,
    pub(crate) shares: Option<SharesLine>,
    /// Of the chosen rule, its groups and earlier overlapping rules: `POST /deployments` refuses when it differs.
    pub(crate) digest: String,
    /// When the cloud was looked at.
    pub(crate) as_of: Timestamp,
}

/// What speaks against the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ProblemLine {
    pub(crate) name: String,
    /// Whether it stops this spec, with what the spec acknowledges.
    pub(crate) blocking: bool,
    pub(crate) sentence: String,
    pub(crate) next: String,
    pub(crate) severity: Severity,
    /// Whether `acknowledged` can lift it.
    pub(crate) acknowledgeable: bool,
    pub(crate) field: Option<String>,
}

impl ProblemLine {
    fn of(problem: &Problem, acknowledged: &[String]) -> Self {
        Self {
            name: problem.name.clone(),
            blocking: problem.stops(acknowledged),
            sentence: problem.sentence.clone(),
            next: problem.next.clone(),
            severity: problem.severity,
            acknowledgeable: problem.severity == Severity::NeedsAcknowledgement,
            field: problem.field.clone(),
        }
    }
}

impl PlanDocument {
    pub(crate) fn of(preview: &Preview, acknowledged: &[String], as_of: Timestamp) -> Self {
        let mut problems: Vec<ProblemLine> = preview
            .problems
            .iter()
            .map(|problem| ProblemLine::of(problem, acknowledged))
            .collect();
        problems.sort_by_key(|problem| !problem.blocking);
        let blocking = problems.iter().filter(|problem| problem.blocking).count();
        Self {
            applicable: preview.desired.is_some(),
            sentence: sentence(blocking, preview),
            rules_before: preview.rules_before.clone(),
            rules_after: preview.rules_after.clone(),
            resources: preview.resources.clone(),
            checklist: preview.checklist.clone(),
            problems,
            quotas: preview.quotas.clone(),
            price_per_hour: preview.price_per_hour,
            price_note: preview.price_note.clone(),
            instances: preview.price_note.is_some().then(|| preview.instances.clone()),
            other_doors: preview.other_doors.clone(),
            other_doors_note: preview.other_doors_note.clone(),
            time_to_verdict: preview.time_to_verdict.clone(),
            shares: preview.shares.clone(),
            digest: preview.digest.clone(),
            as_of,
        }
    }
}

fn sentence(blocking: usize, preview: &Preview) -> String {
    match blocking {
        0 => format!(
            "Ready: {} resources would be made, and two rules placed before the chosen one. Nothing was touched.",
            preview.resources.len()
        ),
        1 => "One problem stands in the way. Nothing was touched.".into(),
        several => format!("{several} problems stand in the way. Nothing was touched."),
    }
}
