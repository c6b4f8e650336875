//! Question: how does it all go away again? Rules first, then targets, instances, groups, bucket; each only when nothing
//! depends on it any more. Works for any half-built state.

use std::time::Duration;

use crate::desired::Desired;
use crate::identity::{Arm, RuleKind};
use crate::listener::Rule;
use crate::observed::{InstanceState, Observed, TargetState, UploadState};
use crate::plan::{Draft, Step, WaitReason};
use crate::seen::{Fact, Seen};
use crate::timing::Timing;

pub(crate) fn remove(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing, draft: &mut Draft) {
    for kind in [RuleKind::Main, RuleKind::Probe] {
        if observed.our_rule(&desired.id, kind).is_some() {
            draft.steps.push(Step::DeleteRule { kind });
        }
    }
    if observed
        .uploads
        .values()
        .any(|upload| upload.state == UploadState::Running)
    {
        draft.steps.push(Step::CancelUploads);
    }
    match seen.held_for(Fact::RulesAway) {
        None => return,
        Some(away) if away < timing.settle => {
            draft.waiting.push(WaitReason::Settling);
            return;
        }
        Some(_) => {}
    }
    for arm in Arm::BOTH {
        drain(observed, arm, draft);
    }
    terminate(desired, observed, seen, timing, draft);
    rest(observed, draft);
    if nothing_left(desired, observed) && !destroyed(seen, timing) {
        draft.waiting.push(WaitReason::SecondQuietLook);
    }
}

fn drain(observed: &Observed, arm: Arm, draft: &mut Draft) {
    let Some(group) = observed.groups.get(&arm) else { return };
    for target in group.standing() {
        draft.steps.push(Step::DeregisterTarget {
            arm,
            place: target.place,
            incarnation: target.incarnation,
        });
    }
    if group.targets.is_empty() {
        draft.steps.push(Step::DeleteTargetGroup { arm });
    } else {
        draft.waiting.push(WaitReason::Draining {
            arm,
            targets: group.targets.len(),
        });
    }
}

fn terminate(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing, draft: &mut Draft) {
    let mut ending = 0;
    for instance in &observed.instances {
        match instance.state {
            InstanceState::Terminated => {}
            InstanceState::ShuttingDown => ending += 1,
            InstanceState::Pending | InstanceState::Running => {
                let drained = instance.place.role.arm().is_none_or(|arm| {
                    let registered = observed
                        .groups
                        .get(&arm)
                        .is_some_and(|g| g.target(instance.place).is_some());
                    let too_long = seen
                        .held_for(Fact::Draining(arm))
                        .is_some_and(|d| d >= drain_at_most(desired, timing));
                    !registered || too_long
                });
                if drained {
                    let (place, incarnation) = (instance.place, instance.incarnation);
                    draft.steps.push(Step::TerminateInstance { place, incarnation });
                }
                ending += 1;
            }
        }
    }
    if ending > 0 {
        draft.waiting.push(WaitReason::InstancesToEnd { count: ending });
    }
}

fn drain_at_most(desired: &Desired, timing: &Timing) -> Duration {
    let groups = Duration::from_secs(u64::from(desired.placement.group.deregistration_delay_s));
    groups.min(timing.drain_at_most)
}

/// Security groups are held by instances, and an instance that still runs may write its status into the bucket.
fn rest(observed: &Observed, draft: &mut Draft) {
    if observed.instances.iter().any(|i| i.state != InstanceState::Terminated) {
        return;
    }
    draft.steps.extend(
        observed
            .security_groups
            .iter()
            .map(|kind| Step::DeleteSecurityGroup { kind: *kind }),
    );
    if observed.bucket
        && observed
            .uploads
            .values()
            .all(|upload| upload.state != UploadState::Running)
    {
        draft.steps.push(Step::DeleteBucket);
    }
}

/// How many targets of the arm are finishing their requests.
pub(crate) fn draining(observed: &Observed, arm: Arm) -> usize {
    let targets = observed.groups.get(&arm).map_or(&[][..], |group| &group.targets);
    targets
        .iter()
        .filter(|t| t.health.state == TargetState::Draining)
        .count()
}

/// Nothing with our tags is listed, but for instances that ended.
pub(crate) fn nothing_left(desired: &Desired, observed: &Observed) -> bool {
    let ours = |rule: &Rule| rule.owner.as_ref().is_some_and(|owner| owner.deployment == desired.id);
    let rules = observed.site.as_ref().map_or(&[][..], |site| &site.rules);
    !rules.iter().any(ours)
        && !observed.bucket
        && observed.security_groups.is_empty()
        && observed.groups.is_empty()
        && observed.instances.iter().all(|i| i.state == InstanceState::Terminated)
}

/// Two quiet looks, further apart than a listing may lag behind a create.
pub(crate) fn destroyed(seen: &Seen, timing: &Timing) -> bool {
    seen.looks(Fact::NothingLeft) >= 2
        && seen
            .held_for(Fact::NothingLeft)
            .is_some_and(|d| d >= timing.listing_lag)
}
