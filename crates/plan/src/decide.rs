//! Question: must what is desired change, by what is seen? Automatic changes only lower exposure, with one exception
//! that a person asked for: the share of the deployment begins once both arms are healthy.

use arya_judge::{Outcome, Verdict};

use crate::desired::{Actor, Change, Desired, Goal, HoldReason, MainRule, REPLACEMENTS_MAX};
use crate::identity::{Arm, Place, RuleKind};
use crate::listener::compose::site_digest;
use crate::listener::{Rule, Site};
use crate::observed::{BootPhase, Instance, Observed, TargetState};
use crate::route::{HEALTHY_LOOKS, arms_healthy};
use crate::seen::{Fact, Seen};
use crate::timing::Timing;

/// The next change that what is seen asks for, and who makes it. The engine stores it, then asks again.
pub fn decide(
    desired: &Desired,
    observed: &Observed,
    seen: &Seen,
    timing: &Timing,
    verdict: Option<&Verdict>,
) -> Option<(Change, Actor)> {
    if desired.goal == Goal::Absent {
        return None;
    }
    if observed.at >= desired.expires_at {
        return Some((Change::Destroy, Actor::Deadline));
    }
    if let Some(reason) = watchdog(desired, observed) {
        return Some((Change::RemoveTraffic { reason }, Actor::Watchdog));
    }
    if desired.harmful.is_none()
        && let Some(verdict) = verdict.filter(|v| v.outcome == Outcome::Harmful)
    {
        return Some((
            Change::LatchHarmful {
                sentence: verdict.sentence(),
            },
            Actor::Judge,
        ));
    }
    if let Some(change) = lost_or_failed(desired, observed, seen, timing) {
        return Some((change, Actor::Arya));
    }
    begin(desired, observed, seen).map(|change| (change, Actor::Arya))
}

/// Fail towards production's own rule: what forbids that our main rule stands, if it does or is about to.
fn watchdog(desired: &Desired, observed: &Observed) -> Option<HoldReason> {
    if !desired.wants_traffic() {
        return None;
    }
    let Some(site) = &observed.site else {
        return Some(HoldReason::ListenerGone);
    };
    if site_changed(desired, site) {
        return Some(HoldReason::RuleBelowChanged);
    }
    let our_rule = observed.our_rule(&desired.id, RuleKind::Main);
    match (desired.main_rule, our_rule) {
        (MainRule::NotYet | MainRule::Away, _) => return None,
        (MainRule::Seen, None) => return Some(HoldReason::OurRuleRemoved),
        (_, Some(rule)) if edited(desired, rule) => return Some(HoldReason::OurRuleEdited),
        (MainRule::Wanted | MainRule::Seen, _) => {}
    }
    unhealthy_production(desired, site).or_else(|| unhealthy_arm(desired, observed))
}

/// Whether the chosen rule, its groups or an earlier overlapping rule differ from what the plan showed.
pub fn site_changed(desired: &Desired, site: &Site) -> bool {
    let placement = &desired.placement;
    site.rule(&placement.chosen)
        .is_none_or(|chosen| site_digest(site, chosen, &placement.composed) != placement.site_digest)
}

fn edited(desired: &Desired, rule: &Rule) -> bool {
    let placement = &desired.placement;
    let priority = crate::listener::Priority::At(placement.slots.main);
    rule.priority != priority || rule.conditions != placement.composed.conditions
}

/// A group of production's with weight in our rule that nobody can answer for.
fn unhealthy_production(desired: &Desired, site: &Site) -> Option<HoldReason> {
    let weights = desired.weights_for(desired.share()).ok()?;
    let weighted = desired
        .placement
        .production
        .iter()
        .zip(&weights.production)
        .filter(|(_, weight)| **weight > 0);
    weighted
        .map(|(production, _)| &production.group)
        .find(|group| site.groups.get(group).is_none_or(|g| g.health.healthy == 0))
        .map(|group| HoldReason::ProductionUnhealthy { group: group.clone() })
}

fn unhealthy_arm(desired: &Desired, observed: &Observed) -> Option<HoldReason> {
    let lost = Arm::BOTH
        .into_iter()
        .flat_map(|arm| desired.places_of(arm))
        .find(|place| lost(desired, observed, *place));
    if let Some(place) = lost {
        return Some(HoldReason::InstanceLost { place });
    }
    let healthy = |arm: &Arm| {
        observed
            .groups
            .get(arm)
            .is_some_and(|g| g.targets.iter().any(|t| t.health.state == TargetState::Healthy))
    };
    Arm::BOTH
        .into_iter()
        .find(|arm| !healthy(arm))
        .map(|arm| HoldReason::ArmUnhealthy { arm })
}

fn wanted(desired: &Desired, observed: &Observed, place: Place) -> Option<Instance> {
    observed.instance(place, desired.incarnation(place)).cloned()
}

/// Listed as ending, or, once users came, not listed at all.
fn lost(desired: &Desired, observed: &Observed, place: Place) -> bool {
    match wanted(desired, observed, place) {
        Some(instance) => instance.state.is_ending(),
        None => desired.main_rule != MainRule::NotYet,
    }
}

/// Before users come: a lost instance is launched anew, a failed boot ends the deployment with its log.
fn lost_or_failed(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing) -> Option<Change> {
    if desired.failed.is_some() || desired.main_rule != MainRule::NotYet || desired.hold.is_some() {
        return None;
    }
    for place in desired.places() {
        let Some(instance) = wanted(desired, observed, place) else {
            continue;
        };
        if instance.state.is_ending() {
            return Some(if desired.incarnation(place) <= REPLACEMENTS_MAX {
                Change::Replace { place }
            } else {
                Change::GiveUp {
                    why: format!(
                        "The {place} ended {} times before it was healthy.",
                        REPLACEMENTS_MAX + 1
                    ),
                }
            });
        }
        if let Some(report) = instance.report.as_ref().filter(|r| r.phase == BootPhase::Failed) {
            let tail = report.tail.as_deref().unwrap_or("It left no log.");
            return Some(Change::GiveUp {
                why: format!("The {place} failed to start. {tail}"),
            });
        }
    }
    too_slow(desired, observed, seen, timing)
}

fn too_slow(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing) -> Option<Change> {
    let mut arms = Arm::BOTH.into_iter().flat_map(|arm| desired.places_of(arm));
    let ready = |place: Place| wanted(desired, observed, place).is_some_and(|i| i.phase() == Some(BootPhase::Ready));
    // Counted from the files' arrival, and only while the cloud answers: neither a slow line nor a silent cloud is a
    // slow boot.
    if seen
        .held_for(Fact::FilesThere)
        .is_some_and(|held| held >= timing.boot_at_most)
        && let Some(place) = arms.find(|place| !ready(*place))
    {
        let limit = timing.boot_at_most.as_secs();
        return Some(Change::GiveUp {
            why: format!("The {place} did not report ready within {limit} s of the arrival of its files."),
        });
    }
    let limit = timing.healthy_at_most;
    let registered_long = |arm: &Arm| seen.held_for(Fact::Registered(*arm)).is_some_and(|held| held >= limit);
    let slow = Arm::BOTH.into_iter().filter(registered_long).find(|arm| {
        observed
            .groups
            .get(arm)
            .is_some_and(|g| g.targets.iter().any(|t| t.health.state != TargetState::Healthy))
    })?;
    Some(Change::GiveUp {
        why: format!(
            "The {slow} was not healthy within {} s of its registration.",
            limit.as_secs()
        ),
    })
}

fn begin(desired: &Desired, observed: &Observed, seen: &Seen) -> Option<Change> {
    match desired.main_rule {
        MainRule::Wanted if observed.our_rule(&desired.id, RuleKind::Main).is_some() => Some(Change::MainRuleSeen),
        MainRule::NotYet
            if desired.wants_traffic()
                && arms_healthy(desired, observed)
                && seen.looks(Fact::ArmsHealthy) >= HEALTHY_LOOKS
                && observed
                    .site
                    .as_ref()
                    .is_some_and(|site| unhealthy_production(desired, site).is_none()) =>
        {
            Some(Change::BeginServing)
        }
        MainRule::NotYet | MainRule::Wanted | MainRule::Seen | MainRule::Away => None,
    }
}
