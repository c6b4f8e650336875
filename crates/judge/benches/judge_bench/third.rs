//! The third set: noise that nothing was ever chosen on. It was written down before it was run, it is reported as it
//! came out, and nothing was changed after it. A change of a constant makes it a tuning set: then write a fourth.

use std::f64::consts::TAU;

use crate::counts::{self, BLOCK_S, BLOCKS, Errors, PAST_BLOCKS};
use crate::gauges::{self, Levels};
use crate::latency::{self, CLASSIC, Slower, Times};
use crate::noise::Chance;
use crate::table::{Canary, Cell};

const SHARE: f64 = 0.005;
/// Blocks of a minute.
const MINUTE: f64 = 4.0;

/// Whether two old instances are simulated or the canary with its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    Now,
}

/// One arm's numbers, block by block; the first number is the mean where there is one.
type Process = fn(&mut Chance, f64, usize, When) -> Vec<f64>;

/// Counts of a rate that is `factor` times its mean in each block.
fn counted(chance: &mut Chance, mean: f64, factors: Vec<f64>) -> Vec<f64> {
    factors
        .into_iter()
        .map(|factor| chance.poisson(mean * factor))
        .collect()
}

/// On and off, staying for so many blocks on average; it begins as it is most of the time.
fn telegraph(chance: &mut Chance, blocks: usize, off: f64, on: f64) -> Vec<bool> {
    let mut now = chance.even() < on / (on + off);
    let steps = (0..blocks).map(|_| {
        let leaves = chance.even() < if now { 1.0 / on } else { 1.0 / off };
        now = now != leaves;
        now
    });
    steps.collect()
}

/// A wave of a period in blocks and a random phase, from -1 to 1.
fn wave(chance: &mut Chance, blocks: usize, period: f64) -> Vec<f64> {
    let phase = chance.even();
    (0..blocks).map(|i| (TAU * (i as f64 / period + phase)).sin()).collect()
}

/// What young machines have: 1 at the beginning, gone after a few minutes that differ from machine to machine.
fn youth(chance: &mut Chance, blocks: usize, when: When, minutes: (f64, f64)) -> Vec<f64> {
    let lasts = MINUTE * (minutes.0 + (minutes.1 - minutes.0) * chance.even());
    let young = |i: usize| match when {
        When::Before => 0.0,
        When::Now => (-(i as f64) / lasts).exp(),
    };
    (0..blocks).map(young).collect()
}

const ERRORS: [(&str, Process); 8] = [
    // Every incident fails five requests on average.
    ("healthy, retry storms of 5", |chance, mean, blocks, _| {
        let storm = |chance: &mut Chance| (chance.even().ln() / 0.8f64.ln()).floor() + 1.0;
        let block = |chance: &mut Chance| {
            let incidents = chance.poisson(mean / 5.0) as usize;
            (0..incidents).map(|_| storm(chance)).sum()
        };
        (0..blocks).map(|_| block(chance)).collect()
    }),
    ("healthy, x3 for 5 of 45 min", |chance, mean, blocks, _| {
        let on = telegraph(chance, blocks, 40.0 * MINUTE, 5.0 * MINUTE);
        let factors = on.into_iter().map(|on| if on { 3.0 } else { 1.0 }).collect();
        counted(chance, mean, factors)
    }),
    ("healthy, x6 for 15 s every 5 min", |chance, mean, blocks, _| {
        let phase = (20.0 * chance.even()) as usize;
        let factors = (0..blocks).map(|i| if (i + phase).is_multiple_of(20) { 6.0 } else { 1.0 });
        counted(chance, mean, factors.collect())
    }),
    ("healthy, log-normal per block, sigma 1", |chance, mean, blocks, _| {
        let factors = (0..blocks).map(|_| (chance.normal() - 0.5).exp()).collect();
        counted(chance, mean, factors)
    }),
    ("healthy, x3 while young, 2 to 10 min", |chance, mean, blocks, when| {
        let young = youth(chance, blocks, when, (2.0, 10.0));
        counted(chance, mean, young.into_iter().map(|young| 1.0 + 2.0 * young).collect())
    }),
    ("healthy, persistent offset cv .15", |chance, mean, blocks, _| {
        let factor = (0.15 * chance.normal()).exp();
        counted(chance, mean, vec![factor; blocks])
    }),
    (
        "healthy, bursts cv .5, history without",
        |chance, mean, blocks, when| {
            let factors = match when {
                When::Before => vec![1.0; blocks],
                When::Now => chance.wander(blocks, 0.88, 0.5),
            };
            counted(chance, mean, factors)
        },
    ),
    ("healthy, outages x20, history without", |chance, mean, blocks, when| {
        let on = match when {
            When::Before => vec![false; blocks],
            When::Now => chance.episodes(blocks, 4.0, 2),
        };
        counted(
            chance,
            mean,
            on.into_iter().map(|on| if on { 20.0 } else { 1.0 }).collect(),
        )
    }),
];

const LEVELS: [(&str, Process); 6] = [
    ("healthy, jumps of 4 %, mean stay 10 min", |chance, _, blocks, _| {
        let on = telegraph(chance, blocks, 10.0 * MINUTE, 10.0 * MINUTE);
        on.into_iter()
            .map(|on| if on { 20.0 } else { 0.0 } + 5.0 * chance.normal())
            .collect()
    }),
    ("healthy, AR .8 and spikes of 20 %, 1 in 50", |chance, _, blocks, _| {
        let series = chance.ar1(blocks, 0.8, 10.0);
        series
            .into_iter()
            .map(|x| x + if chance.even() < 0.02 { 100.0 } else { 0.0 })
            .collect()
    }),
    ("healthy, wave of an hour, 2 %", |chance, _, blocks, _| {
        let wave = wave(chance, blocks, 60.0 * MINUTE);
        wave.into_iter().map(|x| 10.0 * x + 5.0 * chance.normal()).collect()
    }),
    ("healthy, sawtooth of 20 min, 6 %", |chance, _, blocks, _| {
        let phase = chance.even();
        let tooth = |i: usize| 30.0 * (i as f64 / (20.0 * MINUTE) + phase).fract();
        (0..blocks).map(|i| tooth(i) + 2.0 * chance.normal()).collect()
    }),
    ("healthy, AR .95 and offset 2 %", |chance, _, blocks, _| {
        let offset = 10.0 * chance.normal();
        chance.ar1(blocks, 0.95, 10.0).into_iter().map(|x| offset + x).collect()
    }),
    ("healthy, warms up by 10 %, 5 to 20 min", |chance, _, blocks, when| {
        let young = youth(chance, blocks, when, (5.0, 20.0));
        young
            .into_iter()
            .map(|young| 5.0 * chance.normal() - 50.0 * young)
            .collect()
    }),
];

/// Of the logarithm of every response time.
const SPEEDS: [(&str, Process); 6] = [
    ("healthy, stalls x3, 1 block in 50", |chance, _, blocks, _| {
        (0..blocks)
            .map(|_| if chance.even() < 0.02 { 3f64.ln() } else { 0.0 })
            .collect()
    }),
    ("healthy, 4 % slower half of the time, 5 min", |chance, _, blocks, _| {
        let on = telegraph(chance, blocks, 5.0 * MINUTE, 5.0 * MINUTE);
        on.into_iter().map(|on| if on { 0.04 } else { 0.0 }).collect()
    }),
    ("healthy, persistent offset 3 %", |chance, _, blocks, _| {
        vec![0.03 * chance.normal(); blocks]
    }),
    ("healthy, wave of 30 min, 5 %", |chance, _, blocks, _| {
        wave(chance, blocks, 30.0 * MINUTE)
            .into_iter()
            .map(|x| 0.05 * x)
            .collect()
    }),
    (
        "healthy, 30 % slower while young, 1 to 5 min",
        |chance, _, blocks, when| {
            youth(chance, blocks, when, (1.0, 5.0))
                .into_iter()
                .map(|young| 1.3f64.ln() * young)
                .collect()
        },
    ),
    (
        "healthy, wobble 3 %, history without",
        |chance, _, blocks, when| match when {
            When::Before => vec![0.0; blocks],
            When::Now => chance.ar1(blocks, 0.88, 0.03),
        },
    ),
];

fn errors(chance: &mut Chance, per_second: f64, process: Process, factor: f64, when: When) -> Errors {
    let blocks = match when {
        When::Before => PAST_BLOCKS,
        When::Now => BLOCKS,
    };
    let mean = per_second * BLOCK_S * SHARE;
    let (baseline, canary) = (
        process(chance, mean, blocks, when),
        process(chance, factor * mean, blocks, when),
    );
    Errors {
        baseline,
        canary,
        on_baseline: vec![per_second * BLOCK_S; blocks],
        on_canary: vec![per_second * BLOCK_S; blocks],
        ..Errors::default()
    }
}

/// Production's machines live in the same time as the arms', but are not young any more.
fn of_production(name: &str) -> When {
    if name.contains("young") {
        When::Before
    } else {
        When::Now
    }
}

fn error_cells(table: &'static str, per_second: f64, factor: f64) -> impl Iterator<Item = Cell> {
    ERRORS.into_iter().map(move |(name, process)| Cell {
        table,
        name,
        canary: if factor > 1.0 { Canary::Worse } else { Canary::Harmless },
        run: Box::new(move |chance| {
            let now = errors(chance, per_second, process, factor, When::Now);
            let past = errors(chance, per_second, process, 1.0, When::Before);
            let production = errors(&mut chance.clone(), per_second, process, 1.0, of_production(name));
            counts::alarms(&now.beside(&production), &past)
        }),
        bounds: Vec::new(),
    })
}

fn gauge_cells() -> impl Iterator<Item = Cell> {
    LEVELS.into_iter().map(|(name, process)| Cell {
        table: "Third set, gauges, margin 5 %",
        name,
        canary: Canary::Harmless,
        run: Box::new(move |chance| {
            let mut level = |blocks: usize, when: When| -> Vec<f64> {
                let around = process(chance, 0.0, blocks, when);
                around.into_iter().map(|x| 500.0 + x).collect()
            };
            let levels = Levels {
                baseline: level(BLOCKS, When::Now),
                canary: level(BLOCKS, When::Now),
                past: (level(PAST_BLOCKS, When::Before), level(PAST_BLOCKS, When::Before)),
            };
            gauges::alarms(&levels, 0.05)
        }),
        bounds: Vec::new(),
    })
}

fn latency_cells(table: &'static str, per_second: f64) -> impl Iterator<Item = Cell> {
    SPEEDS.into_iter().map(move |(name, process)| Cell {
        table,
        name,
        canary: Canary::Harmless,
        run: Box::new(move |chance| {
            let mut times = |blocks: usize, when: When| {
                let (b, c) = (process(chance, 0.0, blocks, when), process(chance, 0.0, blocks, when));
                Times::simulate(chance, &CLASSIC, per_second, [&b, &c], Slower::Not)
            };
            let (now, past) = (times(BLOCKS, When::Now), times(latency::PAST_BLOCKS, When::Before));
            let production = times(BLOCKS, of_production(name));
            latency::alarms(&CLASSIC, &now.beside(&production), &past)
        }),
        bounds: Vec::new(),
    })
}

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    cells.extend(error_cells("Third set, errors 5/s", 5.0, 1.0));
    cells.extend(error_cells("Third set, errors 50/s", 50.0, 1.0));
    cells.extend(error_cells("Third set, errors 500/s", 500.0, 1.0));
    cells.extend(error_cells(
        "Third set, twice the errors at 50/s on the same noise",
        50.0,
        2.0,
    ));
    cells.extend(gauge_cells());
    cells.extend(latency_cells("Third set, latency 5/s", 5.0));
    cells.extend(latency_cells("Third set, latency 50/s", 50.0));
    cells.extend(latency_cells("Third set, latency 500/s", 500.0));
    cells
}
