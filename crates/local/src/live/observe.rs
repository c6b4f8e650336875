//! What stands, in the planner's words. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use arya_judge::Timestamp;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, DeploymentId};
use arya_plan::listener::{GroupHealth, GroupId, ListenerId, LoadBalancerId, Site, SiteGroup, named_groups};
use arya_plan::observed::{Instance, Observed, OurGroup, Target};

use super::traffic::traffic;
use super::world::{Group, World};
use super::{Inner, LISTENER, LOAD_BALANCER, LOAD_BALANCER_NAME};

/// The listener with all its rules, and the groups that they name.
pub(super) fn site(inner: &Inner) -> Site {
    let world = inner.world();
    // Read under the lock, since groups and rules change together.
    let rules = inner.balancer.rules();
    let named = named_groups(&rules);
    let groups = named.into_iter().filter_map(|id| {
        let settings = world.groups.get(&id)?.settings.clone();
        let health = inner
            .balancer
            .group_state(&id)
            .map_or_else(GroupHealth::default, |state| state.health());
        Some((id, SiteGroup { settings, health }))
    });
    let address = inner.balancer.address();
    Site {
        listener: ListenerId::new(LISTENER),
        load_balancer: LoadBalancerId::new(LOAD_BALANCER),
        load_balancer_name: LOAD_BALANCER_NAME.into(),
        address: format!("http://{address}"),
        port: address.port(),
        groups: groups.collect(),
        rules,
    }
}

pub(super) fn list(inner: &Inner) -> Vec<DeploymentId> {
    let world = inner.world();
    let rules = inner.balancer.rules();
    let owners = world
        .owners()
        .chain(rules.iter().filter_map(|rule| rule.owner.as_ref()));
    let ours = owners.filter(|owner| owner.installation == inner.settings.installation);
    let found: BTreeSet<_> = ours.map(|owner| owner.deployment).collect();
    found.into_iter().collect()
}

pub(super) fn observe(inner: &Inner, desired: &Desired, now: Timestamp) -> Observed {
    let site = (desired.spec.listener.as_str() == LISTENER).then(|| site(inner));
    let mut world = inner.world();
    world.forget_ended();
    let deployment = &desired.id;
    let bucket = world.buckets.get(deployment);
    Observed {
        at: now,
        bucket: bucket.is_some(),
        uploads: bucket.map_or_else(BTreeMap::new, |bucket| {
            bucket
                .uploads
                .iter()
                .map(|(digest, sending)| (digest.clone(), sending.upload.clone()))
                .collect()
        }),
        security_groups: world.security_groups_of(deployment),
        groups: Arm::BOTH
            .into_iter()
            .filter_map(|arm| Some((arm, our_group(inner, &world, deployment, arm)?)))
            .collect(),
        instances: instances(&world, deployment),
        traffic: site
            .as_ref()
            .and_then(|site| traffic(inner, &world, site, desired, now)),
        site,
        credentials_end: None,
        look_again_at_least: None,
    }
}

fn our_group(inner: &Inner, world: &World, deployment: &DeploymentId, arm: Arm) -> Option<OurGroup> {
    let (id, group) = world.group_of(deployment, arm)?;
    Some(OurGroup {
        id: id.clone(),
        targets: targets(inner, id, group),
    })
}

fn targets(inner: &Inner, id: &GroupId, group: &Group) -> Vec<Target> {
    let state = inner.balancer.group_state(id);
    let known = state.into_iter().flat_map(|state| state.targets).filter_map(|status| {
        let (place, incarnation) = *group.members.get(&status.target.id)?;
        Some(Target {
            place,
            incarnation,
            health: status.state.as_observed(),
        })
    });
    known.collect()
}

fn instances(world: &World, deployment: &DeploymentId) -> Vec<Instance> {
    let ours = world.machines_of(deployment).filter_map(|(id, machine)| {
        let (place, incarnation) = machine.place()?;
        Some(Instance {
            place,
            incarnation,
            id: id.clone(),
            state: machine.state,
            address: machine.address,
            report: machine.report.clone(),
            ended_because: None,
            console: None,
        })
    });
    ours.collect()
}
