//! The world if a step works. The preview folds the planner over it; a simulator adds faults.

use crate::desired::Desired;
use crate::identity::{Arm, LogicalId, Owner, Place, RuleKind, resource_name};
use crate::listener::{GroupId, Priority, Rule, RuleId};
use crate::observed::{
    BootPhase, Instance, InstanceState, Observed, OurGroup, Status, Target, TargetHealth, TargetState, Upload,
    UploadState,
};
use crate::plan::Step;

/// Changes `world` as if `step` had fully worked, with what follows from it.
pub fn assume(desired: &Desired, world: &mut Observed, step: &Step) {
    match step {
        Step::CreateBucket => world.bucket = true,
        Step::DeleteBucket => {
            world.bucket = false;
            world.uploads.clear();
        }
        Step::StartUpload { digest } => {
            world.uploads.insert(
                digest.clone(),
                Upload {
                    sent: 0,
                    size: 0,
                    state: UploadState::Done,
                },
            );
        }
        Step::CancelUploads => world.uploads.retain(|_, upload| upload.state == UploadState::Done),
        Step::CreateSecurityGroup { kind } => world.security_groups.push(*kind),
        Step::DeleteSecurityGroup { kind } => world.security_groups.retain(|k| k != kind),
        Step::CreateTargetGroup { arm } => {
            let id = GroupId::new(resource_name(&desired.id, LogicalId::TargetGroup(*arm)));
            world.groups.insert(*arm, OurGroup { id, targets: vec![] });
        }
        Step::DeleteTargetGroup { arm } => drop(world.groups.remove(arm)),
        Step::LaunchInstance { .. } | Step::TerminateInstance { .. } => instance(desired, world, step),
        Step::RegisterTarget { .. } | Step::DeregisterTarget { .. } => target(world, step),
        Step::CreateRule { .. } | Step::ModifyRule { .. } | Step::DeleteRule { .. } => rule(desired, world, step),
    }
    // A group that a rule names is health-checked, and here every check succeeds.
    if world.our_rule(&desired.id, RuleKind::Probe).is_some() {
        let instances = &world.instances;
        let runs = |target: &Target| {
            let mut filling = instances.iter();
            filling.any(|i| (i.place, i.incarnation) == (target.place, target.incarnation) && !i.state.is_ending())
        };
        let targets = world.groups.values_mut().flat_map(|group| &mut group.targets);
        targets
            .filter(|target| runs(target))
            .for_each(|target| target.health.state = TargetState::Healthy);
    }
}

fn instance(desired: &Desired, world: &mut Observed, step: &Step) {
    match step {
        Step::LaunchInstance { place, incarnation } => world.instances.push(Instance {
            place: *place,
            incarnation: *incarnation,
            id: resource_name(&desired.id, LogicalId::Instance(*place)),
            state: InstanceState::Running,
            address: None,
            report: Some(Status::new(BootPhase::Ready, world.at)),
            ended_because: None,
            console: None,
        }),
        Step::TerminateInstance { place, incarnation } => {
            for instance in &mut world.instances {
                if instance.place == *place && instance.incarnation == *incarnation {
                    instance.state = InstanceState::Terminated;
                }
            }
        }
        _ => {}
    }
}

fn target(world: &mut Observed, step: &Step) {
    match step {
        Step::RegisterTarget {
            arm,
            place,
            incarnation,
        } => {
            take_out(world, *arm, *place, *incarnation);
            if let Some(group) = world.groups.get_mut(arm) {
                let health = TargetHealth {
                    state: TargetState::Unused,
                    reason: None,
                    description: None,
                };
                group.targets.push(Target {
                    place: *place,
                    incarnation: *incarnation,
                    health,
                });
            }
        }
        Step::DeregisterTarget {
            arm,
            place,
            incarnation,
        } => take_out(world, *arm, *place, *incarnation),
        _ => {}
    }
}

fn take_out(world: &mut Observed, arm: Arm, place: Place, incarnation: u32) {
    if let Some(group) = world.groups.get_mut(&arm) {
        group
            .targets
            .retain(|t| (t.place, t.incarnation) != (place, incarnation));
    }
}

fn rule(desired: &Desired, world: &mut Observed, step: &Step) {
    let Some(site) = &mut world.site else { return };
    let is = |rule: &Rule, kind: RuleKind| {
        rule.owner
            .as_ref()
            .is_some_and(|o| o.deployment == desired.id && o.logical_id == LogicalId::Rule(kind))
    };
    match step {
        Step::CreateRule {
            kind,
            priority,
            conditions,
            actions,
        } => {
            let logical_id = LogicalId::Rule(*kind);
            let owner = Owner {
                installation: desired.installation,
                deployment: desired.id,
                logical_id,
                incarnation: 1,
            };
            site.rules.push(Rule {
                id: RuleId::new(resource_name(&desired.id, logical_id)),
                priority: Priority::At(*priority),
                conditions: conditions.clone(),
                actions: actions.clone(),
                transforms: desired.placement.composed.transforms.clone(),
                owner: Some(owner),
            });
            site.rules.sort_by_key(|rule| rule.priority);
        }
        Step::ModifyRule { kind, actions } => {
            site.rules
                .iter_mut()
                .filter(|r| is(r, *kind))
                .for_each(|rule| rule.actions.clone_from(actions));
        }
        Step::DeleteRule { kind } => site.rules.retain(|r| !is(r, *kind)),
        _ => {}
    }
}
