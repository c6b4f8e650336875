//! Evidence for the judge from the balancer's counters: what clients saw of each arm, in blocks of whole seconds.
//!
//! Counts only; it never says which side is worse.

use std::ops::RangeInclusive;

use arya_judge::source::Origin;
use arya_judge::{
    ArmCount, Beside, Block, Buckets, CountBlock, Evidence, HistogramBlock, MetricConfig, MetricKind, MetricSource,
    Shown, SourceError, Timestamp,
};
use arya_plan::identity::{Arm, DeploymentId};

use super::traffic::{Tally, arm_tally, machines, production_tally};
use super::{Inner, LiveCloud};
use crate::balancer::Counts;
use crate::balancer::measured::{LATENCY_BUCKETS, REMEMBERED_SECONDS};
use crate::clock::clock;

/// Seconds of one block: at the default load and 5 % some dozens of requests of each arm, and a new answer every 5 s.
pub const BLOCK_S: i64 = 5;
/// The balancer counts a request in the second in which it was answered, at the end of its body; so long after its end a
/// block is taken as finished. A body that streams for longer is in no block: the query says so.
const FINISHED_AFTER_S: i64 = 2;

impl MetricSource for LiveCloud {
    async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        let counted = Counted::of(metric).ok_or_else(|| SourceError::NoData {
            what: "the local load balancer counts requests, failures and times only".into(),
        })?;
        counted.evidence(&self.0, deployment, metric, &window)
    }
}

/// What the balancer counts of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    ClientsSaw,
    TargetsSaid,
    Times,
}

impl Counted {
    fn of(metric: &MetricConfig) -> Option<Self> {
        match (&metric.from, metric.kind) {
            (Origin::ClientsSaw, MetricKind::ErrorShare) => Some(Self::ClientsSaw),
            (Origin::TargetsSaid, MetricKind::ErrorShare) => Some(Self::TargetsSaid),
            (Origin::ClientsSaw | Origin::TargetsSaid, MetricKind::Histogram) => Some(Self::Times),
            (Origin::ClientsSaw | Origin::TargetsSaid | Origin::Series(_), _) => None,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::ClientsSaw => "answers with status 500 to 599 as clients saw them, of all requests",
            Self::TargetsSaid => "answers with status 500 to 599 that targets gave, of all their answers to requests",
            Self::Times => "seconds from the request's head to the answer's head of all requests",
        }
    }

    fn evidence(
        self,
        inner: &Inner,
        deployment: &str,
        metric: &MetricConfig,
        window: &RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        let id: DeploymentId = deployment.parse().map_err(|_| SourceError::Malformed {
            what: format!("`{deployment}` is no deployment's id"),
        })?;
        let world = inner.world();
        let rules = inner.balancer.rules();
        // As they are now: who was registered a minute ago is not remembered.
        let machines = machines(inner, &world, &rules, &id);
        let (mut blocks, mut production) = (Vec::new(), Vec::new());
        for end in block_ends(window, clock()) {
            let (Ok(from), Ok(ends_at)) = (Timestamp::from_second(end - BLOCK_S), Timestamp::from_second(end)) else {
                continue;
            };
            let range = from..ends_at;
            let tally = |arm| {
                arm_tally(inner, &world, &rules, &id, arm, &range).ok_or_else(|| SourceError::NoData {
                    what: format!("there is no {arm} target group any more"),
                })
            };
            let (baseline, canary) = (tally(Arm::Baseline)?, tally(Arm::Canary)?);
            if baseline.requests + canary.requests == 0 {
                continue;
            }
            blocks.push(self.block(ends_at, &baseline, &canary));
            let others = production_tally(inner, &world, &rules, &id, [&baseline, &canary], &range);
            if let Some((others, machines)) = others.zip(machines) {
                let shown = self.shown(&others);
                production.push(Beside {
                    ends_at,
                    shown,
                    machines,
                });
            }
        }
        Ok(Evidence {
            query: format!(
                "{} that reached each arm's target group through the main rule of deployment {deployment} (group total \
                 less the probe rule's), and beside them that reached production through it (rule's total less the arms'), in \
                 blocks of {BLOCK_S} s by the time of the answer; bodies that end more than \
                 {FINISHED_AFTER_S} s after their block are not in it",
                self.words()
            ),
            block_s: BLOCK_S as f64,
            production,
            ..Evidence::of(metric, "the local load balancer's counters", blocks)
        })
    }

    fn block(self, ends_at: Timestamp, baseline: &Tally, canary: &Tally) -> Block {
        let counts = |of: fn(&Tally) -> (u64, u64)| {
            let ((baseline_events, baseline_all), (canary_events, canary_all)) = (of(baseline), of(canary));
            Block::Counts(CountBlock {
                ends_at,
                baseline_events: baseline_events as f64,
                canary_events: canary_events as f64,
                baseline_exposure: baseline_all as f64,
                canary_exposure: canary_all as f64,
            })
        };
        match self {
            Self::ClientsSaw => counts(|tally| (tally.errors, tally.requests)),
            Self::TargetsSaid => counts(|tally| (tally.target_errors, tally.answered)),
            Self::Times => Block::Histogram(HistogramBlock {
                ends_at,
                baseline: buckets(baseline),
                canary: buckets(canary),
            }),
        }
    }
}

impl Counted {
    /// What production showed, in the same terms.
    fn shown(self, tally: &Tally) -> Shown {
        let count = |events: u64, exposure: u64| {
            Shown::Counts(ArmCount {
                events: events as f64,
                exposure: exposure as f64,
            })
        };
        match self {
            Self::ClientsSaw => count(tally.errors, tally.requests),
            Self::TargetsSaid => count(tally.target_errors, tally.answered),
            Self::Times => Shown::Histogram(buckets(tally)),
        }
    }
}

fn buckets(tally: &Tally) -> Buckets {
    let edges = (0..LATENCY_BUCKETS).filter_map(Counts::latency_upper_micros);
    Buckets {
        upper_edges: edges.map(|micros| micros as f64 / 1e6).collect(),
        counts: tally.latency.iter().map(|count| *count as f64).collect(),
    }
}

/// The ends (in seconds) of the finished blocks that lie whole inside the window and the balancer's memory. The first begins
/// with the window, so that nobody waits for the clock; whoever asks on from the end of a block goes on with the same ones.
fn block_ends(window: &RangeInclusive<Timestamp>, now: Timestamp) -> impl Iterator<Item = i64> + use<> {
    let last = window.end().as_second().min(now.as_second() - FINISHED_AFTER_S);
    // The oldest second may be half overwritten.
    let oldest = now.as_second() - REMEMBERED_SECONDS + 1;
    let first = ceiling(window.start());
    let forgotten = (oldest - first).max(0);
    let first_end = first + (forgotten + BLOCK_S - 1).div_euclid(BLOCK_S) * BLOCK_S + BLOCK_S;
    (0..)
        .map(move |block| first_end + block * BLOCK_S)
        .take_while(move |end| *end <= last)
}

/// The first whole second that is not before `at`.
fn ceiling(at: &Timestamp) -> i64 {
    at.as_second() + i64::from(at.subsec_nanosecond() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[track_caller]
    fn check(window: RangeInclusive<Timestamp>, now: i64, expected: &[i64]) {
        let ends: Vec<_> = block_ends(&window, at(now)).collect();
        assert_eq!(ends, expected, "{window:?}");
    }

    #[test]
    fn only_whole_finished_blocks_are_asked() {
        check(at(10_000)..=at(10_017), 20_000, &[]);
        check(at(10_000)..=at(10_017), 10_100, &[10_005, 10_010, 10_015]);
        check(at(10_001)..=at(10_015), 10_100, &[10_006, 10_011]);
        check(at(10_006)..=at(10_020), 10_100, &[10_011, 10_016]);
        check(at(10_000)..=at(10_015), 10_016, &[10_005, 10_010]);
        check(at(10_000)..=at(10_015), 10_017, &[10_005, 10_010, 10_015]);
        let a_bit_later = at(10_000).checked_add(jiff::SignedDuration::from_millis(1)).unwrap();
        check(a_bit_later..=at(10_010), 10_100, &[10_006]);
    }

    #[test]
    fn what_the_balancer_forgot_is_not_taken_for_silence() {
        let now = 100_000;
        let first = block_ends(&(at(0)..=at(now)), at(now)).next().unwrap();
        assert!(first - BLOCK_S > now - REMEMBERED_SECONDS);
    }
}
