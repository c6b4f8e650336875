//! Question: must what is desired change, by what is seen? Automatic changes only lower exposure, with one exception
//! that a person asked for: the share of the deployment begins once both arms are healthy.

use std::time::Duration;

use arya_judge::{Outcome, Reason, Timestamp, Verdict};

use crate::confounder::confounder;
use crate::desired::{Actor, Change, Desired, Goal, HoldReason, MainRule, REPLACEMENTS_MAX};
use crate::identity::{Arm, Place, RuleKind};
use crate::listener::compose::site_digest;
use crate::listener::shares::CanaryPercent;
use crate::listener::{Rule, Site, same_conditions};
use crate::observed::{BootPhase, Instance, Observed, TargetState};
use crate::provision::failed_upload;
use crate::route::{HEALTHY_LOOKS, arms_healthy, main_actions, spell_ends_at, unhealthy_production};
use crate::seen::{Fact, Seen};
use crate::spec::OnHarmful;
use crate::timing::{CREDENTIALS_MARGIN, Timing};

/// The next change that what is seen asks for, and who makes it. The engine stores it, then asks again.
pub fn decide(
    desired: &Desired,
    observed: &Observed,
    seen: &Seen,
    timing: &Timing,
    verdict: Option<&Verdict>,
) -> Option<(Change, Actor)> {
    let decision = next_change(desired, observed, seen, timing, verdict);
    #[cfg(feature = "simulation")]
    let decision = crate::planted::spoil_decision(decision, desired, observed, verdict);
    decision
}

fn next_change(
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
    if let Some(reason) = watchdog(desired, observed).or_else(|| never_listed(desired, observed, timing)) {
        return Some((Change::RemoveTraffic { reason }, Actor::Watchdog));
    }
    if let Some(verdict) = verdict.filter(|verdict| is_new_harm(desired, verdict)) {
        return Some((
            Change::LatchHarmful {
                sentence: verdict.sentence(),
            },
            Actor::Judge,
        ));
    }
    if let Some(reason) = verdict.and_then(|verdict| twins_unfit(desired, verdict)) {
        return Some((Change::RemoveTraffic { reason }, Actor::Watchdog));
    }
    if let Some(reason) = disturbed_for_long(desired, observed, seen, timing) {
        return Some((Change::RemoveTraffic { reason }, Actor::Watchdog));
    }
    if let Some(change) = lost_or_failed(desired, observed, seen, timing) {
        return Some((change, Actor::Arya));
    }
    begin(desired, observed, seen).map(|change| (change, Actor::Arya))
}

/// Whether a verdict is an alarm that nobody has heard yet. An alarm that a person overruled stays overruled: another one
/// needs harm that was shown later.
fn is_new_harm(desired: &Desired, verdict: &Verdict) -> bool {
    if verdict.outcome != Outcome::Harmful || desired.is_harmful() {
        return false;
    }
    let Some(overruled_at) = desired.judged_from() else {
        return true;
    };
    let alone = verdict.metrics.iter().filter_map(|metric| {
        let Reason::RegressionShown { shown_at, .. } = metric.reason else {
            return None;
        };
        Some(shown_at)
    });
    let together = verdict.together.iter().map(|together| together.at);
    alone.chain(together).any(|shown_at| shown_at > overruled_at)
}

/// Users are on twins that both fail as production does not. Where only a person may act on a verdict, it is only said.
fn twins_unfit(desired: &Desired, verdict: &Verdict) -> Option<HoldReason> {
    let unfit = verdict.twins_unfit.as_ref().filter(|_| desired.wants_traffic())?;
    match desired.spec.analysis.on_harmful {
        OnHarmful::Alert => None,
        OnHarmful::RemoveTraffic | OnHarmful::Destroy => Some(HoldReason::TwinsUnfit {
            sentence: unfit.sentence(),
        }),
    }
}

/// What would take a raised share away again at once, so that a person hears it before rather than after.
pub fn forbids(desired: &Desired, observed: &Observed, canary: CanaryPercent) -> Option<HoldReason> {
    let mut raised = desired.clone();
    let asked = Change::SetShare { canary_percent: canary };
    raised.apply(&asked, &Actor::Arya, observed.at).ok()?;
    // The rule that is still away is not one that somebody removed.
    if raised.main_rule == MainRule::Seen && observed.our_rule(&desired.id, RuleKind::Main).is_none() {
        raised.main_rule = MainRule::Wanted;
    }
    watchdog(&raised, observed)
}

/// Fail towards production's own rule: what forbids that our main rule stands, if it does or is about to.
fn watchdog(desired: &Desired, observed: &Observed) -> Option<HoldReason> {
    if !desired.wants_traffic() {
        return None;
    }
    if let Some(at) = observed.credentials_end.filter(|end| ends_soon(*end, observed.at)) {
        return Some(HoldReason::CredentialsEnd { at });
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
        (_, Some(rule)) if edited(desired, observed, rule) => return Some(HoldReason::OurRuleEdited),
        (MainRule::Wanted | MainRule::Made { .. } | MainRule::Seen, _) => {}
    }
    unhealthy_production(desired, site)
        .map(|group| HoldReason::ProductionUnhealthy { group })
        .or_else(|| unhealthy_arm(desired, observed))
}

/// Whether credentials that end then are not to be relied on any more.
pub(crate) fn ends_soon(end: Timestamp, now: Timestamp) -> bool {
    end.duration_since(now) <= CREDENTIALS_MARGIN
}

/// An arm that starts anew or lacks a target for this long will not be compared any more, and the longer it lasts the less is
/// known of what users meet there.
fn disturbed_for_long(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing) -> Option<HoldReason> {
    let longer = |arm: &Arm| {
        let held = seen.held_for(Fact::ArmDisturbed(*arm));
        held.is_some_and(|held| held >= timing.healthy_at_most)
    };
    let arm = Arm::BOTH.into_iter().filter(|_| desired.wants_traffic()).find(longer)?;
    Some(HoldReason::ArmDisturbed {
        arm,
        state: confounder(desired, observed)?.to_string(),
        for_s: timing.healthy_at_most.as_secs(),
    })
}

/// Our main rule was created, and no listing has shown it for longer than listings lag: somebody deleted it.
fn never_listed(desired: &Desired, observed: &Observed, timing: &Timing) -> Option<HoldReason> {
    let MainRule::Made { since } = desired.main_rule else {
        return None;
    };
    let waited = Duration::try_from(observed.at.duration_since(since)).unwrap_or(Duration::ZERO);
    let listed = observed.our_rule(&desired.id, RuleKind::Main).is_some();
    (!listed && waited >= timing.listing_lag).then_some(HoldReason::OurRuleRemoved)
}

/// Whether the chosen rule, its groups or an earlier overlapping rule differ from what the plan showed.
pub fn site_changed(desired: &Desired, site: &Site) -> bool {
    let placement = &desired.placement;
    site.rule(&placement.chosen)
        .is_none_or(|chosen| site_digest(site, chosen, &placement.composed) != placement.site_digest)
}

/// Whether somebody else changed our main rule: where it stands, or what it does after it was seen as we wrote it.
fn edited(desired: &Desired, observed: &Observed, rule: &Rule) -> bool {
    let placement = &desired.placement;
    let priority = crate::listener::Priority::At(placement.slots.main);
    let moved = rule.priority != priority || !same_conditions(&rule.conditions, &placement.composed.conditions);
    moved || (desired.share_seen == Some(desired.share()) && !as_wanted(desired, observed, rule))
}

fn as_wanted(desired: &Desired, observed: &Observed, rule: &Rule) -> bool {
    main_actions(desired, observed).is_some_and(|actions| rule.actions == actions)
}

fn unhealthy_arm(desired: &Desired, observed: &Observed) -> Option<HoldReason> {
    let lost = arm_places(desired).find(|place| lost(desired, observed, *place));
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
    for place in arm_places(desired) {
        let Some(instance) = wanted(desired, observed, place) else {
            continue;
        };
        if instance.state.is_ending() {
            return Some(if desired.incarnation(place) <= REPLACEMENTS_MAX {
                Change::Replace { place }
            } else {
                Change::GiveUp {
                    why: format!(
                        "The {place} ended {} times before it was healthy.{}",
                        REPLACEMENTS_MAX + 1,
                        in_the_clouds_words(&instance)
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

/// Why it ended, as the next sentence.
fn in_the_clouds_words(instance: &Instance) -> String {
    let said = instance.ended_because.as_ref();
    said.map_or_else(String::new, |said| {
        format!(" The cloud says of the last: {}.", said.trim_end_matches('.'))
    })
}

/// The places whose instances are compared. A monitor that fails never ends a deployment.
fn arm_places(desired: &Desired) -> impl Iterator<Item = Place> {
    desired.places().filter(|place| place.role.arm().is_some())
}

/// Every wait of the way to the first user has its limit.
fn too_slow(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing) -> Option<Change> {
    let longer = |fact, limit| seen.held_for(fact).is_some_and(|held| held >= limit);
    let why = if longer(Fact::FilesMissing, timing.uploads_at_most) {
        let problem = failed_upload(desired, observed).unwrap_or("The bucket was too slow.");
        format!(
            "The files did not arrive in the bucket within {} s. {problem}",
            timing.uploads_at_most.as_secs()
        )
    } else if let Some(place) = arm_places(desired)
        .find(|place| longer(Fact::NotReady(*place, desired.incarnation(*place)), timing.boot_at_most))
    {
        let limit = timing.boot_at_most.as_secs();
        let printed = wanted(desired, observed, place).and_then(|instance| instance.console);
        let printed = printed.map_or_else(String::new, |end| format!(" It said nothing; its console ends: {end}"));
        format!("The {place} did not report ready within {limit} s of its start.{printed}")
    } else {
        let slow = Arm::BOTH
            .into_iter()
            .find(|arm| longer(Fact::Unwell(*arm), timing.healthy_at_most))?;
        format!(
            "The {slow} was registered and not healthy for {} s.",
            timing.healthy_at_most.as_secs()
        )
    };
    Some(Change::GiveUp { why })
}

fn begin(desired: &Desired, observed: &Observed, seen: &Seen) -> Option<Change> {
    match desired.main_rule {
        MainRule::Wanted | MainRule::Made { .. } | MainRule::Seen if desired.wants_traffic() => {
            let as_wanted = as_wanted(desired, observed, observed.our_rule(&desired.id, RuleKind::Main)?);
            let news = desired.main_rule != MainRule::Seen || desired.share_seen != Some(desired.share());
            if as_wanted && news {
                return Some(Change::MainRuleSeen);
            }
            let over = spell_ends_at(desired).is_some_and(|until| observed.at >= until);
            (as_wanted && over).then_some(Change::EndSpell)
        }
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
        MainRule::NotYet | MainRule::Wanted | MainRule::Made { .. } | MainRule::Seen | MainRule::Away => None,
    }
}
