//! Words of a spec that stand for what production has now, replaced by what they stand for. Reads; what may not be chosen
//! for a person is refused.

use std::collections::{BTreeMap, BTreeSet};

use arya_plan::cloud::CloudError;
use arya_plan::listener::{Priority, Rule};
use arya_plan::spec::{InFrontOf, OneOrMany, SAME_AS_PRODUCTION, Spec};
use aws_sdk_ec2::types as ec2;

use crate::Inner;
use crate::calls::Call;
use crate::error::ask;
use crate::tags::ec2_owner;

/// The account that publishes Debian's images (Debian wiki, "Cloud/AmazonEC2Image").
pub(crate) const DEBIAN: &str = "136693071363";
/// Of Debian 13, by architecture; the date follows.
const IMAGE_NAME: &str = "debian-13";
/// The word for the image that the boot script is made for.
const DEFAULT: &str = "default";
/// Production's instances that are looked at.
const INSTANCES_MAX: usize = 50;

impl Inner {
    pub(crate) async fn resolve(&self, spec: &Spec) -> Result<Spec, CloudError> {
        let mut resolved = spec.clone();
        let asks = |list: &OneOrMany| *list == OneOrMany::One(SAME_AS_PRODUCTION.into());
        let instances = &mut resolved.instances;
        let same_type = instances.instance_type == SAME_AS_PRODUCTION;
        if same_type || asks(&instances.subnets) || asks(&instances.security_groups) {
            let production = self.production(spec).await?;
            if production.is_empty() {
                return Err(nobody());
            }
            if same_type {
                let types = production.iter().filter_map(|one| one.instance_type());
                instances.instance_type = most_common(types.map(ToString::to_string)).ok_or_else(nobody)?;
            }
            if asks(&instances.subnets) {
                let subnets = production.iter().filter_map(|one| one.subnet_id.clone());
                instances.subnets = OneOrMany::Many(subnets.collect::<BTreeSet<_>>().into_iter().collect());
            }
            if asks(&instances.security_groups) {
                instances.security_groups = OneOrMany::Many(shared_groups(&production));
            }
        }
        if resolved.instances.ami == DEFAULT {
            resolved.instances.ami = self.default_image(&resolved.instances.instance_type).await?;
        }
        Ok(resolved)
    }

    /// The instances behind the chosen rule that are not ours.
    async fn production(&self, spec: &Spec) -> Result<Vec<ec2::Instance>, CloudError> {
        let rules = self.rules(spec.listener.as_str()).await?.unwrap_or_default();
        let chosen = |rule: &&Rule| match &spec.in_front_of {
            InFrontOf::Default => rule.priority == Priority::Default,
            InFrontOf::Rule(id) => rule.id == *id,
        };
        let forward = rules.iter().find(chosen).and_then(Rule::forward);
        let mut ids = BTreeSet::new();
        for weighted in forward.into_iter().flat_map(|forward| &forward.groups) {
            let targets = self.targets(weighted.group.as_str()).await?;
            let named = targets.iter().filter_map(|target| target.target()?.id());
            ids.extend(named.filter(|id| id.starts_with("i-")).map(str::to_owned));
        }
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let ids = ids.into_iter().take(INSTANCES_MAX).collect();
        let filter = ec2::Filter::builder().name("instance-id").set_values(Some(ids)).build();
        let listed = self.instances(vec![filter]).await?;
        Ok(listed
            .into_iter()
            .filter(|one| ec2_owner(one.tags()).is_none())
            .collect())
    }

    /// The newest Debian 13 for the type's processor.
    async fn default_image(&self, instance_type: &str) -> Result<String, CloudError> {
        let request = self.clients.reading.ec2.describe_instance_types();
        let answer = ask(
            Call::DescribeInstanceTypes,
            request.instance_types(instance_type.into()).send(),
        )
        .await?;
        let of = answer.instance_types().first().and_then(|about| about.processor_info());
        let is_arm = of.is_some_and(|of| of.supported_architectures().contains(&ec2::ArchitectureType::Arm64));
        let architecture = if is_arm { "arm64" } else { "amd64" };
        let pattern = format!("{IMAGE_NAME}-{architecture}-*");
        let filter = |name: &str, value: &str| ec2::Filter::builder().name(name).values(value).build();
        let owner = self.settings.image_owner.as_deref().unwrap_or(DEBIAN);
        let request = self.clients.reading.ec2.describe_images().owners(owner);
        let request = request
            .filters(filter("name", &pattern))
            .filters(filter("state", "available"));
        let answer = ask(Call::DescribeImages, request.send()).await?;
        // The names end in the date and a serial number.
        let newest = answer.images().iter().max_by_key(|image| image.name());
        newest.and_then(|image| image.image_id.clone()).ok_or_else(|| {
            CloudError::refused(
                format!("There is no image {pattern} of the account {owner} in this region. Nothing was created."),
                "Name one in `instances.ami`.",
            )
        })
    }
}

fn nobody() -> CloudError {
    CloudError::refused(
        "Behind the chosen rule there is no instance that type, subnets and security groups could be taken from. \
         Nothing was created.",
        "Name them in `instances` of the spec.",
    )
}

/// The one that most have; of equals the first by name.
fn most_common(values: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let most = counts.values().copied().max()?;
    counts
        .into_iter()
        .find(|(_, count)| *count == most)
        .map(|(value, _)| value)
}

/// The groups that every instance of production has.
fn shared_groups(production: &[ec2::Instance]) -> Vec<String> {
    let groups_of = |one: &ec2::Instance| -> BTreeSet<String> {
        one.security_groups()
            .iter()
            .filter_map(|group| group.group_id.clone())
            .collect()
    };
    let shared = production.iter().map(groups_of).reduce(|a, b| &a & &b);
    shared.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_common_type_is_taken_and_of_equals_always_the_same() {
        let pick = |values: &[&str]| most_common(values.iter().map(ToString::to_string));
        assert_eq!(pick(&["t3.large", "m5.large", "m5.large"]), Some("m5.large".into()));
        assert_eq!(pick(&["t3.large", "m5.large"]), Some("m5.large".into()));
        assert_eq!(pick(&[]), None);
    }

    #[test]
    fn only_groups_that_all_of_production_has_are_taken() {
        let with = |groups: &[&str]| {
            let group = |id: &&str| ec2::GroupIdentifier::builder().group_id(*id).build();
            ec2::Instance::builder()
                .set_security_groups(Some(groups.iter().map(group).collect()))
                .build()
        };
        let production = [with(&["sg-a", "sg-b"]), with(&["sg-b", "sg-c"])];
        assert_eq!(shared_groups(&production), ["sg-b"]);
    }
}
