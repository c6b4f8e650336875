//! Bugs to switch on, so that a simulation can show that it would find them. Compiled for the simulation alone; each is one
//! that somebody could write, put where its effect leaves the planner.

use std::cell::Cell;
use std::time::Duration;

use arya_judge::Verdict;

use crate::desired::{Actor, Change, Desired, Goal, HoldReason, MainRule, Spell};
use crate::identity::{Arm, RuleKind};
use crate::observed::{Observed, TargetState};
use crate::phase::Phase;
use crate::plan::{Draft, Step};
use crate::remove;
use crate::route;
use crate::seen::{Fact, Seen};
use crate::timing::Timing;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Users come after the first healthy look.
    OneHealthyLook,
    /// A group without a healthy target is nothing to worry about.
    IgnoresAnEmptyGroup,
    /// The rule below ours changed, and ours stays.
    IgnoresTheSite,
    /// Destroy takes targets and groups away while the rules still stand.
    GroupsBeforeRules,
    /// Targets go as soon as the rule is deleted, before every node knows.
    SkipsSettling,
    /// Instances end without waiting for their targets to drain.
    SkipsDraining,
    /// A lost instance is launched again as the same filling of its place.
    SameIncarnation,
    /// A launch without an answer counts as failed, and the next filling is launched beside it.
    LostAnswerIsFailure,
    /// A main rule that is missing is put back, whoever took it away.
    PutsTheRuleBack,
    /// *Harmful* takes the traffic away and is forgotten.
    ForgetsHarm,
    /// What a person overruled raises the alarm again.
    TakesOldEvidence,
    /// After an override nothing raises the alarm again.
    AlarmsOnce,
    /// The lifetime is not looked at.
    IgnoresTheDeadline,
    /// One quiet look is enough, also while listings lag.
    OneQuietLook,
    /// A rule of weight 0 stays where the share is 0.
    KeepsAnEmptyRule,
    /// A step is carried out before the change that asks for it is stored.
    ActsBeforeStoring,
    /// A change is stored, and nobody is told.
    TellsNobody,
    /// Twins that are unfit are said, and users stay on them.
    LeavesUnfitTwins,
    /// An arm that lacks a machine is waited for without an end.
    WaitsForAMachineForEver,
    /// The canary has users before its spell is over.
    SkipsTheSpell,
    /// What is measured before the canary has users is judged.
    JudgesTheSpell,
}

impl Bug {
    pub const ALL: [Self; 21] = [
        Self::OneHealthyLook,
        Self::IgnoresAnEmptyGroup,
        Self::IgnoresTheSite,
        Self::GroupsBeforeRules,
        Self::SkipsSettling,
        Self::SkipsDraining,
        Self::SameIncarnation,
        Self::LostAnswerIsFailure,
        Self::PutsTheRuleBack,
        Self::ForgetsHarm,
        Self::TakesOldEvidence,
        Self::AlarmsOnce,
        Self::IgnoresTheDeadline,
        Self::OneQuietLook,
        Self::KeepsAnEmptyRule,
        Self::ActsBeforeStoring,
        Self::TellsNobody,
        Self::LeavesUnfitTwins,
        Self::WaitsForAMachineForEver,
        Self::SkipsTheSpell,
        Self::JudgesTheSpell,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Has this thread run with a bug from now on.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this thread runs with that bug.
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// What the bug makes of a decision.
pub(crate) fn spoil_decision(
    right: Option<(Change, Actor)>,
    desired: &Desired,
    observed: &Observed,
    verdict: Option<&Verdict>,
) -> Option<(Change, Actor)> {
    let Some(bug) = PLANTED.get() else { return right };
    match (bug, right) {
        (Bug::OneHealthyLook, None) => {
            let ready = route::arms_healthy(desired, observed);
            let begins = desired.main_rule == MainRule::NotYet && desired.wants_traffic() && ready;
            begins.then_some((Change::BeginServing, Actor::Arya))
        }
        (Bug::IgnoresAnEmptyGroup, Some((Change::RemoveTraffic { reason }, by))) => match reason {
            HoldReason::ArmUnhealthy { .. }
            | HoldReason::ProductionUnhealthy { .. }
            | HoldReason::InstanceLost { .. } => None,
            reason => Some((Change::RemoveTraffic { reason }, by)),
        },
        (
            Bug::IgnoresTheSite,
            Some((
                Change::RemoveTraffic {
                    reason: HoldReason::RuleBelowChanged,
                },
                _,
            )),
        ) if desired.main_rule == MainRule::Seen => None,
        (Bug::SameIncarnation, Some((Change::Replace { .. }, _))) => None,
        (
            Bug::PutsTheRuleBack,
            Some((
                Change::RemoveTraffic {
                    reason: HoldReason::OurRuleRemoved,
                },
                _,
            )),
        ) => None,
        (Bug::ForgetsHarm, Some((Change::LatchHarmful { .. }, by))) => {
            let reason = HoldReason::Harmful;
            (verdict.is_some() && desired.wants_traffic()).then_some((Change::RemoveTraffic { reason }, by))
        }
        (Bug::AlarmsOnce, Some((Change::LatchHarmful { .. }, _))) if desired.harmful.is_some() => None,
        (Bug::IgnoresTheDeadline, Some((Change::Destroy, Actor::Deadline))) => None,
        (
            Bug::LeavesUnfitTwins,
            Some((
                Change::RemoveTraffic {
                    reason: HoldReason::TwinsUnfit { .. },
                },
                _,
            )),
        )
        | (
            Bug::WaitsForAMachineForEver,
            Some((
                Change::RemoveTraffic {
                    reason: HoldReason::ArmDisturbed { .. },
                },
                _,
            )),
        ) => None,
        (Bug::SkipsTheSpell, None) => {
            let alone = desired.main_rule == MainRule::Seen && matches!(desired.spell, Spell::Since { .. });
            (alone && desired.wants_traffic()).then_some((Change::EndSpell, Actor::Arya))
        }
        (_, right) => right,
    }
}

/// What the bug makes of a look: of its steps, and of its phase.
pub(crate) fn spoil(
    right: Phase,
    desired: &Desired,
    observed: &Observed,
    seen: &Seen,
    timing: &Timing,
    draft: &mut Draft,
) -> Phase {
    spoil_steps(desired, observed, seen, timing, draft);
    let going = desired.goal == Goal::Absent;
    if is_planted(Bug::OneQuietLook) && going && seen.looks(Fact::NothingLeft) > 0 {
        return Phase::Destroyed;
    }
    right
}

fn spoil_steps(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing, draft: &mut Draft) {
    let Some(bug) = PLANTED.get() else { return };
    let going = desired.goal == Goal::Absent;
    match bug {
        Bug::GroupsBeforeRules if going => draft.steps.extend(targets(observed)),
        Bug::SkipsSettling if going => {
            *draft = Draft::default();
            let hasty = Timing {
                settle: Duration::ZERO,
                ..timing.clone()
            };
            remove::remove(desired, observed, seen, &hasty, draft);
        }
        Bug::SkipsDraining if going && seen.held_for(Fact::RulesAway).is_some_and(|away| away >= timing.settle) => {
            draft.steps.extend(instances(observed));
        }
        Bug::SameIncarnation if !going => draft.steps.extend(relaunches(desired, observed)),
        Bug::PutsTheRuleBack if !going => {
            let away = observed.our_rule(&desired.id, RuleKind::Main).is_none();
            let stood = matches!(desired.main_rule, MainRule::Seen | MainRule::Made { .. });
            if away && stood && desired.wants_traffic() {
                draft.steps.extend(creation(desired, observed));
            }
        }
        Bug::KeepsAnEmptyRule if !going => {
            let delete = Step::DeleteRule { kind: RuleKind::Main };
            draft.steps.retain(|step| *step != delete);
        }
        _ => {}
    }
}

fn creation(desired: &Desired, observed: &Observed) -> Option<Step> {
    Some(Step::CreateRule {
        kind: RuleKind::Main,
        priority: desired.placement.slots.main,
        conditions: desired.placement.composed.conditions.clone(),
        actions: route::main_actions(desired, observed)?,
    })
}

fn targets(observed: &Observed) -> impl Iterator<Item = Step> {
    let of = |(arm, group): (&Arm, &crate::observed::OurGroup)| {
        let arm = *arm;
        let standing = group.targets.iter().filter(|t| t.health.state != TargetState::Draining);
        let out = |target: &crate::observed::Target| Step::DeregisterTarget {
            arm,
            place: target.place,
            incarnation: target.incarnation,
        };
        standing.map(out).collect::<Vec<_>>()
    };
    observed.groups.iter().flat_map(of).collect::<Vec<_>>().into_iter()
}

fn instances(observed: &Observed) -> impl Iterator<Item = Step> {
    let standing = observed.instances.iter().filter(|instance| !instance.state.is_ending());
    standing.map(|instance| Step::TerminateInstance {
        place: instance.place,
        incarnation: instance.incarnation,
    })
}

fn relaunches(desired: &Desired, observed: &Observed) -> impl Iterator<Item = Step> {
    let ending = observed.instances.iter().filter(|instance| instance.state.is_ending());
    let wanted = ending.filter(|instance| instance.incarnation == desired.incarnation(instance.place));
    wanted.map(|instance| Step::LaunchInstance {
        place: instance.place,
        incarnation: instance.incarnation,
    })
}
