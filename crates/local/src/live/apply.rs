//! Carries out one step: looks by owner first, so that twice is once; never waits for what a step sets going.

use std::sync::Arc;
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{
    Arm, LogicalId, Owner, Place, Role, RuleKind, SecurityGroupKind, client_token, resource_name,
};
use arya_plan::listener::{
    Action, Condition, Forward, GroupId, GroupSettings, Priority, Rule, RuleId, TargetStickiness, TargetType, limits,
};
use arya_plan::observed::{InstanceState, Upload, UploadState};
use arya_plan::plan::Step;
use arya_plan::spec::Digest;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::folder::{Folder, Go};
use super::life::{self, Birth, Source};
use super::world::{Bucket, Group, Sending, security_group_of};
use super::{Inner, clock, monitoring};
use crate::balancer::alb::HealthCheckSettings;
use crate::balancer::{BalancerError, Target, TargetGroupSettings};

/// AWS's shortest interval is 5 s; here a look costs nothing and a demo is short.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Below the interval, and far above what a healthy process on this machine takes.
const CHECK_TIMEOUT: Duration = Duration::from_millis(800);
/// AWS's smallest thresholds.
const CHECKS_IN_A_ROW: u32 = 2;

pub(super) async fn apply(inner: &Arc<Inner>, desired: &Desired, step: &Step) -> Result<(), CloudError> {
    match step {
        Step::CreateBucket => create_bucket(inner, desired).await,
        Step::StartUpload { digest } => start_upload(inner, desired, digest),
        Step::CreateSecurityGroup { kind } => {
            create_security_group(inner, desired, *kind);
            Ok(())
        }
        Step::CreateTargetGroup { arm } => create_target_group(inner, desired, *arm),
        Step::LaunchInstance { place, incarnation } => launch(inner, desired, *place, *incarnation),
        Step::RegisterTarget {
            arm,
            place,
            incarnation,
        } => register(inner, desired, *arm, *place, *incarnation),
        Step::CreateRule {
            kind,
            priority,
            conditions,
            actions,
        } => create_rule(inner, desired, *kind, *priority, conditions, actions),
        Step::ModifyRule { kind, actions } => modify_rule(inner, desired, *kind, actions),
        Step::DeleteRule { kind } => delete_rule(inner, desired, *kind),
        Step::CancelUploads => {
            cancel_uploads(inner, desired);
            Ok(())
        }
        Step::DeregisterTarget {
            arm,
            place,
            incarnation,
        } => {
            deregister(inner, desired, *arm, *place, *incarnation);
            Ok(())
        }
        Step::TerminateInstance { place, incarnation } => {
            terminate(inner, desired, *place, *incarnation);
            Ok(())
        }
        Step::DeleteTargetGroup { arm } => delete_target_group(inner, desired, *arm),
        Step::DeleteSecurityGroup { kind } => delete_security_group(inner, desired, *kind),
        Step::DeleteBucket => delete_bucket(inner, desired).await,
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

async fn create_bucket(inner: &Arc<Inner>, desired: &Desired) -> Result<(), CloudError> {
    let folder = Folder::at(inner.buckets_dir().join(resource_name(&desired.id, LogicalId::Bucket)));
    let making = folder.clone();
    let made = tokio::task::spawn_blocking(move || making.create()).await;
    made.map_err(std::io::Error::other).flatten().map_err(|error| {
        CloudError::refused(
            format!("The disk took no folder for the bucket: {error}. Nothing was created."),
            "Make room, or allow writing to the data directory; it is tried again.",
        )
    })?;
    inner.change(|world| {
        world.buckets.entry(desired.id).or_insert_with(|| Bucket {
            owner: owner(desired, LogicalId::Bucket, 1),
            folder,
            uploads: Default::default(),
            copies: TaskTracker::new(),
        });
    });
    Ok(())
}

fn start_upload(inner: &Arc<Inner>, desired: &Desired, digest: &Digest) -> Result<(), CloudError> {
    let artifact = inner.settings.artifacts_dir.join(digest.hex());
    let stop = CancellationToken::new();
    inner.change(|world| {
        let bucket = world.buckets.get_mut(&desired.id);
        let bucket = bucket.ok_or_else(|| CloudError::not_yet("The bucket does not stand yet; nothing was sent."))?;
        let under_way = |sending: &Sending| !matches!(sending.upload.state, UploadState::Failed(_));
        if bucket.uploads.get(digest).is_some_and(under_way) {
            return Ok(());
        }
        let size = artifact.metadata().map_or(0, |about| about.len());
        let upload = Upload {
            sent: 0,
            size,
            state: UploadState::Running,
        };
        bucket.uploads.insert(
            digest.clone(),
            Sending {
                upload,
                stop: stop.clone(),
            },
        );
        let (inner, deployment, digest) = (Arc::clone(inner), desired.id, digest.clone());
        let folder = bucket.folder.clone();
        bucket.copies.spawn_blocking(move || {
            let note = |change: &dyn Fn(&mut Upload)| {
                inner.change(|world| {
                    let sending = world
                        .buckets
                        .get_mut(&deployment)
                        .and_then(|b| b.uploads.get_mut(&digest));
                    // A copy that was stopped has nothing more to say of the upload that took its place.
                    if let Some(sending) = sending.filter(|_| !stop.is_cancelled()) {
                        change(&mut sending.upload);
                    }
                });
            };
            let copied = folder.copy_in(&artifact, &digest, |sent| {
                note(&|upload| upload.sent = sent);
                if stop.is_cancelled() || inner.stopping.is_cancelled() {
                    Go::Stop
                } else {
                    Go::On
                }
            });
            note(&|upload| {
                upload.state = match &copied {
                    Ok(()) => UploadState::Done,
                    Err(sentence) => UploadState::Failed(sentence.clone()),
                }
            });
        });
        Ok(())
    })
}

fn cancel_uploads(inner: &Inner, desired: &Desired) {
    inner.change(|world| {
        let uploads = world
            .buckets
            .get_mut(&desired.id)
            .into_iter()
            .flat_map(|bucket| bucket.uploads.values_mut());
        for sending in uploads.filter(|sending| sending.upload.state == UploadState::Running) {
            sending.stop.cancel();
            sending.upload.state = UploadState::Failed("The upload was stopped.".into());
        }
    });
}

async fn delete_bucket(inner: &Inner, desired: &Desired) -> Result<(), CloudError> {
    cancel_uploads(inner, desired);
    let found = inner
        .world()
        .buckets
        .get(&desired.id)
        .map(|bucket| (bucket.folder.clone(), bucket.copies.clone()));
    let Some((folder, copies)) = found else { return Ok(()) };
    if !copies.is_empty() {
        return Err(CloudError::not_yet("An upload into the bucket is still stopping."));
    }
    let removed = tokio::task::spawn_blocking(move || folder.remove()).await;
    removed
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| CloudError::not_yet(format!("The bucket's folder could not be removed yet: {error}.")))?;
    inner.change(|world| world.buckets.remove(&desired.id));
    Ok(())
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

fn create_target_group(inner: &Inner, desired: &Desired, arm: Arm) -> Result<(), CloudError> {
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
pub(super) fn make_group(
    inner: &Inner,
    world: &mut super::World,
    id: GroupId,
    settings: GroupSettings,
    health_path: &str,
) -> Result<(), CloudError> {
    let live = TargetGroupSettings {
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

fn delete_target_group(inner: &Inner, desired: &Desired, arm: Arm) -> Result<(), CloudError> {
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

fn register(inner: &Inner, desired: &Desired, arm: Arm, place: Place, incarnation: u32) -> Result<(), CloudError> {
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

fn deregister(inner: &Inner, desired: &Desired, arm: Arm, place: Place, incarnation: u32) {
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

fn create_rule(
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

fn modify_rule(inner: &Inner, desired: &Desired, kind: RuleKind, actions: &[Action]) -> Result<(), CloudError> {
    check_actions(actions)?;
    inner.change(|_| {
        let mut rules = inner.balancer.rules();
        let at = position(&rules, desired, kind);
        let at = at.ok_or_else(|| CloudError::not_yet(format!("RuleNotFound: the {kind} is not on the listener.")))?;
        rules[at].actions = actions.to_vec();
        inner.balancer.set_rules(rules).map_err(refusal)
    })
}

fn delete_rule(inner: &Inner, desired: &Desired, kind: RuleKind) -> Result<(), CloudError> {
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
