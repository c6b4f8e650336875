//! Verdicts of the real judge on made-up measurements, for tests and for looking at pages without a server.

use arya_engine::{Kept, Track};
use arya_judge::backtest::Run;
use arya_judge::kayenta::minutes::{pairs, usual_config};
use arya_judge::kayenta::{self, Thresholds};
use arya_judge::{
    Block, Buckets, CountBlock, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, MetricConfig, MetricKind,
    Unit, above_edges, course,
};

use super::fixtures::at;
use crate::api::documents::{KayentaDocument, Told, VerdictDocument};
use crate::app::{Closer, Named};

const EDGES: [f64; 12] = [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5];
const BLOCK_S: i64 = 15;

/// A metric of one kind whose canary is so many times worse.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worse(pub(crate) &'static str, pub(crate) MetricKind, pub(crate) f64);

pub(crate) const USUAL: [Worse; 4] = [
    Worse("error share", MetricKind::ErrorShare, 1.0),
    Worse("latency", MetricKind::Histogram, 1.0),
    Worse("memory", MetricKind::Leak, 1.0),
    Worse("error logs", MetricKind::EventRate, 1.0),
];

/// Twenty of all kinds, one of them harmful.
pub(crate) const MANY: [Worse; 20] = [
    Worse("error share", MetricKind::ErrorShare, 1.0),
    Worse("latency", MetricKind::Histogram, 1.02),
    Worse("grpc error share", MetricKind::ErrorShare, 1.1),
    Worse("grpc latency", MetricKind::Histogram, 1.0),
    Worse("error logs", MetricKind::EventRate, 1.2),
    Worse("memory", MetricKind::Leak, 1.01),
    Worse("heap", MetricKind::Leak, 0.98),
    Worse("cpu", MetricKind::Gauge, 1.0),
    Worse("open files", MetricKind::Leak, 1.0),
    Worse("threads", MetricKind::Gauge, 1.02),
    Worse("gc pauses", MetricKind::Gauge, 0.99),
    Worse("event loop lag", MetricKind::Gauge, 1.04),
    Worse("machine cpu", MetricKind::Gauge, 1.0),
    Worse("machine memory", MetricKind::Leak, 1.0),
    Worse("out of memory kills", MetricKind::EventRate, 0.7),
    Worse("failed checkouts", MetricKind::ErrorShare, 0.5),
    Worse(
        "time to first byte of the page with the longest name of all",
        MetricKind::Histogram,
        1.8,
    ),
    Worse("mail queue", MetricKind::Leak, 1.06),
    Worse("cache misses", MetricKind::EventRate, 1.0),
    Worse("retries", MetricKind::EventRate, 1.4),
];

/// Noise that is the same in every run: a slow and a fast wave.
fn wave(n: i64, phase: f64) -> f64 {
    let n = n as f64;
    0.6 * (0.9 * n + phase).sin() + 0.4 * (3.7 * n + 2.0 * phase).sin()
}

fn slow(scale: f64, n: i64, phase: f64) -> Buckets {
    let requests = 750.0;
    let middle = 0.03 * scale * (1.0 + 0.03 * wave(n, phase));
    let below = |edge: f64| requests / (1.0 + (middle / edge).powi(3));
    let mut counts: Vec<f64> = Vec::new();
    let mut last = 0.0;
    for edge in EDGES {
        counts.push((below(edge) - last).round().max(0.0));
        last = below(edge);
    }
    counts.push((requests - last).round().max(0.0));
    Buckets {
        upper_edges: EDGES.to_vec(),
        counts,
    }
}

fn block(Worse(_, kind, size): Worse, n: i64) -> Block {
    let ends_at = at(BLOCK_S * n - 3600);
    match kind {
        MetricKind::ErrorShare | MetricKind::EventRate => {
            let exposure = if kind == MetricKind::EventRate {
                BLOCK_S as f64
            } else {
                750.0
            };
            Block::Counts(CountBlock {
                ends_at,
                baseline_events: (2.0 + wave(n, 0.3)).round().max(0.0),
                canary_events: (2.0 * size + wave(n, 1.1)).round().max(0.0),
                baseline_exposure: exposure,
                canary_exposure: exposure,
            })
        }
        MetricKind::Histogram => Block::Histogram(HistogramBlock {
            ends_at,
            baseline: slow(1.0, n, 0.3),
            canary: slow(size, n, 1.1),
        }),
        MetricKind::Gauge | MetricKind::Leak => Block::Gauge(GaugeBlock {
            ends_at,
            baseline: 2.4e8 * (1.0 + 0.02 * wave(n, 0.3)),
            canary: 2.4e8 * size * (1.0 + 0.02 * wave(n, 1.1)),
        }),
    }
}

fn metric(worse: Worse, place: usize) -> MetricConfig {
    let Worse(name, kind, _) = worse;
    MetricConfig {
        critical: place < 2,
        known_dispersion: Some(1.2),
        unit: match kind {
            MetricKind::Histogram => Unit::Seconds,
            MetricKind::Gauge | MetricKind::Leak => Unit::Bytes,
            MetricKind::ErrorShare | MetricKind::EventRate => Unit::Plain,
        },
        ..MetricConfig::of(
            kind,
            name,
            "{__name__=~\"http_server_requests_seconds_.*|up\",deployment=\"7f9c24e8\"}[60s]",
        )
    }
}

/// So many minutes of some metrics.
pub(crate) fn run(metrics: &[Worse], minutes: i64) -> Run {
    let metrics_of: Vec<MetricConfig> = metrics
        .iter()
        .enumerate()
        .map(|(place, one)| metric(*one, place))
        .collect();
    let evidence = metrics.iter().zip(&metrics_of).map(|(one, config)| {
        let blocks = (1..=4 * minutes).map(|n| block(*one, n)).collect();
        Evidence::of(config, "the monitor's samples", blocks)
    });
    Run {
        evidence: evidence.collect(),
        config: JudgeConfig {
            metrics: metrics_of,
            ..JudgeConfig::default()
        },
        share_since: None,
    }
}

/// What the judge says of them, with its charts and Kayenta's score.
pub(crate) fn verdict(run: &Run) -> VerdictDocument {
    told(run, Told::SoFar)
}

/// The same before or after the end.
pub(crate) fn told(run: &Run, told: Told) -> VerdictDocument {
    let mut judging = Judging::new(&run.config);
    run.evidence.iter().for_each(|evidence| judging.advance(evidence));
    let track = |metric: &MetricConfig| Track {
        metric: metric.name.clone(),
        points: judging.track(&metric.name),
    };
    let tracks: Vec<Track> = run.config.metrics.iter().map(track).collect();
    let config = usual_config(&run.config);
    let pairs = pairs(&config, &run.config, &run.evidence);
    let judged = kayenta::judge(&config, &pairs, Thresholds::USUAL);
    VerdictDocument {
        kayenta: Some(KayentaDocument::of(judged, &pairs, Thresholds::USUAL)),
        ..VerdictDocument::shown(&judging.verdict(), &tracks, told)
    }
}

/// A source that answers nothing, beside one that does.
pub(crate) fn failing() -> VerdictDocument {
    let mut run = run(&USUAL[..2], 8);
    run.evidence[1].problem = Some("the monitor at 127.0.0.1:9090 did not answer within 4 s".into());
    verdict(&run)
}

/// One metric of a run as someone looks at it.
pub(crate) fn closer(run: &Run, name: &str) -> Closer {
    let metric = run.config.metrics.iter().find(|metric| metric.name == name).unwrap();
    let evidence = run.evidence.iter().find(|known| known.metric == name).unwrap();
    Closer {
        kind: metric.kind,
        unit: metric.unit,
        source: evidence.source.clone(),
        query: evidence.query.clone(),
        course: course(metric.kind, evidence),
        above: above_edges(evidence),
        track: arya_judge::history(&run.config, evidence),
    }
}

/// A past deployment for the lab.
pub(crate) fn named(name: &str, run: Run) -> Named {
    let id = "7f9c24e8-3b12-4d7a-9a55-000000000001".parse().unwrap();
    Named {
        id: Some(id),
        kept: Kept {
            id,
            name: name.into(),
            created_at: at(-3600),
            closed_at: Some(at(0)),
            said: None,
            run,
        },
    }
}
