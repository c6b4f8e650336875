//! Target groups with the health of their targets, and rules with Elastic Load Balancing's limits.

use std::collections::BTreeMap;

use super::{Account, Group, LISTENER, No, PRODUCTION, Rule, Tags, Target};
use crate::tree::Tree;

/// Seconds from the first rule or registration until a target is healthy: two checks, five seconds apart.
const HEALTHY_S: u64 = 10;
/// AWS's limits of an action's forward.
const WEIGHT_MAX: i64 = 999;
const GROUPS_MAX: usize = 5;

impl Account {
    pub(crate) fn group(&mut self, arn: &str) -> Result<&mut Group, No> {
        self.groups
            .iter_mut()
            .find(|group| group.arn == arn)
            .ok_or(No::bad("TargetGroupNotFound"))
    }

    pub(crate) fn new_group(&mut self, asked: &Tree, tags: Tags) -> Result<String, No> {
        let name = asked.text("Name");
        assert!(name.len() <= 32, "AWS refuses the name {name}");
        if self.groups.iter().any(|group| group.asked.text("Name") == name) {
            return Err(No::bad("DuplicateTargetGroupName"));
        }
        let arn = format!("{}/{name}/{:x}", PRODUCTION.split('/').next().unwrap(), self.number());
        self.groups.push(Group {
            arn: arn.clone(),
            asked: asked.clone(),
            tags,
            attributes: BTreeMap::new(),
            targets: BTreeMap::new(),
            used_since: None,
        });
        Ok(arn)
    }

    pub(crate) fn register(&mut self, arn: &str, id: &str) -> Result<(), No> {
        let now = self.now;
        let runs = self
            .instances
            .iter()
            .any(|one| one.id == id && self.state(one) == "running");
        let group = self.group(arn)?;
        if !runs {
            return Err(No::bad("InvalidTarget"));
        }
        let target = group.targets.entry(id.to_owned()).or_insert(Target {
            registered: now,
            left: None,
        });
        if target.left.take().is_some() {
            target.registered = now;
        }
        Ok(())
    }

    pub(crate) fn deregister(&mut self, arn: &str, id: &str) -> Result<(), No> {
        let now = self.now;
        let group = self.group(arn)?;
        let target = group.targets.get_mut(id).ok_or(No::bad("InvalidTarget"))?;
        target.left.get_or_insert(now);
        Ok(())
    }

    /// Targets with their state and the reason for it; those that have drained are gone.
    pub(crate) fn health(&self, group: &Group) -> Vec<(String, &'static str, &'static str)> {
        let delay = group.attributes.get("deregistration_delay.timeout_seconds");
        let delay: u64 = delay.map_or(300, |seconds| seconds.parse().unwrap());
        let state = |id: &str, target: &Target| {
            let runs = self
                .instances
                .iter()
                .any(|one| one.id == id && self.state(one) == "running");
            match (target.left, group.used_since) {
                (Some(left), _) if self.now >= left + delay => None,
                (Some(_), _) => Some(("draining", "Target.DeregistrationInProgress")),
                (None, _) if !runs => Some(("unused", "Target.InvalidState")),
                (None, None) => Some(("unused", "Target.NotInUse")),
                (None, Some(used)) if self.now < used.max(target.registered) + HEALTHY_S => {
                    Some(("initial", "Elb.InitialHealthChecking"))
                }
                (None, Some(_)) if self.sick.contains(&group.arn) => Some(("unhealthy", "Target.ResponseCodeMismatch")),
                (None, Some(_)) => Some(("healthy", "")),
            }
        };
        let targets = group.targets.iter();
        targets
            .filter_map(|(id, target)| state(id, target).map(|(state, reason)| (id.clone(), state, reason)))
            .collect()
    }

    /// Whoever no rule names any more is not checked any more.
    fn note_use(&mut self) {
        let (now, rules) = (self.now, &self.rules);
        for group in &mut self.groups {
            let named = rules
                .iter()
                .any(|rule| groups_of(&rule.asked).contains(&group.arn.as_str()));
            group.used_since = named.then(|| group.used_since.unwrap_or(now));
        }
    }

    fn forward_is_valid(&self, asked: &Tree) -> Result<(), No> {
        for action in asked.list("Actions") {
            let groups = action.list("ForwardConfig.TargetGroups");
            let weights = groups.iter().map(|group| group.number("Weight").unwrap_or(1));
            if groups.len() > GROUPS_MAX || weights.into_iter().any(|weight| !(0..=WEIGHT_MAX).contains(&weight)) {
                return Err(No::bad("ValidationError"));
            }
        }
        let stands = |arn: &&str| self.groups.iter().any(|group| group.arn == *arn);
        if groups_of(asked).iter().all(stands) {
            Ok(())
        } else {
            Err(No::bad("TargetGroupNotFound"))
        }
    }

    pub(crate) fn new_rule(&mut self, asked: &Tree, tags: Tags) -> Result<Rule, No> {
        let priority = asked.number("Priority").and_then(|number| u16::try_from(number).ok());
        let Some(priority) = priority.filter(|priority| (1..=50_000).contains(priority)) else {
            return Err(No::bad("ValidationError"));
        };
        if self.rules.iter().any(|rule| rule.priority == Some(priority)) {
            return Err(No::bad("PriorityInUse"));
        }
        self.forward_is_valid(asked)?;
        let rule = Rule {
            arn: format!(
                "{}/{:x}",
                LISTENER.replace(":listener/", ":listener-rule/"),
                self.number() + 0x100
            ),
            priority: Some(priority),
            asked: asked.clone(),
            tags,
        };
        self.rules.push(rule.clone());
        self.rules.sort_by_key(|rule| rule.priority.unwrap_or(u16::MAX));
        self.note_use();
        Ok(rule)
    }

    pub(crate) fn modify_rule(&mut self, arn: &str, asked: &Tree) -> Result<Rule, No> {
        self.forward_is_valid(asked)?;
        let rule = self
            .rules
            .iter_mut()
            .find(|rule| rule.arn == arn)
            .ok_or(No::bad("RuleNotFound"))?;
        rule.asked
            .set("Actions", asked.at("Actions").cloned().unwrap_or_default());
        let rule = rule.clone();
        self.note_use();
        Ok(rule)
    }

    pub(crate) fn delete_rule(&mut self, arn: &str) -> Result<(), No> {
        let position = self
            .rules
            .iter()
            .position(|rule| rule.arn == arn)
            .ok_or(No::bad("RuleNotFound"))?;
        if self.rules[position].priority.is_none() {
            return Err(No::bad("OperationNotPermitted"));
        }
        self.rules.remove(position);
        self.note_use();
        Ok(())
    }

    pub(crate) fn delete_group(&mut self, arn: &str) -> Result<(), No> {
        if self.rules.iter().any(|rule| groups_of(&rule.asked).contains(&arn)) {
            return Err(No::bad("ResourceInUse"));
        }
        self.groups.retain(|group| group.arn != arn);
        Ok(())
    }

    /// Users whom the balancer sends to a group without a healthy target.
    pub(crate) fn sends_users_nowhere(&self) -> bool {
        let healthy = |arn: &str| {
            let group = self.groups.iter().find(|group| group.arn == arn);
            group.is_some_and(|group| self.health(group).iter().any(|(_, state, _)| *state == "healthy"))
        };
        let to_users = self
            .rules
            .iter()
            .filter(|rule| !format!("{:?}", rule.asked).contains("http-header"));
        to_users
            .flat_map(|rule| weighted(&rule.asked))
            .any(|(arn, weight)| weight > 0 && !healthy(&arn))
    }
}

fn weighted(asked: &Tree) -> Vec<(String, i64)> {
    let actions = asked.list("Actions");
    let groups = actions
        .iter()
        .flat_map(|action| action.list("ForwardConfig.TargetGroups"));
    let pair = |group: &Tree| {
        (
            group.text("TargetGroupArn").to_owned(),
            group.number("Weight").unwrap_or(1),
        )
    };
    groups.map(pair).collect()
}

fn groups_of(asked: &Tree) -> Vec<&str> {
    let actions = asked.list("Actions");
    let groups = actions
        .into_iter()
        .flat_map(|action| action.list("ForwardConfig.TargetGroups"));
    groups.map(|group| group.text("TargetGroupArn")).collect()
}
