//! Elastic Load Balancing's side of the wire.

use crate::account::{Account, BALANCER, Group, LISTENER, No, PRODUCTION, Rule, SUBNET, Tags, VPC, other};
use crate::tree::{Tree, el, members, text};

pub(crate) fn answer(account: &mut Account, operation: &str, asked: &Tree) -> Result<String, No> {
    match operation {
        "DescribeLoadBalancers" => {
            let named = asked.texts("LoadBalancerArns");
            let all = arns(account, BALANCER).filter(|arn| named.is_empty() || named.contains(&arn.as_str()));
            Ok(el("LoadBalancers", &members(all.map(|arn| balancer(&arn)))))
        }
        "DescribeListeners" => {
            let (named, of) = (asked.texts("ListenerArns"), asked.text("LoadBalancerArn"));
            let pairs = arns(account, LISTENER).zip(arns(account, BALANCER));
            let asked_for = |(arn, balancer): &(String, String)| named.contains(&arn.as_str()) || balancer == of;
            let told = pairs.filter(asked_for).map(|(arn, balancer)| listener(&arn, &balancer));
            Ok(el("Listeners", &members(told)))
        }
        "DescribeRules" => {
            let (named, of) = (asked.texts("RuleArns"), asked.text("ListenerArn"));
            let stands_on = format!("{}/", of.replace(":listener/", ":listener-rule/"));
            let asked_for = |one: &&Rule| named.contains(&one.arn.as_str()) || one.arn.starts_with(&stands_on);
            let kept = account.rules.iter().filter(asked_for);
            let told: Vec<String> = kept.map(rule).collect();
            if told.is_empty() {
                return Err(No::bad("RuleNotFound"));
            }
            Ok(page("Rules", told, asked, account.page))
        }
        "DescribeTargetGroups" => {
            let names = asked.texts("Names");
            let of = asked.text("LoadBalancerArn");
            let used = |one: &&Group| of.is_empty() || is_used(account, &one.arn, of);
            let kept = account
                .groups
                .iter()
                .filter(|one| names.is_empty() || names.contains(&one.asked.text("Name")));
            let told: Vec<String> = kept.filter(used).map(group).collect();
            if told.is_empty() && !names.is_empty() {
                return Err(No::bad("TargetGroupNotFound"));
            }
            Ok(page("TargetGroups", told, asked, account.page))
        }
        "DescribeTargetGroupAttributes" => {
            let group = account.group(asked.text("TargetGroupArn"))?;
            let pairs = group.attributes.iter();
            let told = pairs.map(|(key, value)| text("Key", key) + &text("Value", value));
            Ok(el("Attributes", &members(told)))
        }
        "DescribeTargetHealth" => {
            let group = account.group(asked.text("TargetGroupArn"))?.clone();
            let target = |(id, state, reason): (String, &str, &str)| {
                let reason = if reason.is_empty() {
                    String::new()
                } else {
                    text("Reason", reason)
                };
                el("Target", &(text("Id", id) + &text("Port", 8080)))
                    + &el("TargetHealth", &(text("State", state) + &reason))
            };
            Ok(el(
                "TargetHealthDescriptions",
                &members(account.health(&group).into_iter().map(target)),
            ))
        }
        "DescribeTags" => described_tags(account, asked),
        _ => change(account, operation, asked),
    }
}

fn change(account: &mut Account, operation: &str, asked: &Tree) -> Result<String, No> {
    let arn = asked.text("TargetGroupArn");
    match operation {
        "CreateTargetGroup" => {
            let arn = account.new_group(asked, created_tags(asked))?;
            Ok(el("TargetGroups", &members([group(account.group(&arn)?)])))
        }
        "ModifyTargetGroupAttributes" => {
            let group = account.group(arn)?;
            for pair in asked.list("Attributes") {
                group
                    .attributes
                    .insert(pair.text("Key").to_owned(), pair.text("Value").to_owned());
            }
            Ok(el("Attributes", ""))
        }
        "RegisterTargets" => {
            let mut ids = asked.list("Targets").into_iter().map(|target| target.text("Id"));
            ids.try_for_each(|id| account.register(arn, id)).map(|()| String::new())
        }
        "DeregisterTargets" => {
            let mut ids = asked.list("Targets").into_iter().map(|target| target.text("Id"));
            ids.try_for_each(|id| account.deregister(arn, id))
                .map(|()| String::new())
        }
        "CreateRule" => {
            let made = account.new_rule(asked, created_tags(asked))?;
            Ok(el("Rules", &members([rule(&made)])))
        }
        "ModifyRule" => {
            let changed = account.modify_rule(asked.text("RuleArn"), asked)?;
            Ok(el("Rules", &members([rule(&changed)])))
        }
        "DeleteRule" => account.delete_rule(asked.text("RuleArn")).map(|()| String::new()),
        "DeleteTargetGroup" => account.delete_group(arn).map(|()| String::new()),
        unknown => panic!("nobody told this endpoint of elasticloadbalancing:{unknown}"),
    }
}

/// One page of a list, from where the marker says.
fn page(name: &str, told: Vec<String>, asked: &Tree, size: usize) -> String {
    let from = asked
        .number("Marker")
        .and_then(|from| usize::try_from(from).ok())
        .unwrap_or(0);
    let more = told.len() > from + size;
    let marker = if more {
        text("NextMarker", from + size)
    } else {
        String::new()
    };
    el(name, &members(told.into_iter().skip(from).take(size))) + &marker
}

fn described_tags(account: &Account, asked: &Tree) -> Result<String, No> {
    let arns = asked.texts("ResourceArns");
    assert!(arns.len() <= 20, "AWS takes twenty");
    let tags = |arn: &str| -> Option<Tags> {
        let rule = account
            .rules
            .iter()
            .find(|one| one.arn == arn)
            .map(|one| one.tags.clone());
        rule.or_else(|| {
            account
                .groups
                .iter()
                .find(|one| one.arn == arn)
                .map(|one| one.tags.clone())
        })
    };
    let mut told = Vec::new();
    for arn in arns {
        let no = No::bad(if arn.contains("listener-rule") {
            "RuleNotFound"
        } else {
            "TargetGroupNotFound"
        });
        let tags = tags(arn)
            .filter(|_| !account.vanishing.contains(&arn.to_owned()))
            .ok_or(no)?;
        let pairs = tags.iter().map(|(key, value)| text("Key", key) + &text("Value", value));
        told.push(text("ResourceArn", arn) + &el("Tags", &members(pairs)));
    }
    Ok(el("TagDescriptions", &members(told)))
}

fn created_tags(asked: &Tree) -> Tags {
    let tags = asked.list("Tags").into_iter();
    tags.map(|tag| (tag.text("Key").to_owned(), tag.text("Value").to_owned()))
        .collect()
}

fn is_used(account: &Account, arn: &str, balancer: &str) -> bool {
    let stands_on = balancer.replace(":loadbalancer/", ":listener-rule/");
    let mut rules = account.rules.iter().filter(|rule| rule.arn.starts_with(&stands_on));
    rules.any(|rule| rule.asked.xml().contains(arn))
}

/// The seeded one's and those of the other load balancers.
fn arns(account: &Account, arn: &'static str) -> impl Iterator<Item = String> {
    let others = (0..account.others).map(|number| other(arn, number));
    std::iter::once(arn.to_owned()).chain(others)
}

fn balancer(arn: &str) -> String {
    text("LoadBalancerArn", arn)
        + &text("LoadBalancerName", "shop")
        + &text("DNSName", "shop-1.eu-west-1.elb.amazonaws.com")
        + &text("VpcId", VPC)
        + &text("Type", "application")
        + &text("Scheme", "internet-facing")
        + &el("AvailabilityZones", &members([text("SubnetId", SUBNET)]))
        + &el("SecurityGroups", &members(["sg-balancer".to_owned()]))
}

fn listener(arn: &str, balancer: &str) -> String {
    let forward = text("Type", "forward") + &text("TargetGroupArn", PRODUCTION);
    text("ListenerArn", arn)
        + &text("LoadBalancerArn", balancer)
        + &text("Port", 80)
        + &text("Protocol", "HTTP")
        + &el("DefaultActions", &members([forward]))
}

fn rule(rule: &Rule) -> String {
    let part = |name: &str| match rule.asked.at(name) {
        Some(_) => el(name, &members(rule.asked.list(name).into_iter().map(Tree::xml))),
        None => el(name, ""),
    };
    let priority = rule
        .priority
        .map_or("default".to_owned(), |priority| priority.to_string());
    text("RuleArn", &rule.arn)
        + &text("Priority", priority)
        + &text("IsDefault", rule.priority.is_none())
        + &part("Conditions")
        + &part("Actions")
        + &part("Transforms")
}

fn group(group: &Group) -> String {
    let asked = |name: &str| text(name, group.asked.text(name));
    let version = group.asked.text("ProtocolVersion");
    let version = if version.is_empty() { "HTTP1" } else { version };
    let matcher = group.asked.text("Matcher.HttpCode");
    let matcher = if matcher.is_empty() { "200" } else { matcher };
    text("TargetGroupArn", &group.arn)
        + &text("TargetGroupName", group.asked.text("Name"))
        + &asked("Protocol")
        + &text("ProtocolVersion", version)
        + &asked("Port")
        + &asked("TargetType")
        + &text("VpcId", VPC)
        + &el("Matcher", &text("HttpCode", matcher))
}
