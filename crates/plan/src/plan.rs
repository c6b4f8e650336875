//! What to do now: a value, made from what is desired and what is seen. Nothing here acts.

use std::fmt;
use std::time::Duration;

use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desired::{Desired, Goal};
use crate::identity::{Arm, Place, RuleKind, SecurityGroupKind};
use crate::listener::{Action, Condition, GroupId};
use crate::observed::Observed;
use crate::phase::{Phase, phase};
use crate::seen::Seen;
use crate::spec::{Digest, short};
use crate::timing::Timing;
use crate::{provision, remove, route};

/// One look's answer: what to do now, what is waited for, and when to look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub phase: Phase,
    /// Independent of each other; they may run at the same time and in any order.
    pub steps: Vec<Step>,
    pub waiting: Vec<Waiting>,
    pub look_again_in: Duration,
}

/// One idempotent act that never waits. Names only places of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    CreateBucket,
    StartUpload {
        digest: Digest,
    },
    CreateSecurityGroup {
        kind: SecurityGroupKind,
    },
    CreateTargetGroup {
        arm: Arm,
    },
    LaunchInstance {
        place: Place,
        incarnation: u32,
    },
    RegisterTarget {
        arm: Arm,
        place: Place,
        incarnation: u32,
    },
    CreateRule {
        kind: RuleKind,
        priority: u16,
        conditions: Vec<Condition>,
        actions: Vec<Action>,
    },
    ModifyRule {
        kind: RuleKind,
        actions: Vec<Action>,
    },
    DeleteRule {
        kind: RuleKind,
    },
    CancelUploads,
    DeregisterTarget {
        arm: Arm,
        place: Place,
        incarnation: u32,
    },
    TerminateInstance {
        place: Place,
        incarnation: u32,
    },
    DeleteTargetGroup {
        arm: Arm,
    },
    DeleteSecurityGroup {
        kind: SecurityGroupKind,
    },
    DeleteBucket,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBucket => f.write_str("create the temporary bucket"),
            Self::StartUpload { digest } => write!(f, "upload file {}", short(digest)),
            Self::CreateSecurityGroup {
                kind: SecurityGroupKind::App,
            } => f.write_str("create the app security group"),
            Self::CreateSecurityGroup {
                kind: SecurityGroupKind::Monitor,
            } => f.write_str("create the monitor security group"),
            Self::CreateTargetGroup { arm } => write!(f, "create the {arm} target group"),
            Self::LaunchInstance { place, incarnation: 1 } => write!(f, "launch the {place}"),
            Self::LaunchInstance { place, incarnation } => write!(f, "launch the {place} again (try {incarnation})"),
            Self::RegisterTarget { arm, place, .. } => write!(f, "register the {place} in the {arm} target group"),
            Self::CreateRule { kind, priority, .. } => write!(f, "create the {kind} at priority {priority}"),
            Self::ModifyRule { kind, .. } => write!(f, "change the weights of the {kind}"),
            Self::DeleteRule { kind } => write!(f, "delete the {kind}"),
            Self::CancelUploads => f.write_str("stop the uploads"),
            Self::DeregisterTarget { arm, place, .. } => write!(f, "take the {place} out of the {arm} target group"),
            Self::TerminateInstance { place, .. } => write!(f, "terminate the {place}"),
            Self::DeleteTargetGroup { arm } => write!(f, "delete the {arm} target group"),
            Self::DeleteSecurityGroup {
                kind: SecurityGroupKind::App,
            } => f.write_str("delete the app security group"),
            Self::DeleteSecurityGroup {
                kind: SecurityGroupKind::Monitor,
            } => f.write_str("delete the monitor security group"),
            Self::DeleteBucket => f.write_str("empty and delete the temporary bucket"),
        }
    }
}

/// Why nothing more is done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    #[serde(rename = "for")]
    pub reason: WaitReason,
    pub since: Timestamp,
}

/// What is waited for. Its text is the sentence on the page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    Uploads {
        done: usize,
        of: usize,
        /// Why the last try of one failed.
        problem: Option<String>,
    },
    Instance {
        place: Place,
        doing: String,
    },
    HealthyTargets {
        arm: Arm,
        state: String,
    },
    SecondHealthyLook,
    /// Both arms are well, and users could come if production were.
    ProductionHealthy {
        group: GroupId,
    },
    /// Our main rule was created, and no listing shows it yet.
    MainRuleListed,
    /// The baseline alone has users beside production, until then.
    Spell {
        until: Timestamp,
    },
    /// Our rule is away and instances stand; a person decides.
    Person {
        why: String,
    },
    /// The rule is deleted; balancers take a moment to notice.
    Settling,
    Draining {
        arm: Arm,
        targets: usize,
    },
    InstancesToEnd {
        count: usize,
    },
    /// Nothing is seen any more; a second look must say the same.
    SecondQuietLook,
    /// The same step was tried often and changed nothing.
    Stuck {
        step: String,
        error: String,
    },
    /// The cloud does not answer, or asks for patience.
    Cloud {
        error: String,
    },
    /// Not waited for, but as good to know: what happens is seen later than usual.
    SlowLooks {
        every_s: u64,
    },
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uploads { done, of, problem } => {
                write!(f, "Waiting for uploads: {done} of {of} files are in the bucket.")?;
                problem.as_ref().map_or(Ok(()), |problem| write!(f, " {problem}"))
            }
            Self::Instance { place, doing } => write!(f, "Waiting for the {place}: {doing}."),
            Self::HealthyTargets { arm, state } => {
                write!(f, "Waiting for the {arm} target group to be healthy: {state}.")
            }
            Self::SecondHealthyLook => f.write_str("Both arms are healthy; a second look must say the same."),
            Self::ProductionHealthy { group } => write!(
                f,
                "Waiting for production's group {group}: it has no healthy target, and users come only when it is well."
            ),
            Self::MainRuleListed => f.write_str("Our main rule was created; waiting until the cloud lists it."),
            Self::Spell { until } => write!(
                f,
                "A/A spell: the baseline alone has users beside production until about {} UTC, the canary none yet.",
                until.strftime("%H:%M:%S")
            ),
            Self::Person { why } => f.write_str(why),
            Self::Settling => f.write_str("Our rule is deleted; giving the load balancer time to notice everywhere."),
            Self::Draining { arm, targets } => {
                write!(f, "Draining: {targets} {arm} target(s) finish the requests they have.")
            }
            Self::InstancesToEnd { count } => write!(f, "Waiting for {count} instance(s) to end."),
            Self::SecondQuietLook => f.write_str("Nothing of ours is left; a second look must say the same."),
            Self::Stuck { step, error } => {
                write!(
                    f,
                    "Stuck: \"{step}\" was tried several times and changed nothing. {error}"
                )
            }
            Self::Cloud { error } => write!(f, "Waiting for the cloud: {error}"),
            Self::SlowLooks { every_s } => write!(
                f,
                "Looks every {every_s} s, since the deployments of this account share what may be asked of it: a canary that \
                 falls sick loses its users so much later."
            ),
        }
    }
}

/// What a look leads to, collected by the files that ask one question each.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub steps: Vec<Step>,
    pub waiting: Vec<WaitReason>,
}

/// The plan for one look. Pure: the same input gives the same plan, and quiet is stable.
pub fn plan(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing) -> Plan {
    let mut draft = Draft::default();
    match desired.goal {
        Goal::Serve { .. } => {
            provision::provision(desired, observed, &mut draft);
            route::route(desired, observed, seen, timing, &mut draft);
        }
        Goal::Absent => remove::remove(desired, observed, seen, timing, &mut draft),
    }
    let phase = phase(desired, observed, seen, timing);
    #[cfg(feature = "simulation")]
    let phase = crate::planted::spoil(phase, desired, observed, seen, timing, &mut draft);
    // What is just being set going is looked at soon, whatever the phase.
    let wanted = if draft.steps.is_empty() {
        timing.look_again_in(phase)
    } else {
        timing.look_moving
    };
    let at_least = observed.look_again_at_least.unwrap_or_default();
    if at_least > timing.look_steady && desired.wants_traffic() {
        let every_s = at_least.as_secs_f64().ceil() as u64;
        draft.waiting.push(WaitReason::SlowLooks { every_s });
    }
    let waiting = draft
        .waiting
        .into_iter()
        .map(|reason| Waiting {
            since: seen.waiting_since(&reason).unwrap_or(observed.at),
            reason,
        })
        .collect();
    Plan {
        phase,
        steps: draft.steps,
        waiting,
        look_again_in: wanted.max(at_least),
    }
}
