//! The restore proof: the listener, its rules and their groups now, against the snapshot taken when the plan was made.

use serde::{Deserialize, Serialize};

use crate::identity::DeploymentId;
use crate::listener::{GroupId, Priority, Rule, Site, same_conditions};

/// What differs. Empty = production is exactly as before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreProof {
    pub differences: Vec<Difference>,
}

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is about, e.g. `rule arn:…`.
    pub what: String,
    pub whose: Whose,
    pub sentence: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Left behind by this deployment: the proof failed.
    Ours,
    /// Made by others meanwhile; listed, not undone.
    Others,
}

impl RestoreProof {
    /// Whether nothing of ours is left.
    pub fn holds(&self) -> bool {
        self.differences.iter().all(|d| d.whose == Whose::Others)
    }
}

/// Compares. `after` is `None` when the listener is gone.
pub fn restore_proof(deployment: &DeploymentId, before: &Site, after: Option<&Site>) -> RestoreProof {
    let Some(after) = after else {
        let sentence = format!("The listener {} is gone.", before.listener);
        return RestoreProof {
            differences: vec![others(format!("listener {}", before.listener), sentence)],
        };
    };
    let mut differences = Vec::new();
    let is_ours = |rule: &Rule| rule.owner.as_ref().is_some_and(|o| o.deployment == *deployment);
    for rule in after.rules.iter().filter(|rule| is_ours(rule)) {
        let sentence = format!("Our rule at priority {} still stands.", rule.priority);
        differences.push(Difference {
            what: format!("rule {}", rule.id),
            whose: Whose::Ours,
            sentence,
        });
    }
    // Rules of other deployments of Arya come and go by their own proof.
    let strangers =
        |site: &'_ Site| -> Vec<Rule> { site.rules.iter().filter(|r| r.owner.is_none()).cloned().collect() };
    let (rules_before, rules_after) = (strangers(before), strangers(after));
    for old in &rules_before {
        match rules_after.iter().find(|new| new.id == old.id) {
            None => differences.push(others(
                format!("rule {}", old.id),
                format!("{} was deleted by others.", name(old)),
            )),
            Some(new) if new != old => differences.push(others(
                format!("rule {}", old.id),
                format!("{} was changed by others{}.", name(old), changed_parts(old, new)),
            )),
            Some(_) => {}
        }
    }
    for new in rules_after
        .iter()
        .filter(|new| !rules_before.iter().any(|old| old.id == new.id))
    {
        let sentence = format!("A rule at priority {} was added by others.", new.priority);
        differences.push(others(format!("rule {}", new.id), sentence));
    }
    // Groups that only rules of other deployments name come and go with them.
    let named = |id: &GroupId| rules_before.iter().any(|rule| names(rule, id));
    for (id, old) in before.groups.iter().filter(|(id, _)| named(id)) {
        match after.groups.get(id) {
            None => differences.push(others(
                format!("group {id}"),
                format!("No rule names the group {id} any more."),
            )),
            Some(new) if new.settings != old.settings => {
                differences.push(others(
                    format!("group {id}"),
                    format!("The settings of the group {id} were changed by others."),
                ));
            }
            Some(_) => {}
        }
    }
    if (before.port, &before.address) != (after.port, &after.address) {
        let at = |site: &Site| format!("{} (port {})", site.address, site.port);
        let sentence = format!(
            "The listener answers at {}; when the plan was made it was at {}. Nothing of ours moves a listener.",
            at(after),
            at(before)
        );
        differences.push(others(format!("listener {}", before.listener), sentence));
    }
    RestoreProof { differences }
}

fn names(rule: &Rule, group: &GroupId) -> bool {
    let mut groups = rule.forward().into_iter().flat_map(|forward| &forward.groups);
    groups.any(|weighted| weighted.group == *group)
}

/// A rule at the start of a sentence.
fn name(rule: &Rule) -> String {
    match rule.priority {
        Priority::At(number) => format!("The rule at priority {number}"),
        Priority::Default => "The default rule".into(),
    }
}

fn others(what: String, sentence: String) -> Difference {
    Difference {
        what,
        whose: Whose::Others,
        sentence,
    }
}

fn changed_parts(old: &Rule, new: &Rule) -> String {
    let parts: Vec<&str> = [
        (old.priority != new.priority, "priority"),
        (!same_conditions(&old.conditions, &new.conditions), "conditions"),
        (old.actions != new.actions, "actions"),
        (old.transforms != new.transforms, "transforms"),
    ]
    .into_iter()
    .filter_map(|(differs, name)| differs.then_some(name))
    .collect();
    format!(" ({})", parts.join(", "))
}
