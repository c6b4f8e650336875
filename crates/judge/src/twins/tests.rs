//! Both arms against production, on spans of 15 s: what is unfit, what is not, and how often noise alone is.

use super::*;
use crate::{CountBlock, HistogramBlock, Machines};

/// Requests of an arm in a span, and of one of production's two machines.
const REQUESTS: f64 = 300.0;

fn at(span: usize) -> Timestamp {
    Timestamp::from_second(1_700_000_040 + 15 * span as i64).unwrap()
}

/// Shares of failures of production, baseline and canary in one span.
type Fails = [f64; 3];

fn judged(kind: MetricKind) -> Twins {
    let metric = MetricConfig::of(kind, "m", "q");
    let config = JudgeConfig {
        metrics: vec![metric.clone()],
        ..JudgeConfig::default()
    };
    Twins::new(&config, &metric, 15.0).unwrap()
}

fn push(twins: &mut Twins, span: usize, counts: [f64; 3], machines: Machines) {
    let [production, baseline_events, canary_events] = counts;
    let ends_at = at(span + 1);
    let block = Block::Counts(CountBlock {
        ends_at,
        baseline_events,
        canary_events,
        baseline_exposure: REQUESTS,
        canary_exposure: REQUESTS,
    });
    let shown = Shown::Counts(ArmCount {
        events: production,
        exposure: 2.0 * REQUESTS,
    });
    twins.push(
        &block,
        &Beside {
            ends_at,
            shown,
            machines,
        },
    );
}

const TWO: Machines = Machines {
    production: 2,
    each_arm: 1,
};

/// Seconds after the beginning at which the arms were first unfit.
fn unfit_after(spans: usize, fails: impl Fn(usize) -> Fails) -> Option<f64> {
    let mut twins = judged(MetricKind::ErrorShare);
    (0..spans).find_map(|span| {
        let [production, baseline, canary] = fails(span);
        let counts = [2.0 * production, baseline, canary].map(|share| (share * REQUESTS).round());
        push(&mut twins, span, counts, TWO);
        twins.unfit("m", None).map(|unfit| seconds(at(0), unfit.at))
    })
}

const HOUR: usize = 240;

#[test]
fn arms_that_both_fail_are_unfit_after_five_minutes() {
    assert_eq!(unfit_after(HOUR, |_| [0.005, 0.1, 0.12]), Some(300.0));
    assert_eq!(unfit_after(HOUR, |_| [0.0, 1.0, 1.0]), Some(300.0));
    let late = |span| if span < 80 { [0.005; 3] } else { [0.005, 0.1, 0.1] };
    let found = unfit_after(HOUR, late).unwrap();
    assert!((1500.0..1600.0).contains(&found), "{found}");
}

#[test]
fn one_arm_alone_is_no_business_of_twins() {
    assert_eq!(unfit_after(HOUR, |_| [0.005, 0.005, 0.5]), None);
    assert_eq!(unfit_after(HOUR, |_| [0.005, 0.5, 0.005]), None);
    // Both are worse than production, and one is far worse than the other.
    assert_eq!(unfit_after(HOUR, |_| [0.005, 0.02, 0.5]), None);
}

#[test]
fn twins_of_which_the_old_version_is_the_worse_are_unfit_too() {
    assert!(unfit_after(HOUR, |_| [0.005, 0.25, 0.1]).is_some());
}

#[test]
fn production_that_fails_as_well_is_no_reason() {
    assert_eq!(unfit_after(HOUR, |_| [0.1, 0.1, 0.11]), None);
    assert_eq!(unfit_after(HOUR, |_| [0.1, 0.13, 0.13]), None);
}

#[test]
fn an_outage_that_both_arms_share_is_not_lasting() {
    let outage = |span: usize| match span {
        40..52 => [0.005, 1.0, 1.0],
        _ => [0.005; 3],
    };
    assert_eq!(unfit_after(HOUR, outage), None);
}

#[test]
fn failing_under_more_load_than_production_has_says_nothing_of_fitness() {
    let of = |machines: Machines| {
        let mut twins = judged(MetricKind::ErrorShare);
        (0..HOUR).for_each(|span| push(&mut twins, span, [3.0, 30.0, 30.0], machines));
        twins.unfit("m", None).is_some()
    };
    let machines = |production, each_arm| Machines { production, each_arm };
    assert!(of(machines(2, 1)));
    assert!(of(machines(2, 2)), "less load excuses nothing");
    assert!(!of(machines(4, 1)));
}

#[test]
fn after_a_change_of_the_share_it_has_to_last_anew() {
    let mut twins = judged(MetricKind::ErrorShare);
    (0..60).for_each(|span| push(&mut twins, span, [3.0, 30.0, 30.0], TWO));
    assert!(twins.unfit("m", None).is_some());
    assert_eq!(twins.unfit("m", Some(at(50))), None);
    (60..71).for_each(|span| push(&mut twins, span, [3.0, 30.0, 30.0], TWO));
    assert_eq!(twins.unfit("m", Some(at(50))).unwrap().since, at(50));
}

#[test]
fn a_gap_begins_anew() {
    let mut twins = judged(MetricKind::ErrorShare);
    (0..15).for_each(|span| push(&mut twins, span, [3.0, 30.0, 30.0], TWO));
    (25..40).for_each(|span| push(&mut twins, span, [3.0, 30.0, 30.0], TWO));
    assert_eq!(twins.unfit("m", None), None);
    (40..45).for_each(|span| push(&mut twins, span, [3.0, 30.0, 30.0], TWO));
    assert!(twins.unfit("m", None).is_some());
}

/// Requests of one side by bucket of 10, 20, 40, 80, 160 ms and more, all so many times as slow as usual.
fn times(doublings: usize, times: f64) -> Buckets {
    let mut counts = vec![0.0; 6];
    for (bucket, count) in [100.0, 120.0, 60.0, 20.0].into_iter().enumerate() {
        counts[(bucket + doublings).min(5)] += times * count;
    }
    Buckets {
        upper_edges: vec![0.01, 0.02, 0.04, 0.08, 0.16],
        counts,
    }
}

fn slow(baseline: usize, canary: usize, production: usize) -> Option<TwinsUnfit> {
    let mut twins = judged(MetricKind::Histogram);
    for span in 0..HOUR {
        let ends_at = at(span + 1);
        let block = Block::Histogram(HistogramBlock {
            ends_at,
            baseline: times(baseline, 1.0),
            canary: times(canary, 1.0),
        });
        let shown = Shown::Histogram(times(production, 2.0));
        let machines = TWO;
        twins.push(
            &block,
            &Beside {
                ends_at,
                shown,
                machines,
            },
        );
    }
    twins.unfit("m", None)
}

#[test]
fn arms_that_both_starve_are_unfit() {
    let unfit = slow(2, 2, 0).unwrap();
    assert_eq!(unfit.slower, Some((0.04, 0.08)));
    assert_eq!(slow(0, 2, 0), None);
    assert_eq!(slow(0, 0, 0), None);
    assert_eq!(slow(2, 2, 2), None);
}

/// Chance: a Weyl sequence mixed by multiplications.
struct Chance(u64);

impl Chance {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.even().ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        let (mut waited, mut arrivals) = (-self.even().ln(), 0.0);
        while waited < mean {
            waited -= self.even().ln();
            arrivals += 1.0;
        }
        arrivals
    }
}

/// How the rates of production's two machines and of the two arms wander, each by itself: log-normal around 1, with a
/// coefficient of variation and a memory from span to span; or outages of 30 s, x20, four an hour.
#[derive(Clone, Copy)]
enum Noise {
    Wander(f64, f64),
    Outages,
}

/// Simulated hours of the same version everywhere that were called unfit.
fn unfit_hours(hours: u64, fails: f64, noise: Noise) -> usize {
    let hour = |seed: &u64| {
        let mut chance = Chance(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let mut twins = judged(MetricKind::ErrorShare);
        let mut states: [f64; 4] = std::array::from_fn(|_| chance.normal());
        let mut down = [0_usize; 4];
        (0..HOUR).any(|span| {
            let rates: [f64; 4] = std::array::from_fn(|machine| match noise {
                Noise::Wander(variation, memory) => {
                    let fresh = chance.normal();
                    states[machine] = memory * states[machine] + (1.0 - memory * memory).sqrt() * fresh;
                    (variation * states[machine] - 0.5 * variation * variation).exp()
                }
                Noise::Outages => {
                    if chance.even() < 4.0 / HOUR as f64 {
                        down[machine] = 2;
                    }
                    down[machine] = down[machine].saturating_sub(1);
                    if down[machine] > 0 { 20.0 } else { 1.0 }
                }
            });
            let counts = rates.map(|rate| chance.poisson(rate * fails * REQUESTS));
            push(&mut twins, span, [counts[0] + counts[1], counts[2], counts[3]], TWO);
            twins.unfit("m", None).is_some()
        })
    };
    (1..=hours).filter(hour).count()
}

#[test]
fn the_same_version_everywhere_is_seldom_unfit() {
    let check = |fails: f64, noise: Noise| {
        let unfit = unfit_hours(1_000, fails, noise);
        assert!(unfit <= 10, "{unfit} of 1,000 hours");
    };
    check(0.005, Noise::Wander(0.0, 0.0));
    check(0.05, Noise::Wander(0.0, 0.0));
    check(0.01, Noise::Wander(0.5, 0.88));
    check(0.01, Noise::Wander(0.3, 0.97));
    check(0.01, Noise::Outages);
}
