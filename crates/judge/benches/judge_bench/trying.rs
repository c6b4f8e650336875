//! `arya try` as it comes: 100 requests a second, a share of 20 % on each arm, blocks of 5 s, two failures in a thousand
//! requests, no history, production's two machines beside the arms, and the three metrics that it chooses by itself. Its bad
//! canary fails one request in ten and takes 150 ms longer.
//!
//! The noise is what a healthy canary of `try` showed in quarters of an hour on two processors that builds wanted too:
//! failures as independent as they are made; times whose spans of 15 s scatter up to 3.7 times as much as by chance, and
//! once in 60 spans 34 times; memory that settles within minutes, a few percent apart for good.

use arya_judge::source::pack::{Signal, error_share_of_clients};
use arya_judge::{
    ArmCount, Beside, Block, Buckets, CountBlock, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, Machines,
    MetricConfig, MetricKind, Shown, Timestamp,
};

use crate::counts::harmful_minute;
use crate::noise::Chance;
use crate::table::{Bound, Canary, Cell};

const LOAD_PER_SECOND: f64 = 100.0;
const SHARE: f64 = 0.2;
const BLOCK_S: i64 = 5;
const BLOCKS_PER_SPAN: usize = 3;
const USUAL_FAILURES: f64 = 0.002;
const BAD_FAILURES: f64 = 0.1;
const HOUR: usize = 720;
/// Thirty seconds, less one until the first block begins, two in which answers of a block are waited for, and three until
/// the judge has looked again.
const BAD_BY_MINUTE: f64 = 24.0 / 60.0;

const EDGES: [f64; 6] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25];
/// Shares of a healthy release's requests by bucket; of requests that had to wait for a processor; of the bad release's.
const USUAL_TIMES: [f64; 7] = [0.095, 0.877, 0.024, 0.003, 0.001, 0.0, 0.0];
const KEPT_WAITING: [f64; 7] = [0.0, 0.2, 0.55, 0.2, 0.04, 0.01, 0.0];
const BAD_TIMES: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.998, 0.002];
/// The part of a span's requests that waits, times the size of a normal number: makes a dispersion of 3.7, and of 34.
const WAITING: f64 = 0.075;
const WAITING_MUCH: f64 = 0.27;
const SPANS_TO_A_STALL: f64 = 60.0;
/// A process's memory at its start and what it grows by, in bytes, and how long half of that takes, in blocks.
const MEMORY: (f64, f64, f64) = (10.9e6, 0.5e6, 40.0);
/// How far apart two processes of one version stay, as a part, and how far a sample strays.
const MEMORY_OFFSET: f64 = 0.05;
const MEMORY_STRAYS: f64 = 0.002;

/// What a release does.
#[derive(Debug, Clone, Copy)]
struct Release {
    fails: f64,
    times: [f64; 7],
}

const HEALTHY: Release = Release {
    fails: USUAL_FAILURES,
    times: USUAL_TIMES,
};
const BAD: Release = Release {
    fails: 1.0 - (1.0 - USUAL_FAILURES) * (1.0 - BAD_FAILURES),
    times: BAD_TIMES,
};

fn ends_at(index: usize) -> Timestamp {
    Timestamp::from_second(BLOCK_S * (index as i64 + 1)).expect("an hour after 1970")
}

fn evidence(metric: &MetricConfig, measured: Vec<(Block, Option<Shown>)>) -> Evidence {
    let machines = Machines {
        production: 2,
        each_arm: 1,
    };
    let (mut blocks, mut production) = (Vec::new(), Vec::new());
    for (block, shown) in measured {
        production.extend(shown.map(|shown| Beside {
            ends_at: block.ends_at(),
            shown,
            machines,
        }));
        blocks.push(block);
    }
    Evidence {
        metric: metric.name.clone(),
        source: "simulation".to_owned(),
        query: String::new(),
        block_s: BLOCK_S as f64,
        blocks,
        production,
        problem: None,
    }
}

/// Each request is dealt to an arm by itself, as weights do: baseline, canary, production.
fn requests(chance: &mut Chance) -> [f64; 3] {
    let sent = LOAD_PER_SECOND * BLOCK_S as f64;
    let on_canary = chance.binomial(sent, SHARE);
    let on_baseline = chance.binomial(sent - on_canary, SHARE / (1.0 - SHARE));
    [on_baseline, on_canary, sent - on_canary - on_baseline]
}

fn failures(chance: &mut Chance, canary: Release, sent: [f64; 3], index: usize) -> (Block, Option<Shown>) {
    let [on_baseline, on_canary, on_production] = sent;
    let block = Block::Counts(CountBlock {
        ends_at: ends_at(index),
        baseline_events: chance.binomial(on_baseline, HEALTHY.fails),
        canary_events: chance.binomial(on_canary, canary.fails),
        baseline_exposure: on_baseline,
        canary_exposure: on_canary,
    });
    let production = ArmCount {
        events: chance.binomial(on_production, HEALTHY.fails),
        exposure: on_production,
    };
    (block, Some(Shown::Counts(production)))
}

/// The part of an arm's requests that waits in a span of 15 s.
fn waiting(chance: &mut Chance) -> f64 {
    let stalls = chance.even() < 1.0 / SPANS_TO_A_STALL;
    let usual = if stalls { WAITING_MUCH } else { WAITING };
    (usual * chance.normal().abs()).min(1.0)
}

fn times(
    chance: &mut Chance,
    canary: Release,
    sent: [f64; 3],
    waits: [f64; 3],
    index: usize,
) -> (Block, Option<Shown>) {
    let mut arm = |release: Release, place: usize| {
        let shares: Vec<f64> = release
            .times
            .iter()
            .zip(KEPT_WAITING)
            .map(|(usual, waiting)| (1.0 - waits[place]) * usual + waits[place] * waiting)
            .collect();
        Buckets {
            upper_edges: EDGES.to_vec(),
            counts: chance.multinomial(sent[place], &shares),
        }
    };
    let block = Block::Histogram(HistogramBlock {
        ends_at: ends_at(index),
        baseline: arm(HEALTHY, 0),
        canary: arm(canary, 1),
    });
    (block, Some(Shown::Histogram(arm(HEALTHY, 2))))
}

fn memory(chance: &mut Chance, offsets: [f64; 2], index: usize) -> (Block, Option<Shown>) {
    let (start, grows, half) = MEMORY;
    let settled = start + grows * (1.0 - 0.5f64.powf(index as f64 / half));
    let mut arm = |offset: f64| settled * (1.0 + offset + MEMORY_STRAYS * chance.normal());
    let pair = GaugeBlock {
        ends_at: ends_at(index),
        baseline: arm(offsets[0]),
        canary: arm(offsets[1]),
    };
    (Block::Gauge(pair), None)
}

/// As the monitor's pack chooses them of the sample service, and as `try` tunes them for one machine.
fn metrics() -> [MetricConfig; 3] {
    [
        error_share_of_clients().on_one_machine(),
        MetricConfig::latency(Signal::Latency.name(), "").on_one_machine(),
        MetricConfig {
            critical: false,
            allowed_ratio: 1.25,
            pass_margin: 1.5,
            ..MetricConfig::of(MetricKind::Leak, Signal::Memory.name(), "")
        },
    ]
}

/// The minute of the alarm in an hour of a canary of this release.
fn hour(chance: &mut Chance, canary: Release) -> Option<f64> {
    let metrics = metrics();
    let offsets = [MEMORY_OFFSET * chance.normal(), MEMORY_OFFSET * chance.normal()];
    let mut measured: [Vec<(Block, Option<Shown>)>; 3] = Default::default();
    let mut waits = [0.0; 3];
    for index in 0..HOUR {
        if index.is_multiple_of(BLOCKS_PER_SPAN) {
            waits = std::array::from_fn(|_| waiting(chance));
        }
        let sent = requests(chance);
        measured[0].push(failures(chance, canary, sent, index));
        measured[1].push(times(chance, canary, sent, waits, index));
        measured[2].push(memory(chance, offsets, index));
    }
    let config = JudgeConfig {
        metrics: metrics.to_vec(),
        ..JudgeConfig::default()
    };
    let mut judging = Judging::without_charts(&config);
    for (metric, measured) in metrics.iter().zip(measured) {
        judging.advance(&evidence(metric, measured));
    }
    harmful_minute(&judging.verdict())
}

pub(crate) fn cells() -> Vec<Cell> {
    const ROW: &str = "JUDGE, as `try` has it: errors, times and memory, production beside";
    let cell = |name, canary, bounds| Cell {
        table: "try, an hour",
        name,
        canary: Canary::by(name),
        run: Box::new(move |chance: &mut Chance| vec![(ROW, hour(chance, canary))]),
        bounds,
    };
    vec![
        cell("healthy", HEALTHY, vec![(ROW, Bound::Alarms(0.05))]),
        cell(
            "canary_bad",
            BAD,
            vec![(ROW, Bound::Median(0.25)), (ROW, Bound::Nearly(BAD_BY_MINUTE))],
        ),
    ]
}
