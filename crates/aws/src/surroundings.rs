//! What stands around a listener and production, as far as a plan must know: facts, and nothing of what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use arya_plan::cloud::CloudError;
use arya_plan::listener::{Condition, Forward, GroupId, ListenerId, Rule, Site};
use arya_plan::preview::chosen_rule;
use arya_plan::spec::{OneOrMany, SAME_AS_PRODUCTION, Spec, Tags, limits};
use arya_plan::surroundings::{Subnet, Surroundings, WayOut};
use aws_sdk_ec2::types as ec2;
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::Inner;
use crate::calls::Call;
use crate::error::ask;
use crate::memory::RARELY;
use crate::resolve::shared_tags;
use crate::words::groups::target_health;

/// The tag that EC2 Auto Scaling puts on every instance of a group.
const SCALED_BY: &str = "aws:autoscaling:groupName";
/// What the AWS Load Balancer Controller and its predecessor put on everything that they own.
const CONTROLLERS: [&str; 4] = [
    "elbv2.k8s.aws/",
    "ingress.k8s.aws/",
    "service.k8s.aws/",
    "kubernetes.io/cluster/",
];
/// What clusters and what makes their machines put on instances besides, to know theirs again.
const CLUSTERS: [&str; 5] = ["k8s.io/", "kubernetes.io/", "eks:", "karpenter.", "alpha.eksctl.io/"];
/// Headers that networks of caches add, and that rules ask for so that nobody comes past them. Lower case.
const CACHES_ADD: [&str; 9] = [
    "x-origin-verify",
    "x-cloudfront-secret",
    "cloudfront-viewer-address",
    "cf-connecting-ip",
    "cdn-loop",
    "fastly-client-ip",
    "x-akamai-edgescape",
    "true-client-ip",
    "x-azure-fdid",
];
/// The word for nothing, in the spec.
const NONE: &str = "none";
/// Packets to anywhere.
const ANYWHERE: &str = "0.0.0.0/0";

impl Inner {
    /// At most a minute old, but for the credentials: a plan is made anew with every letter that is typed.
    pub(crate) async fn surroundings(&self, spec: &Spec, site: &Site) -> Result<Surroundings, CloudError> {
        let (place, instances) = (&spec.in_front_of, &spec.instances);
        let key = format!("{} {place:?} {instances:?} {}", spec.listener, spec.app.port);
        let found = match self.memory.around.younger_than(RARELY, &key) {
            Some(found) => found,
            None => self.memory.around.keep(key, self.look_around(spec, site).await?),
        };
        Ok(Surroundings {
            tenure: self.clients.tenure().await,
            urls_end: self.clients.session_ends().await,
            ..found
        })
    }

    async fn look_around(&self, spec: &Spec, site: &Site) -> Result<Surroundings, CloudError> {
        let chosen = chosen_rule(site, spec);
        let forward = chosen.and_then(Rule::forward);
        let (rights, door) = tokio::join!(
            self.preflight(Some(&spec.listener), Some(&spec.instances)),
            self.remembered_listener(spec.listener.as_str()),
        );
        let found = Surroundings {
            rights,
            caches: caches(&site.rules),
            pass_role: (spec.instances.profile != NONE)
                .then(|| passing(&spec.instances.profile, &spec.listener, &self.identity.account)),
            ..Surroundings::default()
        };
        // What may not even be read is told by the rights.
        if !found.rights.missing.is_empty() {
            return Ok(found);
        }
        let Some((_, balancer)) = door? else {
            return Ok(found);
        };
        let (controller, production, burstable, shut_in, traffic) = tokio::try_join!(
            self.controller(site, chosen),
            self.production_of(forward),
            self.burstable(spec),
            self.is_shut_in(&balancer, spec.app.port),
            async { Ok(self.traffic(site, forward).await) },
        )?;
        let network = self.network(spec, &balancer, &production.instances).await?;
        Ok(Surroundings {
            controller,
            burstable,
            balancer_is_shut_in: shut_in,
            subnets: network.ours,
            production_leaves_by: network.productions,
            scaled: production.scaled,
            shrinking: production.shrinking,
            traffic,
            productions_tags: productions_tags(&spec.instances.tags, &production.instances),
            tags_left_out: tags_left_out(&spec.instances.tags, &production.instances),
            ..found
        })
    }

    /// Asked by itself: what is known of owners has our tags only.
    async fn controller(&self, site: &Site, chosen: Option<&Rule>) -> Result<Option<String>, CloudError> {
        let arns = [
            Some(site.listener.as_str()),
            Some(site.load_balancer.as_str()),
            chosen.map(|rule| rule.id.as_str()),
        ];
        let arns = arns.into_iter().flatten().map(str::to_owned).collect();
        let request = self.clients.reading.elb.describe_tags().set_resource_arns(Some(arns));
        let answer = ask(Call::DescribeTags, request.send()).await?;
        Ok(answer.tag_descriptions().iter().find_map(|one| controller(one.tags())))
    }

    async fn production_of(&self, forward: Option<&Forward>) -> Result<Production, CloudError> {
        let mut production = Production::default();
        let mut whose: BTreeMap<String, GroupId> = BTreeMap::new();
        for weighted in forward.into_iter().flat_map(|forward| &forward.groups) {
            let targets = self.targets(weighted.group.as_str()).await?;
            let drains = |one: &&elb::TargetHealthDescription| {
                target_health(one).state == arya_plan::observed::TargetState::Draining
            };
            let leaving = targets.iter().filter(drains).count();
            if leaving > 0 {
                production.shrinking.insert(weighted.group.clone(), leaving);
            }
            let ids = targets.iter().filter_map(|one| one.target()?.id());
            whose.extend(
                ids.filter(|id| id.starts_with("i-"))
                    .map(|id| (id.to_owned(), weighted.group.clone())),
            );
        }
        production.instances = self.instances_by_id(whose.keys().cloned()).await?;
        production.scaled = scaled(&production.instances, &whose);
        Ok(production)
    }

    async fn burstable(&self, spec: &Spec) -> Result<BTreeSet<String>, CloudError> {
        let name = &spec.instances.instance_type;
        if name == SAME_AS_PRODUCTION {
            return Ok(BTreeSet::new());
        }
        let about = self.type_info(name).await?;
        let lends = about.and_then(|about| about.burstable_performance_supported) == Some(true);
        Ok(lends.then(|| name.clone()).into_iter().collect())
    }

    /// Whether none of the load balancer's groups lets packets out to the port.
    async fn is_shut_in(&self, balancer: &elb::LoadBalancer, port: u16) -> Result<bool, CloudError> {
        let ids = balancer.security_groups().to_vec();
        if ids.is_empty() {
            return Ok(false);
        }
        let filter = ec2::Filter::builder().name("group-id").set_values(Some(ids)).build();
        let groups = self.security_groups(vec![filter]).await?;
        let lets_out = |group: &ec2::SecurityGroup| group.ip_permissions_egress().iter().any(|one| allows(one, port));
        Ok(!groups.is_empty() && !groups.iter().any(lets_out))
    }

    async fn network(
        &self,
        spec: &Spec,
        balancer: &elb::LoadBalancer,
        production: &[ec2::Instance],
    ) -> Result<Network, CloudError> {
        let wanted: BTreeSet<String> = match &spec.instances.subnets {
            OneOrMany::Many(ids) => ids.iter().cloned().collect(),
            OneOrMany::One(_) => BTreeSet::new(),
        };
        let theirs = production.iter().filter_map(|one| one.subnet_id.clone());
        let all: BTreeSet<String> = wanted.iter().cloned().chain(theirs).collect();
        if all.is_empty() {
            return Ok(Network::default());
        }
        let vpc = balancer.vpc_id().unwrap_or_default();
        let (subnets, routes) = tokio::try_join!(self.subnets(all), self.routes(vpc))?;
        let gateways = self.gateways(&routes).await?;
        let zones: BTreeSet<&str> = balancer
            .availability_zones()
            .iter()
            .filter_map(|zone| zone.zone_name())
            .collect();
        let way = |id: &str| way_out(id, &routes, &gateways);
        let ours = subnets.iter().filter_map(|one| Some((one.subnet_id()?, one)));
        let ours = ours.filter(|(id, _)| wanted.contains(*id)).map(|(id, one)| Subnet {
            id: id.to_owned(),
            zone: one.availability_zone().unwrap_or_default().to_owned(),
            network: one.vpc_id().unwrap_or_default().to_owned(),
            // Where zones are not told, nothing is claimed of them.
            zone_is_served: zones.is_empty() || one.availability_zone().is_some_and(|zone| zones.contains(zone)),
            is_in_network: one.vpc_id() == Some(vpc),
            way_out: with_address(way(id), one.map_public_ip_on_launch() == Some(true)),
        });
        let productions = production.iter().filter_map(|one| {
            let way = way(one.subnet_id()?);
            Some(with_address(way, one.public_ip_address().is_some()))
        });
        Ok(Network {
            ours: ours.collect(),
            productions: productions.filter(|way| *way != WayOut::Nowhere).collect(),
        })
    }

    async fn subnets(&self, ids: BTreeSet<String>) -> Result<Vec<ec2::Subnet>, CloudError> {
        let filter = ec2::Filter::builder().name("subnet-id");
        let filter = filter.set_values(Some(ids.into_iter().collect())).build();
        let request = self.clients.reading.ec2.describe_subnets().filters(filter);
        let pages = request.into_paginator().items();
        Ok(ask(Call::DescribeSubnets, pages.send().collect::<Result<_, _>>()).await?)
    }

    async fn routes(&self, vpc: &str) -> Result<Vec<ec2::RouteTable>, CloudError> {
        let filter = ec2::Filter::builder().name("vpc-id").values(vpc).build();
        let request = self.clients.reading.ec2.describe_route_tables().filters(filter);
        let pages = request.into_paginator().items();
        Ok(ask(Call::DescribeRouteTables, pages.send().collect::<Result<_, _>>()).await?)
    }

    /// Each NAT gateway in words, with its public addresses.
    async fn gateways(&self, tables: &[ec2::RouteTable]) -> Result<BTreeMap<String, String>, CloudError> {
        let routes = tables.iter().flat_map(|table| table.routes());
        let ids: BTreeSet<String> = routes.filter_map(|route| route.nat_gateway_id.clone()).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let filter = ec2::Filter::builder().name("nat-gateway-id");
        let filter = filter.set_values(Some(ids.into_iter().collect())).build();
        let request = self.clients.reading.ec2.describe_nat_gateways().filter(filter);
        let pages = request.into_paginator().items();
        let listed: Vec<ec2::NatGateway> =
            ask(Call::DescribeNatGateways, pages.send().collect::<Result<_, _>>()).await?;
        let named = listed.iter().filter_map(|gateway| {
            let id = gateway.nat_gateway_id()?;
            let addresses = gateway.nat_gateway_addresses().iter().filter_map(|one| one.public_ip());
            let addresses: Vec<&str> = addresses.collect();
            let shown = if addresses.is_empty() {
                format!("the NAT gateway {id}")
            } else {
                format!("the NAT gateway {id} ({})", addresses.join(", "))
            };
            Some((id.to_owned(), shown))
        });
        Ok(named.collect())
    }
}

#[derive(Debug, Default)]
struct Production {
    instances: Vec<ec2::Instance>,
    scaled: BTreeMap<GroupId, String>,
    shrinking: BTreeMap<GroupId, usize>,
}

#[derive(Debug, Default)]
struct Network {
    ours: Vec<Subnet>,
    productions: BTreeSet<WayOut>,
}

/// What allows a launch with a profile. Its role mostly has its name, and no call of ours may read which it is.
fn passing(profile: &str, listener: &ListenerId, account: &str) -> serde_json::Value {
    // arn:partition:service:…; GovCloud and China have their own.
    let partition = listener.as_str().split(':').nth(1).unwrap_or("aws");
    serde_json::json!({
        "Sid": "PassRole",
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": [format!("arn:{partition}:iam::{account}:role/{profile}")],
        "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    })
}

/// Groups whose instances a scaling group makes, by the tag that it puts on them.
fn scaled(instances: &[ec2::Instance], whose: &BTreeMap<String, GroupId>) -> BTreeMap<GroupId, String> {
    let by = |one: &ec2::Instance| {
        let group = whose.get(one.instance_id()?)?;
        let tag = one.tags().iter().find(|tag| tag.key() == Some(SCALED_BY))?;
        Some((group.clone(), format!("the Auto Scaling group {}", tag.value()?)))
    };
    instances.iter().filter_map(by).collect()
}

/// Tags of the plan that instances of production have too, by name.
fn productions_tags(tags: &Tags, production: &[ec2::Instance]) -> BTreeSet<String> {
    let theirs = |name: &str, value: &str| {
        let tags = production.iter().flat_map(|one| one.tags());
        tags.into_iter()
            .any(|tag| tag.key() == Some(name) && tag.value() == Some(value))
    };
    let shared = tags.named().filter(|(name, value)| theirs(name, value));
    shared.map(|(name, _)| name.to_owned()).collect()
}

/// Tags that all of production has and the plan does not, where the plan has as many of them as may be, by name.
fn tags_left_out(tags: &Tags, production: &[ec2::Instance]) -> BTreeSet<String> {
    let shared = shared_tags(production);
    let taken: BTreeMap<String, String> = shared.clone().into_iter().take(limits::TAGS).collect();
    let is_theirs = tags
        .named()
        .eq(taken.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let rest = shared.into_keys().skip(limits::TAGS);
    if is_theirs { rest.collect() } else { BTreeSet::new() }
}

/// Whether a tag makes an instance a cluster's.
pub(crate) fn is_a_controllers(key: &str) -> bool {
    let prefixes = CONTROLLERS.iter().chain(&CLUSTERS);
    prefixes.into_iter().any(|prefix| key.starts_with(prefix))
}

/// Who owns what has these tags, in words.
fn controller(tags: &[elb::Tag]) -> Option<String> {
    let owned = tags.iter().find(|tag| {
        let key = tag.key().unwrap_or_default();
        CONTROLLERS.iter().any(|prefix| key.starts_with(prefix))
    })?;
    let cluster = tags.iter().find(|tag| tag.key() == Some("elbv2.k8s.aws/cluster"));
    let key = owned.key().unwrap_or_default();
    Some(match cluster.and_then(|tag| tag.value()) {
        Some(name) => format!("the load balancer controller of the Kubernetes cluster {name}"),
        None => format!("a Kubernetes load balancer controller (its tag {key})"),
    })
}

fn caches(rules: &[Rule]) -> BTreeSet<String> {
    let conditions = rules
        .iter()
        .filter(|rule| rule.owner.is_none())
        .flat_map(|rule| &rule.conditions);
    let headers = conditions.filter_map(|condition| match condition {
        Condition::HttpHeader { name, .. } => Some(name),
        Condition::PathPattern { .. }
        | Condition::HostHeader { .. }
        | Condition::HttpRequestMethod { .. }
        | Condition::QueryString { .. }
        | Condition::SourceIp { .. } => None,
    });
    headers
        .filter(|name| CACHES_ADD.contains(&name.to_ascii_lowercase().as_str()))
        .map(|name| format!("a rule asks for the header {name}"))
        .collect()
}

fn allows(permission: &ec2::IpPermission, port: u16) -> bool {
    let port = i32::from(port);
    match permission.ip_protocol() {
        Some("-1") => true,
        Some("tcp" | "6") => {
            permission.from_port().unwrap_or(0) <= port && port <= permission.to_port().unwrap_or(65535)
        }
        Some(_) | None => false,
    }
}

/// Behind a gateway of the internet only who has an address of his own gets an answer.
fn with_address(way: WayOut, has_address: bool) -> WayOut {
    match way {
        WayOut::Own if !has_address => WayOut::Nowhere,
        way => way,
    }
}

/// By the subnet's own table, else by the network's main one.
fn way_out(subnet: &str, tables: &[ec2::RouteTable], gateways: &BTreeMap<String, String>) -> WayOut {
    let of = |wanted: &dyn Fn(&ec2::RouteTableAssociation) -> bool| {
        tables.iter().find(|table| table.associations().iter().any(wanted))
    };
    let own = of(&|one| one.subnet_id() == Some(subnet));
    let Some(table) = own.or_else(|| of(&|one| one.main() == Some(true))) else {
        return WayOut::Nowhere;
    };
    let leads_out = |route: &&ec2::Route| {
        route.destination_cidr_block() == Some(ANYWHERE) && route.state() != Some(&ec2::RouteState::Blackhole)
    };
    let Some(route) = table.routes().iter().find(leads_out) else {
        return WayOut::Nowhere;
    };
    if let Some(id) = route.nat_gateway_id() {
        let unnamed = || format!("the NAT gateway {id}");
        return WayOut::Shared(gateways.get(id).cloned().unwrap_or_else(unnamed));
    }
    if route.gateway_id().is_some_and(|id| id.starts_with("igw-")) {
        return WayOut::Own;
    }
    let others = [
        ("the transit gateway", route.transit_gateway_id()),
        ("the peering", route.vpc_peering_connection_id()),
        ("the instance", route.instance_id()),
        ("the network interface", route.network_interface_id()),
        ("the gateway", route.gateway_id()),
    ];
    let to = others
        .into_iter()
        .find_map(|(what, id)| Some(format!("{what} {}", id?)));
    WayOut::Elsewhere(to.unwrap_or_else(|| "a route of its own".into()))
}

#[cfg(test)]
mod tests;
