//! The ways on which requests reach production, and how many take each: what comes by another one misses the canary.

use std::collections::BTreeSet;

use super::lines::conditions_in_words;
use super::{OtherDoor, PreviewRequest};
use crate::desired::{Placement, to_the_second};
use crate::listener::{GroupId, Rule, Site};
use crate::surroundings::{Span, Traffic};

/// Requests per second that the chosen rule answers, and how that is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) per_s: Option<f64>,
    /// A sentence; or why it is not known, as a part of one.
    pub(super) told: Option<String>,
}

impl Rate {
    pub(super) const fn known(per_s: Option<f64>) -> Self {
        Self { per_s, told: None }
    }
}

pub(super) fn other_doors(
    sites: &[Site],
    chosen_site: &Site,
    placement: &Placement,
    traffic: &Traffic,
) -> Vec<OtherDoor> {
    let mut doors = Vec::new();
    for (site, rule) in ways(sites, placement) {
        let is_chosen = site.listener == chosen_site.listener && rule.id == placement.chosen;
        if rule.owner.is_some() || is_chosen {
            continue;
        }
        let share = share_percent(traffic, site, rule);
        let took = share.map_or(String::new(), |share| {
            format!(" {share:.1} % of production's requests came this way.")
        });
        doors.push(OtherDoor {
            listener: site.listener.to_string(),
            rule: rule.id.to_string(),
            sentence: door_in_words(rule, site, chosen_site) + &took,
            share_percent: share,
        });
    }
    doors
}

/// Every rule that leads to production's groups, ours and the chosen one among them.
fn ways<'s>(sites: &'s [Site], placement: &Placement) -> Vec<(&'s Site, &'s Rule)> {
    let production: BTreeSet<&GroupId> = placement.production.iter().map(|one| &one.group).collect();
    let leads_there = |rule: &&Rule| {
        let forward = rule.forward();
        forward.is_some_and(|forward| forward.groups.iter().any(|one| production.contains(&one.group)))
    };
    let of_site = |site: &'s Site| site.rules.iter().filter(leads_there).map(move |rule| (site, rule));
    sites.iter().flat_map(of_site).collect()
}

fn share_percent(traffic: &Traffic, site: &Site, rule: &Rule) -> Option<f64> {
    let Traffic::ByWay { requests, .. } = traffic else {
        return None;
    };
    let all: u64 = requests.values().sum();
    let here = requests
        .get(&(site.listener.clone(), rule.priority))
        .copied()
        .unwrap_or(0);
    (all > 0).then(|| (1e4 * here as f64 / all as f64).round() / 100.0)
}

/// How the shares are known, or why they are not; `None` where nobody was asked.
pub(super) fn note(traffic: &Traffic) -> Option<String> {
    let not_known = "How many take these ways is not known";
    match traffic {
        Traffic::Unasked => None,
        Traffic::Untold { why } => Some(format!("{not_known}: {why}.")),
        Traffic::Together { why_not_by_way, .. } => Some(format!(
            "{not_known}: CloudWatch counts by target group, not by rule, and {why_not_by_way}."
        )),
        Traffic::ByWay { requests, span } => Some(format!(
            "By the load balancer's access logs of {}, in which {} requests reached production's target groups through listeners that stand now.",
            in_words(*span),
            requests.values().sum::<u64>()
        )),
    }
}

/// What the chosen rule answers.
pub(super) fn rate(request: &PreviewRequest<'_>, site: &Site, placement: &Placement) -> Rate {
    if request.traffic_per_s.is_some() {
        return Rate::known(request.traffic_per_s);
    }
    let some = match request.spec.conditions.is_empty() {
        true => "",
        false => " Of these, your conditions take some: it may take longer.",
    };
    match &request.surroundings.traffic {
        Traffic::Unasked => Rate::default(),
        Traffic::Untold { why } => Rate {
            per_s: None,
            told: Some(why.clone()),
        },
        Traffic::Together { requests, span, .. } => {
            let rate = span.rate(*requests);
            let others = match ways(request.sites, placement).len() {
                0 | 1 => "",
                _ => " Other ways lead there too, so through the chosen rule come at most so many: it may take longer.",
            };
            Rate {
                per_s: Some(rate),
                told: Some(format!(
                    "CloudWatch counted {rate:.1} requests/s at production's target groups in {}.{others}{some}",
                    in_words(*span)
                )),
            }
        }
        Traffic::ByWay { requests, span } => {
            let priority = site
                .rules
                .iter()
                .find(|rule| rule.id == placement.chosen)
                .map(|rule| rule.priority);
            let here = priority.and_then(|priority| requests.get(&(site.listener.clone(), priority)));
            let rate = span.rate(here.copied().unwrap_or(0));
            Rate {
                per_s: Some(rate),
                told: Some(format!(
                    "The load balancer's access logs have {rate:.1} requests/s by the chosen rule in {}.{some}",
                    in_words(*span)
                )),
            }
        }
    }
}

fn in_words(span: Span) -> String {
    format!("the {} minutes up to {}", span.seconds / 60, to_the_second(span.until))
}

fn door_in_words(rule: &Rule, site: &Site, chosen_site: &Site) -> String {
    let at = match site.listener == chosen_site.listener {
        true => String::new(),
        false => format!(" at {}", site.address),
    };
    let which = match rule.conditions.is_empty() {
        true => format!("All that no other rule takes{at} reaches production by the default rule and misses"),
        false => format!(
            "Requests where {}{at} reach production by rule {} and miss",
            conditions_in_words(&rule.conditions),
            rule.priority
        ),
    };
    format!("{which} this canary.")
}
