//! What the identity may do, asked without doing it: reads are read, EC2's changes are asked as dry runs. Load balancing
//! and S3 have no dry run, so of their changes nothing is claimed.

use std::collections::{BTreeMap, BTreeSet};

use arya_plan::identity::InstallationId;
use arya_plan::listener::ListenerId;
use arya_plan::spec::{Instances, OneOrMany};
use arya_plan::surroundings::{MissingRight, Rights};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{self as ec2, ResourceType};

use crate::Inner;
use crate::apply::shielded;
use crate::calls::{Call, IMPLIED};
use crate::cloudwatch::any_number;
use crate::discover::OUR_PREFIX;
use crate::error::{Failure, Meaning, ask};
use crate::memory::RARELY;
use crate::policy::{PolicyScope, allowing};
use crate::tags::{of_installation, on_creation, tags_of};
use crate::uploads::is_bucket_name;

/// A type that every region has, for launches that are only asked about.
const ANY_TYPE: &str = "t3.medium";
const ANY_PROCESSOR: &str = "amd64";
/// Listings that are only asked whether they may be asked.
const A_FEW: i32 = 5;
/// The word for nothing, in the spec.
const NONE: &str = "none";

/// What an answer tells of an action; nothing is told by whoever did not get so far.
type Told = Option<(&'static str, May)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    Yes,
    No,
}

impl Inner {
    /// What is missing, and what can only be known by doing it. Answers are kept for a minute.
    pub(crate) async fn preflight(&self, listener: Option<&ListenerId>, instances: Option<&Instances>) -> Rights {
        let launched = Launched::of(instances);
        let key = format!("{listener:?} {launched:?}");
        if let Some(rights) = self.memory.rights.younger_than(RARELY, &key) {
            return rights;
        }
        let (balancing, compute, files, measuring) = tokio::join!(
            self.may_balance(listener),
            self.may_compute(launched),
            self.may_store(),
            self.may_measure()
        );
        let scope = PolicyScope {
            listener: listener.map(ToString::to_string),
            // Without a server nobody is known by name yet, and whoever plans needs a right that holds for the server.
            installation: Some(self.settings.installation).filter(|one| *one != InstallationId::NOBODY),
            log_bucket: None,
        };
        let told = balancing
            .into_iter()
            .chain(compute)
            .chain(files)
            .chain([measuring])
            .flatten();
        self.memory.rights.keep(key, rights(told, &scope))
    }

    async fn may_balance(&self, listener: Option<&ListenerId>) -> Vec<Told> {
        let reading = &self.clients.reading;
        let balancers = ask(
            Call::DescribeLoadBalancers,
            reading.elb.describe_load_balancers().page_size(A_FEW).send(),
        );
        let groups = ask(
            Call::DescribeTargetGroups,
            reading.elb.describe_target_groups().page_size(A_FEW).send(),
        );
        let (balancers, groups) = tokio::join!(balancers, groups);
        let first = |arn: Option<&str>| arn.map(str::to_owned);
        let balancer = balancers
            .as_ref()
            .ok()
            .and_then(|all| first(all.load_balancers().first()?.load_balancer_arn()));
        let group = groups
            .as_ref()
            .ok()
            .and_then(|all| first(all.target_groups().first()?.target_group_arn()));
        let mut told = vec![
            read(Call::DescribeLoadBalancers, &balancers),
            read(Call::DescribeTargetGroups, &groups),
        ];
        let mut door = listener.map(ToString::to_string);
        let asked = reading.elb.describe_listeners();
        if listener.is_some() || balancer.is_some() {
            let asked = match &door {
                Some(arn) => asked.listener_arns(arn),
                None => asked.set_load_balancer_arn(balancer.clone()),
            };
            let listeners = ask(Call::DescribeListeners, asked.send()).await;
            told.push(read(Call::DescribeListeners, &listeners));
            door = door.or_else(|| first(listeners.ok()?.listeners().first()?.listener_arn()));
        }
        if let Some(arn) = door {
            let rules = ask(
                Call::DescribeRules,
                reading.elb.describe_rules().listener_arn(arn).send(),
            )
            .await;
            told.push(read(Call::DescribeRules, &rules));
        }
        if let Some(arn) = &balancer {
            let attributes = reading.elb.describe_load_balancer_attributes().load_balancer_arn(arn);
            let attributes = ask(Call::DescribeLoadBalancerAttributes, attributes.send()).await;
            told.push(read(Call::DescribeLoadBalancerAttributes, &attributes));
        }
        if let Some(arn) = group.as_ref().or(balancer.as_ref()) {
            let tags = ask(
                Call::DescribeTags,
                reading.elb.describe_tags().resource_arns(arn).send(),
            )
            .await;
            told.push(read(Call::DescribeTags, &tags));
        }
        if let Some(arn) = group {
            let attributes = reading.elb.describe_target_group_attributes().target_group_arn(&arn);
            let attributes = ask(Call::DescribeTargetGroupAttributes, attributes.send());
            let health = ask(
                Call::DescribeTargetHealth,
                reading.elb.describe_target_health().target_group_arn(&arn).send(),
            );
            let (attributes, health) = tokio::join!(attributes, health);
            told.push(read(Call::DescribeTargetGroupAttributes, &attributes));
            told.push(read(Call::DescribeTargetHealth, &health));
        }
        told
    }

    async fn may_compute(&self, launched: Launched<'_>) -> Vec<Told> {
        let reading = &self.clients.reading;
        let of_spec = |id: &str| vec![ec2::Filter::builder().name("subnet-id").values(id).build()];
        let subnets = reading.ec2.describe_subnets();
        let subnets = match launched.subnet {
            Some(id) => subnets.set_filters(Some(of_spec(id))),
            None => subnets.max_results(A_FEW),
        };
        let (instances, groups, subnets, routes, gateways, types, images) = tokio::join!(
            ask(
                Call::DescribeInstances,
                reading
                    .ec2
                    .describe_instances()
                    .set_filters(Some(of_installation(self.settings.installation)))
                    .send()
            ),
            ask(
                Call::DescribeSecurityGroups,
                reading
                    .ec2
                    .describe_security_groups()
                    .set_filters(Some(of_installation(self.settings.installation)))
                    .send()
            ),
            ask(Call::DescribeSubnets, subnets.send()),
            ask(
                Call::DescribeRouteTables,
                reading.ec2.describe_route_tables().max_results(A_FEW).send()
            ),
            ask(
                Call::DescribeNatGateways,
                reading.ec2.describe_nat_gateways().max_results(A_FEW).send()
            ),
            ask(
                Call::DescribeInstanceTypes,
                reading
                    .ec2
                    .describe_instance_types()
                    .instance_types(ANY_TYPE.into())
                    .send()
            ),
            self.newest_image(ANY_PROCESSOR),
        );
        let subnet = subnets.as_ref().ok().and_then(|all| all.subnets().first()).cloned();
        let mut told = vec![
            read(Call::DescribeInstances, &instances),
            read(Call::DescribeSecurityGroups, &groups),
            read(Call::DescribeSubnets, &subnets),
            read(Call::DescribeRouteTables, &routes),
            read(Call::DescribeNatGateways, &gateways),
            read(Call::DescribeInstanceTypes, &types),
            read(Call::DescribeImages, &images),
        ];
        if let (Ok(Some(image)), Some(subnet)) = (images, subnet) {
            told.extend(self.may_launch(&image, &subnet, launched.profile).await);
        }
        let reservations = instances.ok().and_then(|all| all.reservations).unwrap_or_default();
        let instance = reservations
            .into_iter()
            .flat_map(|one| one.instances.unwrap_or_default())
            .find_map(|one| one.instance_id);
        let group = groups.ok().and_then(|all| all.security_groups).unwrap_or_default();
        let group = group.into_iter().find_map(|one| one.group_id);
        told.extend(self.may_end(instance, group).await);
        told
    }

    /// A launch with its tags, and the group that it stands in.
    async fn may_launch(&self, image: &ec2::Image, subnet: &ec2::Subnet, profile: Option<&str>) -> Vec<Told> {
        let tags = tags_of(self.settings.installation);
        let request = asked_about(self.clients.changing.ec2.run_instances(), image, subnet, profile, &tags);
        let launch = ask(Call::RunInstances, request.send());
        let request = self.clients.changing.ec2.create_security_group().dry_run(true);
        let request = request
            .set_vpc_id(subnet.vpc_id.clone())
            .group_name("arya-preflight")
            .description("arya-preflight")
            .tag_specifications(on_creation(ResourceType::SecurityGroup, &tags));
        let group = ask(Call::CreateSecurityGroup, request.send());
        let (launch, group) = tokio::join!(launch, group);
        vec![
            dry_run(Call::RunInstances, &launch),
            dry_run(Call::CreateSecurityGroup, &group),
        ]
    }

    /// What is allowed only on what is ours can be asked only while something of ours stands.
    async fn may_end(&self, instance: Option<String>, group: Option<String>) -> Vec<Told> {
        let changing = &self.clients.changing;
        let mut told = Vec::new();
        if let Some(id) = instance {
            let request = changing.ec2.terminate_instances().dry_run(true).instance_ids(&id);
            let answer = ask(Call::TerminateInstances, request.send()).await;
            told.push(dry_run(Call::TerminateInstances, &answer));
            let request = self.clients.reading.ec2.get_console_output().dry_run(true);
            let answer = ask(Call::GetConsoleOutput, request.instance_id(id).send()).await;
            told.push(dry_run(Call::GetConsoleOutput, &answer));
        }
        if let Some(id) = group {
            let opening = ec2::IpPermission::builder()
                .ip_protocol("tcp")
                .from_port(1)
                .to_port(1)
                .ip_ranges(ec2::IpRange::builder().cidr_ip("127.0.0.1/32").build())
                .build();
            let open = changing
                .ec2
                .authorize_security_group_ingress()
                .dry_run(true)
                .group_id(&id);
            let open = ask(Call::AuthorizeSecurityGroupIngress, open.ip_permissions(opening).send());
            let delete = changing.ec2.delete_security_group().dry_run(true).group_id(&id);
            let delete = ask(Call::DeleteSecurityGroup, delete.send());
            let (open, delete) = tokio::join!(open, delete);
            told.push(dry_run(Call::AuthorizeSecurityGroupIngress, &open));
            told.push(dry_run(Call::DeleteSecurityGroup, &delete));
        }
        told
    }

    /// One number of a minute long ago, which costs a thousandth of a cent.
    async fn may_measure(&self) -> Told {
        let request = self.clients.reading.cloudwatch.get_metric_data();
        let request = request.metric_data_queries(any_number());
        let request = request
            .start_time(DateTime::from_secs(0))
            .end_time(DateTime::from_secs(60));
        read(Call::GetMetricData, &ask(Call::GetMetricData, request.send()).await)
    }

    /// Of a bucket that does not stand S3 says only that.
    async fn may_store(&self) -> Vec<Told> {
        let reading = &self.clients.reading;
        let listed = ask(Call::ListBuckets, reading.s3.list_buckets().prefix(OUR_PREFIX).send()).await;
        let mut told = vec![read(Call::ListBuckets, &listed)];
        let buckets = listed.ok().and_then(|all| all.buckets).unwrap_or_default();
        let ours = buckets.into_iter().filter_map(|one| one.name);
        if let Some(bucket) = ours
            .into_iter()
            .find(|name| is_bucket_name(name, &self.identity.account))
        {
            let (tags, head, objects, object) = tokio::join!(
                ask(
                    Call::GetBucketTagging,
                    reading.s3.get_bucket_tagging().bucket(&bucket).send()
                ),
                ask(Call::HeadBucket, reading.s3.head_bucket().bucket(&bucket).send()),
                ask(
                    Call::ListObjectsV2,
                    reading.s3.list_objects_v2().bucket(&bucket).max_keys(1).send()
                ),
                ask(
                    Call::GetObject,
                    reading.s3.get_object().bucket(&bucket).key("status/preflight").send()
                ),
            );
            told.push(read(Call::GetBucketTagging, &tags));
            told.push(read(Call::HeadBucket, &head));
            told.push(read(Call::ListObjectsV2, &objects));
            told.push(read(Call::GetObject, &object));
        }
        told
    }
}

/// What a spec says of a launch, as far as policies may look at it.
#[derive(Debug, Clone, Copy)]
struct Launched<'i> {
    /// The first of several; any of the account's where none is named.
    subnet: Option<&'i str>,
    profile: Option<&'i str>,
}

impl<'i> Launched<'i> {
    fn of(instances: Option<&'i Instances>) -> Self {
        let subnet = instances.and_then(|instances| match &instances.subnets {
            OneOrMany::Many(ids) => ids.first().map(String::as_str),
            OneOrMany::One(_) => None,
        });
        let profile = instances.map(|instances| instances.profile.as_str());
        Self {
            subnet,
            profile: profile.filter(|name| *name != NONE),
        }
    }
}

/// A launch that is never done, with everything of a true one that a policy may demand.
fn asked_about(
    request: RunInstancesFluentBuilder,
    image: &ec2::Image,
    subnet: &ec2::Subnet,
    profile: Option<&str>,
    tags: &[ec2::Tag],
) -> RunInstancesFluentBuilder {
    let kinds = [
        ResourceType::Instance,
        ResourceType::Volume,
        ResourceType::NetworkInterface,
    ];
    let request = request.dry_run(true).min_count(1).max_count(1);
    let request = request
        .instance_type(ANY_TYPE.into())
        .set_subnet_id(subnet.subnet_id.clone())
        .set_tag_specifications(Some(kinds.map(|kind| on_creation(kind, tags)).into()));
    shielded(request, image, profile)
}

fn told(call: Call, failure: &Failure, otherwise: Option<May>) -> Told {
    match failure.meaning {
        Meaning::Denied => Some((failure.action, May::No)),
        _ => otherwise.map(|may| (call.row().action, may)),
    }
}

/// Who is told that there is nothing may ask.
fn read<T>(call: Call, answer: &Result<T, Failure>) -> Told {
    let action = call.row().action;
    match answer {
        Ok(_) => Some((action, May::Yes)),
        Err(failure) => told(call, failure, (failure.meaning == Meaning::Gone).then_some(May::Yes)),
    }
}

/// A dry run is never answered with yes.
fn dry_run<T>(call: Call, answer: &Result<T, Failure>) -> Told {
    match answer {
        Ok(_) => None,
        Err(failure) => told(call, failure, (failure.meaning == Meaning::WouldBe).then_some(May::Yes)),
    }
}

fn rights(told: impl Iterator<Item = (&'static str, May)>, scope: &PolicyScope) -> Rights {
    let mut known: BTreeMap<&'static str, May> = BTreeMap::new();
    for (action, may) in told {
        let worst = known.entry(action).or_insert(may);
        if may == May::No {
            *worst = may;
        }
    }
    let actions = Call::ALL.iter().map(|call| call.row().action);
    // Who is told that he may was told of what travels inside, too.
    let unknown: BTreeSet<&str> = actions
        .filter(|action| !known.contains_key(action) && *action != Call::GetCallerIdentity.row().action)
        .collect();
    let missing = known.iter().filter(|(_, may)| **may == May::No);
    Rights {
        missing: missing
            .map(|(action, _)| MissingRight {
                action: (*action).to_owned(),
                words: words(action),
                statement: allowing(action, scope),
            })
            .collect(),
        unknown: unknown.into_iter().map(str::to_owned).collect(),
    }
}

/// What an action is for. Follows "could not".
fn words(action: &str) -> String {
    let rows = Call::ALL.iter().map(|call| call.row());
    let of_action: Vec<&str> = rows.filter(|row| row.action == action).map(|row| row.words).collect();
    match of_action.as_slice() {
        [] if IMPLIED.iter().any(|(implied, _, _)| *implied == action) => "tag what it makes".into(),
        [] => "go on".into(),
        some => some.join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_no_counts_more_than_a_yes_and_what_nobody_said_is_unknown() {
        let told = [
            ("s3:ListBucket", May::Yes),
            ("s3:ListBucket", May::No),
            ("ec2:RunInstances", May::Yes),
        ];
        let rights = rights(told.into_iter(), &PolicyScope::default());
        let missing: Vec<&str> = rights.missing.iter().map(|one| one.action.as_str()).collect();
        assert_eq!(missing, ["s3:ListBucket"]);
        assert!(rights.missing[0].words.contains("list the files in the bucket"));
        assert!(
            rights
                .unknown
                .iter()
                .any(|action| action == "elasticloadbalancing:CreateRule")
        );
        assert!(!rights.unknown.iter().any(|action| action == "ec2:RunInstances"));
    }

    #[test]
    fn a_launch_that_is_asked_about_is_as_shielded_as_a_true_one() {
        let config = aws_sdk_ec2::Config::builder().behavior_version_latest().build();
        let client = aws_sdk_ec2::Client::from_conf(config);
        let image = ec2::Image::builder()
            .image_id("ami-1")
            .root_device_name("/dev/sda1")
            .build();
        let subnet = ec2::Subnet::builder().subnet_id("subnet-1").build();
        let asked = |profile| asked_about(client.run_instances(), &image, &subnet, profile, &[]);
        let (request, hops) = (asked(None), |profile| {
            let options = asked(profile).get_metadata_options().clone();
            options.unwrap().http_put_response_hop_limit
        });
        assert_eq!(request.get_dry_run(), &Some(true));
        assert_eq!(request.get_image_id().as_deref(), Some("ami-1"));
        assert_eq!(request.get_subnet_id().as_deref(), Some("subnet-1"));
        let tokens = request.get_metadata_options().clone().unwrap().http_tokens;
        assert_eq!(tokens, Some(ec2::HttpTokensState::Required));
        assert_eq!((hops(None), hops(Some("shop"))), (Some(1), Some(2)));
        let disk = request.get_block_device_mappings().clone().unwrap().remove(0);
        assert_eq!(disk.device_name(), Some("/dev/sda1"));
        assert_eq!(disk.ebs().unwrap().encrypted(), Some(true));
    }

    #[test]
    fn what_travels_inside_a_call_has_words_too() {
        assert_eq!(words("ec2:CreateTags"), "tag what it makes");
        assert_eq!(words("ec2:RunInstances"), "launch the instance");
    }
}
