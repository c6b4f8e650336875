//! Where our rules go on the chosen listener, or everything that forbids it.

use std::collections::BTreeSet;

use super::{PreviewRequest, Quota};
use crate::desired::{ACKNOWLEDGE_PRODUCTION_ZERO, OurGroupSettings, Placement};
use crate::listener::shares::CanaryPercent;
use crate::listener::{
    Forward, GroupId, Priority, Protocol, Rule, Site, TargetStickiness, TargetType, WeightedGroup, compose,
    limits as alb,
};
use crate::problem::Problem;
use crate::spec::{InFrontOf, Spec};

/// The user's own rule that the spec asks to stand in front of.
pub fn chosen_rule<'s>(site: &'s Site, spec: &Spec) -> Option<&'s Rule> {
    let chosen = match &spec.in_front_of {
        InFrontOf::Default => site.default_rule(),
        InFrontOf::Rule(id) => site.rule(id),
    };
    chosen.filter(|rule| rule.owner.is_none())
}

/// Where our rules go, or why they cannot.
pub(super) fn place(request: &PreviewRequest<'_>, site: &Site, problems: &mut Vec<Problem>) -> Option<Placement> {
    let spec = request.spec;
    let Some(chosen) = chosen_rule(site, spec) else {
        let wanted = String::from(spec.in_front_of.clone());
        let sentence = format!("The listener has no rule `{wanted}` of yours to stand in front of.");
        problems
            .push(Problem::blocks("in_front_of", sentence, "Choose one of its rules, or `default`.").at("in_front_of"));
        return None;
    };
    if let Some(other) = request
        .live
        .iter()
        .find(|other| other.in_front_of == chosen.id && other.id != request.id)
    {
        let sentence = format!("Deployment `{}` already stands in front of that rule.", other.name);
        problems.push(Problem::blocks("in_front_taken", sentence, "Destroy it first.").at("in_front_of"));
        return None;
    }
    let forward = production(site, chosen, spec, problems)?;
    let composed = compose::in_front_of(chosen, &spec.conditions)
        .map_err(|found| problems.extend(found))
        .ok()?;
    let slots = compose::slots_before(site, chosen)
        .map_err(|found| problems.push(found))
        .ok()?;
    share_problems(spec, forward, problems);
    if spec.app.protocol == Protocol::Grpc {
        problems.push(calls_uncounted());
    }
    rule_budget(request.sites, site, problems);
    Some(Placement {
        chosen: chosen.id.clone(),
        site_digest: compose::site_digest(site, chosen, &composed),
        group: group_settings(spec, site, forward),
        production: forward.groups.clone(),
        probe_secret: request.probe_secret.clone(),
        composed,
        slots,
    })
}

/// The chosen rule's forward action, if a canary can stand beside its groups.
fn production<'s>(site: &Site, chosen: &'s Rule, spec: &Spec, problems: &mut Vec<Problem>) -> Option<&'s Forward> {
    let mut refuse = |name: &str, sentence: String, next: &str| {
        problems.push(Problem::blocks(name, sentence, next).at("in_front_of"));
    };
    let Some(forward) = chosen.forward() else {
        let sentence = "The chosen rule does not forward to a target group (it redirects or answers by itself), so there \
                        is no production to compare with.";
        refuse(
            "no_production",
            sentence.into(),
            "Choose the rule that serves your users, often on the HTTPS listener.",
        );
        return None;
    };
    let groups = forward.groups.len() + 2;
    if groups > alb::GROUPS_PER_ACTION {
        let sentence = format!(
            "The chosen rule forwards to {} target groups; with baseline and canary that would be {groups}, and AWS allows \
             {} per rule.",
            forward.groups.len(),
            alb::GROUPS_PER_ACTION
        );
        refuse(
            "limit:groups_per_action",
            sentence,
            "Choose a rule with at most three groups.",
        );
    }
    forward
        .groups
        .iter()
        .for_each(|weighted| group_problems(site, weighted, spec, problems));
    if forward.stickiness_s.is_some() && spec.stickiness_s == 0 {
        problems.push(Problem::note(
            "stickiness_differs",
            "The chosen rule keeps clients with their group by a cookie; ours will not, since `stickiness_s` is 0.",
        ));
    }
    Some(forward)
}

/// What forbids one group of production's to stand beside ours.
fn group_problems(site: &Site, weighted: &WeightedGroup, spec: &Spec, problems: &mut Vec<Problem>) {
    let mut refuse = |name: &str, sentence: String, next: &str| {
        problems.push(Problem::blocks(name, sentence, next).at("in_front_of"));
    };
    let Some(group) = site.groups.get(&weighted.group) else {
        return;
    };
    let name = &group.settings.name;
    if group.settings.target_type == TargetType::Lambda {
        let sentence = format!("Production's group {name} is a Lambda function; a canary on instances cannot twin it.");
        refuse(
            "lambda",
            sentence,
            "Choose a rule that forwards to instances or IP addresses.",
        );
    }
    match group.settings.stickiness {
        TargetStickiness::Off => {}
        TargetStickiness::AppCookie => refuse(
            "app_cookie",
            format!(
                "Production's group {name} is sticky by an application cookie, which AWS does not support with \
                     weighted groups."
            ),
            "Turn it off, or choose another rule.",
        ),
        TargetStickiness::LoadBalancerCookie if spec.stickiness_s == 0 => refuse(
            "stickiness_needed",
            format!("Production's group {name} has target stickiness; AWS then demands stickiness of our rule too."),
            "Set `stickiness_s` to production's duration.",
        ),
        TargetStickiness::LoadBalancerCookie => {}
    }
    let grpc = [group.settings.protocol, spec.app.protocol].map(|protocol| protocol == Protocol::Grpc);
    if group.settings.target_type != TargetType::Lambda && grpc[0] != grpc[1] {
        let (theirs, ours) = if grpc[0] {
            ("gRPC", "does not")
        } else {
            ("HTTP", "speaks gRPC")
        };
        let sentence = format!(
            "Production's group {name} speaks {theirs} and the app of this spec {ours}; AWS forwards to groups of one \
             protocol version only."
        );
        refuse(
            "protocol_version",
            sentence,
            "Set `app.protocol` to what production speaks, or choose another rule.",
        );
    }
    if weighted.weight > 0 && group.health.healthy == 0 {
        let sentence = format!("Production's group {name} has no healthy target now; our rule could not stand.");
        refuse("production_unhealthy", sentence, "Bring production to health first.");
    }
}

fn share_problems(spec: &Spec, forward: &Forward, problems: &mut Vec<Problem>) {
    let production: Vec<u16> = forward.groups.iter().map(|g| g.weight).collect();
    match crate::listener::shares::weights(spec.canary_percent, &production) {
        Err(error) => {
            let problem = Problem::blocks(
                "share",
                format!("{error}."),
                "Ask for a share that weights can express.",
            );
            problems.push(problem.at("canary_percent"));
        }
        Ok(weights) if !weights.ratio_kept => problems.push(Problem::note(
            "ratio_rounded",
            "Production's groups keep their ratio only approximately: exact weights would exceed 999.",
        )),
        Ok(_) => {}
    }
    if spec.canary_percent == CanaryPercent::MAX {
        problems.push(
            Problem::needs_acknowledgement(
                ACKNOWLEDGE_PRODUCTION_ZERO,
                "With 50 % each for baseline and canary, production gets nothing of the matching traffic.",
            )
            .at("canary_percent"),
        );
    }
}

/// What a load balancer cannot see of gRPC. What the app exports is known once it runs.
fn calls_uncounted() -> Problem {
    let sentence = "A failed gRPC call has HTTP status 200, so the load balancer counts none; without a count of the app's own \
                    the canary is never said to be no worse.";
    Problem {
        next: "Let both versions export one of the series of `grpc error share` in docs/metrics.md, such as \
               `grpc_server_handled_total`."
            .into(),
        ..Problem::note("grpc_calls_uncounted", sentence)
    }
    .at("app.protocol")
}

fn rule_budget(sites: &[Site], site: &Site, problems: &mut Vec<Problem>) {
    for quota in quotas(sites, site).into_iter().filter(|quota| quota.used > quota.limit) {
        let sentence = format!(
            "With this plan the load balancer would have {} {}; AWS allows {}.",
            quota.used, quota.name, quota.limit
        );
        problems.push(Problem::blocks(
            format!("limit:{}", quota.name.replace(' ', "_")),
            sentence,
            "Remove some, or raise the quota.",
        ));
    }
}

/// AWS counts the rules and groups of all listeners of a load balancer together.
pub(super) fn quotas(sites: &[Site], site: &Site) -> Vec<Quota> {
    let neighbours = sites.iter().filter(|one| one.load_balancer == site.load_balancer);
    let all: Vec<&Site> = neighbours.collect();
    let rules = all.iter().flat_map(|one| &one.rules);
    let numbered = rules.filter(|rule| rule.priority != Priority::Default).count();
    let groups: BTreeSet<&GroupId> = all.iter().flat_map(|one| one.groups.keys()).collect();
    vec![
        Quota {
            name: "rules".into(),
            used: numbered + 2,
            limit: alb::RULES_PER_LOAD_BALANCER,
        },
        Quota {
            name: "target groups".into(),
            used: groups.len() + 2,
            limit: alb::GROUPS_PER_LOAD_BALANCER,
        },
    ]
}

/// Our groups' deregistration delay is production's, but at most this.
const DEREGISTRATION_DELAY_MAX_S: u32 = 120;

fn group_settings(spec: &Spec, site: &Site, forward: &Forward) -> OurGroupSettings {
    let production = forward
        .groups
        .iter()
        .filter_map(|g| site.groups.get(&g.group))
        .map(|g| &g.settings);
    let delay = production.map(|settings| settings.deregistration_delay_s).max();
    OurGroupSettings {
        protocol: spec.app.protocol,
        port: spec.app.port,
        health_check_path: spec.app.health_check_path.clone(),
        deregistration_delay_s: delay
            .unwrap_or(DEREGISTRATION_DELAY_MAX_S)
            .min(DEREGISTRATION_DELAY_MAX_S),
    }
}
