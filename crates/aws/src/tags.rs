//! Our tags in the words of each service. What they say is `plan::identity`'s.

use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, Owner, TAG_DEPLOYMENT, TAG_INSTALLATION, TAG_LOGICAL_ID, resource_name};
use aws_sdk_ec2::types as ec2;
use aws_sdk_elasticloadbalancingv2::types as elb;
use aws_sdk_s3::types as s3;

/// What consoles show as the name of a resource.
pub(crate) const NAME: &str = "Name";

/// The tags of a place of a deployment.
pub(crate) fn owner(desired: &Desired, logical_id: LogicalId, incarnation: u32) -> Owner {
    Owner {
        installation: desired.installation,
        deployment: desired.id,
        logical_id,
        incarnation,
    }
}

/// The user's tags first: where one has our name, ours counts.
fn all(desired: &Desired, owner: &Owner) -> Vec<(String, String)> {
    let ours = owner.tags().map(|(key, value)| (key.to_owned(), value));
    let name = (NAME.to_owned(), resource_name(&desired.id, owner.logical_id));
    let named = desired.spec.instances.tags.named();
    let mut tags: Vec<(String, String)> = named.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    tags.retain(|(key, _)| *key != NAME && !ours.iter().any(|(ours, _)| ours == key));
    tags.push(name);
    tags.extend(ours);
    tags
}

/// Whether a tag says whose something is.
pub(crate) fn is_ours(key: &str) -> bool {
    key.starts_with(arya_plan::identity::TAG_PREFIX)
}

pub(crate) fn ec2_tags(desired: &Desired, owner: &Owner) -> Vec<ec2::Tag> {
    let tag = |(key, value)| ec2::Tag::builder().key(key).value(value).build();
    all(desired, owner).into_iter().map(tag).collect()
}

pub(crate) fn elb_tags(desired: &Desired, owner: &Owner) -> Vec<elb::Tag> {
    let tag = |(key, value): (String, String)| elb::Tag::builder().key(key).value(value).build();
    all(desired, owner).into_iter().map(tag).collect()
}

pub(crate) fn s3_tags(desired: &Desired, owner: &Owner) -> Vec<s3::Tag> {
    let tag = |(key, value): (String, String)| s3::Tag::builder().key(key).value(value).build();
    all(desired, owner)
        .into_iter()
        .filter_map(|pair| tag(pair).ok())
        .collect()
}

/// The tag by which policies know what is ours, for what is only asked about.
pub(crate) fn tags_of(installation: impl ToString) -> Vec<ec2::Tag> {
    let tag = ec2::Tag::builder()
        .key(TAG_INSTALLATION)
        .value(installation.to_string());
    vec![tag.build()]
}

/// The tags on everything that one create call makes.
pub(crate) fn on_creation(kind: ec2::ResourceType, tags: &[ec2::Tag]) -> ec2::TagSpecification {
    ec2::TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags.to_vec()))
        .build()
}

pub(crate) fn ec2_owner(tags: &[ec2::Tag]) -> Option<Owner> {
    Owner::from_tags(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))))
}

pub(crate) fn elb_owner(tags: &[elb::Tag]) -> Option<Owner> {
    Owner::from_tags(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))))
}

pub(crate) fn s3_owner(tags: &[s3::Tag]) -> Option<Owner> {
    Owner::from_tags(tags.iter().map(|tag| (tag.key(), tag.value())))
}

fn filter(tag: &str, value: impl ToString) -> ec2::Filter {
    ec2::Filter::builder()
        .name(format!("tag:{tag}"))
        .values(value.to_string())
        .build()
}

/// EC2's filters for everything of a deployment.
pub(crate) fn of_deployment(desired: &Desired) -> Vec<ec2::Filter> {
    vec![
        filter(TAG_INSTALLATION, desired.installation),
        filter(TAG_DEPLOYMENT, desired.id),
    ]
}

/// EC2's filters for one place of a deployment, whatever its incarnation.
pub(crate) fn of_place(desired: &Desired, logical_id: LogicalId) -> Vec<ec2::Filter> {
    let mut filters = of_deployment(desired);
    filters.push(filter(TAG_LOGICAL_ID, logical_id));
    filters
}

/// EC2's filter for everything that an installation made.
pub(crate) fn of_installation(installation: impl ToString) -> Vec<ec2::Filter> {
    vec![filter(TAG_INSTALLATION, installation)]
}

/// EC2's filter for everything that any installation made.
pub(crate) fn of_anybody() -> Vec<ec2::Filter> {
    vec![ec2::Filter::builder().name("tag-key").values(TAG_INSTALLATION).build()]
}
