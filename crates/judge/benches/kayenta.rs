//! What Kayenta's judge costs here per metric: `cargo bench -p arya-judge --bench kayenta`.
//!
//! With `-- --ratio` only how many times faster its interval is than the plain one, in seconds, and an error if that is too
//! few: what CI asks, since a ratio within one run holds on any machine.

mod support {
    pub(crate) mod plain;
    pub(crate) mod ratio;
    pub(crate) mod samples;
}

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use arya_judge::kayenta::{CanaryConfig, MetricPair, Thresholds, judge};
use criterion::{BatchSize, BenchmarkId, Criterion};
use serde_json::{Value, json};
use support::samples::{Kind, sets};

/// Data sets of each measurement, as many as Kayenta was measured with.
const SETS: usize = 16;

const SIZES: [usize; 3] = [60, 1_000, 10_000];

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--ratio") {
        return support::ratio::check();
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let keep = json!({});
    let remove = json!({"outliers": {"strategy": "remove"}});
    rows(&mut criterion, "continuous", Kind::Continuous, &keep);
    rows(&mut criterion, "ties", Kind::Ties, &keep);
    rows(&mut criterion, "outlier removal", Kind::Continuous, &remove);
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// One judgement of one metric: options, preparation, statistics, test, score.
fn rows(criterion: &mut Criterion, data: &str, kind: Kind, canary: &Value) {
    let config = config(canary);
    let thresholds = Thresholds {
        pass: 95.0,
        marginal: 75.0,
    };
    let mut group = criterion.benchmark_group("a metric");
    for size in SIZES {
        let pairs: Vec<_> = sets(SETS, size, kind).into_iter().map(pair).collect();
        let mut next = pairs.chunks(1).cycle();
        group.bench_function(BenchmarkId::new(data, size), |bencher| {
            bencher.iter_batched(
                || next.next().expect("a cycle has no end"),
                |pair| judge(&config, black_box(pair), thresholds),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn config(canary: &Value) -> CanaryConfig {
    let metric = json!({"name": "m", "groups": ["g"], "analysisConfigurations": {"canary": canary}});
    serde_json::from_value(json!({"metrics": [metric], "classifier": {"groupWeights": {"g": 100}}}))
        .expect("the text above is a configuration")
}

fn pair((control, experiment): (Vec<f64>, Vec<f64>)) -> MetricPair {
    MetricPair {
        name: "m".to_owned(),
        control,
        experiment,
        ..MetricPair::default()
    }
}
