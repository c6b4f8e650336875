//! The account's load balancer as a data path: a real balancer that does what the account's rules and target groups say.
//! Health is what it finds itself, since moto calls every target healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use arya_aws::AwsCloud;
use arya_local::balancer::alb::{HealthCheckSettings, TargetState};
use arya_local::balancer::{AccessLogSettings, Balancer, BalancerSettings, GroupSettings, Target};
use arya_plan::cloud::Cloud as _;
use arya_plan::listener::{GroupId, Rule};
use aws_sdk_elasticloadbalancingv2::types::TargetGroup;

use crate::account::Admin;

/// Seconds are AWS's least; a story is short.
const CHECK_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Balanced {
    pub(crate) balancer: Balancer,
    cloud: AwsCloud,
    admin: Admin,
}

impl Balanced {
    pub(crate) async fn start(cloud: AwsCloud, admin: Admin, log: std::path::PathBuf) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = BalancerSettings {
            access_log: Some(AccessLogSettings::at(log)),
            ..BalancerSettings::default()
        };
        Self {
            balancer: Balancer::start(socket, settings).await.unwrap(),
            cloud,
            admin,
        }
    }

    /// Takes over what the account says now: groups and their targets, then rules, then what is gone.
    pub(crate) async fn follow(&self, addresses: &BTreeMap<String, IpAddr>) {
        let sites = self.cloud.discover().await.unwrap();
        let rules: Vec<Rule> = sites.into_iter().flat_map(|site| site.rules).collect();
        let listed = self.admin.elb.describe_target_groups().send().await.unwrap();
        let mut wanted = BTreeSet::new();
        let mut leaving = Vec::new();
        for group in listed.target_groups() {
            let id = GroupId::new(group.target_group_arn().unwrap());
            if self.balancer.group_state(&id).is_none() {
                self.balancer.create_group(id.clone(), settings(group)).unwrap();
            }
            let said = self
                .admin
                .elb
                .describe_target_health()
                .target_group_arn(id.as_str())
                .send();
            // It may be gone by now; then the next look leaves it out.
            let Ok(said) = said.await else { continue };
            let listed = said.target_health_descriptions().iter();
            let targets: BTreeMap<String, SocketAddr> = listed
                .filter_map(|one| {
                    let target = one.target()?;
                    let port = target.port().or(group.port())?;
                    let address = *addresses.get(target.id()?)?;
                    Some((
                        target.id()?.to_owned(),
                        SocketAddr::new(address, u16::try_from(port).unwrap()),
                    ))
                })
                .collect();
            for (instance, address) in &targets {
                let target = Target {
                    id: instance.clone(),
                    address: *address,
                };
                self.balancer.register(&id, target).unwrap();
            }
            let there = self.balancer.group_state(&id).unwrap().targets;
            let gone = there
                .into_iter()
                .filter(|one| !targets.contains_key(&one.target.id) && one.state != TargetState::Draining);
            leaving.extend(gone.map(|one| (id.clone(), one.target.id)));
            wanted.insert(id);
        }
        // A rule may name a group that came after the groups were listed.
        if self.balancer.rules() != rules && self.balancer.set_rules(rules).is_err() {
            return;
        }
        for (group, target) in leaving {
            self.balancer.deregister(&group, &target).unwrap();
        }
        for state in self.balancer.group_states() {
            if !wanted.contains(&state.id) {
                self.balancer.delete_group(&state.id).unwrap();
            }
        }
    }

    /// How many targets of a group answer their health checks.
    pub(crate) fn healthy(&self, group: &str) -> usize {
        let state = self.balancer.group_state(&GroupId::new(group));
        let targets = state.map(|state| state.targets).unwrap_or_default();
        targets.iter().filter(|one| one.state == TargetState::Healthy).count()
    }
}

fn settings(group: &TargetGroup) -> GroupSettings {
    GroupSettings {
        health_check: HealthCheckSettings {
            path: group.health_check_path().unwrap_or("/").to_owned(),
            interval: CHECK_EVERY,
            timeout: CHECK_EVERY / 2,
            healthy_threshold: 2,
            ..HealthCheckSettings::default()
        },
        deregistration_delay: Duration::from_secs(10),
    }
}
