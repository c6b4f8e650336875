//! What the surroundings of a listener say against a plan.

use std::net::IpAddr;

use crate::decide::ends_soon;
use crate::desired::to_the_second;
use crate::identity::{DeploymentId, LogicalId, Owner, RuleKind};
use crate::listener::{Forward, GroupId, Rule, Site};
use crate::problem::Problem;
use crate::spec::{Reach, Spec, limits};
use crate::surroundings::{Rights, Subnet, Surroundings, Tenure, WayOut};
use crate::timing::CREDENTIALS_MARGIN;

use super::{PreviewRequest, chosen_rule};

pub(super) fn around(request: &PreviewRequest<'_>, site: &Site, problems: &mut Vec<Problem>) {
    let (spec, surroundings) = (request.spec, request.surroundings);
    rights(&surroundings.rights, problems);
    profile(spec, surroundings, problems);
    credentials(request, problems);
    owners(request, site, problems);
    for subnet in &surroundings.subnets {
        place(spec, subnet, problems);
    }
    reach(spec, surroundings, problems);
    addresses(surroundings, problems);
    traffic(spec, site, surroundings, problems);
}

fn rights(rights: &Rights, problems: &mut Vec<Problem>) {
    for missing in &rights.missing {
        problems.push(Problem::blocks(
            format!("permission:{}", missing.action),
            format!(
                "The identity lacks `{}`, without which Arya could not {}.",
                missing.action, missing.words
            ),
            format!("Add this statement to its policy: {}", missing.statement),
        ));
    }
    if !rights.unknown.is_empty() {
        problems.push(Problem::note(
            "permissions_unknown",
            format!(
                "AWS tells of {} actions only when they are done, so these were not tried: {}. What is missing is named \
                 by the first step that needs it, and it goes on once it is there.",
                rights.unknown.len(),
                rights.unknown.join(", ")
            ),
        ));
    }
}

/// Whoever launches with a profile hands its role on, which AWS wants allowed by itself.
fn profile(spec: &Spec, surroundings: &Surroundings, problems: &mut Vec<Problem>) {
    if let Some(statement) = &surroundings.pass_role {
        problems.push(
            Problem::note(
                "pass_role",
                format!(
                    "The instances of both arms get the profile {0}, and containers reach its role. The identity needs this \
                     statement besides (where the role is not called {0} too, with the role's name): {statement}",
                    spec.instances.profile
                ),
            )
            .at("instances.profile"),
        );
    }
}

/// Users come only where somebody can take them away again.
fn credentials(request: &PreviewRequest<'_>, problems: &mut Vec<Problem>) {
    let lifetime = jiff::SignedDuration::from_secs_f64(request.spec.lifetime_h.clamp(0.0, 1e4) * 3600.0);
    let over = request.now.checked_add(lifetime).ok();
    match request.surroundings.tenure {
        Tenure::Lasting => urls(request, problems),
        Tenure::Session => problems.push(Problem::note(
            "credentials_session",
            "The credentials are a session's and do not say when it ends. Once it has, nothing can be changed, not even \
             taken away, until a person logs in again.",
        )),
        Tenure::Ends { at } => {
            let (end, removal) = (to_the_second(at), at.checked_sub(CREDENTIALS_MARGIN).unwrap_or(at));
            let boots_at_most = boots_at_most(request);
            let up = request.now.checked_add(boots_at_most).unwrap_or(request.now);
            if ends_soon(at, up) {
                problems.push(Problem::blocks(
                    "credentials_end",
                    format!(
                        "The credentials end at {end}, which is too soon: instances may take {} minutes to come up, and \
                         users are taken away {} minutes before the end.",
                        boots_at_most.as_mins(),
                        CREDENTIALS_MARGIN.as_mins()
                    ),
                    "Log in again (e.g. `aws sso login`), and plan anew.",
                ));
            } else if over.is_none_or(|over| over > removal) {
                problems.push(Problem::note(
                    "credentials_end",
                    format!(
                        "The credentials end at {end}, before the deployment does. Unless a person logs in again by then, \
                         users are taken away at {}, and what stands stays until somebody can remove it.",
                        to_the_second(removal)
                    ),
                ));
            }
        }
    }
}

/// What instances fetch by dies with the session that signed it, also where the next one follows by itself. What they send by
/// later is signed anew.
fn urls(request: &PreviewRequest<'_>, problems: &mut Vec<Problem>) {
    let Some(end) = request.surroundings.urls_end else {
        return;
    };
    let boots_at_most = boots_at_most(request);
    let (left, at) = (end.duration_since(request.now), to_the_second(end));
    if left < boots_at_most {
        let sentence = format!(
            "Instances fetch their files by URLs that die with the role's session, at {at}, in {} minutes; the next session \
             does not renew them. An instance that is not up by then, or whose upload takes longer, fails, and it may take {} \
             minutes.",
            left.as_mins().max(0),
            boots_at_most.as_mins()
        );
        let asked = Problem::needs_acknowledgement("urls_end", sentence);
        problems.push(Problem {
            next: format!(
                "Plan again once the session is a new one, or give the role's sessions an hour or more (`duration_seconds` of \
                 the profile). {}",
                asked.next
            ),
            ..asked
        });
    }
}

/// After that an instance that has not come up counts as failed.
fn boots_at_most(request: &PreviewRequest<'_>) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(request.timing.boot_at_most).unwrap_or(CREDENTIALS_MARGIN)
}

/// Who else lays hands on the rules.
fn owners(request: &PreviewRequest<'_>, site: &Site, problems: &mut Vec<Problem>) {
    if let Some(controller) = &request.surroundings.controller {
        problems.push(
            Problem::blocks(
                "controller",
                format!(
                    "The listener belongs to {controller}, which deletes every rule that it did not make itself: ours would \
                     be gone at its next round."
                ),
                "Use a listener that is not made from Kubernetes objects, or take this one out of the controller's hands.",
            )
            .at("listener"),
        );
    }
    if let Some(rule) = unknown_twin(request, site) {
        problems.push(
            Problem::blocks(
                "in_front_taken",
                format!(
                    "A rule of Arya's that this server does not know ({}, priority {}) already stands in front of that rule: \
                     another installation's, or one left over.",
                    rule.id, rule.priority
                ),
                "Destroy that deployment where it was made, or remove what is left over (`arya sweep`).",
            )
            .at("in_front_of"),
        );
    }
}

/// A main rule of nobody here before the chosen one, which sends to the same groups.
fn unknown_twin<'s>(request: &PreviewRequest<'_>, site: &'s Site) -> Option<&'s Rule> {
    let chosen = chosen_rule(site, request.spec)?;
    let production = &chosen.forward()?.groups;
    let is_known = |id: DeploymentId| id == request.id || request.live.iter().any(|live| live.id == id);
    site.rules.iter().find(|rule| {
        let main = |owner: &Owner| owner.logical_id == LogicalId::Rule(RuleKind::Main) && !is_known(owner.deployment);
        let sends_there = |forward: &Forward| {
            let to = |group: &GroupId| forward.groups.iter().any(|one| one.group == *group);
            production.iter().all(|one| to(&one.group))
        };
        rule.priority < chosen.priority
            && rule.owner.as_ref().is_some_and(main)
            && rule.forward().is_some_and(sends_there)
    })
}

fn place(spec: &Spec, subnet: &Subnet, problems: &mut Vec<Problem>) {
    let mut push = |problem: Problem| problems.push(problem.at("instances.subnets"));
    let id = &subnet.id;
    if !subnet.is_in_network {
        push(Problem::blocks(
            format!("network:{id}"),
            format!(
                "The subnet {id} is in {}, the load balancer in another network.",
                subnet.network
            ),
            "Choose subnets of the load balancer's network.",
        ));
    } else if !subnet.zone_is_served {
        push(Problem::blocks(
            format!("zone:{id}"),
            format!(
                "The subnet {id} is in {}, a zone in which the load balancer has no nodes: targets there stay unused.",
                subnet.zone
            ),
            "Choose subnets in zones that are enabled for the load balancer.",
        ));
    }
    let by_proxy = spec.instances.http_proxy != "none";
    if subnet.way_out == WayOut::Nowhere && !by_proxy {
        push(Problem::needs_acknowledgement(
            format!("no_way_out:{id}"),
            format!(
                "No route of the subnet {id} leads out, so its instances could fetch neither packages nor files, and would \
                 not come up."
            ),
        ));
    }
}

/// Whether the monitor can be reached as the spec wants it, and what is known without.
fn reach(spec: &Spec, surroundings: &Surroundings, problems: &mut Vec<Problem>) {
    match spec.monitor.reach {
        Reach::Vpc => in_network(spec, surroundings, problems),
        Reach::Public => {
            // The monitor stands in the first of them.
            let inside = surroundings.subnets.first().filter(|subnet| subnet.way_out != WayOut::Own);
            if let Some(subnet) = inside {
                let sentence = format!(
                    "With `monitor.reach: public` the monitor needs an address of its own, and {} gives none.",
                    subnet.id
                );
                let next = "Name a public subnet first in `instances.subnets`, or use `vpc`.";
                problems.push(Problem::blocks("monitor_address", sentence, next).at("monitor.reach"));
            }
        }
        Reach::Bucket => problems.push(
            Problem::note(
                "monitor_in_bucket",
                "With `monitor.reach: bucket` nothing reaches the monitor: it puts what it scrapes into the bucket every 10 s, \
                 its tools are not shown, and what it recorded is kept with the report. Its URLs are signed anew while this \
                 server runs. Once they end, metrics that were chosen from it stay at *not enough evidence*.",
            )
            .at("monitor.reach"),
        ),
    }
}

/// Whether a monitor without a public address lets in who asks it, as far as that can be known from here.
fn in_network(spec: &Spec, surroundings: &Surroundings, problems: &mut Vec<Problem>) {
    let Some(ours) = &surroundings.asked_from else { return };
    let named = &spec.monitor.allow_cidrs;
    let is_let_in = |address: &IpAddr| named.iter().any(|range| range.contains(address));
    let known: Vec<String> = ours.iter().map(ToString::to_string).collect();
    let sentence = if named.is_empty() {
        "With `monitor.reach: vpc` nobody is let in who is not named in `monitor.allow_cidrs`, and nobody is: the service's own \
         series would not be judged, and the tools not shown."
            .to_owned()
    } else if ours.is_empty() || ours.iter().any(is_let_in) {
        return;
    } else {
        format!(
            "This server knows itself by {}, which no range of `monitor.allow_cidrs` holds. Unless it reaches the monitor by \
             another address, the service's own series would not be judged, and the tools not shown.",
            known.join(" and ")
        )
    };
    let next = "Name the address by which this server comes to the load balancer's network; where none leads there, use \
                `monitor.reach: bucket`.";
    let problem = Problem {
        next: next.into(),
        ..Problem::note("monitor_unreached", sentence)
    };
    problems.push(problem.at("monitor.allow_cidrs"));
}

/// Partners let in production's addresses, and may not know ours.
fn addresses(surroundings: &Surroundings, problems: &mut Vec<Problem>) {
    let production = &surroundings.production_leaves_by;
    let ours = surroundings.subnets.iter().map(|subnet| &subnet.way_out);
    let unknown = ours.filter(|way| !production.contains(way) && **way != WayOut::Nowhere);
    if !production.is_empty()
        && let Some(way) = unknown.into_iter().next()
    {
        problems.push(
            Problem::note(
                "unknown_addresses",
                format!(
                    "Our instances reach the world {}, production's {}. Partners who let in production's addresses only \
                     would refuse ours, and the comparison would show their refusals.",
                    in_words(way),
                    production.iter().map(in_words).collect::<Vec<_>>().join(" and ")
                ),
            )
            .at("instances.subnets"),
        );
    }
}

fn in_words(way: &WayOut) -> String {
    match way {
        WayOut::Own => "each by an address of its own".into(),
        WayOut::Shared(gateway) => format!("by {gateway}"),
        WayOut::Elsewhere(route) => format!("by {route}"),
        WayOut::Nowhere => "not at all".into(),
    }
}

/// Who finds production's instances by their tags finds ours too.
fn tags(surroundings: &Surroundings, problems: &mut Vec<Problem>) {
    let shared: Vec<_> = surroundings.productions_tags.iter().map(String::as_str).collect();
    if !shared.is_empty() {
        problems.push(
            Problem::note(
                "productions_tags",
                format!(
                    "Our instances get tags of production's ({}). Whatever finds production by them, such as a tool that \
                     deploys or patches, or one that collects metrics, finds baseline, canary and monitor too.",
                    shared.join(", ")
                ),
            )
            .at("instances.tags"),
        );
    }
    let left_out: Vec<_> = surroundings.tags_left_out.iter().map(String::as_str).collect();
    if !left_out.is_empty() {
        problems.push(
            Problem::note(
                "tags_left_out",
                format!(
                    "Production's instances share more tags than the {} that ours may have besides Arya's own. Left out: {}. \
                     To choose others, name them in `instances.tags`.",
                    limits::TAGS,
                    left_out.join(", ")
                ),
            )
            .at("instances.tags"),
        );
    }
}

/// What would make the comparison, or its end, other than it looks.
fn traffic(spec: &Spec, site: &Site, surroundings: &Surroundings, problems: &mut Vec<Problem>) {
    let name = |group| {
        site.groups
            .get(group)
            .map_or_else(String::new, |one| one.settings.name.clone())
    };
    for (group, scaled_by) in &surroundings.scaled {
        problems.push(Problem::note(
            format!("scaling:{}", name(group)),
            format!(
                "Production's group {} is scaled by {scaled_by}. While {} % of the matching traffic go to the arms it may \
                 remove instances, and miss them when all of it comes back at once.",
                name(group),
                2.0 * spec.canary_percent.percent()
            ),
        ));
    }
    for (group, leaving) in &surroundings.shrinking {
        problems.push(Problem::note(
            format!("shrinking:{}", name(group)),
            format!(
                "Production's group {} loses {leaving} of its targets just now, by a deployment or by scaling in: the old \
                 version beside ours may not be the one that you mean.",
                name(group)
            ),
        ));
    }
    for burstable in &surroundings.burstable {
        problems.push(
            Problem::note(
                format!("burstable:{burstable}"),
                format!(
                    "{burstable} is a burstable type: new instances begin with fewer processor credits than production's \
                     have. Baseline and canary begin alike, so they can be compared with each other."
                ),
            )
            .at("instances.type"),
        );
    }
    tags(surroundings, problems);
    if !surroundings.caches.is_empty() {
        let signs: Vec<_> = surroundings.caches.iter().map(String::as_str).collect();
        problems.push(Problem::note(
            "caches",
            format!(
                "A network of caches seems to stand in front of the load balancer ({}). What it answers itself never reaches \
                 the canary, a page of either version may be kept for users of the other, and source IPs are the caches'.",
                signs.join(", ")
            ),
        ));
    }
    if surroundings.balancer_is_shut_in {
        problems.push(
            Problem::blocks(
                "balancer_egress",
                format!(
                    "The load balancer's own security groups let nothing out to port {}, so our targets would never be \
                     healthy. Arya changes nothing of production's.",
                    spec.app.port
                ),
                "Allow outbound traffic to that port in the load balancer's security group.",
            )
            .at("app.port"),
        );
    }
}
