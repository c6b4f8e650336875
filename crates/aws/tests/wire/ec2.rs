//! EC2's side of the wire, and the security token service's one question.

use std::time::Duration;

use crate::account::{Account, IMAGE, Instance, No, OWNER, REGION, SecurityGroup, Tags, VPC};
use crate::tree::{Tree, el, items, text};

pub(crate) fn answer(account: &mut Account, operation: &str, asked: &Tree) -> Result<String, No> {
    match operation {
        "DescribeInstances" => Ok(instances(account, asked)),
        "DescribeSecurityGroups" => {
            let filters = asked.list("Filter");
            let kept = account.listed_security_groups();
            let kept = kept.filter(|one| filters.iter().all(|filter| fits(filter, &one.id, &one.tags)));
            Ok(el("securityGroupInfo", &items(kept.map(security_group))))
        }
        "DescribeInstanceTypes" => {
            let processor = el(
                "processorInfo",
                &el("supportedArchitectures", &items(["x86_64".to_owned()])),
            );
            Ok(el(
                "instanceTypeSet",
                &items([text("instanceType", "t3.medium") + &processor]),
            ))
        }
        "DescribeImages" => {
            let image = text("imageId", IMAGE) + &text("name", "debian-13-amd64-20260101-1234");
            let image = image + &text("rootDeviceName", "/dev/xvda") + &text("imageOwnerId", OWNER);
            Ok(el("imagesSet", &items([image])))
        }
        "CreateSecurityGroup" => {
            let id = account.new_security_group(asked.text("GroupName"), created_tags(asked, "security-group"))?;
            Ok(text("groupId", id))
        }
        "AuthorizeSecurityGroupIngress" => authorize(account, asked),
        "DeleteSecurityGroup" => account
            .delete_security_group(asked.text("GroupId"))
            .map(|()| text("return", "true")),
        "RunInstances" => {
            for kind in ["volume", "network-interface"] {
                assert!(
                    !created_tags(asked, kind).is_empty(),
                    "every child of a launch is tagged: {kind}"
                );
            }
            assert_eq!(asked.text("MetadataOptions.HttpTokens"), "required");
            assert_eq!(asked.text("InstanceInitiatedShutdownBehavior"), "terminate");
            let made = account.run(asked, created_tags(asked, "instance"))?;
            Ok(el("instancesSet", &items([instance(account, &made)])))
        }
        // These are no instances of Nitro.
        "GetConsoleOutput" if asked.text("Latest") == "true" => Err(No::bad("UnsupportedOperation")),
        "GetConsoleOutput" => {
            let printed = aws_smithy_types::base64::encode("cloud-init: no route to GET /secret?X-Amz-Signature=1");
            // As others than EC2 write it.
            Ok(text("instanceId", asked.text("InstanceId")) + &text("output", printed.trim_end_matches('=')))
        }
        "TerminateInstances" => {
            for id in asked.texts("InstanceId") {
                account.terminate(id)?;
            }
            Ok(el("instancesSet", ""))
        }
        unknown => panic!("nobody told this endpoint of ec2:{unknown}"),
    }
}

/// A page of them, from where the token says.
fn instances(account: &Account, asked: &Tree) -> String {
    let filters = asked.list("Filter");
    let kept: Vec<&Instance> = account
        .listed_instances()
        .filter(|one| filters.iter().all(|filter| fits(filter, &one.id, &one.tags)))
        .collect();
    let from = asked
        .number("NextToken")
        .and_then(|from| usize::try_from(from).ok())
        .unwrap_or(0);
    let more = kept.len() > from + account.page;
    let told = kept
        .into_iter()
        .skip(from)
        .take(account.page)
        .map(|one| el("instancesSet", &items([instance(account, one)])));
    let next = if more {
        text("nextToken", from + account.page)
    } else {
        String::new()
    };
    el("reservationSet", &items(told)) + &next
}

pub(crate) fn who(account: &Account, operation: &str) -> String {
    assert_eq!(operation, "GetCallerIdentity");
    let caller = account.caller;
    text("Account", caller) + &text("Arn", format!("arn:aws:iam::{caller}:user/ana")) + &text("UserId", "AIDA")
}

fn authorize(account: &mut Account, asked: &Tree) -> Result<String, No> {
    let id = asked.text("GroupId");
    let group = account.security_groups.iter_mut().find(|group| group.id == id);
    let group = group.ok_or(No::bad("InvalidGroup.NotFound"))?;
    let wanted: Vec<Tree> = asked.list("IpPermissions").into_iter().cloned().collect();
    if wanted.iter().any(|one| group.permissions.contains(one)) {
        return Err(No::bad("InvalidPermission.Duplicate"));
    }
    group.permissions.extend(wanted);
    Ok(text("return", "true"))
}

fn created_tags(asked: &Tree, kind: &str) -> Tags {
    let of_kind = asked
        .list("TagSpecification")
        .into_iter()
        .filter(|one| one.text("ResourceType") == kind);
    let tags = of_kind.flat_map(|one| one.list("Tag"));
    tags.map(|tag| (tag.text("Key").to_owned(), tag.text("Value").to_owned()))
        .collect()
}

fn fits(filter: &Tree, id: &str, tags: &Tags) -> bool {
    let name = filter.text("Name");
    let value = match name.strip_prefix("tag:") {
        Some(tag) => tags.get(tag).map_or("", String::as_str),
        None if name == "instance-id" => id,
        None if name == "tag-key" => return filter.texts("Value").into_iter().any(|key| tags.contains_key(key)),
        None => panic!("nobody told this endpoint of the filter {name}"),
    };
    filter.texts("Value").contains(&value)
}

fn tag_set(tags: &Tags) -> String {
    el(
        "tagSet",
        &items(tags.iter().map(|(key, value)| text("key", key) + &text("value", value))),
    )
}

fn instance(account: &Account, one: &Instance) -> String {
    let group = |id: &String| text("groupId", id);
    text("instanceId", &one.id)
        + &text("instanceType", "t3.medium")
        + &text("launchTime", account.began + Duration::from_secs(one.launched))
        + &el("instanceState", &text("name", account.state(one)))
        + &text("privateIpAddress", &one.address)
        + &text("subnetId", &one.subnet)
        + &text("vpcId", VPC)
        + &el("placement", &text("availabilityZone", format!("{REGION}a")))
        + &el("groupSet", &items(one.groups.iter().map(group)))
        + &tag_set(&one.tags)
}

fn security_group(one: &SecurityGroup) -> String {
    let source = |pair: &Tree| text("groupId", pair.text("GroupId"));
    let range = |range: &Tree| text("cidrIp", range.text("CidrIp"));
    let permission = |one: &Tree| {
        text("ipProtocol", one.text("IpProtocol"))
            + &text("fromPort", one.text("FromPort"))
            + &text("toPort", one.text("ToPort"))
            + &el("groups", &items(one.list("Groups").into_iter().map(source)))
            + &el("ipRanges", &items(one.list("IpRanges").into_iter().map(range)))
    };
    text("groupId", &one.id)
        + &text("groupName", &one.name)
        + &text("vpcId", VPC)
        + &el("ipPermissions", &items(one.permissions.iter().map(permission)))
        + &tag_set(&one.tags)
}
