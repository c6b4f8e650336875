//! What is kept of production beside the arms: twins that are unfit, arms that lack a machine, the baseline alone.

use arya_judge::Outcome;
use arya_plan::identity::{Arm, RuleKind};
use arya_plan::listener::Action;
use arya_plan::plan::Step;

use super::Scene;
use crate::setting::Setting;

/// Ten minutes of looks four seconds apart: five in which it must last, and as many for the evidence, since nothing is known of how
/// much these machines' rates wander.
const UNFIT_LOOKS: u16 = 150;
/// A minute and a half: what is far from production is read from the latest minute.
const DOUBT_LOOKS: u16 = 23;
/// Forty seconds of looks as close together as looks get, and some more.
const PART_LOOKS: u16 = 25;

/// Users do not stay for longer than ten minutes on arms that both fail as production does not, and no pass is said of them.
pub(super) fn unfit_twins_lose_their_users(scene: &Scene<'_>) -> Result<(), String> {
    let watch = scene.watch();
    let measured = scene.life.setting == Setting::Beside;
    let since = watch.disturbed_at.max(watch.main_since);
    let long = watch.unfit && measured && scene.look() > since + UNFIT_LOOKS;
    if long && scene.main_rule_without_excuse().is_some() {
        return Err("Both arms have failed far more than production for ten minutes, and users stay on them.".into());
    }
    let said = scene.report.and_then(|report| report.verdict.as_ref());
    let passes = said.is_some_and(|verdict| verdict.outcome == Outcome::NoWorse);
    if watch.unfit && measured && passes && scene.look() > since + DOUBT_LOOKS {
        return Err("Both arms fail far more than production, and the verdict is a pass.".into());
    }
    Ok(())
}

/// An arm of which a machine is not healthy earns no verdict; it is held within a limit.
pub(super) fn an_arm_that_lacks_a_machine_is_not_waited_for_without_end(scene: &Scene<'_>) -> Result<(), String> {
    let watch = scene.watch();
    let since = watch.disturbed_at.max(watch.main_since).max(watch.whole_at);
    if scene.look() > since + PART_LOOKS && scene.main_rule_without_excuse().is_some() {
        return Err("A machine of an arm has been away for long, and the deployment is still compared.".into());
    }
    Ok(())
}

/// In a spell our steps give the canary no users, and it ends after its time.
pub(super) fn the_canary_waits_for_its_spell(scene: &Scene<'_>) -> Result<(), String> {
    let watch = scene.watch();
    if let Some(sentence) = &watch.spell_cut_short {
        return Err(format!("The spell was not over: {sentence}"));
    }
    if scene.life.setting != Setting::Spell || watch.spell_is_over {
        return Ok(());
    }
    let canary = scene.after.groups.get(&Arm::Canary).map(|group| &group.id);
    for step in scene.done() {
        let (Step::CreateRule {
            kind: RuleKind::Main,
            actions,
            ..
        }
        | Step::ModifyRule {
            kind: RuleKind::Main,
            actions,
        }) = step
        else {
            continue;
        };
        let Some(Action::Forward(forward)) = actions.last() else {
            continue;
        };
        let has_users = |group: &&arya_plan::listener::WeightedGroup| Some(&group.group) == canary && group.weight > 0;
        if forward.groups.iter().any(|group| has_users(&group)) {
            return Err(format!(
                "\"{step}\" sends users to the canary, whose spell is not over."
            ));
        }
    }
    Ok(())
}

/// Before the canary has users there is neither harm nor a pass.
pub(super) fn nothing_is_judged_before_the_canary_has_users(scene: &Scene<'_>) -> Result<(), String> {
    let waits = scene.life.setting == Setting::Spell && !scene.watch().spell_is_over;
    let said = scene.report.and_then(|report| report.verdict.as_ref());
    let judged = said.is_some_and(|verdict| verdict.outcome != Outcome::Inconclusive);
    if waits && (judged || scene.desired().is_harmful()) {
        return Err("The canary has no users yet, and it was judged.".into());
    }
    Ok(())
}
