//! Gauges: a level of 500 with a spread of 2 %, remembered from sample to sample, looked at once a minute.

use arya_judge::sequential::gauge::{GaugePast, GaugeSettings, GaugeTest};
use arya_judge::sequential::grid::log_sum_exp;
use arya_judge::{Block, Evidence, GaugeBlock, JudgeConfig, Judging, MetricConfig, MetricKind, Past, Timestamp};

use crate::counts::{ALARM, BLOCK_S, BLOCKS, PAST_BLOCKS, harmful_minute};
use crate::noise::Chance;
use crate::peeking::{by_minute, fifth, first_high};
use crate::table::{Alarms, Bound, Canary, Cell};

const LEVEL: f64 = 500.0;
const SPREAD: f64 = 10.0;
/// A persistent difference of instances, by arm.
const OFFSET: f64 = 10.0;
const SAMPLES_PER_MINUTE: usize = 4;

/// Samples of both arms, and the differences of two old instances.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels {
    pub(crate) baseline: Vec<f64>,
    pub(crate) canary: Vec<f64>,
    /// Two old instances.
    pub(crate) past: (Vec<f64>, Vec<f64>),
}

/// The tests of the tables on one canary; `margin` is the part by which a canary may be above.
pub(crate) fn alarms(levels: &Levels, margin: f64) -> Alarms {
    let differences: Vec<f64> = levels.past.0.iter().zip(&levels.past.1).map(|(b, c)| c - b).collect();
    let settings = |past| GaugeSettings {
        past,
        horizon: BLOCKS as f64,
        assumed_memory: 0.905,
    };
    let mut free = GaugeTest::new(settings(None));
    let mut known = GaugeTest::new(settings(GaugePast::learn(&differences)));
    let mut found: [Option<f64>; 5] = [None; 5];
    for (index, (b, c)) in levels.baseline.iter().zip(&levels.canary).enumerate() {
        free.push(*b, *c);
        known.push(*b, *c);
        if !(index + 1).is_multiple_of(SAMPLES_PER_MINUTE) || found.iter().all(Option::is_some) {
            continue;
        }
        let level = |test: &GaugeTest| test.level(1.0 + margin).map_or(0.0, |level| level.log_e_above());
        let slope = |test: &GaugeTest| test.slope().map_or(0.0, |slope| slope.log_e_above());
        let (l, s) = (level(&free), slope(&free));
        let now = [l, s, log_sum_exp(&[l, s]) - 2f64.ln(), level(&known), slope(&known)];
        for (found, log_e) in found.iter_mut().zip(now) {
            if found.is_none() && log_e >= ALARM {
                *found = Some((index + 1) as f64 / SAMPLES_PER_MINUTE as f64);
            }
        }
    }
    let names = [
        "SEQ gauge level, no history",
        "SEQ gauge slope, no history",
        "SEQ gauge level+slope, no history",
        "SEQ gauge level, 6 h history",
        "SEQ gauge slope, 6 h history",
    ];
    let minutes = |values: &[f64]| by_minute(values, SAMPLES_PER_MINUTE);
    let (baseline, canary) = (minutes(&levels.baseline), minutes(&levels.canary));
    let mut alarms: Alarms = vec![
        ("MW peek (Kayenta rule)", first_high(&baseline, &canary)),
        (
            "threshold > 1.2x usual, 5 fails",
            fifth(canary.iter().map(|level| *level > 1.2 * LEVEL)),
        ),
    ];
    alarms.extend(names.into_iter().zip(found));
    alarms.push(("JUDGE, as shipped (leak, 5 %), no history", judged(levels, None)));
    alarms.push((
        "JUDGE, as shipped (leak, 5 %), 6 h history",
        judged(levels, Some(&levels.past)),
    ));
    alarms
}

pub(crate) fn evidence(metric: &str, baseline: &[f64], canary: &[f64]) -> Evidence {
    let blocks = baseline.iter().zip(canary).enumerate().map(|(i, (baseline, canary))| {
        Block::Gauge(GaugeBlock {
            ends_at: Timestamp::from_second(BLOCK_S as i64 * (i as i64 + 1)).expect("a few hours after 1970"),
            baseline: *baseline,
            canary: *canary,
        })
    });
    Evidence {
        metric: metric.to_owned(),
        source: "simulation".to_owned(),
        query: String::new(),
        block_s: BLOCK_S,
        blocks: blocks.collect(),
        production: Vec::new(),
        problem: None,
    }
}

fn judged(levels: &Levels, past: Option<&(Vec<f64>, Vec<f64>)>) -> Option<f64> {
    let metric = MetricConfig::of(MetricKind::Leak, "memory", "");
    let metric = MetricConfig {
        past: past.and_then(|(b, c)| Past::learn(metric.kind, &evidence("memory", b, c))),
        ..metric
    };
    let config = JudgeConfig {
        metrics: vec![metric],
        planned_s: BLOCKS as f64 * BLOCK_S,
        ..JudgeConfig::default()
    };
    let mut judging = Judging::without_charts(&config);
    judging.advance(&evidence("memory", &levels.baseline, &levels.canary));
    harmful_minute(&judging.verdict())
}

#[derive(Debug, Clone, Copy)]
struct Truth {
    memory: f64,
    shift: f64,
    leak: f64,
    offset: f64,
    margin: f64,
}

fn simulate(chance: &mut Chance, truth: Truth) -> Levels {
    let series = |chance: &mut Chance, blocks: usize| chance.ar1(blocks, truth.memory, SPREAD);
    let (off_b, off_c) = (truth.offset * chance.normal(), truth.offset * chance.normal());
    let (b, c) = (series(chance, BLOCKS), series(chance, BLOCKS));
    let grown = |i: usize| truth.leak * LEVEL * (i + 1) as f64 / BLOCKS as f64;
    Levels {
        baseline: b.into_iter().map(|x| LEVEL + off_b + x).collect(),
        canary: c
            .into_iter()
            .enumerate()
            .map(|(i, x)| LEVEL * (1.0 + truth.shift) + off_c + grown(i) + x)
            .collect(),
        past: (series(chance, PAST_BLOCKS), series(chance, PAST_BLOCKS)),
    }
}

const LEVEL_KNOWN: &str = "SEQ gauge level, 6 h history";
const SLOPE_KNOWN: &str = "SEQ gauge slope, 6 h history";
const JUDGE: &str = "JUDGE, as shipped (leak, 5 %), 6 h history";

/// What bench.md states, by memory: the median minute by the level's test with a fifth or a look (a minute) more.
fn bounds(name: &str, memory: f64) -> Vec<(&'static str, Bound)> {
    let harmless = |rows: &[&'static str]| rows.iter().map(|row| (*row, Bound::Alarms(0.05))).collect::<Vec<_>>();
    let found = |minutes: [f64; 4]| {
        let place = [0.0, 0.5, 0.9, 0.97]
            .iter()
            .position(|known| *known == memory)
            .unwrap_or(0);
        vec![(
            LEVEL_KNOWN,
            Bound::Median((1.2 * minutes[place]).max(minutes[place] + 1.0)),
        )]
    };
    match name {
        "healthy" => harmless(&[LEVEL_KNOWN, SLOPE_KNOWN, JUDGE]),
        "healthy, offset 2 %, margin 5 %" => harmless(&[LEVEL_KNOWN, SLOPE_KNOWN, JUDGE]),
        "+5 %" => found([2.0, 3.0, 14.0, 50.0]),
        "+20 %, offset, margin 5 %" => found([2.0, 2.0, 10.0, 34.0]),
        "leak 10 %/h" if memory < 0.95 => found([14.0, 19.0, 36.0, f64::NAN]),
        "leak 30 %/h" => found([7.0, 10.0, 18.0, 35.0]),
        _ => Vec::new(),
    }
}

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    let tables = [
        ("Gauges, AR 0", 0.0),
        ("Gauges, AR 0.5", 0.5),
        ("Gauges, AR 0.9", 0.9),
        ("Gauges, AR 0.97", 0.97),
    ];
    for (table, memory) in tables {
        let none = Truth {
            memory,
            shift: 0.0,
            leak: 0.0,
            offset: 0.0,
            margin: 0.0,
        };
        let (offset, margin) = (OFFSET, 0.05);
        let kinds = [
            ("healthy", none),
            ("healthy, offset 2 %", Truth { offset, ..none }),
            ("healthy, offset 2 %, margin 5 %", Truth { offset, margin, ..none }),
            ("+5 %", Truth { shift: 0.05, ..none }),
            (
                "+20 %, offset, margin 5 %",
                Truth {
                    shift: 0.2,
                    offset,
                    margin,
                    ..none
                },
            ),
            ("leak 10 %/h", Truth { leak: 0.1, ..none }),
            ("leak 30 %/h", Truth { leak: 0.3, ..none }),
        ];
        for (name, truth) in kinds {
            cells.push(Cell {
                table,
                name,
                canary: Canary::by(name),
                run: Box::new(move |chance| alarms(&simulate(chance, truth), truth.margin)),
                bounds: bounds(name, memory),
            });
        }
    }
    cells
}
