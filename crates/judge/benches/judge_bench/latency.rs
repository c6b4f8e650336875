//! Response times: log-normal with a median of 80 ms, by the buckets that libraries make, each arm as the table says.

use arya_judge::sequential::histogram::{Direction, HistogramTest, Scatter};
use arya_judge::sequential::quantile;
use arya_judge::sequential::tilts::Edges;
use arya_judge::{
    Beside, Block, Buckets, Evidence, HistogramBlock, JudgeConfig, Judging, Machines, MetricConfig, Past, Shown,
    Timestamp,
};

use crate::counts::{ALARM, BLOCK_S, BLOCKS, first_over, found, harmful_minute};
use crate::noise::{Chance, normal_below};
use crate::peeking::{fifth, first_high};
use crate::table::{Alarms, Bound, Canary, Cell};

/// Upper edges in seconds that client libraries make without being told.
pub(crate) const CLASSIC: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Two hours of two old instances.
pub(crate) const PAST_BLOCKS: usize = 480;
const MEDIAN_S: f64 = 0.08;
const SIGMA: f64 = 0.6;
/// Standard normal quantiles at 80 % and 95 %.
const Z80: f64 = 0.841_621_233_572_914_2;
const Z95: f64 = 1.644_853_626_951_472_2;

/// What is different about a canary's requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slower {
    Not,
    /// Every request so many times slower.
    All(f64),
    /// Only the slowest fifth, so that the 95th percentile rises by this factor.
    Tail(f64),
}

/// Edges that grow by an eighth of an octave, as native histograms have them.
pub(crate) fn native() -> Vec<f64> {
    (0..89).map(|i| 0.005 * 2f64.powf(f64::from(i) / 8.0)).collect()
}

/// The share of requests in each bucket when the logarithm of every time is shifted.
pub(crate) fn shares(edges: &[f64], slower: Slower, log_shift: f64) -> Vec<f64> {
    let (middle, at80) = (MEDIAN_S.ln(), MEDIAN_S.ln() + SIGMA * Z80);
    let below = |edge: &f64| {
        let log = edge.ln() - log_shift;
        let log = match slower {
            Slower::Not => log,
            Slower::All(factor) => log - factor.ln(),
            Slower::Tail(factor) => {
                let stretch = 1.0 + factor.ln() / (SIGMA * (Z95 - Z80));
                if log > at80 { at80 + (log - at80) / stretch } else { log }
            }
        };
        normal_below((log - middle) / SIGMA)
    };
    let mut last = 0.0;
    let mut shares: Vec<f64> = edges
        .iter()
        .map(|edge| {
            let up_to = below(edge);
            let share = (up_to - last).max(0.0);
            last = up_to;
            share
        })
        .collect();
    shares.push((1.0 - last).max(0.0));
    shares
}

/// Requests by bucket of both arms, block by block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    baseline: Vec<Vec<f64>>,
    canary: Vec<Vec<f64>>,
    /// Of production's two machines together, on the same noise; none where it is not simulated.
    production: Vec<Vec<f64>>,
}

impl Times {
    /// Simulates blocks whose logarithms are shifted on each arm.
    pub(crate) fn simulate(
        chance: &mut Chance,
        edges: &[f64],
        per_second: f64,
        shifts: [&[f64]; 2],
        slower: Slower,
    ) -> Self {
        let mut times = Self::default();
        let steady = [shares(edges, Slower::Not, 0.0), shares(edges, slower, 0.0)];
        for (b, c) in shifts[0].iter().zip(shifts[1]) {
            let mut arm = |shift: f64, slower: Slower, steady: &[f64]| {
                let count = chance.poisson(per_second * BLOCK_S);
                if shift == 0.0 {
                    chance.multinomial(count, steady)
                } else {
                    chance.multinomial(count, &shares(edges, slower, shift))
                }
            };
            times.baseline.push(arm(*b, Slower::Not, &steady[0]));
            times.canary.push(arm(*c, slower, &steady[1]));
        }
        times
    }

    /// With two machines of production, which are the arms of another simulation.
    pub(crate) fn beside(self, production: &Self) -> Self {
        let both = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
        Self {
            production: production.baseline.iter().zip(&production.canary).map(both).collect(),
            ..self
        }
    }

    fn test(&self, edges: &[f64], scatter: Scatter) -> HistogramTest {
        let edges = Edges::new(edges).expect("the benches' edges rise");
        HistogramTest::new(edges, Direction::Up, scatter)
    }

    /// The 95th percentiles of both arms, one a minute.
    pub(crate) fn p95_by_minute(&self, edges: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let p95 = |blocks: &[Vec<f64>]| -> Vec<f64> {
            let minute = |minute: &[Vec<f64>]| {
                let sums: Vec<f64> = (0..=edges.len())
                    .map(|j| minute.iter().map(|block| block[j]).sum())
                    .collect();
                quantile::estimate(&sums, edges, 0.95).unwrap_or(f64::NAN)
            };
            blocks.chunks_exact(4).map(minute).collect()
        };
        (p95(&self.baseline), p95(&self.canary))
    }

    /// The same as evidence of a metric of this name.
    pub(crate) fn evidence(&self, metric: &str, edges: &[f64]) -> Evidence {
        let buckets = |counts: &[f64]| Buckets {
            upper_edges: edges.to_vec(),
            counts: counts.to_vec(),
        };
        let blocks = self.baseline.iter().zip(&self.canary).enumerate().map(|(i, (b, c))| {
            Block::Histogram(HistogramBlock {
                ends_at: Timestamp::from_second(BLOCK_S as i64 * (i as i64 + 1)).expect("a few hours after 1970"),
                baseline: buckets(b),
                canary: buckets(c),
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
}

/// The tests of the tables on one canary, each looked at after every block.
pub(crate) fn alarms(edges: &[f64], times: &Times, past: &Times) -> Alarms {
    let mut history = past.test(edges, Scatter::Independent);
    past.baseline
        .iter()
        .zip(&past.canary)
        .for_each(|(b, c)| history.push(b, c));
    let known = Scatter::Known(history.own_dispersion());
    let mut test = times.test(edges, Scatter::Independent);
    let mut series: [Vec<f64>; 5] = Default::default();
    for (b, c) in times.baseline.iter().zip(&times.canary) {
        test.push(b, c);
        let (assumed, learnt) = (test.dispersion_given(Scatter::assumed()), test.dispersion_given(known));
        let (none, free, with) = (test.log_e(assumed), test.log_e(1.0), test.log_e(learnt));
        let open = is_up(edges, test.counts());
        let gated = |log_e: f64| if open { log_e } else { 0.0 };
        let now = [free, none, gated(none), with, gated(with)];
        series
            .iter_mut()
            .zip(now)
            .for_each(|(series, log_e)| series.push(log_e));
    }
    let names = [
        "SEQ hist, iid assumed (no guard)",
        "SEQ hist, no history",
        "SEQ hist, no history, 5% effect gate",
        "SEQ hist, 2 h history",
        "SEQ hist, 2 h history, 5% effect gate",
    ];
    let (baseline, canary) = times.p95_by_minute(edges);
    let usual = quantile::estimate(&shares(edges, Slower::Not, 0.0), edges, 0.95).unwrap_or(f64::NAN);
    let mut alarms: Alarms = vec![
        ("MW peek p95 (Kayenta rule)", first_high(&baseline, &canary)),
        (
            "threshold p95 > 1.2x usual, 5 fails",
            fifth(canary.iter().map(|p95| *p95 > 1.2 * usual)),
        ),
    ];
    alarms.extend(
        names
            .into_iter()
            .zip(&series)
            .map(|(name, series)| (name, first_over(series, ALARM))),
    );
    let evidence = times.evidence("response time", edges);
    alarms.push(("JUDGE, as shipped, no history", judged(&evidence, None, edges)));
    alarms.push((
        "JUDGE, as shipped, production beside",
        judged(&with_production(times, edges), None, edges),
    ));
    alarms.push(("JUDGE, as shipped, 2 h history", judged(&evidence, Some(past), edges)));
    alarms
}

/// The effect gate as the tables have it.
fn is_up(edges: &[f64], (baseline, canary): (&[f64], &[f64])) -> bool {
    let total: f64 = baseline.iter().sum();
    let up = |q: f64| {
        let both = quantile::estimate(baseline, edges, q).zip(quantile::estimate(canary, edges, q));
        both.is_some_and(|(b, c)| c >= 1.05 * b)
    };
    [0.5, 0.95, 0.99]
        .into_iter()
        .filter(|q| *q == 0.5 || total * (1.0 - q) >= 10.0)
        .any(up)
}

/// Evidence with what production showed.
fn with_production(times: &Times, edges: &[f64]) -> Evidence {
    let evidence = times.evidence("response time", edges);
    let beside = evidence
        .blocks
        .iter()
        .zip(&times.production)
        .map(|(block, counts)| Beside {
            ends_at: block.ends_at(),
            shown: Shown::Histogram(Buckets {
                upper_edges: edges.to_vec(),
                counts: counts.clone(),
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

fn judged(evidence: &Evidence, past: Option<&Times>, edges: &[f64]) -> Option<f64> {
    let metric = MetricConfig::latency("response time", "");
    let metric = MetricConfig {
        past: past.and_then(|past| Past::learn(metric.kind, &past.evidence("response time", edges))),
        ..metric
    };
    let config = JudgeConfig {
        metrics: vec![metric],
        planned_s: BLOCKS as f64 * BLOCK_S,
        ..JudgeConfig::default()
    };
    let mut judging = Judging::without_charts(&config);
    judging.advance(evidence);
    harmful_minute(&judging.verdict())
}

/// A wobble of 3 % of each instance's speed, with a memory of two minutes.
const WOBBLE: f64 = 0.03;
const WOBBLE_MEMORY: f64 = 0.88;

fn bounds(name: &str, per_second: f64) -> Vec<(&'static str, Bound)> {
    const HISTORY: &str = "SEQ hist, 2 h history";
    const JUDGE: &str = "JUDGE, as shipped, 2 h history";
    let found = |minute| found([HISTORY, JUDGE], minute);
    match (name, per_second as u32) {
        ("p95 +10 %", 5) => found(7.0),
        ("p95 +10 %", 50) => found(1.0),
        ("p95 +10 %", _) => found(0.5),
        ("p95 +25 %", 5) => found(1.5),
        ("p95 +25 %", _) => found(0.5),
        ("p95 +25 %, tail only", 5) => found(4.5),
        ("p95 +25 %, tail only", 50) => found(0.75),
        ("p95 +25 %, tail only", _) => found(0.5),
        _ => vec![(HISTORY, Bound::Alarms(0.05)), (JUDGE, Bound::Alarms(0.05))],
    }
}

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    let tables = [
        ("Latency, classic, 5/s", 5.0, CLASSIC.to_vec()),
        ("Latency, classic, 50/s", 50.0, CLASSIC.to_vec()),
        ("Latency, classic, 500/s", 500.0, CLASSIC.to_vec()),
        ("Latency, native, 5/s", 5.0, native()),
        ("Latency, native, 50/s", 50.0, native()),
        ("Latency, native, 500/s", 500.0, native()),
    ];
    let kinds = [
        ("healthy", Slower::Not, 0.0),
        ("healthy, 3 % wobble", Slower::Not, WOBBLE),
        ("p95 +10 %", Slower::All(1.1), 0.0),
        ("p95 +25 %", Slower::All(1.25), 0.0),
        ("p95 +25 %, tail only", Slower::Tail(1.25), 0.0),
    ];
    for (table, per_second, edges) in tables {
        for (name, slower, wobble) in kinds {
            let edges = edges.clone();
            let run = move |chance: &mut Chance| {
                let shift = |chance: &mut Chance, blocks: usize| {
                    if wobble > 0.0 {
                        chance.ar1(blocks, WOBBLE_MEMORY, wobble)
                    } else {
                        vec![0.0; blocks]
                    }
                };
                let (b, c) = (shift(chance, BLOCKS), shift(chance, BLOCKS));
                let times = Times::simulate(chance, &edges, per_second, [&b, &c], slower);
                let (b, c) = (shift(chance, PAST_BLOCKS), shift(chance, PAST_BLOCKS));
                let past = Times::simulate(chance, &edges, per_second, [&b, &c], Slower::Not);
                let (b, c) = (shift(chance, BLOCKS), shift(chance, BLOCKS));
                let production = Times::simulate(chance, &edges, per_second, [&b, &c], Slower::Not);
                alarms(&edges, &times.beside(&production), &past)
            };
            cells.push(Cell {
                table,
                name,
                canary: Canary::by(name),
                run: Box::new(run),
                bounds: bounds(name, per_second),
            });
        }
    }
    cells
}
