//! Shares of the matching traffic: what was asked, what the load balancer has, what traffic measured.

use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, RuleKind};
use arya_plan::listener::GroupId;
use arya_plan::observed::{Observed, Traffic};
use serde::{Deserialize, Serialize};

/// Percent of the matching traffic, 0 to 100; the three make 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shares {
    pub(crate) production: f64,
    pub(crate) baseline: f64,
    pub(crate) canary: f64,
}

impl Shares {
    /// Everything goes where production's own rule sends it.
    pub(crate) const PRODUCTION: Self = Self {
        production: 100.0,
        baseline: 0.0,
        canary: 0.0,
    };

    fn of_parts(production: f64, baseline: f64, canary: f64) -> Option<Self> {
        let total = production + baseline + canary;
        let percent = |part: f64| rounded(100.0 * part / total);
        (total > 0.0).then(|| Self {
            production: percent(production),
            baseline: percent(baseline),
            canary: percent(canary),
        })
    }
}

/// Thousandths of a percent are the steps in which a share can be asked.
fn rounded(percent: f64) -> f64 {
    (percent * 1000.0).round() / 1000.0
}

/// The three triples that every page shows side by side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct WeightsDocument {
    pub(crate) asked: Shares,
    pub(crate) applied: Shares,
    /// `None` while nothing was counted yet.
    pub(crate) measured: Option<Shares>,
}

impl WeightsDocument {
    pub(crate) fn of(desired: &Desired, observed: Option<&Observed>) -> Self {
        let arm = desired.share().percent();
        Self {
            asked: Shares {
                production: rounded(100.0 - 2.0 * arm),
                baseline: arm,
                canary: arm,
            },
            applied: observed
                .and_then(|seen| applied(desired, seen))
                .unwrap_or(Shares::PRODUCTION),
            measured: observed.and_then(|seen| seen.traffic.as_ref()).and_then(measured),
        }
    }
}

/// What our main rule on the listener gives; without one production's own rule answers everything.
fn applied(desired: &Desired, observed: &Observed) -> Option<Shares> {
    let forward = observed.our_rule(&desired.id, RuleKind::Main)?.forward()?;
    let ours = |arm: Arm| observed.groups.get(&arm).map(|group| &group.id);
    let weight = |group: Option<&GroupId>| -> f64 {
        let of_group = forward.groups.iter().filter(|g| Some(&g.group) == group);
        of_group.map(|g| f64::from(g.weight)).sum()
    };
    let (baseline, canary) = (weight(ours(Arm::Baseline)), weight(ours(Arm::Canary)));
    let total: f64 = forward.groups.iter().map(|g| f64::from(g.weight)).sum();
    Shares::of_parts(total - baseline - canary, baseline, canary)
}

fn measured(traffic: &Traffic) -> Option<Shares> {
    // Counts of ten seconds lie far below the 2^53 up to which a double is exact.
    let count = |requests: u64| requests as f64;
    Shares::of_parts(
        count(traffic.production.requests),
        count(traffic.baseline.requests),
        count(traffic.canary.requests),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use arya_plan::observed::SideTraffic;

    fn check(requests: [u64; 3], expected: Option<[f64; 3]>) {
        let side = |requests| SideTraffic {
            requests,
            ..SideTraffic::default()
        };
        let traffic = Traffic {
            window_s: 10.0,
            production: side(requests[0]),
            baseline: side(requests[1]),
            canary: side(requests[2]),
        };
        assert_eq!(
            measured(&traffic).map(|s| [s.production, s.baseline, s.canary]),
            expected,
            "{requests:?}"
        );
    }

    #[test]
    fn measured_shares_make_a_hundred() {
        check([90, 5, 5], Some([90.0, 5.0, 5.0]));
        check([1, 1, 1], Some([33.333, 33.333, 33.333]));
    }

    #[test]
    fn no_requests_are_no_measurement() {
        check([0, 0, 0], None);
    }
}
