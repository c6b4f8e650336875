//! Target groups, and instances in them.

use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, LogicalId, Place, resource_name};
use arya_plan::listener::{GroupId, GroupSettings, TargetStickiness, TargetType};
use arya_plan::observed::InstanceState;

use super::{owner, refusal};
use crate::balancer::alb::HealthCheckSettings;
use crate::balancer::{self, Target};
use crate::live::Inner;
use crate::live::world::{Group, World};

/// AWS's shortest interval is 5 s; here a look costs nothing and a demo is short.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Below the interval, and far above what a healthy process on this machine takes.
const CHECK_TIMEOUT: Duration = Duration::from_millis(800);
/// AWS's smallest thresholds.
const CHECKS_IN_A_ROW: u32 = 2;

pub(super) fn create_target_group(inner: &Inner, desired: &Desired, arm: Arm) -> Result<(), CloudError> {
    let (ours, group) = (LogicalId::TargetGroup(arm), &desired.placement.group);
    let name = resource_name(&desired.id, ours);
    let settings = GroupSettings {
        name: name.clone(),
        target_type: TargetType::Instance,
        protocol: group.protocol,
        port: group.port,
        deregistration_delay_s: group.deregistration_delay_s,
        stickiness: TargetStickiness::Off,
    };
    inner.change(|world| {
        if world.group_of(&desired.id, arm).is_some() {
            return Ok(());
        }
        make_group(
            inner,
            world,
            GroupId::new(format!("local:{name}")),
            settings,
            &group.health_check_path,
        )?;
        let made = world.groups.get_mut(&GroupId::new(format!("local:{name}")));
        if let Some(made) = made {
            made.owner = Some(owner(desired, ours, 1));
        }
        Ok(())
    })
}

/// Makes a group in the balancer and its record, production's if nobody owns it.
pub(in crate::live) fn make_group(
    inner: &Inner,
    world: &mut World,
    id: GroupId,
    settings: GroupSettings,
    health_path: &str,
) -> Result<(), CloudError> {
    let live = balancer::GroupSettings {
        health_check: HealthCheckSettings {
            path: health_path.to_owned(),
            protocol: settings.protocol,
            interval: CHECK_INTERVAL,
            timeout: CHECK_TIMEOUT,
            healthy_threshold: CHECKS_IN_A_ROW,
            unhealthy_threshold: CHECKS_IN_A_ROW,
            ..HealthCheckSettings::default()
        },
        deregistration_delay: Duration::from_secs(u64::from(settings.deregistration_delay_s)),
    };
    inner.balancer.create_group(id.clone(), live).map_err(refusal)?;
    world.groups.insert(
        id,
        Group {
            owner: None,
            settings,
            members: Default::default(),
        },
    );
    Ok(())
}

pub(super) fn delete_target_group(inner: &Inner, desired: &Desired, arm: Arm) -> Result<(), CloudError> {
    inner.change(|world| {
        let Some((id, _)) = world.group_of(&desired.id, arm) else {
            return Ok(());
        };
        let id = id.clone();
        inner.balancer.delete_group(&id).map_err(refusal)?;
        world.groups.remove(&id);
        Ok(())
    })
}

pub(super) fn register(
    inner: &Inner,
    desired: &Desired,
    arm: Arm,
    place: Place,
    incarnation: u32,
) -> Result<(), CloudError> {
    inner.change(|world| {
        let running = world
            .machine_at(&desired.id, place, incarnation)
            .filter(|(_, machine)| machine.state == InstanceState::Running)
            .and_then(|(id, machine)| {
                Some(Target {
                    id: id.clone(),
                    address: machine.address?,
                })
            });
        let target = running.ok_or_else(|| {
            CloudError::not_yet(format!(
                "InvalidTarget: the {place} is not running, so it was not registered."
            ))
        })?;
        let group = world.group_of(&desired.id, arm).map(|(id, _)| id.clone());
        let group = group.ok_or_else(|| {
            CloudError::not_yet(format!(
                "TargetGroupNotFound: the {arm} target group does not stand yet."
            ))
        })?;
        inner.balancer.register(&group, target.clone()).map_err(refusal)?;
        if let Some(record) = world.groups.get_mut(&group) {
            record.members.insert(target.id, (place, incarnation));
        }
        Ok(())
    })
}

pub(super) fn deregister(inner: &Inner, desired: &Desired, arm: Arm, place: Place, incarnation: u32) {
    inner.change(|world| {
        let Some((group, record)) = world.group_of(&desired.id, arm) else {
            return;
        };
        let members = record
            .members
            .iter()
            .filter(|(_, member)| **member == (place, incarnation));
        for (id, _) in members {
            // The group stands, so it cannot be unknown.
            let _ = inner.balancer.deregister(group, id);
        }
    });
}
