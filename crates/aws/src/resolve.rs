//! Words of a spec that stand for what production has now, replaced by what they stand for. Reads; what may not be chosen
//! for a person is refused.

use std::collections::{BTreeMap, BTreeSet};

use arya_plan::cloud::CloudError;
use arya_plan::listener::Rule;
use arya_plan::spec::tags::{Word, is_taken};
use arya_plan::spec::{OneOrMany, SAME_AS_PRODUCTION, Spec, Tags, limits};
use aws_sdk_ec2::types as ec2;

use crate::Inner;
use crate::calls::Call;
use crate::discover::chosen;
use crate::error::{Failure, ask};
use crate::surroundings::is_a_controllers;
use crate::tags::{NAME, ec2_owner, is_ours};

/// The account that publishes Debian's images (Debian wiki, "Cloud/AmazonEC2Image").
pub(crate) const DEBIAN: &str = "136693071363";
/// Of Debian 13, by architecture; the date follows.
const IMAGE_NAME: &str = "debian-13";
/// The word for the image that the boot script is made for.
const DEFAULT: &str = "default";
/// The word for nothing.
const NONE: &str = "none";
/// Production's instances that are looked at.
const INSTANCES_MAX: usize = 50;

impl Inner {
    pub(crate) async fn resolve(&self, spec: &Spec) -> Result<Spec, CloudError> {
        let mut resolved = spec.clone();
        let asks = |list: &OneOrMany| *list == OneOrMany::One(SAME_AS_PRODUCTION.into());
        let instances = &mut resolved.instances;
        let same_type = instances.instance_type == SAME_AS_PRODUCTION;
        let (same_profile, same_key) = (
            instances.profile == SAME_AS_PRODUCTION,
            instances.key_pair == SAME_AS_PRODUCTION,
        );
        let same_tags = instances.tags == Tags::Asked(Word::SameAsProduction);
        let words = [
            same_type,
            same_tags,
            same_profile,
            same_key,
            asks(&instances.subnets),
            asks(&instances.security_groups),
        ];
        if words.contains(&true) {
            let production = self.production(spec).await?;
            if production.is_empty() {
                return Err(nobody());
            }
            if same_type {
                let types = production.iter().filter_map(|one| one.instance_type());
                instances.instance_type = most_common(types.map(ToString::to_string)).ok_or_else(nobody)?;
            }
            if same_profile {
                instances.profile = profile_of(&production)?;
            }
            if same_key {
                let keys = production.iter().filter_map(|one| one.key_name.clone());
                instances.key_pair = most_common(keys).unwrap_or_else(|| NONE.into());
            }
            if same_tags {
                instances.tags = Tags::Named(shared_tags(&production).into_iter().take(limits::TAGS).collect());
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
    pub(crate) async fn production(&self, spec: &Spec) -> Result<Vec<ec2::Instance>, CloudError> {
        let rules = self.rules(spec.listener.as_str()).await?.unwrap_or_default();
        let forward = chosen(&rules, spec).and_then(Rule::forward);
        let mut ids = BTreeSet::new();
        for weighted in forward.into_iter().flat_map(|forward| &forward.groups) {
            let targets = self.targets(weighted.group.as_str()).await?;
            let named = targets.iter().filter_map(|target| target.target()?.id());
            ids.extend(named.filter(|id| id.starts_with("i-")).map(str::to_owned));
        }
        self.instances_by_id(ids.into_iter()).await
    }

    /// The first of them that are not ours.
    pub(crate) async fn instances_by_id(
        &self,
        ids: impl Iterator<Item = String>,
    ) -> Result<Vec<ec2::Instance>, CloudError> {
        let ids: Vec<String> = ids.take(INSTANCES_MAX).collect();
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let filter = ec2::Filter::builder().name("instance-id").set_values(Some(ids)).build();
        let mut listed = self.instances(vec![filter]).await?;
        listed.retain(|one| ec2_owner(one.tags()).is_none());
        Ok(listed)
    }

    /// The newest Debian 13 for the type's processor.
    async fn default_image(&self, instance_type: &str) -> Result<String, CloudError> {
        let about = self.type_info(instance_type).await?;
        let of = about.as_ref().and_then(|about| about.processor_info());
        let is_arm = of.is_some_and(|of| of.supported_architectures().contains(&ec2::ArchitectureType::Arm64));
        let architecture = if is_arm { "arm64" } else { "amd64" };
        let newest = self.newest_image(architecture).await?;
        newest.and_then(|image| image.image_id).ok_or_else(|| {
            let owner = self.image_owner();
            CloudError::refused(
                format!(
                    "There is no image {} of the account {owner} in this region. Nothing was created.",
                    image_names(architecture)
                ),
                "Name one in `instances.ami`.",
            )
        })
    }

    /// What EC2 knows of a type.
    pub(crate) async fn type_info(&self, instance_type: &str) -> Result<Option<ec2::InstanceTypeInfo>, CloudError> {
        let request = self.clients.reading.ec2.describe_instance_types();
        let request = request.instance_types(instance_type.into());
        let answer = ask(Call::DescribeInstanceTypes, request.send()).await?;
        Ok(answer.instance_types.unwrap_or_default().into_iter().next())
    }

    fn image_owner(&self) -> &str {
        self.settings.image_owner.as_deref().unwrap_or(DEBIAN)
    }

    /// The newest image of Debian 13 for a processor.
    pub(crate) async fn newest_image(&self, architecture: &str) -> Result<Option<ec2::Image>, Failure> {
        let filter = |name: &str, value: &str| ec2::Filter::builder().name(name).values(value).build();
        let request = self.clients.reading.ec2.describe_images().owners(self.image_owner());
        let request = request
            .filters(filter("name", &image_names(architecture)))
            .filters(filter("state", "available"));
        let answer = ask(Call::DescribeImages, request.send()).await?;
        // The names end in the date and a serial number.
        let images = answer.images.unwrap_or_default();
        Ok(images.into_iter().max_by_key(|image| image.name.clone()))
    }
}

fn image_names(architecture: &str) -> String {
    format!("{IMAGE_NAME}-{architecture}-*")
}

fn nobody() -> CloudError {
    CloudError::refused(
        "Behind the chosen rule there is no instance that type, subnets and security groups could be taken from. \
         Nothing was created.",
        "Name them in `instances` of the spec.",
    )
}

/// The profile that all of production has. Which of several the new version needs, a person must say.
fn profile_of(production: &[ec2::Instance]) -> Result<String, CloudError> {
    let name = |one: &ec2::Instance| -> String {
        let arn = one.iam_instance_profile().and_then(|profile| profile.arn());
        // arn:aws:iam::123456789012:instance-profile/path/name
        let name = arn.and_then(|arn| arn.rsplit('/').next());
        name.unwrap_or(NONE).to_owned()
    };
    let names: BTreeSet<String> = production.iter().map(name).collect();
    match names.iter().next() {
        Some(only) if names.len() == 1 => Ok(only.clone()),
        Some(_) | None => Err(CloudError::refused(
            format!(
                "Production's instances have different profiles ({}). Nothing was created.",
                names.into_iter().collect::<Vec<_>>().join(", ")
            ),
            "Name one of them in `instances.profile`, or `none`.",
        )),
    }
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

/// The tags that every instance of production has alike, without those that say whose it is or which one.
pub(crate) fn shared_tags(production: &[ec2::Instance]) -> BTreeMap<String, String> {
    let tags_of = |one: &ec2::Instance| -> BTreeSet<(String, String)> {
        let pairs = one.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        let kept = pairs
            .filter(|(key, value)| *key != NAME && !is_ours(key) && !is_a_controllers(key) && is_taken(key, value));
        kept.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let shared = production.iter().map(tags_of).reduce(|a, b| &a & &b);
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
    fn the_profile_is_the_one_that_all_of_production_has() {
        let with = |arn: Option<&str>| {
            let profile = arn.map(|arn| ec2::IamInstanceProfile::builder().arn(arn).build());
            ec2::Instance::builder().set_iam_instance_profile(profile).build()
        };
        let shop = with(Some("arn:aws:iam::123456789012:instance-profile/apps/shop"));
        assert_eq!(profile_of(&[shop.clone(), shop.clone()]), Ok("shop".into()));
        assert_eq!(profile_of(&[with(None)]), Ok("none".into()));
        let error = profile_of(&[shop, with(None)]).unwrap_err().to_string();
        assert!(error.contains("none, shop"), "{error}");
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

    #[test]
    fn tags_are_taken_that_all_of_production_has_and_none_that_says_whose_it_is() {
        let with = |tags: &[(&str, &str)]| {
            let tag = |(key, value): &(&str, &str)| ec2::Tag::builder().key(*key).value(*value).build();
            ec2::Instance::builder()
                .set_tags(Some(tags.iter().map(tag).collect()))
                .build()
        };
        let owned = arya_plan::identity::TAG_INSTALLATION;
        let all = [
            ("team", "blue"),
            ("Name", "shop"),
            (owned, "another"),
            ("aws:autoscaling:groupName", "shop"),
            ("kubernetes.io/cluster/prod", "owned"),
            ("eks:cluster-name", "prod"),
            ("note", "a, b"),
        ];
        let first = [&all[..], &[("zone", "a"), ("cost", "42")]].concat();
        let second = [&all[..], &[("zone", "b"), ("cost", "42")]].concat();
        let shared = shared_tags(&[with(&first), with(&second)]);
        let wanted = [("cost", "42"), ("team", "blue")];
        assert_eq!(
            shared,
            wanted.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        );
        assert_eq!(shared_tags(&[]), BTreeMap::new());
    }
}
