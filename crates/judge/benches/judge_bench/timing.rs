//! What a tick, a replay and a chart cost: 20 metrics of all kinds over 4 hours of 15 s blocks.

use std::time::{Duration, Instant};

use arya_judge::{
    ArmCount, Beside, Block, Buckets, CountBlock, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, Machines,
    MetricConfig, MetricKind, Shown, Timestamp, history, judge,
};

use crate::latency::{CLASSIC, Slower, native, shares};
use crate::noise::Chance;

const BLOCKS: usize = 960;
/// Ticks that are timed, after the first that fill the state.
const TICKS: usize = 40;
/// How often everything is done.
const TRIES: usize = 5;
/// What a tick, a full re-run and one metric's chart may take.
const TICK_AT_MOST: Duration = Duration::from_millis(3);
const REPLAY_AT_MOST: Duration = Duration::from_secs(2);
const CHART_AT_MOST: Duration = Duration::from_millis(50);

fn metrics() -> Vec<(MetricConfig, Vec<Block>)> {
    let mut chance = Chance::new(7, 7);
    let kinds = [
        (MetricKind::ErrorShare, 6),
        (MetricKind::EventRate, 2),
        (MetricKind::Histogram, 4),
        (MetricKind::Gauge, 5),
        (MetricKind::Leak, 3),
    ];
    let mut metrics = Vec::new();
    for (kind, count) in kinds {
        for n in 0..count {
            let metric = MetricConfig {
                critical: n == 0,
                ..MetricConfig::of(kind, format!("{kind:?} {n}"), "")
            };
            let edges = if n % 2 == 0 { CLASSIC.to_vec() } else { native() };
            let blocks = (0..BLOCKS).map(|block| self::block(&mut chance, kind, &edges, block));
            metrics.push((metric, blocks.collect()));
        }
    }
    metrics
}

fn block(chance: &mut Chance, kind: MetricKind, edges: &[f64], index: usize) -> Block {
    let ends_at = Timestamp::from_second(15 * (index as i64 + 1)).expect("a few hours after 1970");
    match kind {
        MetricKind::ErrorShare | MetricKind::EventRate => Block::Counts(CountBlock {
            ends_at,
            baseline_events: chance.poisson(4.0),
            canary_events: chance.poisson(4.0),
            baseline_exposure: 700.0 + chance.poisson(50.0),
            canary_exposure: 700.0 + chance.poisson(50.0),
        }),
        MetricKind::Histogram => {
            let mut arm = || Buckets {
                upper_edges: edges.to_vec(),
                counts: chance.multinomial(750.0, &shares(edges, Slower::Not, 0.0)),
            };
            Block::Histogram(HistogramBlock {
                ends_at,
                baseline: arm(),
                canary: arm(),
            })
        }
        MetricKind::Gauge | MetricKind::Leak => Block::Gauge(GaugeBlock {
            ends_at,
            baseline: 500.0 + 10.0 * chance.normal(),
            canary: 500.0 + 10.0 * chance.normal(),
        }),
    }
}

/// Whether production is seen beside the arms.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Production {
    Unseen,
    Beside,
}

fn answer(metric: &MetricConfig, blocks: &[Block], production: Production) -> Evidence {
    let production = match production {
        // It has shares of failures and distributions; what is a machine's own is asked of the arms only.
        Production::Beside if metric.kind != MetricKind::EventRate => blocks.iter().filter_map(beside).collect(),
        Production::Beside | Production::Unseen => Vec::new(),
    };
    Evidence {
        metric: metric.name.clone(),
        source: String::new(),
        query: String::new(),
        block_s: 15.0,
        blocks: blocks.to_vec(),
        production,
        problem: None,
    }
}

/// Production's two machines: as much again as the canary, each. Timing asks no more of them.
fn beside(block: &Block) -> Option<Beside> {
    let shown = match block {
        Block::Counts(counts) => Shown::Counts(ArmCount {
            events: 2.0 * counts.canary_events,
            exposure: 2.0 * counts.canary_exposure,
        }),
        Block::Histogram(arms) => Shown::Histogram(Buckets {
            upper_edges: arms.canary.upper_edges.clone(),
            counts: arms.canary.counts.iter().map(|count| 2.0 * count).collect(),
        }),
        Block::Gauge(_) => return None,
    };
    let machines = Machines {
        production: 2,
        each_arm: 1,
    };
    Some(Beside {
        ends_at: block.ends_at(),
        shown,
        machines,
    })
}

/// Prints what it measured; a line for everything that takes too long.
///
/// Everything is done several times from the same state and the fastest counts: that is how long the work takes, the rest
/// is how long it waited for whatever else the machine did.
pub(crate) fn report() -> Vec<String> {
    let metrics = metrics();
    println!("\n**timing: ticks**");
    let mut broken = Vec::new();
    for (what, production) in [
        ("without production", Production::Unseen),
        ("with production beside all that it has too", Production::Beside),
    ] {
        println!("\n{what}:");
        for of_kind in metrics.chunk_by(|(a, _), (b, _)| a.kind == b.kind) {
            let (took, count) = (Ticks::of(of_kind, production), of_kind.len() as u32);
            let (advance, verdict) = (middle(took.advances) / count, middle(took.verdicts) / count);
            println!(
                "{:?}: {advance:?} to advance, {verdict:?} for the verdict",
                of_kind[0].0.kind
            );
        }
        let took = Ticks::of(&metrics, production);
        let ticks: Vec<Duration> = took.advances.iter().zip(&took.verdicts).map(|(a, b)| *a + *b).collect();
        let slowest = ticks.iter().max().copied().unwrap_or_default();
        let (median, (replay, anew)) = (middle(ticks), replay(&metrics, production));
        println!(
            "tick of 20 metrics: median {median:?}, slowest {slowest:?} · full re-run of 4 h {replay:?} · slowest chart {:?}, found \
             anew from what is kept {anew:?}",
            took.chart
        );
        for (of, took, limit) in [
            ("the median tick", median, TICK_AT_MOST),
            ("the slowest tick", slowest, TICK_AT_MOST),
            ("the re-run", replay, REPLAY_AT_MOST),
            ("a chart", took.chart, CHART_AT_MOST),
            ("a chart found anew", anew, CHART_AT_MOST),
        ] {
            if took > limit {
                broken.push(format!("{of} {what} took {took:?}, at most {limit:?} allowed"));
            }
        }
    }
    broken
}

/// The least that each of the last ticks took, in its two parts, and the slowest chart after them.
struct Ticks {
    advances: Vec<Duration>,
    verdicts: Vec<Duration>,
    chart: Duration,
}

impl Ticks {
    fn of(metrics: &[(MetricConfig, Vec<Block>)], production: Production) -> Self {
        let mut least = Self {
            advances: vec![Duration::MAX; TICKS],
            verdicts: vec![Duration::MAX; TICKS],
            chart: Duration::MAX,
        };
        for _ in 0..TRIES {
            let mut judging = Judging::new(&config(metrics));
            for (metric, blocks) in metrics {
                judging.advance(&answer(metric, &blocks[..BLOCKS - TICKS], production));
            }
            for tick in 0..TICKS {
                let block = BLOCKS - TICKS + tick;
                let fresh: Vec<Evidence> = metrics
                    .iter()
                    .map(|(metric, blocks)| answer(metric, &blocks[block..=block], production))
                    .collect();
                let (advance, ()) = timed(|| fresh.iter().for_each(|evidence| judging.advance(evidence)));
                let (verdict, said) = timed(|| judging.verdict());
                assert_eq!(said.metrics.len(), metrics.len());
                least.advances[tick] = least.advances[tick].min(advance);
                least.verdicts[tick] = least.verdicts[tick].min(verdict);
            }
            let charts = metrics.iter().map(|(metric, _)| {
                let (took, points) = timed(|| judging.track(&metric.name).len());
                assert!(points > 0, "{} has no chart", metric.name);
                took
            });
            least.chart = least.chart.min(charts.max().unwrap_or_default());
        }
        least
    }
}

/// The least that judging everything anew took, and the slowest metric's chart from its blocks: what somebody waits for
/// who looks closer at a canary that is over.
fn replay(metrics: &[(MetricConfig, Vec<Block>)], production: Production) -> (Duration, Duration) {
    let config = config(metrics);
    let whole = metrics.iter().map(|(m, blocks)| answer(m, blocks, production));
    let whole: Vec<Evidence> = whole.collect();
    let once = |_| worked(|| judge(&config, &whole));
    let replay = (0..TRIES).map(once).min().unwrap_or_default();
    let chart = |evidence| (0..TRIES).map(|_| worked(|| history(&config, evidence))).min();
    (replay, whole.iter().filter_map(chart).max().unwrap_or_default())
}

fn config(metrics: &[(MetricConfig, Vec<Block>)]) -> JudgeConfig {
    JudgeConfig {
        metrics: metrics.iter().map(|(metric, _)| metric.clone()).collect(),
        ..JudgeConfig::default()
    }
}

fn timed<R>(work: impl FnOnce() -> R) -> (Duration, R) {
    let began = Instant::now();
    let done = work();
    (began.elapsed(), done)
}

/// How long something worked that takes many turns of the scheduler: time on a core where the system tells it (to a few
/// milliseconds), for on a busy machine no try of it is without waiting.
fn worked<R>(work: impl FnOnce() -> R) -> Duration {
    let before = on_a_core();
    let (took, done) = timed(work);
    let after = on_a_core();
    drop(done);
    before.zip(after).map_or(took, |(before, after)| after - before)
}

/// This thread's time on a core so far.
fn on_a_core() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn middle(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() / 2]
}
