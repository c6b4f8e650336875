//! How the matching traffic was shared lately, from the balancer's counters: what clients asked and saw.
//!
//! The balancer counts by rule and by group. What reached an arm through the main rule is its group's count without the
//! probe rule's; what reached production through it is the rule's count without the arms'.

use std::ops::Range;

use arya_judge::{Machines, Timestamp};
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, DeploymentId, LogicalId, RuleKind};
use arya_plan::listener::{GroupId, Rule, Site};
use arya_plan::observed::{SideTraffic, Traffic};
use jiff::SignedDuration;

use super::Inner;
use super::world::World;
use crate::balancer::Counts;
use crate::balancer::alb::TargetState;
use crate::balancer::measured::LATENCY_BUCKETS;

/// Seconds that the page's measured shares look back: short enough to follow a slider, long enough to be calm.
const WINDOW_S: i64 = 10;

/// Counts of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    /// Answers with status 500 to 599, whoever gave them.
    pub(super) errors: u64,
    /// Answers that targets gave, and those of them with status 500 to 599.
    pub(super) answered: u64,
    pub(super) target_errors: u64,
    pub(super) latency: [u64; LATENCY_BUCKETS],
}

impl From<Counts> for Tally {
    fn from(counts: Counts) -> Self {
        Self {
            requests: counts.requests,
            errors: counts.failed(),
            answered: counts.target.iter().sum(),
            target_errors: counts.target[3],
            latency: counts.latency,
        }
    }
}

impl Tally {
    /// The rest once a part is taken out. The two are read one after the other, so that a request between them could
    /// make the part the larger one.
    pub(super) fn without(mut self, part: &Self) -> Self {
        self.requests = self.requests.saturating_sub(part.requests);
        self.errors = self.errors.saturating_sub(part.errors);
        self.answered = self.answered.saturating_sub(part.answered);
        self.target_errors = self.target_errors.saturating_sub(part.target_errors);
        for (whole, part) in self.latency.iter_mut().zip(part.latency) {
            *whole = whole.saturating_sub(part);
        }
        self
    }

    fn with(mut self, other: &Self) -> Self {
        self.requests += other.requests;
        self.errors += other.errors;
        self.answered += other.answered;
        self.target_errors += other.target_errors;
        for (sum, other) in self.latency.iter_mut().zip(other.latency) {
            *sum += other;
        }
        self
    }

    /// The 95th percentile in milliseconds, by linear interpolation within its bucket.
    fn p95_ms(&self) -> Option<f64> {
        let total: u64 = self.latency.iter().sum();
        let rank = total as f64 * 0.95;
        let mut below = 0;
        for (bucket, count) in self.latency.iter().copied().enumerate() {
            if count > 0 && (below + count) as f64 >= rank {
                let lower = bucket
                    .checked_sub(1)
                    .and_then(Counts::latency_upper_micros)
                    .unwrap_or(0) as f64;
                // The last bucket has no upper bound; its lower one is then the least that can be said.
                let upper = Counts::latency_upper_micros(bucket).map_or(lower, |upper| upper as f64);
                return Some((lower + (upper - lower) * (rank - below as f64) / count as f64) / 1000.0);
            }
            below += count;
        }
        None
    }

    fn side(&self) -> SideTraffic {
        SideTraffic {
            requests: self.requests,
            errors: self.errors,
            p95_ms: self.p95_ms(),
        }
    }
}

fn rule_tally(inner: &Inner, rule: &Rule, range: &Range<Timestamp>) -> Tally {
    inner
        .balancer
        .measured_rule(&rule.id, range.clone())
        .map(Tally::from)
        .unwrap_or_default()
}

/// What reached an arm through the main rule in whole seconds of the range; `None` without its group.
pub(super) fn arm_tally(
    inner: &Inner,
    world: &World,
    rules: &[Rule],
    deployment: &DeploymentId,
    arm: Arm,
    range: &Range<Timestamp>,
) -> Option<Tally> {
    let (group, _) = world.group_of(deployment, arm)?;
    let all = Tally::from(inner.balancer.measured(group, range.clone())?);
    let probe = our_rule(rules, deployment, RuleKind::Probe);
    // The probe rule sends everything to the canary; to the baseline it gives weight 0.
    match probe.filter(|_| arm == Arm::Canary) {
        Some(probe) => Some(all.without(&rule_tally(inner, probe, range))),
        None => Some(all),
    }
}

/// What reached production through the main rule in whole seconds of the range: the rule's count without the arms'. `None`
/// while the rule has not stood for all of it.
pub(super) fn production_tally(
    inner: &Inner,
    world: &World,
    rules: &[Rule],
    deployment: &DeploymentId,
    arms: [&Tally; 2],
    range: &Range<Timestamp>,
) -> Option<Tally> {
    let main = our_rule(rules, deployment, RuleKind::Main)?;
    let since = world.rules_since.get(&main.id)?;
    let [baseline, canary] = arms;
    (*since < range.start).then(|| rule_tally(inner, main, range).without(baseline).without(canary))
}

/// Healthy targets of production's groups that the main rule sends users to, and of the arm that has fewer.
pub(super) fn machines(inner: &Inner, world: &World, rules: &[Rule], deployment: &DeploymentId) -> Option<Machines> {
    let healthy = |group: &GroupId| {
        let targets = inner
            .balancer
            .group_state(group)
            .map(|state| state.targets)
            .unwrap_or_default();
        let well = targets.iter().filter(|target| target.state == TargetState::Healthy);
        u32::try_from(well.count()).unwrap_or(u32::MAX)
    };
    let arms = Arm::BOTH.map(|arm| world.group_of(deployment, arm).map(|(group, _)| group));
    let main = our_rule(rules, deployment, RuleKind::Main)?.forward()?;
    let others = main
        .groups
        .iter()
        .filter(|one| one.weight > 0 && !arms.contains(&Some(&one.group)));
    let production = others.map(|one| healthy(&one.group)).sum();
    let each_arm = arms.into_iter().flatten().map(healthy).min()?;
    (production > 0 && each_arm > 0).then_some(Machines { production, each_arm })
}

fn our_rule<'r>(rules: &'r [Rule], deployment: &DeploymentId, kind: RuleKind) -> Option<&'r Rule> {
    let ours = LogicalId::Rule(kind);
    rules.iter().find(|rule| {
        rule.owner
            .as_ref()
            .is_some_and(|o| o.deployment == *deployment && o.logical_id == ours)
    })
}

/// The last seconds' matching traffic; while our main rule is away, production's side is all that its groups answered, so
/// that it fits what the arms answered before the rule went.
pub(super) fn traffic(inner: &Inner, world: &World, site: &Site, desired: &Desired, now: Timestamp) -> Option<Traffic> {
    let main = our_rule(&site.rules, &desired.id, RuleKind::Main);
    let window = now.checked_sub(SignedDuration::from_secs(WINDOW_S)).ok()?;
    // A rule's counts begin with the rule; the second in which it came is not whole.
    let since = main
        .and_then(|rule| world.rules_since.get(&rule.id))
        .map_or(i64::MIN, |since| since.as_second() + 1);
    let range =
        Timestamp::from_second(window.as_second().max(since)).ok()?..Timestamp::from_second(now.as_second()).ok()?;
    let seconds = range.end.as_second() - range.start.as_second();
    if seconds < 1 {
        return None;
    }
    let arm = |arm| arm_tally(inner, world, &site.rules, &desired.id, arm, &range).unwrap_or_default();
    let (baseline, canary) = (arm(Arm::Baseline), arm(Arm::Canary));
    let production = match main {
        Some(rule) => rule_tally(inner, rule, &range).without(&baseline).without(&canary),
        None => {
            let groups = &site.rule(&desired.placement.chosen)?.forward()?.groups;
            let counts = groups
                .iter()
                .filter_map(|g| inner.balancer.measured(&g.group, range.clone()));
            counts.fold(Tally::default(), |sum, counts| sum.with(&counts.into()))
        }
    };
    Some(Traffic {
        window_s: seconds as f64,
        production: production.side(),
        baseline: baseline.side(),
        canary: canary.side(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(requests: u64, buckets: &[(usize, u64)]) -> Tally {
        let mut latency = [0; LATENCY_BUCKETS];
        for (bucket, count) in buckets {
            latency[*bucket] = *count;
        }
        Tally {
            requests,
            latency,
            ..Tally::default()
        }
    }

    fn check(buckets: &[(usize, u64)], expected: Option<f64>) {
        assert_eq!(tally(0, buckets).p95_ms(), expected, "{buckets:?}");
    }

    #[test]
    fn the_95th_percentile_lies_in_the_bucket_that_holds_its_rank() {
        check(&[], None);
        // Bucket 3 is 0.5 to 1 ms.
        check(&[(3, 100)], Some(0.975));
        check(&[(3, 95), (4, 5)], Some(1.0));
        check(&[(3, 90), (4, 10)], Some(1.5));
        let last_starts_at = Counts::latency_upper_micros(LATENCY_BUCKETS - 2).unwrap() as f64 / 1000.0;
        check(&[(LATENCY_BUCKETS - 1, 1)], Some(last_starts_at));
    }

    #[test]
    fn a_part_that_was_counted_later_never_makes_a_negative_rest() {
        let rest = tally(5, &[(2, 5)]).without(&tally(6, &[(2, 6)]));
        assert_eq!(rest, Tally::default());
    }
}
