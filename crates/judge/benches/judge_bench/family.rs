//! A whole canary of eight metrics: four classes of errors, two response times, two gauges. Only the first class is worse
//! where one is. Kayenta's judgement is its own, with its score over all metrics.

use arya_judge::{Evidence, JudgeConfig, Judging, MetricConfig, MetricKind, Past};

use crate::counts::{self, BLOCK_S, BLOCKS, Bursts, Errors, PAST_BLOCKS, Truth, harmful_minute};
use crate::gauges;
use crate::latency::{self, CLASSIC, Slower, Times};
use crate::noise::Chance;
use crate::peeking::{Minutes, by_minute, first_high, first_scores};
use crate::table::{Alarms, Bound, Canary, Cell};

const SHARES: [(&str, f64); 4] = [("5xx", 0.005), ("4xx", 0.01), ("timeouts", 0.001), ("resets", 0.0005)];
const TIMES: [&str; 2] = ["read time", "write time"];
const GAUGES: [(&str, f64); 2] = [("threads", 0.5), ("memory", 0.9)];
const LEVEL: f64 = 500.0;
const SPREAD: f64 = 10.0;

/// One metric's evidence now and before, and what Kayenta sees of it.
struct Simulated {
    metric: MetricConfig,
    now: Evidence,
    before: Evidence,
    minutes: Minutes,
}

fn of_errors(chance: &mut Chance, name: &'static str, truth: Truth) -> Simulated {
    let now: Errors = counts::simulate(chance, truth, BLOCKS);
    let harmless = Truth {
        canary: truth.baseline,
        ..truth
    };
    let before = counts::simulate(chance, harmless, PAST_BLOCKS);
    let (baseline, canary) = now.shares_by_minute();
    Simulated {
        metric: MetricConfig::error_share(name, ""),
        now: now.evidence(name),
        before: before.evidence(name),
        minutes: (name, baseline, canary),
    }
}

fn of_times(chance: &mut Chance, name: &'static str, per_second: f64) -> Simulated {
    let mut times = |blocks: usize| {
        let steady = vec![0.0; blocks];
        Times::simulate(chance, &CLASSIC, per_second, [&steady, &steady], Slower::Not)
    };
    let (now, before) = (times(BLOCKS), times(latency::PAST_BLOCKS));
    let (baseline, canary) = now.p95_by_minute(&CLASSIC);
    Simulated {
        metric: MetricConfig::latency(name, ""),
        now: now.evidence(name, &CLASSIC),
        before: before.evidence(name, &CLASSIC),
        minutes: (name, baseline, canary),
    }
}

fn of_gauge(chance: &mut Chance, name: &'static str, memory: f64) -> Simulated {
    let mut series = |blocks: usize| -> Vec<f64> {
        let around = chance.ar1(blocks, memory, SPREAD);
        around.into_iter().map(|x| LEVEL + x).collect()
    };
    let (b, c) = (series(BLOCKS), series(BLOCKS));
    let (old, other) = (series(PAST_BLOCKS), series(PAST_BLOCKS));
    Simulated {
        metric: MetricConfig {
            // The tables compare without a margin.
            allowed_ratio: 1.0,
            ..MetricConfig::of(MetricKind::Gauge, name, "")
        },
        now: gauges::evidence(name, &b, &c),
        before: gauges::evidence(name, &old, &other),
        minutes: (name, by_minute(&b, 4), by_minute(&c, 4)),
    }
}

/// What is known beforehand.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// Counts and response times are independent; nothing of gauges. It is what the tables were made with.
    Independent,
    /// Two old instances for some hours.
    Before,
}

fn judged(all: &[Simulated], known: Known) -> Option<f64> {
    let metric = |one: &Simulated| match known {
        Known::Independent => MetricConfig {
            known_dispersion: Some(1.0),
            ..one.metric.clone()
        },
        Known::Before => MetricConfig {
            past: Past::learn(one.metric.kind, &one.before),
            ..one.metric.clone()
        },
    };
    let config = JudgeConfig {
        metrics: all.iter().map(metric).collect(),
        planned_s: BLOCKS as f64 * BLOCK_S,
        ..JudgeConfig::default()
    };
    let mut judging = Judging::without_charts(&config);
    all.iter().for_each(|one| judging.advance(&one.now));
    harmful_minute(&judging.verdict())
}

fn alarms(chance: &mut Chance, per_second: f64, first: f64) -> Alarms {
    let mut all = Vec::new();
    for (name, share) in SHARES {
        let truth = Truth {
            per_second,
            baseline: share,
            canary: if name == SHARES[0].0 { first * share } else { share },
            bursts: Bursts::None,
            onset: 0,
        };
        all.push(of_errors(chance, name, truth));
    }
    all.extend(TIMES.map(|name| of_times(chance, name, per_second)));
    all.extend(GAUGES.map(|(name, memory)| of_gauge(chance, name, memory)));
    let minutes: Vec<Minutes> = all.iter().map(|one| one.minutes.clone()).collect();
    let any = minutes.iter().filter_map(|(_, b, c)| first_high(b, c)).reduce(f64::min);
    let (no_pass, failure) = first_scores(&minutes);
    vec![
        ("MW peek (Kayenta rule), any metric", any),
        ("Kayenta, score below 95, every minute", no_pass),
        ("Kayenta, score below 75, every minute", failure),
        (JUDGE_TOLD, judged(&all, Known::Independent)),
        (JUDGE, judged(&all, Known::Before)),
    ]
}

const JUDGE_TOLD: &str = "JUDGE, told that counts are independent";
const JUDGE: &str = "JUDGE, as shipped, history";

pub(crate) fn cells() -> Vec<Cell> {
    let harmless = vec![(JUDGE_TOLD, Bound::Alarms(0.02)), (JUDGE, Bound::Alarms(0.02))];
    let found = |minute: f64| {
        vec![
            (JUDGE_TOLD, Bound::Median((1.2 * minute).max(minute + 0.25))),
            (JUDGE, Bound::Median(1.5 * minute)),
        ]
    };
    let cell = |name, per_second: f64, first: f64, bounds| Cell {
        table: "Whole canary, 8 metrics",
        name,
        canary: Canary::by(name),
        run: Box::new(move |chance: &mut Chance| alarms(chance, per_second, first)),
        bounds,
    };
    vec![
        cell("healthy, 50/s", 50.0, 1.0, harmless),
        cell("one class 0.5 % -> 1 %, 50/s", 50.0, 2.0, found(3.0)),
        cell("one class 0.5 % -> 1 %, 5/s", 5.0, 2.0, found(24.0)),
    ]
}
