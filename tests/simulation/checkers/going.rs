//! What is kept while it goes: in order, without a lost request, to the end.

use arya_local::world::{Node, To, Visit};
use arya_plan::desired::Goal;
use arya_plan::identity::RuleKind;
use arya_plan::observed::TargetState;
use arya_plan::plan::Step;
use jiff::Timestamp;

use super::Scene;
use super::keeping::PATIENCE;
use crate::setting::TIMING;

/// Without further trouble everything is gone within a limit.
pub(super) fn progress_is_bounded(scene: &Scene<'_>) -> Result<(), String> {
    let watch = scene.watch();
    let Some(since) = watch.going_since else {
        return Ok(());
    };
    let calm_since = since.max(watch.disturbed_at);
    if scene.look() > calm_since + PATIENCE {
        return Err(format!("{PATIENCE} looks after the last trouble it is not destroyed."));
    }
    Ok(())
}

/// A lifetime that is over is seen in the same look.
pub(super) fn a_lifetime_ends(scene: &Scene<'_>) -> Result<(), String> {
    let over = scene.before.at >= scene.desired().expires_at;
    if over && scene.was_told_the_truth() && scene.desired().goal != Goal::Absent {
        return Err("The lifetime is over, and the deployment goes on.".into());
    }
    Ok(())
}

/// Nothing that users may reach is taken away while our main rule stands, nor before every node of the load balancer knows
/// that it is gone.
pub(super) fn the_rule_goes_first_and_settles(scene: &Scene<'_>) -> Result<(), String> {
    let takes_away = |step: &&Step| {
        matches!(
            step,
            Step::DeregisterTarget { .. } | Step::TerminateInstance { .. } | Step::DeleteTargetGroup { .. }
        )
    };
    let Some(step) = scene.done().find(takes_away) else {
        return Ok(());
    };
    if scene.before.our_rule(&scene.desired().id, RuleKind::Main).is_some() {
        return Err(format!("\"{step}\" was done while our main rule stood."));
    }
    let spread = scene.life.setting.world().pace.rule_spread;
    if let Some(gone_at) = scene.watch().main_gone_at
        && elapsed(gone_at, scene.before.at) < spread
    {
        return Err(format!(
            "\"{step}\" was done before every node knew that our main rule is gone."
        ));
    }
    Ok(())
}

fn elapsed(from: Timestamp, to: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// An instance ends only after its target has drained, or has had the time for it.
pub(super) fn targets_drain_before_they_end(scene: &Scene<'_>) -> Result<(), String> {
    for step in scene.done() {
        let Step::TerminateInstance { place, incarnation } = step else {
            continue;
        };
        let mut targets = scene.before.groups.values().flat_map(|group| &group.targets);
        let target = targets.find(|target| (target.place, target.incarnation) == (*place, *incarnation));
        let state = target.map(|target| target.health.state);
        let drained = match state {
            None => true,
            // No rule names the group; where none ever did, nobody was ever sent there.
            Some(TargetState::Unused) => scene.watch().creations == 0,
            Some(TargetState::Draining) => {
                let since = scene.watch().draining.get(&(*place, *incarnation));
                since.is_some_and(|since| elapsed(*since, scene.before.at) >= TIMING.drain_at_most)
            }
            Some(TargetState::Initial | TargetState::Healthy | TargetState::Unhealthy | TargetState::Unavailable) => {
                false
            }
        };
        if !drained {
            return Err(format!("The {place} was terminated before its target had drained."));
        }
    }
    Ok(())
}

/// No node of the load balancer sends a user to an instance that we ended, or to a group of ours that we emptied.
pub(super) fn nobody_is_sent_to_what_we_took_away(scene: &Scene<'_>) -> Result<(), String> {
    let mut ended = scene.done().filter_map(|step| match step {
        Step::TerminateInstance { place, incarnation } | Step::DeregisterTarget { place, incarnation, .. } => {
            Some((*place, *incarnation))
        }
        _ => None,
    });
    let Some(first) = ended.next() else {
        return Ok(());
    };
    let ended: Vec<_> = ended.chain([first]).collect();
    let groups: Vec<_> = scene.after.groups.values().map(|group| &group.id).collect();
    for node in Node::ALL {
        for part in scene.life.world.shares(&Visit::get(scene.life.setting.path()).at(node)) {
            match &part.to {
                To::Target { place: Some(who), .. } if ended.contains(who) => {
                    return Err(format!(
                        "{node:?}: users are sent to the {}, which we took away.",
                        who.0
                    ));
                }
                To::Nobody { group } if groups.contains(&group) => {
                    return Err(format!("{node:?}: users are sent to {group}, where nobody is left."));
                }
                To::Target { .. } | To::Nobody { .. } | To::Rule { .. } | To::Nowhere => {}
            }
        }
    }
    Ok(())
}

/// Closed means: nothing with our tags is there, the plan has no steps, and the proof is written.
pub(super) fn destroyed_is_nothing_left_and_proven(scene: &Scene<'_>) -> Result<(), String> {
    let Some(report) = scene.report.filter(|report| report.closed_at.is_some()) else {
        return Ok(());
    };
    if scene.desired().goal != Goal::Absent {
        return Err("It is closed although nobody destroyed it.".into());
    }
    if let Some(owner) = scene.life.world.owners().first() {
        return Err(format!("It is closed, and the {} is still there.", owner.logical_id));
    }
    if report.plan.as_ref().is_some_and(|plan| !plan.steps.is_empty()) {
        return Err("It is closed, and the plan still has steps.".into());
    }
    match &report.restore_proof {
        Some(proof) if proof.holds() => Ok(()),
        Some(_) => Err("It is closed with a proof that does not hold.".into()),
        None => Err("It is closed without a proof.".into()),
    }
}
