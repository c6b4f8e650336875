//! Our two rules on the listener, found by their owner; a stranger's is never touched.

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, RuleKind};
use arya_plan::listener::{Action, Condition, Priority, Rule, RuleId, limits};

use super::{owner, refusal};
use crate::clock::clock;
use crate::live::Inner;
use crate::rules::{check_actions, check_new, not_found, position};

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
        if position(&rules, &desired.id, kind).is_some() {
            return Ok(());
        }
        check_new(&rules, kind, priority, limits::RULES_PER_LOAD_BALANCER)?;
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
        let at = position(&rules, &desired.id, kind).ok_or_else(|| not_found(kind))?;
        rules[at].actions = actions.to_vec();
        inner.balancer.set_rules(rules).map_err(refusal)
    })
}

pub(super) fn delete_rule(inner: &Inner, desired: &Desired, kind: RuleKind) -> Result<(), CloudError> {
    inner.change(|world| {
        let mut rules = inner.balancer.rules();
        let Some(at) = position(&rules, &desired.id, kind) else {
            return Ok(());
        };
        let gone = rules.remove(at);
        world.rules_since.remove(&gone.id);
        inner.balancer.set_rules(rules).map_err(refusal)
    })
}
