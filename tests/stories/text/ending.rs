//! What a story claims on its way, and how it ends: planned again without a step, and the listener beside how it was.

use std::time::Duration;

use arya_local::world::{To, Visit};
use arya_plan::decide::decide;
use arya_plan::identity::{Arm, RuleKind};
use arya_plan::listener::Site;
use arya_plan::plan::{Step, plan};
use arya_plan::seen::Seen;

use crate::script::{Check, Receiver, Stands};
use crate::telling::Telling;

/// Longer than anything is waited for.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// Half the last digit that shares are told with.
const SHARE_TOLERANCE: f64 = 0.05;

/// Whether a claim of the script is true.
pub(crate) fn holds(telling: &Telling, at: usize, check: &Check) -> Result<(), String> {
    let told = &telling.deployments[at];
    let report = told.report.as_deref().ok_or("nobody has looked yet")?;
    match check {
        Check::Users(expected) => {
            let found = users(telling, at);
            let close = |(receiver, share): &(Receiver, f64)| {
                let found = found
                    .iter()
                    .find(|(other, _)| other == receiver)
                    .map_or(0.0, |(_, s)| *s);
                (found - share).abs() < SHARE_TOLERANCE
            };
            let all: f64 = expected.iter().map(|(_, share)| share).sum();
            let right = (all - 100.0).abs() < SHARE_TOLERANCE && expected.iter().all(close);
            if right {
                Ok(())
            } else {
                Err(format!("users reach {}", in_words(&found)))
            }
        }
        Check::MainRule(stands) => {
            let desired = telling.desired(at);
            let rule = telling
                .world
                .truth(&desired)
                .our_rule(&desired.id, RuleKind::Main)
                .is_some();
            match (stands, rule) {
                (Stands::Yes, true) | (Stands::No, false) => Ok(()),
                (Stands::Yes, false) => Err("it does not".into()),
                (Stands::No, true) => Err("it does".into()),
            }
        }
        Check::Page(sentence) => {
            let waiting = report.plan.iter().flat_map(|plan| &plan.waiting);
            let says: Vec<String> = waiting.map(|waiting| waiting.reason.to_string()).collect();
            let found = says.iter().any(|said| said == sentence);
            if found {
                Ok(())
            } else {
                Err(format!("it says: {}", says.join(" / ")))
            }
        }
        Check::Phase(phase) if report.phase == *phase => Ok(()),
        Check::Phase(_) => Err(format!("it is {}", report.phase)),
        Check::MainRulesMade(number) => {
            let made = telling.main_rules_made(at);
            if made == *number {
                Ok(())
            } else {
                Err(format!("they are {made}"))
            }
        }
        Check::Verdict(expected) => {
            let verdict = report.verdict.as_ref();
            if verdict.map(|verdict| verdict.outcome) == *expected {
                return Ok(());
            }
            Err(verdict.map_or_else(|| "there is none".into(), arya_judge::Verdict::sentence))
        }
        Check::Quiet => planned_again(telling, at),
    }
}

/// Plans anew by the world as it is, as a server that has just started does and as one that has waited for days.
pub(crate) fn planned_again(telling: &Telling, at: usize) -> Result<(), String> {
    let desired = telling.desired(at);
    let now = telling.world.now();
    let mut observed = telling.world.truth(&desired);
    let mut seen = Seen::default();
    for _ in 0..3 {
        seen.look(&desired, &observed);
        let plan = plan(&desired, &observed, &seen, &telling.timing);
        seen.note_waiting(&plan);
        if !plan.steps.is_empty() {
            let steps: Vec<String> = plan.steps.iter().map(Step::to_string).collect();
            return Err(format!("planned again, there is something to do: {}", steps.join(", ")));
        }
        // A lifetime that ends in the meantime is another story.
        if observed.at == now
            && let Some((change, by)) = decide(&desired, &observed, &seen, &telling.timing, None)
        {
            return Err(format!("{by} wants {change:?}"));
        }
        observed.at = observed.at.checked_add(LONG).unwrap();
    }
    Ok(())
}

/// The end of a story, in lines. An error where it is none.
pub(crate) fn ending(telling: &Telling) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for (at, told) in telling.deployments.iter().enumerate() {
        planned_again(telling, at)?;
        let proof = telling.stored(at).restore_proof;
        let proof = proof.ok_or_else(|| format!("{} is not destroyed at the end", told.name))?;
        lines.push(format!("{} is destroyed. Planned again: no steps.", told.name));
        let differences = proof.differences.iter().map(|d| d.sentence.as_str());
        let differences: Vec<&str> = differences.collect();
        let differences = if differences.is_empty() {
            "0 differences.".into()
        } else {
            differences.join(" ")
        };
        lines.push(format!("Its restore proof: {differences}"));
        lines.push(format!("Its users reach {}.", in_words(&users(telling, at))));
    }
    let owners = telling.world.owners();
    if !owners.is_empty() {
        return Err(format!("something of ours is left: {owners:?}"));
    }
    lines.push(listener(&telling.before, telling.world.site().as_ref())?);
    Ok(lines)
}

fn listener(before: &Site, after: Option<&Site>) -> Result<String, String> {
    let Some(after) = after else {
        return Ok("The listener: deleted by others.".into());
    };
    let as_before = |what: bool| if what { "as before" } else { "changed by others" };
    if after == before {
        return Ok("The listener, its rules, its groups and their targets: exactly as before.".into());
    }
    if after.rules.iter().any(|rule| rule.owner.is_some()) {
        return Err("a rule of ours is left".into());
    }
    let settings = |site: &Site| -> Vec<_> { site.groups.values().map(|group| group.settings.clone()).collect() };
    Ok(format!(
        "The listener's rules: {}. Its groups: {}.",
        as_before(after.rules == before.rules),
        as_before(settings(after) == settings(before)),
    ))
}

/// Where the users go that a deployment's rule is for, in percent.
fn users(telling: &Telling, at: usize) -> Vec<(Receiver, f64)> {
    let parts = telling.world.shares(&Visit::get(telling.deployments[at].path()));
    let receiver = |to: &To| match to {
        To::Target { place: None, .. } => Receiver::Production,
        To::Target {
            place: Some((place, _)),
            ..
        } => match place.role.arm() {
            Some(Arm::Baseline) => Receiver::Baseline,
            Some(Arm::Canary) => Receiver::Canary,
            None => Receiver::Nobody,
        },
        To::Rule { .. } => Receiver::Rule,
        To::Nobody { .. } | To::Nowhere => Receiver::Nobody,
    };
    let share = |receiver_asked: Receiver| {
        let found = parts.iter().filter(|part| receiver(&part.to) == receiver_asked);
        100.0 * found.map(|part| part.share).sum::<f64>()
    };
    let shares = Receiver::ALL.iter().map(|(_, receiver)| (*receiver, share(*receiver)));
    shares.filter(|(_, share)| *share > 0.0).collect()
}

fn in_words(users: &[(Receiver, f64)]) -> String {
    let word = |receiver: &Receiver| {
        let known = Receiver::ALL.iter().find(|(_, known)| known == receiver);
        known.map_or("", |(word, _)| *word)
    };
    let part = |(receiver, share): &(Receiver, f64)| format!("{} {} %", word(receiver), (share * 10.0).round() / 10.0);
    users.iter().map(part).collect::<Vec<_>>().join(", ")
}
