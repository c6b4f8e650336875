//! What is kept at all times: identity, the store, other people's things, and rest.

use std::collections::BTreeSet;

use arya_plan::desired::{Goal, MainRule};
use arya_plan::identity::{LogicalId, RuleKind};
use arya_plan::listener::{Rule, SiteGroup};
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, Step, WaitReason};

use super::Scene;
use super::serving::arms_are_healthy;

/// So many looks after the last happening everything has come to rest: the longest limit of the timing, twice.
pub(super) const PATIENCE: u16 = 45;

/// A step never waits; what is waited for is a value that the page shows.
pub(super) fn whoever_waits_says_why(scene: &Scene<'_>) -> Result<(), String> {
    let Some(plan) = scene.report.and_then(|report| report.plan.as_ref()) else {
        return Ok(());
    };
    let at_rest = matches!(plan.phase, Phase::Serving | Phase::Destroyed);
    if plan.steps.is_empty() && plan.waiting.is_empty() && !at_rest {
        return Err(format!(
            "In the phase {} nothing is done, and nothing says why.",
            plan.phase
        ));
    }
    Ok(())
}

/// Everything that we made has our tags from its first moment.
pub(super) fn everything_carries_our_tags(scene: &Scene<'_>) -> Result<(), String> {
    if scene.done().next().is_none() {
        return Ok(());
    }
    let (ours, installation) = (scene.desired().id, scene.desired().installation);
    let owners = scene.life.world.owners();
    let stranger = owners
        .iter()
        .find(|o| (o.deployment, o.installation) != (ours, installation) || o.incarnation == 0);
    stranger.map_or(Ok(()), |owner| Err(format!("Something has the tags {owner:?}.")))
}

/// Each edit of the desired state is one transaction with its event, so that the feed tells all of them.
pub(super) fn every_change_is_stored_with_its_event(scene: &Scene<'_>) -> Result<(), String> {
    let (stored, told) = (scene.desired().generation, 1 + scene.watch().changes);
    if stored == told {
        return Ok(());
    }
    Err(format!(
        "Generation {stored} is desired, and the events tell of {told}."
    ))
}

/// Whatever was done is what the store asked for already, also where the process died right after doing it.
pub(super) fn every_effect_was_stored_before(scene: &Scene<'_>) -> Result<(), String> {
    let desired = scene.desired();
    for step in scene.done() {
        let stored = match step {
            Step::CreateRule {
                kind: RuleKind::Main, ..
            } => desired.main_rule != MainRule::NotYet,
            Step::DeleteRule { kind: RuleKind::Main } => !desired.wants_traffic(),
            Step::LaunchInstance { place, incarnation } => *incarnation <= desired.incarnation(*place),
            Step::DeregisterTarget { place, incarnation, .. } => {
                desired.goal == Goal::Absent || *incarnation < desired.incarnation(*place)
            }
            Step::TerminateInstance { .. }
            | Step::DeleteTargetGroup { .. }
            | Step::DeleteSecurityGroup { .. }
            | Step::DeleteBucket
            | Step::CancelUploads
            | Step::DeleteRule { kind: RuleKind::Probe } => desired.goal == Goal::Absent,
            Step::CreateBucket
            | Step::StartUpload { .. }
            | Step::CreateSecurityGroup { .. }
            | Step::CreateTargetGroup { .. }
            | Step::RegisterTarget { .. }
            | Step::CreateRule {
                kind: RuleKind::Probe, ..
            }
            | Step::ModifyRule { .. } => true,
        };
        if !stored {
            return Err(format!("\"{step}\" was done, and nothing that is stored asks for it."));
        }
    }
    Ok(())
}

/// No place is filled twice by what lives.
pub(super) fn nothing_stands_twice(scene: &Scene<'_>) -> Result<(), String> {
    if scene.done().next().is_none() {
        return Ok(());
    }
    let living = scene
        .after
        .instances
        .iter()
        .filter(|instance| !instance.state.is_ending());
    let mut places = BTreeSet::new();
    for instance in living {
        if !places.insert(instance.place) {
            return Err(format!("The {} lives twice.", instance.place));
        }
    }
    let mut made = BTreeSet::new();
    for owner in scene.life.world.owners() {
        let instance = matches!(owner.logical_id, LogicalId::Instance(_));
        if !instance && !made.insert(owner.logical_id) {
            return Err(format!("The {} stands twice.", owner.logical_id));
        }
    }
    Ok(())
}

/// Once the world has come to rest as desired, there is nothing to do, however often one looks.
pub(super) fn quiet_is_stable(scene: &Scene<'_>) -> Result<(), String> {
    let (look, watch) = (scene.look(), scene.watch());
    let about_to_go = look + 1 == scene.life.destroyed_at && scene.desired().goal != Goal::Absent;
    let Some(plan) = scene.report.and_then(|report| report.plan.as_ref()) else {
        return Ok(());
    };
    if !about_to_go || watch.disturbed_at + PATIENCE > look {
        return Ok(());
    }
    let at_rest = match plan.phase {
        Phase::Serving | Phase::Held | Phase::Failed => true,
        Phase::WarmingUp => waits_for_production(scene, plan),
        Phase::Uploading | Phase::Provisioning | Phase::Draining | Phase::Destroying | Phase::Destroyed => false,
    };
    if !at_rest {
        return Err(format!(
            "{PATIENCE} looks after the last happening it is still {}.",
            plan.phase
        ));
    }
    let wanted = plan.steps.iter().find(|step| !is_refused(scene, plan, step));
    wanted.map_or(Ok(()), |step| {
        Err(format!("It is {} and still wants to {step}.", plan.phase))
    })
}

/// Whether the cloud says no to a step each time, as to a priority that somebody else took, and the page says so.
fn is_refused(scene: &Scene<'_>, plan: &Plan, step: &Step) -> bool {
    let is_told = plan.waiting.iter().any(|waiting| match &waiting.reason {
        WaitReason::Stuck { step: stuck, .. } => *stuck == step.to_string(),
        _ => false,
    });
    is_told && scene.watch().refused.iter().any(|refused| **refused == *step)
}

/// Whether all that is missing is production's own health: no user is sent beside a group that serves nobody, and only
/// whoever runs production can mend it. Nothing of ours may be missing as well, and what is waited for must be true.
fn waits_for_production(scene: &Scene<'_>, plan: &Plan) -> bool {
    let [waiting] = &plan.waiting[..] else {
        return false;
    };
    let WaitReason::ProductionHealthy { group } = &waiting.reason else {
        return false;
    };
    let groups = scene.before.site.as_ref().map(|site| &site.groups);
    let sick = groups
        .and_then(|groups| groups.get(group))
        .is_some_and(|group| group.health.healthy == 0);
    sick && arms_are_healthy(scene.before)
}

/// A look changes nothing that others made.
pub(super) fn strangers_are_untouched(scene: &Scene<'_>) -> Result<(), String> {
    let (Some(before), Some(after)) = (&scene.before.site, &scene.after.site) else {
        return if scene.before.site.is_some() == scene.after.site.is_some() {
            Ok(())
        } else {
            Err("The listener came or went in a look.".into())
        };
    };
    let theirs = |rule: &&Rule| rule.owner.is_none();
    if !before.rules.iter().filter(theirs).eq(after.rules.iter().filter(theirs)) {
        return Err("A rule of somebody else's changed in a look.".into());
    }
    // What only our rule named leaves the listener with it.
    let changed = before.groups.iter().find(|(id, group)| {
        let same = |now: &SiteGroup| now.settings == group.settings && now.health.registered == group.health.registered;
        let ours = scene.before.groups.values().any(|ours| ours.id == **id);
        !ours && !after.groups.get(id).is_none_or(same)
    });
    if let Some((id, _)) = changed {
        return Err(format!("Somebody else's target group {id} changed in a look."));
    }
    Ok(())
}
