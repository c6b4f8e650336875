//! An account as many people have one: a network, a load balancer, a listener with three rules, production behind it.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use aws_sdk_ec2::types as ec2;
use aws_sdk_elasticloadbalancingv2::types as elb;
use aws_sdk_s3::config::BehaviorVersion;

use crate::moto::Moto;

pub(crate) const REGION: &str = "eu-west-1";
/// The owner of what is registered in moto.
pub(crate) const OWNER: &str = "123456789012";
const PORT: i32 = 8080;

/// The administrator's clients: what a test does besides the adapter.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) s3: aws_sdk_s3::Client,
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("testing", "testing", None, None, "tests")
}

/// What was built.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) admin: Admin,
    pub(crate) listener: String,
    pub(crate) production_group: String,
    pub(crate) subnets: Vec<String>,
    pub(crate) shared_security_group: String,
    pub(crate) image: String,
}

impl Account {
    pub(crate) async fn build(moto: &Moto) -> Self {
        let admin = Admin::with(moto, credentials()).await;
        let vpc = admin.ec2.create_vpc().cidr_block("10.0.0.0/16").send().await.unwrap();
        let vpc = vpc.vpc.unwrap().vpc_id.unwrap();
        let mut subnets = Vec::new();
        for (zone, cidr) in [("a", "10.0.1.0/24"), ("b", "10.0.2.0/24")] {
            let request = admin.ec2.create_subnet().vpc_id(&vpc).cidr_block(cidr);
            let made = request
                .availability_zone(format!("{REGION}{zone}"))
                .send()
                .await
                .unwrap();
            subnets.push(made.subnet.unwrap().subnet_id.unwrap());
        }
        let balancer_group = security_group(&admin, &vpc, "balancer").await;
        let shared_security_group = security_group(&admin, &vpc, "web").await;
        let image = admin.ec2.register_image().name("debian-13-amd64-20260101-1234");
        let image = image
            .architecture(ec2::ArchitectureValues::X8664)
            .root_device_name("/dev/xvda");
        let image = image.send().await.unwrap().image_id.unwrap();
        let request = admin
            .elb
            .create_load_balancer()
            .name("shop")
            .scheme(elb::LoadBalancerSchemeEnum::InternetFacing);
        let request = request
            .set_subnets(Some(subnets.clone()))
            .security_groups(balancer_group);
        let balancer = request.send().await.unwrap().load_balancers.unwrap().remove(0);
        let production_group = production(&admin, &vpc, &image, &subnets, &shared_security_group).await;
        let listener = admin
            .elb
            .create_listener()
            .load_balancer_arn(balancer.load_balancer_arn().unwrap());
        let listener = listener
            .protocol(elb::ProtocolEnum::Http)
            .port(80)
            .default_actions(forward(&production_group));
        let listener = listener.send().await.unwrap().listeners.unwrap().remove(0);
        let account = Self {
            listener: listener.listener_arn.unwrap(),
            admin,
            production_group,
            subnets,
            shared_security_group,
            image,
        };
        account.rules().await;
        account
    }

    /// Three rules besides the default one: one by path, one by host and header, one that answers by itself.
    async fn rules(&self) {
        let path = |value: &str| {
            let config = elb::PathPatternConditionConfig::builder().values(value).build();
            elb::RuleCondition::builder()
                .field("path-pattern")
                .path_pattern_config(config)
                .build()
        };
        let host = elb::HostHeaderConditionConfig::builder()
            .values("partner.example")
            .build();
        let host = elb::RuleCondition::builder()
            .field("host-header")
            .host_header_config(host)
            .build();
        let header = elb::HttpHeaderConditionConfig::builder()
            .http_header_name("X-Partner")
            .values("yes")
            .build();
        let header = elb::RuleCondition::builder()
            .field("http-header")
            .http_header_config(header)
            .build();
        let gone = elb::FixedResponseActionConfig::builder()
            .status_code("410")
            .content_type("text/plain")
            .build();
        let gone = elb::Action::builder()
            .r#type(elb::ActionTypeEnum::FixedResponse)
            .fixed_response_config(gone)
            .build();
        let ours = || forward(&self.production_group);
        let rules = [
            (10, vec![path("/old/*")], gone),
            (20, vec![path("/images/*")], ours()),
            (30, vec![host, header], ours()),
        ];
        for (priority, conditions, action) in rules {
            let request = self
                .admin
                .elb
                .create_rule()
                .listener_arn(&self.listener)
                .priority(priority);
            request
                .set_conditions(Some(conditions))
                .actions(action)
                .send()
                .await
                .unwrap();
        }
    }
}

impl Admin {
    pub(crate) async fn with(moto: &Moto, credentials: Credentials) -> Self {
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(REGION)
            .endpoint_url(moto.endpoint())
            .credentials_provider(credentials)
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build();
        Self {
            ec2: aws_sdk_ec2::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
        }
    }
}

impl Admin {
    /// Everything that stands in the account, thing by thing with all of its fields.
    pub(crate) async fn dump(&self) -> BTreeMap<String, String> {
        let mut dump = self.compute().await;
        dump.extend(self.balancing().await);
        for one in self.s3.list_buckets().send().await.unwrap().buckets() {
            dump.insert(one.name().unwrap().into(), format!("{one:#?}"));
        }
        dump
    }

    /// Thing by thing and field by field, what AWS lists is as it was.
    pub(crate) async fn is_as(&self, before: &BTreeMap<String, String>) {
        let after = self.dump().await;
        for (id, fields) in before {
            assert_eq!(after.get(id), Some(fields), "{id}");
        }
        let new: Vec<_> = after.keys().filter(|id| !before.contains_key(*id)).collect();
        assert!(new.is_empty(), "left behind: {new:?}");
    }

    /// Without network interfaces: moto keeps those of instances that ended, AWS does not.
    async fn compute(&self) -> BTreeMap<String, String> {
        let mut dump = BTreeMap::new();
        let ended = |one: &ec2::Instance| {
            one.state().and_then(|state| state.name()) == Some(&ec2::InstanceStateName::Terminated)
        };
        let listed = self
            .ec2
            .describe_instances()
            .send()
            .await
            .unwrap()
            .reservations
            .unwrap_or_default();
        for one in listed.iter().flat_map(|reservation| reservation.instances()) {
            if !ended(one) {
                dump.insert(one.instance_id().unwrap().into(), format!("{one:#?}"));
            }
        }
        for one in self
            .ec2
            .describe_security_groups()
            .send()
            .await
            .unwrap()
            .security_groups()
        {
            dump.insert(one.group_id().unwrap().into(), format!("{one:#?}"));
        }
        for one in self.ec2.describe_volumes().send().await.unwrap().volumes() {
            dump.insert(one.volume_id().unwrap().into(), format!("{one:#?}"));
        }
        dump
    }

    async fn balancing(&self) -> BTreeMap<String, String> {
        let (elb, mut dump) = (&self.elb, BTreeMap::new());
        for mut one in elb
            .describe_target_groups()
            .send()
            .await
            .unwrap()
            .target_groups
            .unwrap_or_default()
        {
            let arn = one.target_group_arn.clone().unwrap();
            // moto names the load balancer once for each rule.
            one.load_balancer_arns.iter_mut().for_each(Vec::dedup);
            let attributes = elb
                .describe_target_group_attributes()
                .target_group_arn(&arn)
                .send()
                .await
                .unwrap();
            let targets = elb
                .describe_target_health()
                .target_group_arn(&arn)
                .send()
                .await
                .unwrap();
            let (attributes, targets) = (attributes.attributes(), targets.target_health_descriptions());
            dump.insert(arn, format!("{one:#?} {attributes:#?} {targets:#?}"));
        }
        for balancer in elb.describe_load_balancers().send().await.unwrap().load_balancers() {
            let arn = balancer.load_balancer_arn().unwrap();
            dump.insert(arn.into(), format!("{balancer:#?}"));
            for listener in elb
                .describe_listeners()
                .load_balancer_arn(arn)
                .send()
                .await
                .unwrap()
                .listeners()
            {
                let arn = listener.listener_arn().unwrap();
                dump.insert(arn.into(), format!("{listener:#?}"));
                for rule in elb.describe_rules().listener_arn(arn).send().await.unwrap().rules() {
                    dump.insert(rule.rule_arn().unwrap().into(), format!("{rule:#?}"));
                }
            }
        }
        dump
    }
}

async fn security_group(admin: &Admin, vpc: &str, name: &str) -> String {
    let request = admin
        .ec2
        .create_security_group()
        .vpc_id(vpc)
        .group_name(name)
        .description(name);
    request.send().await.unwrap().group_id.unwrap()
}

/// Two instances in a group, in both zones.
async fn production(admin: &Admin, vpc: &str, image: &str, subnets: &[String], security_group: &str) -> String {
    let request = admin
        .elb
        .create_target_group()
        .name("shop-web")
        .protocol(elb::ProtocolEnum::Http)
        .port(PORT);
    let made = request
        .vpc_id(vpc)
        .send()
        .await
        .unwrap()
        .target_groups
        .unwrap()
        .remove(0);
    let group = made.target_group_arn.unwrap();
    for subnet in subnets {
        let request = admin
            .ec2
            .run_instances()
            .min_count(1)
            .max_count(1)
            .image_id(image)
            .subnet_id(subnet);
        let request = request
            .instance_type(ec2::InstanceType::M5Large)
            .security_group_ids(security_group)
            .tag_specifications(tagged(subnet));
        let instance = request.send().await.unwrap().instances.unwrap().remove(0);
        let target = elb::TargetDescription::builder().set_id(instance.instance_id).build();
        admin
            .elb
            .register_targets()
            .target_group_arn(&group)
            .targets(target)
            .send()
            .await
            .unwrap();
    }
    group
}

/// Two that all of production has, and what is each one's own.
fn tagged(subnet: &str) -> ec2::TagSpecification {
    let tag = |key: &str, value: &str| ec2::Tag::builder().key(key).value(value).build();
    let tags = [("Name", "shop"), ("team", "blue"), ("cost", "42"), ("made-in", subnet)];
    ec2::TagSpecification::builder()
        .resource_type(ec2::ResourceType::Instance)
        .set_tags(Some(tags.map(|(key, value)| tag(key, value)).into()))
        .build()
}

fn forward(group: &str) -> elb::Action {
    let tuple = elb::TargetGroupTuple::builder()
        .target_group_arn(group)
        .weight(1)
        .build();
    elb::Action::builder()
        .r#type(elb::ActionTypeEnum::Forward)
        .forward_config(elb::ForwardActionConfig::builder().target_groups(tuple).build())
        .build()
}
