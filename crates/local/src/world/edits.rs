//! What people do, done to the world: with the console's powers, so that what AWS refuses is refused to them as well.

use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, LogicalId, Owner, RuleKind};
use arya_plan::listener::{Action, Condition, Forward, GroupId, Priority, Rule, RuleId, WeightedGroup, limits};
use arya_plan::observed::TargetState as SeenState;

use super::ground;
use super::happening::{Edit, Happened};
use super::journal::Effect;
use super::state::{App, State};
use crate::rules::position;

/// What the probe rule's slot and the main rule's are never used for.
const SOMEBODYS_PATH: &str = "/somebody/*";

impl State {
    pub(super) fn edit(&mut self, desired: &Desired, edit: Edit) -> Happened {
        let happened = match edit {
            Edit::DeleteOurRule(kind) => self.delete_rule(desired, kind) == Effect::Done,
            Edit::ReweighOurRule => self.edit_ours(desired, RuleKind::Main, reweigh_ours),
            Edit::EmptyOurRule => self.edit_ours(desired, RuleKind::Main, empty_ours),
            Edit::MoveOurRule(kind) => self.move_ours(desired, kind),
            Edit::NarrowOurRule => self.edit_ours(desired, RuleKind::Main, |rule, _| narrow(rule)),
            Edit::ReweighChosen => self.edit_chosen(desired, reweigh_chosen),
            Edit::SwapProduction => self.swap_production(),
            Edit::MoveChosen => self.move_chosen(desired),
            Edit::DeleteChosen => self.delete_chosen(desired),
            Edit::AddRuleBefore => self.add_rule(None, desired.placement.composed.conditions.clone()),
            Edit::AddOtherRule => self.add_rule(None, vec![elsewhere()]),
            Edit::TakeOurPriority(RuleKind::Main) => {
                self.add_rule(Some(desired.placement.slots.main), vec![elsewhere()])
            }
            Edit::TakeOurPriority(RuleKind::Probe) => {
                self.add_rule(Some(desired.placement.slots.probe), vec![elsewhere()])
            }
            Edit::DeleteListener => self.delete_listener(),
            Edit::TerminateOurs(place) => self.end_instance(desired, place),
            Edit::DeregisterOurs(arm) => self.deregister_ours(desired, arm),
            Edit::DeleteOurGroup(arm) => self.delete_target_group(desired, arm) == Ok(Effect::Done),
            Edit::DeleteOurSecurityGroup(kind) => self.delete_security_group(desired, kind) == Ok(Effect::Done),
            Edit::EmptyBucket => self.empty_bucket(desired),
            Edit::DeleteBucket => self.delete_bucket(desired) == Effect::Done,
            Edit::ScaleProduction => self.scale_production(desired),
        };
        Happened::when(happened)
    }

    pub(super) fn edit_rules(&mut self, edit: impl FnOnce(&mut Vec<Rule>)) {
        let mut rules = self.rules().to_vec();
        edit(&mut rules);
        for deployment in self.rules().iter().filter_map(main_rule).collect::<Vec<_>>() {
            if !rules.iter().any(|rule| main_rule(rule) == Some(deployment)) {
                self.note_main_rule(deployment, false);
            }
        }
        self.set_rules(rules);
    }

    /// Changes our rule; `false` where there is none, or nothing changes.
    fn edit_ours(&mut self, desired: &Desired, kind: RuleKind, edit: impl FnOnce(&mut Rule, &Self)) -> bool {
        let Some(at) = position(self.rules(), &desired.id, kind) else {
            return false;
        };
        self.edit_rule(at, edit)
    }

    fn edit_chosen(&mut self, desired: &Desired, edit: impl FnOnce(&mut Rule, &Self)) -> bool {
        let chosen = &desired.placement.chosen;
        match self.rules().iter().position(|rule| rule.id == *chosen) {
            Some(at) => self.edit_rule(at, edit),
            None => false,
        }
    }

    fn edit_rule(&mut self, at: usize, edit: impl FnOnce(&mut Rule, &Self)) -> bool {
        let mut rules = self.rules().to_vec();
        edit(&mut rules[at], self);
        let changed = rules[at] != self.rules()[at];
        if changed {
            self.set_rules(rules);
        }
        changed
    }

    fn move_ours(&mut self, desired: &Desired, kind: RuleKind) -> bool {
        let free = self.free_priority();
        self.edit_ours(desired, kind, |rule, _| {
            if let Some(free) = free {
                rule.priority = Priority::At(free);
            }
        })
    }

    fn move_chosen(&mut self, desired: &Desired) -> bool {
        let free = self.free_priority();
        self.edit_chosen(desired, |rule, _| {
            // The default rule cannot be moved.
            if let (Some(free), Priority::At(_)) = (free, rule.priority) {
                rule.priority = Priority::At(free);
            }
        })
    }

    fn delete_chosen(&mut self, desired: &Desired) -> bool {
        let chosen = &desired.placement.chosen;
        let mut rules = self.rules().to_vec();
        // The default rule cannot be deleted.
        rules.retain(|rule| rule.id != *chosen || rule.priority == Priority::Default);
        let gone = rules.len() < self.rules().len();
        if gone {
            self.set_rules(rules);
        }
        gone
    }

    /// The largest free priority below all others.
    fn free_priority(&self) -> Option<u16> {
        let first = self.rules().iter().find_map(|rule| match rule.priority {
            Priority::At(number) => Some(number),
            Priority::Default => None,
        });
        first
            .unwrap_or(limits::PRIORITY_MAX)
            .checked_sub(1)
            .filter(|free| *free > 0)
    }

    /// Somebody's rule; without a priority of its own it goes before all others.
    fn add_rule(&mut self, at: Option<u16>, mut conditions: Vec<Condition>) -> bool {
        let Some(priority) = at.or_else(|| self.free_priority()).map(Priority::At) else {
            return false;
        };
        let taken = self.rules().iter().any(|rule| rule.priority == priority);
        if taken || self.listener.is_none() {
            return false;
        }
        if conditions.is_empty() {
            conditions = vec![Condition::PathPattern {
                values: vec!["*".into()],
            }];
        }
        let mut rules = self.rules().to_vec();
        rules.push(Rule {
            id: RuleId::new(self.new_name("rule")),
            priority,
            conditions,
            actions: vec![Action::FixedResponse {
                status: 200,
                content_type: "text/plain".into(),
                body: "somebody's".into(),
            }],
            transforms: vec![],
            owner: None,
        });
        self.set_rules(rules);
        true
    }

    /// With the listener go its rules, ours as well.
    fn delete_listener(&mut self) -> bool {
        self.edit_rules(Vec::clear);
        self.listener.take().is_some()
    }

    fn swap_production(&mut self) -> bool {
        let green = GroupId::new("production-green");
        if self.listener.is_none() || self.groups.contains_key(&green) {
            return false;
        }
        self.add_production_group(green.clone(), ground::production_group("production-green"), 2, 2);
        let forward = vec![Action::Forward(Forward {
            groups: vec![WeightedGroup {
                group: green.clone(),
                weight: 1,
            }],
            stickiness_s: None,
        })];
        let mut rules = self.rules().to_vec();
        for rule in rules
            .iter_mut()
            .filter(|rule| rule.owner.is_none() && rule.forward().is_some())
        {
            rule.actions.clone_from(&forward);
        }
        self.set_rules(rules);
        let old = self
            .groups
            .iter_mut()
            .filter(|(id, group)| group.owner.is_none() && **id != green);
        old.for_each(|(_, group)| group.members.clear());
        true
    }

    fn deregister_ours(&mut self, desired: &Desired, arm: Arm) -> bool {
        let targets = self.truth(desired).groups.remove(&arm).map(|group| group.targets);
        let standing = targets
            .into_iter()
            .flatten()
            .filter(|t| t.health.state != SeenState::Draining);
        let standing: Vec<_> = standing.map(|target| (target.place, target.incarnation)).collect();
        for who in &standing {
            self.deregister(desired, arm, *who);
        }
        !standing.is_empty()
    }

    fn empty_bucket(&mut self, desired: &Desired) -> bool {
        let Some(bucket) = self.bucket_mut(&desired.id) else {
            return false;
        };
        let full = !bucket.uploads.is_empty();
        bucket.uploads.clear();
        self.lose_reports(&desired.id);
        full
    }

    fn scale_production(&mut self, desired: &Desired) -> bool {
        let Some(group) = desired
            .placement
            .production
            .first()
            .map(|weighted| weighted.group.clone())
        else {
            return false;
        };
        if !self.groups.contains_key(&group) {
            return false;
        }
        self.add_production_instance(&group, App::Well);
        true
    }
}

impl Happened {
    pub(super) const fn when(happened: bool) -> Self {
        if happened { Self::Yes } else { Self::No }
    }
}

fn main_rule(rule: &Rule) -> Option<arya_plan::identity::DeploymentId> {
    let main = |owner: &&Owner| owner.logical_id == LogicalId::Rule(RuleKind::Main);
    rule.owner.as_ref().filter(main).map(|owner| owner.deployment)
}

fn elsewhere() -> Condition {
    Condition::PathPattern {
        values: vec![SOMEBODYS_PATH.into()],
    }
}

fn forward_of(rule: &mut Rule) -> Option<&mut Forward> {
    match rule.actions.last_mut() {
        Some(Action::Forward(forward)) => Some(forward),
        Some(
            Action::AuthenticateCognito { .. }
            | Action::AuthenticateOidc { .. }
            | Action::JwtValidation { .. }
            | Action::Redirect { .. }
            | Action::FixedResponse { .. },
        )
        | None => None,
    }
}

/// The last group is the canary's.
fn reweigh_ours(rule: &mut Rule, _: &State) {
    if let Some(last) = forward_of(rule).and_then(|forward| forward.groups.last_mut()) {
        last.weight = if last.weight == 500 { 501 } else { 500 };
    }
}

fn empty_ours(rule: &mut Rule, state: &State) {
    if let Some(forward) = forward_of(rule) {
        let production = |id: &GroupId| state.groups.get(id).is_some_and(|group| group.owner.is_none());
        forward.groups.retain(|weighted| production(&weighted.group));
    }
}

fn narrow(rule: &mut Rule) {
    rule.conditions.push(Condition::HttpRequestMethod {
        values: vec!["GET".into()],
    });
}

fn reweigh_chosen(rule: &mut Rule, _: &State) {
    if let Some(first) = forward_of(rule).and_then(|forward| forward.groups.first_mut()) {
        first.weight = if first.weight == 7 { 8 } else { 7 };
    }
}
