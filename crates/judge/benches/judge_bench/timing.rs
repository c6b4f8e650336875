//! What a tick, a replay and a chart cost: 20 metrics of all kinds over 4 hours of 15 s blocks.

use std::time::{Duration, Instant};

use arya_judge::{
    ArmCount, Beside, Block, Buckets, CountBlock, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, Machines,
    MetricConfig, MetricKind, Shown, Timestamp,
};

use crate::latency::{CLASSIC, Slower, native, shares};
use crate::noise::Chance;

const BLOCKS: usize = 960;
/// Ticks that are timed, after the first that fill the state.
const TICKS: usize = 40;
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

fn answer(metric: &MetricConfig, blocks: &[Block]) -> Evidence {
    Evidence {
        metric: metric.name.clone(),
        source: String::new(),
        query: String::new(),
        block_s: 15.0,
        blocks: blocks.to_vec(),
        // What users feel is counted of production too: one share of failures and one distribution.
        production: blocks.iter().filter(|_| metric.critical).filter_map(beside).collect(),
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
pub(crate) fn report() -> Vec<String> {
    let metrics = metrics();
    let config = JudgeConfig {
        metrics: metrics.iter().map(|(metric, _)| metric.clone()).collect(),
        ..JudgeConfig::default()
    };
    let began = Instant::now();
    let mut whole = Judging::without_charts(&config);
    metrics
        .iter()
        .for_each(|(metric, blocks)| whole.advance(&answer(metric, blocks)));
    let _ = whole.verdict();
    let replay = began.elapsed();
    let mut judging = Judging::new(&config);
    let before = BLOCKS - TICKS;
    metrics
        .iter()
        .for_each(|(metric, blocks)| judging.advance(&answer(metric, &blocks[..before])));
    let mut ticks = Vec::new();
    for block in before..BLOCKS {
        let fresh: Vec<Evidence> = metrics
            .iter()
            .map(|(m, blocks)| answer(m, &blocks[block..=block]))
            .collect();
        let began = Instant::now();
        fresh.iter().for_each(|evidence| judging.advance(evidence));
        let verdict = judging.verdict();
        ticks.push(began.elapsed());
        assert_eq!(verdict.metrics.len(), metrics.len());
    }
    let charts = metrics.iter().map(|(metric, _)| {
        let began = Instant::now();
        let points = judging.track(&metric.name).len();
        assert!(points > 0, "{} has no chart", metric.name);
        began.elapsed()
    });
    let slowest_chart = charts.max().unwrap_or_default();
    by_kind(&metrics);
    ticks.sort();
    let (fastest, median, slowest) = (ticks[0], ticks[ticks.len() / 2], ticks[ticks.len() - 1]);
    println!(
        "\n**timing: ticks**\n\ntick of 20 metrics: fastest {fastest:?}, median {median:?}, slowest {slowest:?} · full re-run of 4 h {replay:?} · slowest chart \
         {slowest_chart:?}"
    );
    let mut broken = Vec::new();
    for (what, took, limit) in [
        ("the median tick", median, TICK_AT_MOST),
        ("the re-run", replay, REPLAY_AT_MOST),
        ("a chart", slowest_chart, CHART_AT_MOST),
    ] {
        if took > limit {
            broken.push(format!("{what} took {took:?}, at most {limit:?} allowed"));
        }
    }
    broken
}

/// Prints what one metric of each kind takes of a tick, at least.
fn by_kind(metrics: &[(MetricConfig, Vec<Block>)]) {
    for of_kind in metrics.chunk_by(|(a, _), (b, _)| a.kind == b.kind) {
        let config = JudgeConfig {
            metrics: of_kind.iter().map(|(metric, _)| metric.clone()).collect(),
            ..JudgeConfig::default()
        };
        let mut judging = Judging::new(&config);
        of_kind
            .iter()
            .for_each(|(metric, blocks)| judging.advance(&answer(metric, &blocks[..BLOCKS - TICKS])));
        let mut tick = |block: usize| {
            let fresh: Vec<Evidence> = of_kind
                .iter()
                .map(|(m, blocks)| answer(m, &blocks[block..=block]))
                .collect();
            let began = Instant::now();
            fresh.iter().for_each(|evidence| judging.advance(evidence));
            let advanced = began.elapsed();
            assert_eq!(judging.verdict().metrics.len(), of_kind.len());
            (advanced, began.elapsed() - advanced)
        };
        let took: Vec<_> = (BLOCKS - TICKS..BLOCKS).map(&mut tick).collect();
        let per_metric = |least: Option<Duration>| least.unwrap_or_default() / of_kind.len() as u32;
        println!(
            "{:?}: {:?} to advance, {:?} for the verdict",
            of_kind[0].0.kind,
            per_metric(took.iter().map(|(advance, _)| *advance).min()),
            per_metric(took.iter().map(|(_, verdict)| *verdict).min())
        );
    }
}
