//! Target groups, and instances in them.

use std::sync::Arc;
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, LogicalId, Place, resource_name};
use arya_plan::listener::{GroupId, GroupSettings, TargetStickiness, TargetType};
use arya_plan::observed::InstanceState;

use super::{Outcome, assert_ours, within};
use crate::balancer::alb::{GroupUse, TargetState};
use crate::world::journal::Effect;
use crate::world::state::{Group, State, owner};

impl State {
    pub(super) fn create_target_group(&mut self, desired: &Desired, arm: Arm) -> Outcome {
        let (ours, settings) = (LogicalId::TargetGroup(arm), &desired.placement.group);
        let name = resource_name(&desired.id, ours);
        let settings = GroupSettings {
            name: name.clone(),
            target_type: TargetType::Instance,
            protocol: settings.protocol,
            port: settings.port,
            deregistration_delay_s: settings.deregistration_delay_s,
            stickiness: TargetStickiness::Off,
        };
        if let Some(other) = self.groups.values().find(|group| group.settings.name == name) {
            let same = other.owner == Some(owner(desired, ours, 1)) && *other.settings == settings;
            return if same {
                Ok(Effect::Nothing)
            } else {
                let what = format!("DuplicateTargetGroupName: there is another target group {name}.");
                Err(CloudError::refused(what, "Delete it, if nobody needs it."))
            };
        }
        within(
            "TooManyTargetGroups",
            self.groups.len(),
            self.settings.quotas.target_groups,
        )?;
        let group = Group {
            owner: Some(owner(desired, ours, 1)),
            settings: Arc::new(settings),
            members: vec![],
        };
        self.groups.insert(GroupId::new(format!("world:{name}")), group);
        Ok(Effect::Done)
    }

    pub(in crate::world) fn delete_target_group(&mut self, desired: &Desired, arm: Arm) -> Outcome {
        let Some((id, _)) = self.group_of(&desired.id, arm) else {
            return Ok(Effect::Nothing);
        };
        if self.use_of(id) == GroupUse::Named {
            let what = format!("ResourceInUse: a rule still names the target group {id}.");
            return Err(CloudError::not_yet(what));
        }
        let id = id.clone();
        self.groups.remove(&id);
        Ok(Effect::Done)
    }

    pub(super) fn register(&mut self, desired: &Desired, arm: Arm, place: Place, incarnation: u32) -> Outcome {
        let running = self
            .machines_at(desired.id, place, incarnation)
            .find(|machine| machine.state == InstanceState::Running)
            .map(|machine| machine.id.clone());
        let machine = running.ok_or_else(|| {
            CloudError::not_yet(format!(
                "InvalidTarget: the {place} is not running, so it was not registered."
            ))
        })?;
        let group = self.group_of(&desired.id, arm).map(|(id, _)| id.clone());
        let group = group.ok_or_else(|| {
            CloudError::not_yet(format!(
                "TargetGroupNotFound: the {arm} target group does not stand yet."
            ))
        })?;
        let member = self.new_member(&group, &machine, Some((place, incarnation)));
        let Some(record) = self.groups.get_mut(&group) else {
            return Ok(Effect::Nothing);
        };
        assert_ours(record.owner.as_ref(), desired);
        let known = record.members.iter_mut().find(|known| known.machine == machine);
        match known {
            Some(known) if known.health.state != TargetState::Draining => return Ok(Effect::Nothing),
            Some(known) => *known = member,
            None => record.members.push(member),
        }
        Ok(Effect::Done)
    }

    pub(in crate::world) fn deregister(&mut self, desired: &Desired, arm: Arm, who: (Place, u32)) -> Effect {
        let Some((id, group)) = self.group_of(&desired.id, arm) else {
            return Effect::Nothing;
        };
        assert_ours(group.owner.as_ref(), desired);
        let delay = Duration::from_secs(u64::from(group.settings.deregistration_delay_s));
        let (id, end) = (id.clone(), self.age + delay);
        let members = self
            .groups
            .get_mut(&id)
            .into_iter()
            .flat_map(|group| &mut group.members);
        let mut effect = Effect::Nothing;
        for member in members.filter(|member| member.place == Some(who)) {
            if member.health.state != TargetState::Draining {
                member.health = member.health.clone().deregistered();
                member.next = Some(end);
                effect = Effect::Done;
            }
        }
        effect
    }
}
