//! What is kept while users may come: fail towards production's own rule, and only people raise.

use arya_plan::identity::RuleKind;
use arya_plan::listener::Action;
use arya_plan::observed::{Observed, OurGroup, TargetState};
use arya_plan::plan::Step;

use super::Scene;

/// Rounding to weights moves a share by less than this.
const ROUNDING: f64 = 0.011;

/// Our main rule stands only while every group with weight in it has a healthy target; else it goes in the same look.
pub(super) fn the_main_rule_stands_on_healthy_groups(scene: &Scene<'_>) -> Result<(), String> {
    let Some(rule) = scene.main_rule_without_excuse() else {
        return Ok(());
    };
    let Some(Action::Forward(forward)) = rule.actions.last() else {
        return Err("Our main rule forwards nothing.".into());
    };
    let weighted = forward.groups.iter().filter(|weighted| weighted.weight > 0);
    for weighted in weighted {
        if healthy(scene.before, &weighted.group) == 0 {
            return Err(format!(
                "Our main rule sends users to {}, which has no healthy target.",
                weighted.group
            ));
        }
    }
    Ok(())
}

fn healthy(seen: &Observed, group: &arya_plan::listener::GroupId) -> usize {
    let ours = seen.groups.values().find(|known| known.id == *group);
    if let Some(ours) = ours {
        let healthy = |target: &&arya_plan::observed::Target| target.health.state == TargetState::Healthy;
        return ours.targets.iter().filter(healthy).count();
    }
    let production = seen.site.as_ref().and_then(|site| site.groups.get(group));
    production.map_or(0, |group| group.health.healthy as usize)
}

/// When the chosen rule, its groups or an earlier rule change, our copy goes in the same look.
pub(super) fn the_main_rule_goes_when_what_is_below_changes(scene: &Scene<'_>) -> Result<(), String> {
    if scene.watch().below_changed && scene.main_rule_without_excuse().is_some() {
        return Err("What is below our main rule changed, and it still stands.".into());
    }
    Ok(())
}

/// A share of 0 is no main rule, not one of weight 0; so is a deployment that is held, failed or to go.
pub(super) fn no_share_is_no_main_rule(scene: &Scene<'_>) -> Result<(), String> {
    if !scene.desired().wants_traffic() && scene.main_rule_without_excuse().is_some() {
        return Err("Nobody wants traffic, and our main rule still stands.".into());
    }
    Ok(())
}

/// Exposure rises only by a stored change of a person: no rule ever gives our groups more than that.
pub(super) fn users_come_by_decisions_of_people(scene: &Scene<'_>) -> Result<(), String> {
    let watch = scene.watch();
    if let Some(sentence) = &watch.raised_by_nobody {
        return Err(format!("Nobody asked for it, and the share rose: {sentence}"));
    }
    for step in scene.done() {
        if let Step::CreateRule {
            kind: RuleKind::Main,
            actions,
            ..
        }
        | Step::ModifyRule {
            kind: RuleKind::Main,
            actions,
        } = step
        {
            let (given, approved) = (watch.exposure(actions), 2.0 * watch.approved.percent() / 100.0);
            if given > approved * (1.0 + ROUNDING) + 2.0 * ROUNDING / 100.0 {
                return Err(format!(
                    "\"{step}\" gives our groups {:.2} % of the requests; {:.2} % is stored.",
                    100.0 * given,
                    100.0 * approved
                ));
            }
        }
    }
    Ok(())
}

/// The first user comes after both arms were healthy in two looks in a row.
pub(super) fn users_come_after_two_healthy_looks(scene: &Scene<'_>) -> Result<(), String> {
    let watch = scene.watch();
    let first = |step: &&Step| {
        matches!(
            step,
            Step::CreateRule {
                kind: RuleKind::Main,
                ..
            }
        ) && watch.creations == 0
    };
    let told = scene.was_told_the_truth() && watch.told_the_truth;
    if told && watch.healthy_looks < 1 && scene.done().any(|step| first(&step)) {
        return Err("Our main rule was created in the first look in which both arms were healthy.".into());
    }
    Ok(())
}

/// Whether both arms have targets, and all that take new requests are healthy.
pub(crate) fn arms_are_healthy(seen: &Observed) -> bool {
    let healthy = |group: &OurGroup| {
        let states = || group.targets.iter().map(|target| target.health.state);
        let mut standing = states().filter(|state| *state != TargetState::Draining).peekable();
        standing.peek().is_some() && standing.all(|state| state == TargetState::Healthy)
    };
    seen.groups.len() == 2 && seen.groups.values().all(healthy)
}

/// What a person deleted is not put back: each main rule has a decision of its own.
pub(super) fn main_rules_are_as_many_as_decisions(scene: &Scene<'_>) -> Result<(), String> {
    let main = |step: &&Step| {
        matches!(
            step,
            Step::CreateRule {
                kind: RuleKind::Main,
                ..
            }
        )
    };
    let created = scene.watch().creations as usize + scene.done().filter(main).count();
    let decisions = scene.watch().decisions as usize;
    if created > decisions + scene.watch().unheard_creations as usize {
        return Err(format!(
            "Our main rule was created {created} times, by {decisions} decisions of people."
        ));
    }
    Ok(())
}

/// *Harmful* latches until a person overrules it.
pub(super) fn harmful_stays_until_overruled(scene: &Scene<'_>) -> Result<(), String> {
    let harmful = scene
        .desired()
        .harmful
        .as_ref()
        .is_some_and(|harmful| harmful.overruled.is_none());
    if let Some(sentence) = &scene.watch().raised_while_harmful {
        return Err(format!("The canary is harmful, and its share rose: {sentence}"));
    }
    if scene.watch().latched && !harmful {
        return Err("Harmful was told, nobody overruled it, and it is forgotten.".into());
    }
    let said = scene.report.and_then(|report| report.verdict.as_ref());
    let harm_said = said.is_some_and(|verdict| verdict.outcome == arya_judge::Outcome::Harmful);
    if harm_said && !scene.desired().is_harmful() && scene.was_told_the_truth() {
        return Err("The verdict is harmful, and it is not latched.".into());
    }
    Ok(())
}

/// What a person overruled does not raise the alarm again: that takes a block that was measured later.
pub(super) fn what_was_overruled_stays_overruled(scene: &Scene<'_>) -> Result<(), String> {
    match &scene.watch().latched_by_old_evidence {
        None => Ok(()),
        Some(sentence) => Err(format!("The alarm was overruled, and raised again at once: {sentence}")),
    }
}

/// A pass is said of what is watched: while our main rule stands as it was seen, and both arms take what they should.
pub(super) fn a_pass_is_said_only_while_users_are_there(scene: &Scene<'_>) -> Result<(), String> {
    let said = scene.report.and_then(|report| report.verdict.as_ref());
    let passes = said.is_some_and(|verdict| verdict.outcome == arya_judge::Outcome::NoWorse);
    let serves = scene.desired().main_rule == arya_plan::desired::MainRule::Seen;
    let going = scene.desired().goal == arya_plan::desired::Goal::Absent;
    if passes && !going && scene.was_told_the_truth() && !(serves && arms_are_healthy(scene.before)) {
        return Err("The verdict is a pass, and users are not there to earn it.".into());
    }
    Ok(())
}
