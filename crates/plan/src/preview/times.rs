//! How long a verdict takes, kind of metric by kind: the judge itself is asked, on what the traffic seen would bring on
//! average. Real traffic scatters, so a real verdict comes sooner or later than this.

use std::sync::LazyLock;

use arya_judge::{
    Block, Buckets, CountBlock, Evidence, GaugeBlock, HistogramBlock, JudgeConfig, Judging, MetricConfig, MetricKind,
    Outcome, Timestamp, capitalised,
};
use serde::{Deserialize, Serialize};

use super::lines::time_in_words;

/// What is assumed of a service that nothing is known of: one request in two hundred fails.
const ERROR_SHARE: f64 = 0.005;
/// An event (an error log, a restart) once a minute.
const EVENTS_PER_S: f64 = 1.0 / 60.0;
/// The regressions: twice the failures, every request a quarter slower, a level half again as high.
const TWICE: f64 = 2.0;
const SLOWER: f64 = 1.25;
const HIGHER: f64 = 1.5;
/// A level is judged as those of the default metrics are: a lasting quarter more is nothing, half again as much is not
/// allowed to pass.
const LEVEL_ALLOWED: f64 = 1.25;
/// How much a level wanders, as a part of itself.
const LEVEL_WANDERS: f64 = 0.02;
/// The middle of the response times in seconds, and how steeply they fall off around it.
const MIDDLE_S: f64 = 0.05;
const STEEPNESS: i32 = 3;
/// The edges that most client libraries use, in seconds.
const EDGES_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Fine blocks at first, where seconds matter; then minutes up to four hours, the default lifetime.
const FINE: Blocks = Blocks { length_s: 5, count: 60 };
const COARSE: Blocks = Blocks {
    length_s: 60,
    count: 240,
};

/// How long a verdict on one kind of metric takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KindTime {
    pub kind: MetricKind,
    /// What goes wrong.
    pub regression: String,
    /// Seconds until it is called harmful; `None` = not within four hours.
    pub harmful_s: Option<f64>,
    /// Seconds until a canary with nothing wrong is called no worse.
    pub no_worse_s: Option<f64>,
    pub sentence: String,
}

#[derive(Debug, Clone, Copy)]
struct Blocks {
    length_s: i64,
    count: i64,
}

/// Levels and rates do not depend on the traffic.
static OTHERS: LazyLock<[KindTime; 2]> = LazyLock::new(|| {
    [
        KindTime::of(MetricKind::EventRate, 0.0),
        KindTime::of(MetricKind::Leak, 0.0),
    ]
});

/// Each kind of metric, at so many requests per second and arm; above 0.
pub(super) fn by_kind(requests_per_s: f64) -> Vec<KindTime> {
    let of_requests = [MetricKind::ErrorShare, MetricKind::Histogram];
    let mut times: Vec<KindTime> = of_requests.map(|kind| KindTime::of(kind, requests_per_s)).to_vec();
    times.extend(OTHERS.iter().cloned());
    times
}

impl KindTime {
    fn of(kind: MetricKind, requests_per_s: f64) -> Self {
        let (size, regression) = match kind {
            MetricKind::ErrorShare => (TWICE, "twice the failures, 1 % instead of 0.5 %"),
            MetricKind::EventRate => (TWICE, "twice the events, 2 a minute instead of 1"),
            MetricKind::Histogram => (SLOWER, "every request a quarter slower"),
            MetricKind::Gauge | MetricKind::Leak => (HIGHER, "memory or another level half again as high"),
        };
        let harmful_s = seconds_to(Outcome::Harmful, kind, size, requests_per_s);
        let no_worse_s = seconds_to(Outcome::NoWorse, kind, 1.0, requests_per_s);
        let when = |seconds: Option<f64>| {
            seconds.map_or_else(
                || "not within 4 hours".to_owned(),
                |s| format!("in about {}", time_in_words(s)),
            )
        };
        Self {
            kind,
            regression: regression.to_owned(),
            harmful_s,
            no_worse_s,
            sentence: format!(
                "{}: harmful {}; nothing wrong: no worse {}.",
                capitalised(regression),
                when(harmful_s),
                when(no_worse_s)
            ),
        }
    }
}

/// When the judge first says so, if it does.
fn seconds_to(wanted: Outcome, kind: MetricKind, size: f64, requests_per_s: f64) -> Option<f64> {
    let within = |blocks: Blocks| {
        let metric = metric(kind);
        let config = JudgeConfig {
            metrics: vec![metric.clone()],
            ..JudgeConfig::default()
        };
        let mut judging = Judging::without_charts(&config);
        (1..=blocks.count).find_map(|n| {
            let shown = block(kind, size, requests_per_s, blocks.length_s, n);
            judging.advance(&Evidence {
                block_s: blocks.length_s as f64,
                ..Evidence::of(&metric, "", vec![shown])
            });
            // A verdict costs more than a block, and a time is told in few digits.
            let asked = n <= 12 || n % 6 == 0;
            let said = asked && judging.verdict().outcome == wanted;
            said.then_some((n * blocks.length_s) as f64)
        })
    };
    within(FINE).or_else(|| within(COARSE))
}

fn metric(kind: MetricKind) -> MetricConfig {
    let usual = MetricConfig::of(kind, "one", "");
    match kind {
        MetricKind::ErrorShare | MetricKind::EventRate | MetricKind::Histogram => usual,
        MetricKind::Gauge | MetricKind::Leak => MetricConfig {
            allowed_ratio: LEVEL_ALLOWED,
            pass_margin: HIGHER,
            ..usual
        },
    }
}

/// What an average block brings when the canary is so many times worse.
fn block(kind: MetricKind, size: f64, requests_per_s: f64, length_s: i64, n: i64) -> Block {
    let ends_at = Timestamp::from_second(n * length_s).unwrap_or(Timestamp::UNIX_EPOCH);
    let seconds = length_s as f64;
    let counts = |exposure: f64, rate: f64| {
        Block::Counts(CountBlock {
            ends_at,
            baseline_events: exposure * rate,
            canary_events: exposure * rate * size,
            baseline_exposure: exposure,
            canary_exposure: exposure,
        })
    };
    match kind {
        MetricKind::ErrorShare => counts(requests_per_s * seconds, ERROR_SHARE),
        MetricKind::EventRate => counts(seconds, EVENTS_PER_S),
        MetricKind::Histogram => Block::Histogram(HistogramBlock {
            ends_at,
            baseline: times(requests_per_s * seconds, 1.0),
            canary: times(requests_per_s * seconds, size),
        }),
        MetricKind::Gauge | MetricKind::Leak => {
            let level = |phase: f64| 1.0 + LEVEL_WANDERS * (1.7 * n as f64 + phase).sin();
            Block::Gauge(GaugeBlock {
                ends_at,
                baseline: level(0.0),
                canary: size * level(2.0),
            })
        }
    }
}

/// Requests by bucket, all of them so many times slower.
fn times(requests: f64, slower: f64) -> Buckets {
    let below = |edge: f64| requests / (1.0 + (MIDDLE_S * slower / edge).powi(STEEPNESS));
    let mut counts = Vec::with_capacity(EDGES_S.len() + 1);
    let mut last = 0.0;
    for edge in EDGES_S {
        counts.push(below(edge) - last);
        last = below(edge);
    }
    counts.push(requests - last);
    Buckets {
        upper_edges: EDGES_S.to_vec(),
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(requests_per_s: f64) -> Vec<KindTime> {
        by_kind(requests_per_s)
    }

    #[test]
    fn every_kind_has_a_time_at_a_busy_service() {
        for time in at(200.0) {
            assert!(time.harmful_s.is_some(), "{time:?}");
            assert!(time.sentence.contains("harmful in about "), "{}", time.sentence);
        }
    }

    #[test]
    fn more_traffic_is_sooner_for_what_counts_requests_and_the_same_for_the_rest() {
        let (few, many) = (at(5.0), at(100.0));
        for (few, many) in few.iter().zip(&many) {
            let seconds = |time: &KindTime| time.harmful_s.unwrap_or(f64::INFINITY);
            match few.kind {
                MetricKind::ErrorShare | MetricKind::Histogram => {
                    assert!(seconds(many) < seconds(few), "{few:?} {many:?}")
                }
                MetricKind::EventRate | MetricKind::Gauge | MetricKind::Leak => assert_eq!(few, many),
            }
        }
    }

    #[test]
    fn what_traffic_cannot_show_in_four_hours_is_said() {
        let errors = &at(0.05)[0];
        assert_eq!(errors.harmful_s, None);
        assert!(errors.sentence.contains("not within 4 hours"), "{}", errors.sentence);
    }
}
