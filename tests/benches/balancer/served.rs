//! The balancer in a process of its own, as nginx is in one: threads, memory and processor time are its alone.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use arya_local::balancer::alb::HealthCheckSettings;
use arya_local::balancer::{AccessLogSettings, Balancer, BalancerSettings, GroupSettings, Target};
use arya_plan::listener::{Action, Condition, Forward, GroupId, Priority, Rule, RuleId, WeightedGroup};

/// Serves until standard input ends. The rules are those of a deployment that serves: a main rule over the default one.
pub(crate) fn serve(origin: SocketAddr, access_log: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let settings = BalancerSettings {
            access_log: Some(AccessLogSettings::at(access_log)),
            ..BalancerSettings::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let balancer = Balancer::start(listener, settings).await.unwrap();
        for name in ["production", "baseline", "canary"] {
            let group = GroupId::new(name);
            balancer.create_group(group.clone(), checked_quickly()).unwrap();
            let target = Target {
                id: "target".to_owned(),
                address: origin,
            };
            balancer.register(&group, target).unwrap();
        }
        balancer.set_rules(rules()).unwrap();
        let mut changes = balancer.changes();
        while !balancer.group_states().iter().all(|group| group.health().healthy == 1) {
            changes.changed().await.unwrap();
        }
        println!("{}", balancer.address());
        let until_closed = || std::io::stdin().read_to_end(&mut Vec::new());
        tokio::task::spawn_blocking(until_closed).await.unwrap().unwrap();
    });
    runtime.shutdown_background();
}

fn checked_quickly() -> GroupSettings {
    GroupSettings {
        health_check: HealthCheckSettings {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            ..HealthCheckSettings::default()
        },
        ..GroupSettings::default()
    }
}

fn rules() -> Vec<Rule> {
    let main = Condition::PathPattern {
        values: vec!["/*".to_owned()],
    };
    vec![
        rule(
            Priority::At(10),
            vec![main],
            &[("production", 90), ("baseline", 5), ("canary", 5)],
        ),
        rule(Priority::Default, vec![], &[("production", 1)]),
    ]
}

fn rule(priority: Priority, conditions: Vec<Condition>, groups: &[(&str, u16)]) -> Rule {
    let groups = groups.iter().map(|(name, weight)| WeightedGroup {
        group: GroupId::new(*name),
        weight: *weight,
    });
    Rule {
        id: RuleId::new(format!("rule-{priority}")),
        priority,
        conditions,
        actions: vec![Action::Forward(Forward {
            groups: groups.collect(),
            stickiness_s: None,
        })],
        transforms: vec![],
        owner: None,
    }
}
