//! Instances: one token for each filling of a place, tags on everything that a launch makes, gone when they shut down.

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, Place, Role, SecurityGroupKind, client_token};
use arya_plan::spec::OneOrMany;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{self as ec2, InstanceStateName, ResourceType};

use crate::Inner;
use crate::calls::Call;
use crate::error::{OrGone as _, ask};
use crate::tags::{ec2_owner, ec2_tags, of_place, on_creation, owner};

/// Room for images as archives, as layers and running; the plan's price has the same.
const DISK_GB: i32 = 30;
/// The word for nothing, in the spec.
const NONE: &str = "none";

impl Inner {
    /// Every instance that fills the place with that incarnation, ended ones too.
    pub(super) async fn fillings(
        &self,
        desired: &Desired,
        place: Place,
        incarnation: u32,
    ) -> Result<Vec<ec2::Instance>, CloudError> {
        let listed = self.instances(of_place(desired, LogicalId::Instance(place))).await?;
        let is_it = |one: &ec2::Instance| ec2_owner(one.tags()).is_some_and(|owner| owner.incarnation == incarnation);
        Ok(listed.into_iter().filter(is_it).collect())
    }

    /// The id of the running one.
    pub(super) async fn standing(
        &self,
        desired: &Desired,
        place: Place,
        incarnation: u32,
    ) -> Result<Option<String>, CloudError> {
        let listed = self.fillings(desired, place, incarnation).await?;
        let running = |one: &ec2::Instance| state(one) == Some(&InstanceStateName::Running);
        Ok(listed.into_iter().find(running).and_then(|one| one.instance_id))
    }

    pub(super) async fn launch(&self, desired: &Desired, place: Place, incarnation: u32) -> Result<(), CloudError> {
        if !self.fillings(desired, place, incarnation).await?.is_empty() {
            return Ok(());
        }
        if !self.bucket_stands(desired).await? {
            return Err(CloudError::not_yet(
                "NoSuchBucket: the bucket that the instance fetches from does not stand yet; nothing was launched.",
            ));
        }
        let kind = match place.role {
            Role::Baseline | Role::Canary => SecurityGroupKind::App,
            Role::Monitor => SecurityGroupKind::Monitor,
        };
        let group = self.complete_security_group(desired, kind).await?.ok_or_else(|| {
            CloudError::not_yet("InvalidGroup.NotFound: the security group does not stand yet; nothing was launched.")
        })?;
        if place.role == Role::Monitor {
            // What the arms let in from it, where their group was made before its own.
            self.complete_security_group(desired, SecurityGroupKind::App).await?;
        }
        let image = self.image(&desired.spec.instances.ami).await?;
        let user_data = self.user_data(desired, place, incarnation).await?;
        let logical_id = LogicalId::Instance(place);
        let tags = ec2_tags(desired, &owner(desired, logical_id, incarnation));
        let instances = &desired.spec.instances;
        let named = |text: &String| (text != NONE).then(|| text.clone());
        let mut groups = vec![group];
        // The monitor runs other people's programs: neither production's network nor the app's role is for them.
        let is_app = place.role.arm().is_some();
        if is_app {
            groups.extend(many(&instances.security_groups)?);
        }
        let profile = named(&instances.profile).filter(|_| is_app);
        let kinds = [
            ResourceType::Instance,
            ResourceType::Volume,
            ResourceType::NetworkInterface,
        ];
        let request = self.clients.changing.ec2.run_instances().min_count(1).max_count(1);
        let request = request
            .client_token(client_token(&desired.id, logical_id, incarnation))
            .instance_type(instance_type(desired, place.role)?.into())
            .subnet_id(subnet(desired, place)?)
            .set_security_group_ids(Some(groups))
            .set_key_name(named(&instances.key_pair))
            .instance_initiated_shutdown_behavior(ec2::ShutdownBehavior::Terminate)
            .user_data(aws_smithy_types::base64::encode(user_data))
            .set_tag_specifications(Some(kinds.map(|kind| on_creation(kind, &tags)).into()));
        let request = shielded(request, &image, profile.as_deref()).set_iam_instance_profile(
            profile.map(|name| ec2::IamInstanceProfileSpecification::builder().name(name).build()),
        );
        ask(Call::RunInstances, request.send()).await?;
        Ok(())
    }

    async fn image(&self, id: &str) -> Result<ec2::Image, CloudError> {
        let request = self.clients.reading.ec2.describe_images().image_ids(id);
        let answer = ask(Call::DescribeImages, request.send()).await?;
        answer.images.unwrap_or_default().into_iter().next().ok_or_else(|| {
            CloudError::refused(
                format!("InvalidAMIID.NotFound: there is no image `{id}`. Nothing was launched."),
                "Name another in `instances.ami`, and deploy anew.",
            )
        })
    }

    pub(super) async fn terminate(&self, desired: &Desired, place: Place, incarnation: u32) -> Result<(), CloudError> {
        let listed = self.fillings(desired, place, incarnation).await?;
        let ends = |one: &&ec2::Instance| {
            matches!(
                state(one),
                Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
            )
        };
        // One id a call: a single unknown one fails all of its call.
        for one in listed.iter().filter(|one| !ends(one)) {
            let request = self.clients.changing.ec2.terminate_instances();
            let request = request.set_instance_ids(one.instance_id.clone().map(|id| vec![id]));
            ask(Call::TerminateInstances, request.send()).await.or_gone()?;
        }
        Ok(())
    }
}

fn state(instance: &ec2::Instance) -> Option<&InstanceStateName> {
    instance.state().and_then(|state| state.name())
}

/// What a plan leaves open is not chosen here.
fn unresolved(key: &str) -> CloudError {
    CloudError::refused(
        format!("The plan does not say what `{key}` is here. Nothing was launched."),
        "Plan again: the plan resolves every word.",
    )
}

fn many(list: &OneOrMany) -> Result<Vec<String>, CloudError> {
    match list {
        OneOrMany::Many(ids) => Ok(ids.clone()),
        OneOrMany::One(word) if word == NONE => Ok(vec![]),
        OneOrMany::One(_) => Err(unresolved("instances.security_groups")),
    }
}

/// The same place of both arms in the same subnet, so that they differ in nothing but their version.
fn subnet(desired: &Desired, place: Place) -> Result<String, CloudError> {
    match &desired.spec.instances.subnets {
        OneOrMany::Many(ids) if !ids.is_empty() => Ok(ids[usize::from(place.index) % ids.len()].clone()),
        OneOrMany::Many(_) | OneOrMany::One(_) => Err(unresolved("instances.subnets")),
    }
}

pub(crate) fn instance_type(desired: &Desired, role: Role) -> Result<&str, CloudError> {
    let name = match role {
        Role::Baseline | Role::Canary => &desired.spec.instances.instance_type,
        Role::Monitor => &desired.spec.monitor.instance_type,
    };
    if name == arya_plan::spec::SAME_AS_PRODUCTION {
        return Err(unresolved("instances.type"));
    }
    Ok(name)
}

/// What policies of an organisation demand of every launch, so that one that is only asked about has it too.
pub(crate) fn shielded(
    request: RunInstancesFluentBuilder,
    image: &ec2::Image,
    profile: Option<&str>,
) -> RunInstancesFluentBuilder {
    request
        .set_image_id(image.image_id.clone())
        .metadata_options(metadata(profile))
        .block_device_mappings(disk(image))
}

/// Only version 2. With a profile containers may reach it, one hop further; without one there is nothing to reach.
fn metadata(profile: Option<&str>) -> ec2::InstanceMetadataOptionsRequest {
    ec2::InstanceMetadataOptionsRequest::builder()
        .http_tokens(ec2::HttpTokensState::Required)
        .http_put_response_hop_limit(if profile.is_some() { 2 } else { 1 })
        .build()
}

/// The image's own disk, encrypted and gone with its instance. Never smaller than the image's.
fn disk(image: &ec2::Image) -> ec2::BlockDeviceMapping {
    let sizes = image
        .block_device_mappings()
        .iter()
        .filter_map(|one| one.ebs()?.volume_size());
    let volume = ec2::EbsBlockDevice::builder()
        .volume_size(sizes.max().unwrap_or(0).max(DISK_GB))
        .encrypted(true)
        .delete_on_termination(true)
        .volume_type(ec2::VolumeType::Gp3)
        .build();
    ec2::BlockDeviceMapping::builder()
        .device_name(image.root_device_name().unwrap_or("/dev/xvda"))
        .ebs(volume)
        .build()
}
