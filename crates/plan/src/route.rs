//! Question: which rules of ours should stand on the listener, with which weights? The only file that raises exposure,
//! and only as far as a stored change says.

use arya_judge::Timestamp;
use jiff::SignedDuration;

use crate::desired::{Desired, MainRule, PROBE_HEADER, Spell};
use crate::identity::{Arm, RuleKind};
use crate::listener::{Action, Condition, Forward, GroupId, Site, WeightedGroup};
use crate::observed::{Observed, OurGroup, TargetState};
use crate::plan::{Draft, Step, WaitReason};
use crate::seen::{Fact, Seen};
use crate::timing::Timing;

/// Both arms must be healthy in so many looks in a row before users come.
pub(crate) const HEALTHY_LOOKS: u32 = 2;

pub(crate) fn route(desired: &Desired, observed: &Observed, seen: &Seen, _timing: &Timing, draft: &mut Draft) {
    probe(desired, observed, draft);
    main(desired, observed, draft);
    waiting(desired, observed, seen, draft);
}

fn probe(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    let stands = observed.our_rule(&desired.id, RuleKind::Probe).is_some();
    let chosen_stands = observed
        .site
        .as_ref()
        .is_some_and(|site| site.rule(&desired.placement.chosen).is_some());
    if stands || !chosen_stands || desired.failed.is_some() {
        return;
    }
    // A group without targets that a rule names counts as down in DNS failover, so targets come first.
    if Arm::BOTH.into_iter().all(|arm| registered(desired, observed, arm))
        && let Some(actions) = probe_actions(desired, observed)
    {
        let secret = desired.placement.probe_secret.reveal().to_owned();
        draft.steps.push(Step::CreateRule {
            kind: RuleKind::Probe,
            priority: desired.placement.slots.probe,
            conditions: vec![Condition::HttpHeader {
                name: PROBE_HEADER.into(),
                values: vec![secret],
            }],
            actions,
        });
    }
}

fn main(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    let stands = observed.our_rule(&desired.id, RuleKind::Main);
    let wanted = match desired.main_rule {
        MainRule::Wanted | MainRule::Made { .. } | MainRule::Seen if desired.wants_traffic() => {
            main_actions(desired, observed)
        }
        MainRule::Wanted | MainRule::Made { .. } | MainRule::Seen | MainRule::NotYet | MainRule::Away => None,
    };
    let step = match (stands, wanted) {
        (Some(_), None) => Step::DeleteRule { kind: RuleKind::Main },
        (None, Some(actions)) if desired.main_rule == MainRule::Wanted && arms_healthy(desired, observed) => {
            Step::CreateRule {
                kind: RuleKind::Main,
                priority: desired.placement.slots.main,
                conditions: desired.placement.composed.conditions.clone(),
                actions,
            }
        }
        // Less may always be sent to our groups; more only while all their targets are healthy.
        (Some(rule), Some(actions))
            if rule.actions != actions
                && (arms_healthy(desired, observed)
                    || exposure(&actions, desired) < exposure(&rule.actions, desired)) =>
        {
            Step::ModifyRule {
                kind: RuleKind::Main,
                actions,
            }
        }
        (Some(_) | None, Some(_)) | (None, None) => return,
    };
    draft.steps.push(step);
}

/// The share of a forward action that does not go to production's own groups, 0 to 1.
fn exposure(actions: &[Action], desired: &Desired) -> f64 {
    let Some(Action::Forward(forward)) = actions.last() else {
        return 0.0;
    };
    let ours = |g: &&WeightedGroup| !desired.placement.production.iter().any(|p| p.group == g.group);
    let total: f64 = forward.groups.iter().map(|g| f64::from(g.weight)).sum();
    let weight: f64 = forward.groups.iter().filter(ours).map(|g| f64::from(g.weight)).sum();
    if total > 0.0 { weight / total } else { 0.0 }
}

fn waiting(desired: &Desired, observed: &Observed, seen: &Seen, draft: &mut Draft) {
    if let Some(why) = &desired.failed {
        let why = format!("Failed: {why} A person decides: what stands stays until destroy.");
        draft.waiting.push(WaitReason::Person { why });
        return;
    }
    if let Some(hold) = &desired.hold {
        draft.waiting.push(WaitReason::Person {
            why: hold.reason.to_string(),
        });
        return;
    }
    for arm in Arm::BOTH {
        if let Some(state) = not_healthy(desired, observed, arm) {
            draft.waiting.push(WaitReason::HealthyTargets { arm, state });
        }
    }
    if desired.main_rule == MainRule::NotYet
        && desired.wants_traffic()
        && (1..HEALTHY_LOOKS).contains(&seen.looks(Fact::ArmsHealthy))
    {
        draft.waiting.push(WaitReason::SecondHealthyLook);
    }
    if desired.wants_traffic() {
        draft.waiting.extend(between_health_and_users(desired, observed));
        if let Some(until) = spell_ends_at(desired) {
            draft.waiting.push(WaitReason::Spell { until });
        }
    }
    if desired.share().is_zero() && arms_healthy(desired, observed) {
        let why = "The share is 0: users get production only. Raise it to begin.".into();
        draft.waiting.push(WaitReason::Person { why });
    }
}

/// When the canary's users come, while the baseline alone has some.
pub(crate) fn spell_ends_at(desired: &Desired) -> Option<Timestamp> {
    let Spell::Since { at } = desired.spell else {
        return None;
    };
    let length = SignedDuration::try_from_secs_f64(desired.spec.analysis.aa_spell_s).unwrap_or(SignedDuration::ZERO);
    Some(at.checked_add(length).unwrap_or(Timestamp::MAX))
}

/// What stands between two healthy arms and the first user.
fn between_health_and_users(desired: &Desired, observed: &Observed) -> Option<WaitReason> {
    let site = observed.site.as_ref()?;
    if !arms_healthy(desired, observed) || observed.our_rule(&desired.id, RuleKind::Main).is_some() {
        return None;
    }
    match desired.main_rule {
        MainRule::NotYet => unhealthy_production(desired, site).map(|group| WaitReason::ProductionHealthy { group }),
        MainRule::Made { .. } => Some(WaitReason::MainRuleListed),
        MainRule::Wanted | MainRule::Seen | MainRule::Away => None,
    }
}

/// A group of production's with weight in our rule that nobody can answer for.
pub(crate) fn unhealthy_production(desired: &Desired, site: &Site) -> Option<GroupId> {
    let (weights, _) = desired.weights_now().ok()?;
    let weighted = desired
        .placement
        .production
        .iter()
        .zip(&weights.production)
        .filter(|(_, weight)| **weight > 0);
    weighted
        .map(|(production, _)| &production.group)
        .find(|group| site.groups.get(group).is_none_or(|g| g.health.healthy == 0))
        .cloned()
}

/// What stands between a registered arm and health, in the load balancer's words.
pub(crate) fn not_healthy(desired: &Desired, observed: &Observed, arm: Arm) -> Option<String> {
    let group = observed.groups.get(&arm)?;
    let wanting = desired.places_of(arm).find_map(|place| {
        let target = group.target(place)?;
        (target.health.state != TargetState::Healthy).then_some(target)
    })?;
    let health = &wanting.health;
    let reason = health.description.as_ref().or(health.reason.as_ref());
    Some(match reason {
        Some(reason) => format!("the {} is {}, {reason}", wanting.place, health.state.as_str()),
        None => format!("the {} is {}", wanting.place, health.state.as_str()),
    })
}

/// Every place of the arm has its wanted instance registered.
pub(crate) fn registered(desired: &Desired, observed: &Observed, arm: Arm) -> bool {
    observed.groups.get(&arm).is_some_and(|group| {
        desired.places_of(arm).all(|place| {
            let wanted = desired.incarnation(place);
            group
                .target(place)
                .is_some_and(|t| t.incarnation == wanted && t.health.state != TargetState::Draining)
        })
    })
}

/// The arm is registered and some target of it is not healthy.
pub(crate) fn unwell(desired: &Desired, observed: &Observed, arm: Arm) -> bool {
    let sick = |group: &OurGroup| group.standing().any(|t| t.health.state != TargetState::Healthy);
    registered(desired, observed, arm) && observed.groups.get(&arm).is_some_and(sick)
}

/// Every target of both arms is healthy, apart from those that finish their last requests.
pub fn arms_healthy(desired: &Desired, observed: &Observed) -> bool {
    Arm::BOTH.into_iter().all(|arm| {
        let healthy = |group: &OurGroup| group.standing().all(|t| t.health.state == TargetState::Healthy);
        registered(desired, observed, arm) && observed.groups.get(&arm).is_some_and(healthy)
    })
}

/// The canary alone answers a probe, so that the header is a preview of it; the baseline is named with weight 0, which
/// is enough to have it health-checked.
fn probe_actions(desired: &Desired, observed: &Observed) -> Option<Vec<Action>> {
    let groups = [(Arm::Baseline, 0), (Arm::Canary, 1)]
        .into_iter()
        .map(|(arm, weight)| {
            Some(WeightedGroup {
                group: observed.groups.get(&arm)?.id.clone(),
                weight,
            })
        })
        .collect::<Option<_>>()?;
    Some(with_logins(desired, groups))
}

/// The main rule's actions for the share that is asked.
pub(crate) fn main_actions(desired: &Desired, observed: &Observed) -> Option<Vec<Action>> {
    // A share that has no weights was refused when it was stored.
    let (weights, canary) = desired.weights_now().ok()?;
    let mut groups: Vec<WeightedGroup> = desired
        .placement
        .production
        .iter()
        .zip(&weights.production)
        .map(|(production, weight)| WeightedGroup {
            group: production.group.clone(),
            weight: *weight,
        })
        .collect();
    for (arm, weight) in [(Arm::Baseline, weights.arm), (Arm::Canary, canary)] {
        groups.push(WeightedGroup {
            group: observed.groups.get(&arm)?.id.clone(),
            weight,
        });
    }
    Some(with_logins(desired, groups))
}

fn with_logins(desired: &Desired, groups: Vec<WeightedGroup>) -> Vec<Action> {
    let mut actions = desired.placement.composed.logins.clone();
    let stickiness_s = (desired.spec.stickiness_s > 0).then_some(desired.spec.stickiness_s);
    actions.push(Action::Forward(Forward { groups, stickiness_s }));
    actions
}
