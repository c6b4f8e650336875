//! Our two rules on the listener.

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, RuleKind};
use arya_plan::listener::{Action, Condition, Priority, Rule, RuleId};

use super::{Outcome, assert_ours};
use crate::rules::{check_actions, check_new, forwards, not_found, position};
use crate::world::journal::Effect;
use crate::world::state::{State, owner};

impl State {
    pub(super) fn create_rule(
        &mut self,
        desired: &Desired,
        kind: RuleKind,
        priority: u16,
        conditions: &[Condition],
        actions: &[Action],
    ) -> Outcome {
        if self.listener.is_none() {
            return Err(CloudError::refused("ListenerNotFound: the listener is gone.", ""));
        }
        if position(self.rules(), &desired.id, kind).is_some() {
            return Ok(Effect::Nothing);
        }
        check_new(self.rules(), kind, priority, self.settings.quotas.rules)?;
        self.check_forwards(desired, actions)?;
        let id = RuleId::new(self.new_name("rule"));
        let mut rules = self.rules().to_vec();
        rules.push(Rule {
            id,
            priority: Priority::At(priority),
            conditions: conditions.to_vec(),
            actions: actions.to_vec(),
            transforms: desired.placement.composed.transforms.clone(),
            owner: Some(owner(desired, LogicalId::Rule(kind), 1)),
        });
        self.set_rules(rules);
        if kind == RuleKind::Main {
            self.note_main_rule(desired.id, true);
        }
        Ok(Effect::Done)
    }

    pub(super) fn modify_rule(&mut self, desired: &Desired, kind: RuleKind, actions: &[Action]) -> Outcome {
        self.check_forwards(desired, actions)?;
        let at = position(self.rules(), &desired.id, kind).ok_or_else(|| not_found(kind))?;
        assert_ours(self.rules()[at].owner.as_ref(), desired);
        if self.rules()[at].actions == actions {
            return Ok(Effect::Nothing);
        }
        let mut rules = self.rules().to_vec();
        rules[at].actions = actions.to_vec();
        self.set_rules(rules);
        Ok(Effect::Done)
    }

    pub(in crate::world) fn delete_rule(&mut self, desired: &Desired, kind: RuleKind) -> Effect {
        let Some(at) = position(self.rules(), &desired.id, kind) else {
            return Effect::Nothing;
        };
        assert_ours(self.rules()[at].owner.as_ref(), desired);
        let mut rules = self.rules().to_vec();
        rules.remove(at);
        self.set_rules(rules);
        if kind == RuleKind::Main {
            self.note_main_rule(desired.id, false);
        }
        Effect::Done
    }

    fn check_forwards(&self, desired: &Desired, actions: &[Action]) -> Result<(), CloudError> {
        check_actions(actions)?;
        for weighted in forwards(actions).flatten() {
            let Some(group) = self.groups.get(&weighted.group) else {
                let what = format!("TargetGroupNotFound: {} does not stand.", weighted.group);
                return Err(CloudError::not_yet(what));
            };
            let ours = group.owner.as_ref().is_some_and(|owner| owner.deployment == desired.id);
            let production = desired.placement.production.iter().any(|p| p.group == weighted.group);
            assert!(
                ours || production,
                "a rule of {} would send users to {}, which is neither ours nor the chosen rule's",
                desired.id,
                weighted.group
            );
        }
        Ok(())
    }
}
