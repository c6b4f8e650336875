//! Carries out one step: looks by owner first, so that twice is once; never waits for what a step sets going.

mod bucket;
mod groups;
mod rules;

use std::sync::Arc;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, Owner, Place, Role, SecurityGroupKind, client_token};
use arya_plan::observed::InstanceState;
use arya_plan::plan::Step;

use super::life::{self, Birth, Source};
use super::world::security_group_of;
use super::{Inner, monitoring};
use crate::balancer::BalancerError;

pub(super) use groups::make_group;

pub(super) async fn apply(inner: &Arc<Inner>, desired: &Desired, step: &Step) -> Result<(), CloudError> {
    match step {
        Step::CreateBucket => bucket::create_bucket(inner, desired).await,
        Step::StartUpload { digest } => bucket::start_upload(inner, desired, digest),
        Step::CreateSecurityGroup { kind } => {
            create_security_group(inner, desired, *kind);
            Ok(())
        }
        Step::CreateTargetGroup { arm } => groups::create_target_group(inner, desired, *arm),
        Step::LaunchInstance { place, incarnation } => launch(inner, desired, *place, *incarnation),
        Step::RegisterTarget {
            arm,
            place,
            incarnation,
        } => groups::register(inner, desired, *arm, *place, *incarnation),
        Step::CreateRule {
            kind,
            priority,
            conditions,
            actions,
        } => rules::create_rule(inner, desired, *kind, *priority, conditions, actions),
        Step::ModifyRule { kind, actions } => rules::modify_rule(inner, desired, *kind, actions),
        Step::DeleteRule { kind } => rules::delete_rule(inner, desired, *kind),
        Step::CancelUploads => {
            bucket::cancel_uploads(inner, desired);
            Ok(())
        }
        Step::DeregisterTarget {
            arm,
            place,
            incarnation,
        } => {
            groups::deregister(inner, desired, *arm, *place, *incarnation);
            Ok(())
        }
        Step::TerminateInstance { place, incarnation } => {
            terminate(inner, desired, *place, *incarnation);
            Ok(())
        }
        Step::DeleteTargetGroup { arm } => groups::delete_target_group(inner, desired, *arm),
        Step::DeleteSecurityGroup { kind } => delete_security_group(inner, desired, *kind),
        Step::DeleteBucket => bucket::delete_bucket(inner, desired).await,
    }
}

fn owner(desired: &Desired, logical_id: LogicalId, incarnation: u32) -> Owner {
    Owner {
        installation: desired.installation,
        deployment: desired.id,
        logical_id,
        incarnation,
    }
}

fn create_security_group(inner: &Inner, desired: &Desired, kind: SecurityGroupKind) {
    inner.change(|world| {
        if !world.security_groups_of(&desired.id).contains(&kind) {
            world
                .security_groups
                .push(owner(desired, LogicalId::SecurityGroup(kind), 1));
        }
    });
}

fn delete_security_group(inner: &Inner, desired: &Desired, kind: SecurityGroupKind) -> Result<(), CloudError> {
    inner.change(|world| {
        let lives_in_it = |place: Place| security_group_of(place.role) == kind;
        let held = world.machines_of(&desired.id).any(|(_, machine)| {
            machine.state != InstanceState::Terminated && machine.place().is_some_and(|(place, _)| lives_in_it(place))
        });
        if held {
            return Err(CloudError::not_yet(
                "DependencyViolation: an instance still uses the security group.",
            ));
        }
        let ours = LogicalId::SecurityGroup(kind);
        world
            .security_groups
            .retain(|owner| owner.deployment != desired.id || owner.logical_id != ours);
        Ok(())
    })
}

fn launch(inner: &Arc<Inner>, desired: &Desired, place: Place, incarnation: u32) -> Result<(), CloudError> {
    inner.change(|world| {
        let logical_id = LogicalId::Instance(place);
        if !world
            .security_groups_of(&desired.id)
            .contains(&security_group_of(place.role))
        {
            return Err(CloudError::not_yet(
                "InvalidGroup.NotFound: the security group does not stand yet.",
            ));
        }
        if !world.buckets.contains_key(&desired.id) {
            return Err(CloudError::not_yet(
                "The bucket that the instance fetches from does not stand yet.",
            ));
        }
        // As EC2 does: a used token is answered with its instance, even a dead one.
        if !world.take_token(client_token(&desired.id, logical_id, incarnation)) {
            return Ok(());
        }
        let owner = owner(desired, logical_id, incarnation);
        let spec = &desired.spec;
        let version = match place.role {
            Role::Baseline => &spec.baseline,
            Role::Canary => &spec.canary,
            Role::Monitor => {
                monitoring::launch(inner, world, owner, spec);
                return Ok(());
            }
        };
        let source = Source::Bucket {
            deployment: desired.id,
            image: version.image.clone(),
            compose: version.compose.clone(),
        };
        let birth = Birth {
            owner: Some(owner),
            source,
            app_port: spec.app.port,
            health_path: spec.app.health_check_path.clone(),
            warm_up: spec.app.warm_up.clone(),
        };
        life::launch(inner, world, birth);
        Ok(())
    })
}

fn terminate(inner: &Inner, desired: &Desired, place: Place, incarnation: u32) {
    inner.change(|world| {
        let found = world
            .machine_at(&desired.id, place, incarnation)
            .map(|(id, _)| id.clone());
        let machine = found.and_then(|id| world.machines.get_mut(&id));
        if let Some(machine) = machine.filter(|machine| !machine.state.is_ending()) {
            machine.state = InstanceState::ShuttingDown;
            machine.stop.cancel();
        }
    });
}

/// The balancer's *no* in the planner's words.
pub(super) fn refusal(error: BalancerError) -> CloudError {
    match &error {
        BalancerError::GroupInUse(_) => CloudError::not_yet(format!("ResourceInUse: {error}.")),
        BalancerError::UnknownGroup(_) => CloudError::not_yet(format!("TargetGroupNotFound: {error}.")),
        BalancerError::GroupExists(_) => CloudError::refused(format!("DuplicateTargetGroupName: {error}."), ""),
        BalancerError::UnsupportedProtocol(..) | BalancerError::BadHealthCheckPath(..) => CloudError::refused(
            format!("InvalidConfigurationRequest: {error}."),
            "Change the spec, and deploy anew.",
        ),
    }
}
