//! The second set: harsher noise, harmless canaries only. The reference's defaults were chosen without it, those of the
//! judge's cautions with it.

use crate::counts::{self, BLOCK_S, BLOCKS, Errors, PAST_BLOCKS};
use crate::gauges::{self, Levels};
use crate::latency::{self, CLASSIC, Slower, Times};
use crate::noise::Chance;
use crate::table::{Bound, Canary, Cell};

const SHARE: f64 = 0.005;
const RATES: [f64; 3] = [5.0, 50.0, 500.0];

/// A process that gives one arm's series of a length.
type Process = fn(&mut Chance, usize) -> Vec<f64>;

fn errors(chance: &mut Chance, per_second: f64, process: Process, offset: Offset, blocks: usize) -> Errors {
    let mean = per_second * BLOCK_S * SHARE;
    let mut arm = || -> Vec<f64> {
        let length = match offset {
            Offset::Persistent => 1,
            Offset::None => blocks,
        };
        let rates = process(chance, length);
        (0..blocks)
            .map(|i| chance.poisson(mean * rates[i % rates.len()]))
            .collect()
    };
    let (baseline, canary) = (arm(), arm());
    Errors {
        baseline,
        canary,
        on_baseline: vec![per_second * BLOCK_S; blocks],
        on_canary: vec![per_second * BLOCK_S; blocks],
        ..Errors::default()
    }
}

/// Whether a process has one value for the whole canary.
#[derive(Debug, Clone, Copy)]
enum Offset {
    None,
    Persistent,
}

fn error_cells() -> Vec<Cell> {
    const JUDGE: &str = "JUDGE, as shipped, 6 h history";
    // Most services have no history: production beside the arms is theirs.
    const BESIDE: &str = "JUDGE, as shipped, production beside";
    let kinds: [(&'static str, Process, Offset); 4] = [
        (
            "outages x20, 30 s, 4/h",
            |chance, length| {
                let on = chance.episodes(length, 4.0, 2);
                on.into_iter().map(|on| if on { 20.0 } else { 1.0 }).collect()
            },
            Offset::None,
        ),
        (
            "slow drift cv .3, memory 8 min",
            |chance, length| chance.wander(length, 0.97, 0.3),
            Offset::None,
        ),
        (
            "gamma per block, shape 1",
            |chance, length| (0..length).map(|_| chance.gamma(1.0)).collect(),
            Offset::None,
        ),
        (
            "persistent instance offset cv .1",
            |chance, _| vec![(0.1 * chance.normal()).exp()],
            Offset::Persistent,
        ),
    ];
    let mut cells = Vec::new();
    for (name, process, offset) in kinds {
        for (table, per_second) in [
            "Second set, errors 5/s",
            "Second set, errors 50/s",
            "Second set, errors 500/s",
        ]
        .into_iter()
        .zip(RATES)
        {
            let run = move |chance: &mut Chance| {
                let now = errors(chance, per_second, process, offset, BLOCKS);
                let past = errors(chance, per_second, process, offset, PAST_BLOCKS);
                let production = errors(&mut chance.clone(), per_second, process, offset, BLOCKS);
                counts::alarms(&now.beside(&production), &past)
            };
            cells.push(Cell {
                table,
                name,
                run: Box::new(run),
                canary: Canary::Harmless,
                bounds: vec![(JUDGE, Bound::Alarms(0.10)), (BESIDE, Bound::Alarms(0.10))],
            });
        }
    }
    cells
}

fn gauge_cells() -> Vec<Cell> {
    const JUDGE: &str = "JUDGE, as shipped (leak, 5 %), 6 h history";
    let kinds: [(&'static str, Process); 5] = [
        ("t3 innovations, AR .7", |chance, length| {
            let unit = 3f64.sqrt();
            let mut now = chance.t3() / unit;
            (0..length)
                .map(|i| {
                    if i > 0 {
                        now = 0.7 * now + 0.51f64.sqrt() * chance.t3() / unit;
                    }
                    10.0 * now
                })
                .collect()
        }),
        ("GC sawtooth, period 5 min, random phase", |chance, length| {
            let phase = chance.even();
            let tooth = |i: usize| 30.0 * ((i as f64 / 20.0 + phase).fract() - 0.5);
            (0..length).map(|i| tooth(i) + 2.0 * chance.normal()).collect()
        }),
        ("AR .9 plus white noise", |chance, length| {
            let slow = chance.ar1(length, 0.9, 8.0);
            slow.into_iter().map(|x| x + 6.0 * chance.normal()).collect()
        }),
        ("AR .99", |chance, length| chance.ar1(length, 0.99, 10.0)),
        ("random walk", |chance, length| {
            let mut now = 0.0;
            let steps = (0..length).map(|_| {
                now += chance.normal();
                now
            });
            steps.collect()
        }),
    ];
    let cell = |(name, process): (&'static str, Process)| {
        let run = move |chance: &mut Chance| {
            let level = |series: Vec<f64>| series.into_iter().map(|x| 500.0 + x).collect::<Vec<f64>>();
            let levels = Levels {
                baseline: level(process(chance, BLOCKS)),
                canary: level(process(chance, BLOCKS)),
                past: (process(chance, PAST_BLOCKS), process(chance, PAST_BLOCKS)),
            };
            gauges::alarms(&levels, 0.0)
        };
        Cell {
            table: "Second set, gauges",
            name,
            run: Box::new(run),
            canary: Canary::Harmless,
            bounds: ["SEQ gauge level, 6 h history", "SEQ gauge slope, 6 h history", JUDGE]
                .map(|row| (row, Bound::Alarms(0.10)))
                .to_vec(),
        }
    };
    kinds.into_iter().map(cell).collect()
}

fn latency_cells() -> Vec<Cell> {
    const JUDGE: &str = "JUDGE, as shipped, 2 h history";
    let kinds: [(&'static str, Process); 4] = [
        ("iid requests", |_, length| vec![0.0; length]),
        ("slow episodes x1.5, 1 min, 4/h", |chance, length| {
            let on = chance.episodes(length, 4.0, 4);
            on.into_iter().map(|on| if on { 1.5f64.ln() } else { 0.0 }).collect()
        }),
        ("persistent instance offset 1.5 %", |chance, length| {
            vec![0.015 * chance.normal(); length]
        }),
        ("slow drift 3 %, memory 8 min", |chance, length| {
            chance.ar1(length, 0.97, 0.03)
        }),
    ];
    let mut cells = Vec::new();
    for (name, process) in kinds {
        for (table, per_second) in [
            "Second set, latency 5/s",
            "Second set, latency 50/s",
            "Second set, latency 500/s",
        ]
        .into_iter()
        .zip(RATES)
        {
            let run = move |chance: &mut Chance| {
                let mut times = |blocks: usize| {
                    let (b, c) = (process(chance, blocks), process(chance, blocks));
                    Times::simulate(chance, &CLASSIC, per_second, [&b, &c], Slower::Not)
                };
                let (now, past) = (times(BLOCKS), times(latency::PAST_BLOCKS));
                let production = times(BLOCKS);
                latency::alarms(&CLASSIC, &now.beside(&production), &past)
            };
            cells.push(Cell {
                table,
                name,
                run: Box::new(run),
                canary: Canary::Harmless,
                bounds: vec![(JUDGE, Bound::Alarms(0.10))],
            });
        }
    }
    cells
}

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = error_cells();
    cells.extend(gauge_cells());
    cells.extend(latency_cells());
    cells
}
