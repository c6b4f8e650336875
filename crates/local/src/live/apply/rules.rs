//! Our two rules on the listener, found by their owner; a stranger's is never touched.

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, RuleKind};
use arya_plan::listener::{Action, Condition, Forward, Priority, Rule, RuleId, limits};

use super::{owner, refusal};
use crate::clock::clock;
use crate::live::Inner;

pub(super) fn create_rule(
    inner: &Inner,
    desired: &Desired,
    kind: RuleKind,
    priority: u16,
    conditions: &[Condition],
    actions: &[Action],
) -> Result<(), CloudError> {
    inner.change(|world| {
        let mut rules = inner.balancer.rules();
        if position(&rules, desired, kind).is_some() {
            return Ok(());
        }
        if let Some(other) = rules.iter().find(|rule| rule.priority == Priority::At(priority)) {
            return Err(CloudError::refused(
                format!(
                    "PriorityInUse: rule {} has the priority {priority} already. The {kind} was not created.",
                    other.id
                ),
                "Plan again: the plan looks for free priorities.",
            ));
        }
        let numbered = rules.iter().filter(|rule| rule.priority != Priority::Default).count();
        if numbered >= limits::RULES_PER_LOAD_BALANCER {
            return Err(CloudError::refused(
                format!("TooManyRules: the load balancer has {numbered} rules already. The {kind} was not created."),
                "Delete a rule that nobody needs.",
            ));
        }
        check_actions(actions)?;
        let id = RuleId::new(world.new_name("rule"));
        rules.push(Rule {
            id: id.clone(),
            priority: Priority::At(priority),
            conditions: conditions.to_vec(),
            actions: actions.to_vec(),
            transforms: desired.placement.composed.transforms.clone(),
            owner: Some(owner(desired, LogicalId::Rule(kind), 1)),
        });
        inner.balancer.set_rules(rules).map_err(refusal)?;
        world.rules_since.insert(id, clock());
        Ok(())
    })
}

pub(super) fn modify_rule(
    inner: &Inner,
    desired: &Desired,
    kind: RuleKind,
    actions: &[Action],
) -> Result<(), CloudError> {
    check_actions(actions)?;
    inner.change(|_| {
        let mut rules = inner.balancer.rules();
        let at = position(&rules, desired, kind);
        let at = at.ok_or_else(|| CloudError::not_yet(format!("RuleNotFound: the {kind} is not on the listener.")))?;
        rules[at].actions = actions.to_vec();
        inner.balancer.set_rules(rules).map_err(refusal)
    })
}

pub(super) fn delete_rule(inner: &Inner, desired: &Desired, kind: RuleKind) -> Result<(), CloudError> {
    inner.change(|world| {
        let mut rules = inner.balancer.rules();
        let Some(at) = position(&rules, desired, kind) else {
            return Ok(());
        };
        let gone = rules.remove(at);
        world.rules_since.remove(&gone.id);
        inner.balancer.set_rules(rules).map_err(refusal)
    })
}

fn position(rules: &[Rule], desired: &Desired, kind: RuleKind) -> Option<usize> {
    let ours = LogicalId::Rule(kind);
    rules.iter().position(|rule| {
        rule.owner
            .as_ref()
            .is_some_and(|o| o.deployment == desired.id && o.logical_id == ours)
    })
}

/// What `CreateRule` and `ModifyRule` refuse; the plan never asks for it.
fn check_actions(actions: &[Action]) -> Result<(), CloudError> {
    let forwards = actions.iter().filter_map(|action| match action {
        Action::Forward(Forward { groups, .. }) => Some(groups),
        Action::AuthenticateCognito { .. }
        | Action::AuthenticateOidc { .. }
        | Action::JwtValidation { .. }
        | Action::Redirect { .. }
        | Action::FixedResponse { .. } => None,
    });
    for groups in forwards {
        if groups.is_empty() || groups.len() > limits::GROUPS_PER_ACTION {
            let (have, most) = (groups.len(), limits::GROUPS_PER_ACTION);
            let what = format!(
                "TooManyTargetGroups: a forward action has 1 to {most} groups, not {have}. Nothing was changed."
            );
            return Err(CloudError::refused(what, "Plan again."));
        }
        if let Some(group) = groups.iter().find(|group| group.weight > limits::WEIGHT_MAX) {
            let what = format!(
                "The weight {} of {} is above 999. Nothing was changed.",
                group.weight, group.group
            );
            return Err(CloudError::refused(what, "Plan again."));
        }
    }
    Ok(())
}
