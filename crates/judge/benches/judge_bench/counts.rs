//! Error counts: the cells of the first tables, at 5, 50 and 500 requests a second on each arm.

use arya_judge::sequential::counts::{Block, CountTest, EdgeTrack, Side};
use arya_judge::sequential::guard::{Guard, Known};
use arya_judge::sequential::restart::{Onset, Starts};
use arya_judge::{
    ArmCount, Beside, Block as Measured, CountBlock, Evidence, JudgeConfig, Judging, Machines, MetricConfig, Outcome,
    Past, Reason, Shown, Timestamp,
};

use crate::noise::Chance;
use crate::peeking::{by_minute, fifth, first_high};
use crate::table::{Alarms, Bound, Canary, Cell};

/// An hour of 15 s blocks, and what comes before it.
pub(crate) const BLOCKS: usize = 240;
pub(crate) const BLOCK_S: f64 = 15.0;
pub(crate) const PAST_BLOCKS: usize = 1440;
const BLOCKS_PER_MINUTE: usize = 4;
/// Evidence of 20 to 1.
pub(crate) const ALARM: f64 = 2.995_732_273_553_991;
/// Of 100 to 1.
const ALARM_AT_01: f64 = 4.605_170_185_988_091;

/// Failures and requests of both arms, block by block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Errors {
    pub(crate) baseline: Vec<f64>,
    pub(crate) canary: Vec<f64>,
    pub(crate) on_baseline: Vec<f64>,
    pub(crate) on_canary: Vec<f64>,
    /// Of production's two machines together, on the same noise; none where it is not simulated.
    pub(crate) production: Vec<f64>,
    pub(crate) on_production: Vec<f64>,
}

/// How error rates wander.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bursts {
    None,
    /// Traffic and error rate of both arms together.
    Shared,
    /// The error rate of each arm by itself.
    OneArm,
}

/// Harsh: a coefficient of variation of a half, with two minutes of memory.
const BURST: f64 = 0.5;
const BURST_MEMORY: f64 = 0.88;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) per_second: f64,
    pub(crate) baseline: f64,
    pub(crate) canary: f64,
    pub(crate) bursts: Bursts,
    /// The block from which on the canary is what it is.
    pub(crate) onset: usize,
}

pub(crate) fn simulate(chance: &mut Chance, truth: Truth, blocks: usize) -> Errors {
    let steady = vec![1.0; blocks];
    let (traffic, b, c) = match truth.bursts {
        Bursts::None => (steady.clone(), steady.clone(), steady),
        Bursts::Shared => {
            let traffic = chance.wander(blocks, BURST_MEMORY, BURST);
            let rate = chance.wander(blocks, BURST_MEMORY, BURST);
            (traffic, rate.clone(), rate)
        }
        Bursts::OneArm => {
            let (b, c) = (
                chance.wander(blocks, BURST_MEMORY, BURST),
                chance.wander(blocks, BURST_MEMORY, BURST),
            );
            (steady, b, c)
        }
    };
    let mut errors = Errors::default();
    for block in 0..blocks {
        let mean = truth.per_second * BLOCK_S * traffic[block];
        let share = if block < truth.onset {
            truth.baseline
        } else {
            truth.canary
        };
        let (on_baseline, on_canary) = (chance.poisson(mean), chance.poisson(mean));
        errors
            .baseline
            .push(chance.binomial(on_baseline, (truth.baseline * b[block]).min(1.0)));
        errors
            .canary
            .push(chance.binomial(on_canary, (share * c[block]).min(1.0)));
        errors.on_baseline.push(on_baseline);
        errors.on_canary.push(on_canary);
    }
    // From numbers of its own, so that the arms' are those of canaries without production.
    let chance = &mut chance.clone();
    let mut machine = || match truth.bursts {
        Bursts::None | Bursts::Shared => b.clone(),
        Bursts::OneArm => chance.wander(blocks, BURST_MEMORY, BURST),
    };
    let rates = [machine(), machine()];
    for block in 0..blocks {
        let mean = truth.per_second * BLOCK_S * traffic[block];
        let (mut failed, mut sent) = (0.0, 0.0);
        for rate in &rates {
            let requests = chance.poisson(mean);
            sent += requests;
            failed += chance.binomial(requests, (truth.baseline * rate[block]).min(1.0));
        }
        errors.production.push(failed);
        errors.on_production.push(sent);
    }
    errors
}

impl Errors {
    /// With two machines of production, which are the arms of another simulation.
    pub(crate) fn beside(self, production: &Self) -> Self {
        let both = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        Self {
            production: both(&production.baseline, &production.canary),
            on_production: both(&production.on_baseline, &production.on_canary),
            ..self
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        (0..self.baseline.len()).map(|i| {
            let made = Block::new(self.baseline[i], self.canary[i], self.on_baseline[i], self.on_canary[i]);
            // A block without requests of both arms says nothing, and stays in its place.
            made.unwrap_or(Block {
                baseline: 0.0,
                canary: 0.0,
                odds: 1.0,
            })
        })
    }

    /// The dispersion that a history of two old instances shows.
    pub(crate) fn dispersion(&self) -> f64 {
        let blocks: Vec<Block> = self.blocks().collect();
        let guard = Guard::new(Known::Poisson, BLOCK_S);
        let mut test = CountTest::new(guard);
        blocks.iter().for_each(|block| test.push(*block));
        guard.learn(&blocks, test.totals().log_ratio()).0
    }

    /// Shares of failed requests of both arms, one a minute.
    pub(crate) fn shares_by_minute(&self) -> (Vec<f64>, Vec<f64>) {
        let share = |events: &[f64], exposure: &[f64]| -> Vec<f64> {
            let (events, exposure) = (
                by_minute(events, BLOCKS_PER_MINUTE),
                by_minute(exposure, BLOCKS_PER_MINUTE),
            );
            events
                .iter()
                .zip(exposure)
                .map(|(events, exposure)| events / exposure)
                .collect()
        };
        (
            share(&self.baseline, &self.on_baseline),
            share(&self.canary, &self.on_canary),
        )
    }

    /// The same as evidence of a metric of this name.
    pub(crate) fn evidence(&self, metric: &str) -> Evidence {
        let block = |i: usize| {
            Measured::Counts(CountBlock {
                ends_at: Timestamp::from_second(BLOCK_S as i64 * (i as i64 + 1)).expect("a few hours after 1970"),
                baseline_events: self.baseline[i],
                canary_events: self.canary[i],
                baseline_exposure: self.on_baseline[i],
                canary_exposure: self.on_canary[i],
            })
        };
        Evidence {
            metric: metric.to_owned(),
            source: "simulation".to_owned(),
            query: String::new(),
            block_s: BLOCK_S,
            blocks: (0..self.baseline.len()).map(block).collect(),
            production: Vec::new(),
            problem: None,
        }
    }
}

/// Evidence with what production showed.
fn with_production(errors: &Errors) -> Evidence {
    let evidence = errors.evidence("errors");
    let shown = errors.production.iter().zip(&errors.on_production);
    let beside = evidence
        .blocks
        .iter()
        .zip(shown)
        .map(|(block, (events, exposure))| Beside {
            ends_at: block.ends_at(),
            shown: Shown::Counts(ArmCount {
                events: *events,
                exposure: *exposure,
            }),
            machines: Machines {
                production: 2,
                each_arm: 1,
            },
        });
    Evidence {
        production: beside.collect(),
        ..evidence
    }
}

/// The minute of the first block at which a series is over a threshold.
pub(crate) fn first_over(series: &[f64], threshold: f64) -> Option<f64> {
    let block = series.iter().position(|log_e| *log_e >= threshold)?;
    Some((block + 1) as f64 / BLOCKS_PER_MINUTE as f64)
}

/// The tests of the tables on one canary, each looked at after every block.
pub(crate) fn alarms(errors: &Errors, past: &Errors) -> Alarms {
    let known = past.dispersion();
    let guards = [Known::Poisson, Known::Nothing, Known::Dispersion(known)];
    let mut tests = guards.map(|known| CountTest::new(Guard::new(known, BLOCK_S)));
    let mut worse = EdgeTrack::new(1.0, Side::Above);
    let mut strict = EdgeTrack::new(1.1, Side::Above);
    let mut pass = EdgeTrack::new(1.5, Side::Below);
    let mut onset = Onset::new(Starts::blocks(20, BLOCKS), 1.0, Side::Above);
    let mut series: [Vec<f64>; 6] = Default::default();
    for block in errors.blocks() {
        onset.push(&block, tests[2].totals(), tests[2].pooled());
        for track in [&mut worse, &mut strict, &mut pass] {
            track.push(&block);
        }
        tests.iter_mut().for_each(|test| test.push(block));
        let phis: Vec<f64> = tests.iter().map(CountTest::dispersion).collect();
        let now = [
            worse.log_e(phis[0]),
            worse.log_e(phis[1]),
            worse.log_e(phis[2]),
            onset.evidence(phis[2]).log_e,
            strict.log_e(phis[2]),
            pass.log_e(phis[2]),
        ];
        series
            .iter_mut()
            .zip(now)
            .for_each(|(series, log_e)| series.push(log_e));
    }
    let names = [
        "SEQ count, pure Poisson (no guard)",
        "SEQ count, no history",
        "SEQ count, 6 h history",
        "SEQ count, 6 h history, restart mixture",
        "SEQ count, 6 h history, margin 1.1x",
        "PASS: ratio < 1.5 shown, 6 h history",
    ];
    let (baseline, canary) = errors.shares_by_minute();
    let mut alarms: Alarms = vec![
        ("MW peek (Kayenta rule)", first_high(&baseline, &canary)),
        (
            "threshold >1%, 5 fails",
            fifth(canary.iter().map(|share| *share > 0.01)),
        ),
        (
            "threshold >2%, 5 fails",
            fifth(canary.iter().map(|share| *share > 0.02)),
        ),
        (
            "threshold >1.5x baseline, 5 fails",
            fifth(baseline.iter().zip(&canary).map(|(b, c)| *c > 1.5 * b && *c > 0.0)),
        ),
    ];
    alarms.extend(
        names
            .into_iter()
            .zip(&series)
            .map(|(name, series)| (name, first_over(series, ALARM))),
    );
    alarms.push(("SEQ count, no history, alpha .01", first_over(&series[1], ALARM_AT_01)));
    alarms.push(("SEQ count, 6 h history, alpha .01", first_over(&series[2], ALARM_AT_01)));
    alarms.extend(as_shipped(errors, past));
    alarms
}

/// The whole judge, without a history, with production beside the arms, and with hours of two old instances.
fn as_shipped(errors: &Errors, past: &Errors) -> Alarms {
    let alone = errors.evidence("errors");
    vec![
        ("JUDGE, as shipped, no history", judged(&alone, None)),
        (
            "JUDGE, as shipped, production beside",
            judged(&with_production(errors), None),
        ),
        ("JUDGE, as shipped, 6 h history", judged(&alone, Some(past))),
    ]
}

/// The minute at which the whole judge, with its gates and its late onsets, says *harmful*.
fn judged(evidence: &Evidence, past: Option<&Errors>) -> Option<f64> {
    let metric = MetricConfig::error_share("errors", "");
    let metric = MetricConfig {
        past: past.and_then(|past| Past::learn(metric.kind, &past.evidence("errors"))),
        ..metric
    };
    let config = JudgeConfig {
        metrics: vec![metric],
        planned_s: BLOCKS as f64 * BLOCK_S,
        ..JudgeConfig::default()
    };
    let mut judging = Judging::without_charts(&config);
    judging.advance(evidence);
    let verdict = judging.verdict();
    harmful_minute(&verdict)
}

/// When a verdict was first harmful, in minutes after the beginning.
pub(crate) fn harmful_minute(verdict: &arya_judge::Verdict) -> Option<f64> {
    let shown = verdict.metrics.iter().filter_map(|metric| match metric.reason {
        Reason::RegressionShown { shown_at, .. } => Some(shown_at),
        _ => None,
    });
    let together = verdict.together.as_ref().map(|together| together.at);
    let first = shown.chain(together).min();
    debug_assert_eq!(first.is_some(), verdict.outcome == Outcome::Harmful);
    first.map(|at| at.as_second() as f64 / 60.0)
}

/// Of the plain test a fifth later than the stated minute or one reading; of the judge, whose cautions cost time, half again.
pub(crate) fn found([plain, judge]: [&'static str; 2], minute: f64) -> Vec<(&'static str, Bound)> {
    vec![
        (plain, Bound::Median((1.2 * minute).max(minute + 0.25))),
        (judge, Bound::Median((1.5 * minute).max(minute + 0.25))),
    ]
}

/// What bench.md states of a cell: the share of harmless canaries, or the median minute with a fifth or a scrape more.
fn bounds(cell: &str, per_second: f64) -> Vec<(&'static str, Bound)> {
    const HISTORY: &str = "SEQ count, 6 h history";
    const JUDGE: &str = "JUDGE, as shipped, 6 h history";
    let found = |minute| found([HISTORY, JUDGE], minute);
    match (cell, per_second as u32) {
        ("0.5 % -> 1 %", 5) => found(17.25),
        ("0.5 % -> 1 %", 50) => found(2.0),
        ("0.5 % -> 1 %" | "1 % -> 2 %", 500) => found(0.25),
        ("1 % -> 2 %", 5) => found(8.25),
        ("1 % -> 2 %", _) => found(1.0),
        ("0.5 % -> 1 % from minute 20", 5) => found(51.0),
        ("0.5 % -> 1 % from minute 20", 50) => found(28.0),
        ("0.5 % -> 1 % from minute 20", _) => found(26.0),
        _ => vec![(HISTORY, Bound::Alarms(0.05)), (JUDGE, Bound::Alarms(0.05))],
    }
}

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (table, per_second) in [("Errors, 5/s", 5.0), ("Errors, 50/s", 50.0), ("Errors, 500/s", 500.0)] {
        let mut add = |name: &'static str, baseline: f64, canary: f64, bursts: Bursts, onset: usize| {
            let truth = Truth {
                per_second,
                baseline,
                canary,
                bursts,
                onset,
            };
            let run = move |chance: &mut Chance| {
                let harmless = Truth {
                    canary: truth.baseline,
                    ..truth
                };
                let errors = simulate(chance, truth, BLOCKS);
                alarms(&errors, &simulate(chance, harmless, PAST_BLOCKS))
            };
            cells.push(Cell {
                table,
                name,
                canary: Canary::by(name),
                run: Box::new(run),
                bounds: bounds(name, per_second),
            });
        };
        add("healthy 0.5 %", 0.005, 0.005, Bursts::None, 0);
        add("healthy 1 %", 0.01, 0.01, Bursts::None, 0);
        add("healthy, shared bursts", 0.005, 0.005, Bursts::Shared, 0);
        add("healthy, one-arm bursts", 0.005, 0.005, Bursts::OneArm, 0);
        add("0.5 % -> 1 %", 0.005, 0.01, Bursts::None, 0);
        add("1 % -> 2 %", 0.01, 0.02, Bursts::None, 0);
        add("0.5 % -> 1 % from minute 20", 0.005, 0.01, Bursts::None, 80);
    }
    cells
}
