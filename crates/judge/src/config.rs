//! What to judge and how strictly: the numbers a person may edit. It knows no source and no measurement.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::past::Past;
use crate::sequential::histogram::Direction;
use crate::source::Origin;

/// Chance, per canary run, of calling a harmless canary harmful, under the stated noise model.
pub const DEFAULT_ALPHA_FAIL: f64 = 0.05;
/// Chance, per critical metric, of calling a canary no worse whose rate is above the pass margin.
pub const DEFAULT_ALPHA_PASS: f64 = 0.05;
/// Five minutes: a fault that starts later is invisible before it starts, however many requests were counted.
pub const DEFAULT_MINIMUM_BAKE_S: f64 = 300.0;
/// Four hours, the default lifetime of a deployment: how far ahead the judge watches for a late fault.
pub const DEFAULT_PLANNED_S: f64 = 4.0 * 3600.0;
/// Baseline and canary are given equal shares of the traffic, so each expects half of what the two receive.
pub const DEFAULT_CANARY_SHARE: f64 = 0.5;
/// A regression smaller than +10 % is not worth waking a person for, even when it is certain.
pub const DEFAULT_EFFECT_GATE_RATIO: f64 = 1.10;
/// Nor is one of less than one more failure in 2,000 requests.
pub const DEFAULT_ABSOLUTE_FLOOR: f64 = 0.0005;
/// "No worse" means: shown to be below this many times the baseline's rate.
pub const DEFAULT_PASS_MARGIN: f64 = 1.5;
/// Nor is one of less than one more event in a minute.
const DEFAULT_RATE_FLOOR: f64 = 1.0 / 60.0;
/// A median or an outer quantile that is up by less than 5 % is not spoken of.
const DEFAULT_QUANTILE_GATE_RATIO: f64 = 1.05;
/// Two instances of the same version differ for good by a few percent, and one pair cannot show it.
const DEFAULT_GAUGE_ALLOWED_RATIO: f64 = 1.05;
/// "No worse" for a gauge means: its mean is shown to be below this many times the baseline's.
const DEFAULT_GAUGE_PASS_MARGIN: f64 = 1.10;

/// How a deployment is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JudgeConfig {
    /// Chance of a false *harmful* per canary run, all metrics together, in (0, 1).
    pub alpha_fail: f64,
    /// Chance of a false *no worse* per critical metric, in (0, 1).
    pub alpha_pass: f64,
    /// Seconds of data on both arms before *no worse* may be said.
    pub minimum_bake_s: f64,
    /// Seconds over which a late onset is watched for; later starts would dilute the evidence for earlier ones.
    pub planned_s: f64,
    /// The canary's expected share of the requests of the two arms together, in (0, 1).
    pub canary_share: f64,
    /// Until then the canary had no users: what was measured before is of baseline and production alone, so it teaches how
    /// much the metrics scatter and is neither harm nor a pass. `None` = it had some from the first block on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taught_until: Option<Timestamp>,
    /// What is measured.
    pub metrics: Vec<MetricConfig>,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self {
            alpha_fail: DEFAULT_ALPHA_FAIL,
            alpha_pass: DEFAULT_ALPHA_PASS,
            minimum_bake_s: DEFAULT_MINIMUM_BAKE_S,
            planned_s: DEFAULT_PLANNED_S,
            canary_share: DEFAULT_CANARY_SHARE,
            taught_until: None,
            metrics: Vec::new(),
        }
    }
}

/// One metric to judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenMetric")]
pub struct MetricConfig {
    /// A short name a person reads, unique in the configuration; evidence is matched by it.
    pub name: String,
    /// *No worse* needs every critical metric; a metric that is not critical can only show harm.
    pub critical: bool,
    /// What is measured.
    pub kind: MetricKind,
    /// Which way is worse. Counts are worse upwards or downwards; for them *any* means upwards.
    pub worse: Direction,
    /// The ratio of canary to baseline up to which nothing is wrong: harm is shown above it. At least 1.
    pub allowed_ratio: f64,
    /// No alarm below this ratio of canary to baseline, however certain; of quantiles for a histogram.
    pub effect_gate_ratio: f64,
    /// No alarm below this difference: a fraction of requests (0.0005 = 0.05 points) for shares, events per second for
    /// rates; other kinds have none.
    pub absolute_floor: f64,
    /// The ratio that *no worse* excludes; above 1. For a histogram it is one of shares of requests above an edge.
    pub pass_margin: f64,
    /// Dispersion measured on two old instances against each other, at 15 s blocks; at least 1.
    /// Without it or `past` the judge assumes that an instance's rate wanders, and says so.
    pub known_dispersion: Option<f64>,
    /// What two old instances showed of this metric: see [`Past::learn`]. It goes before `known_dispersion`.
    pub past: Option<Past>,
    /// What its numbers are.
    pub unit: Unit,
    /// Where it is measured.
    pub from: Origin,
    /// What the source is asked, in the source's own language; kept for display.
    pub query: String,
}

impl MetricConfig {
    /// A critical metric of a kind with the default margins of that kind.
    pub fn of(kind: MetricKind, name: impl Into<String>, query: impl Into<String>) -> Self {
        let defaults = Defaults::of(kind);
        Self {
            name: name.into(),
            critical: true,
            kind,
            worse: Direction::Up,
            allowed_ratio: defaults.allowed_ratio,
            effect_gate_ratio: defaults.effect_gate_ratio,
            absolute_floor: defaults.absolute_floor,
            pass_margin: defaults.pass_margin,
            known_dispersion: None,
            past: None,
            unit: defaults.unit,
            from: Origin::default(),
            query: query.into(),
        }
    }

    /// A critical share of failed requests with the default margins.
    pub fn error_share(name: impl Into<String>, query: impl Into<String>) -> Self {
        Self::of(MetricKind::ErrorShare, name, query)
    }

    /// A critical distribution of response times in seconds with the default margins.
    pub fn latency(name: impl Into<String>, query: impl Into<String>) -> Self {
        Self::of(MetricKind::Histogram, name, query)
    }
}

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Failed requests of all requests.
    #[default]
    ErrorShare,
    /// Events in seconds: restarts, messages, requests.
    EventRate,
    /// A whole distribution by buckets: response times, sizes.
    Histogram,
    /// A level: load, threads, a mean.
    Gauge,
    /// A level that may grow without end: memory, open files, queues.
    Leak,
}

/// What a metric's numbers are, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A part of one, shown in percent.
    Fraction,
}

/// What a configuration that does not say it means, by kind.
struct Defaults {
    allowed_ratio: f64,
    effect_gate_ratio: f64,
    absolute_floor: f64,
    pass_margin: f64,
    unit: Unit,
}

impl Defaults {
    fn of(kind: MetricKind) -> Self {
        let counts = Self {
            allowed_ratio: 1.0,
            effect_gate_ratio: DEFAULT_EFFECT_GATE_RATIO,
            absolute_floor: DEFAULT_ABSOLUTE_FLOOR,
            pass_margin: DEFAULT_PASS_MARGIN,
            unit: Unit::Plain,
        };
        let gauge = Self {
            allowed_ratio: DEFAULT_GAUGE_ALLOWED_RATIO,
            effect_gate_ratio: 1.0,
            absolute_floor: 0.0,
            pass_margin: DEFAULT_GAUGE_PASS_MARGIN,
            unit: Unit::Plain,
        };
        match kind {
            MetricKind::ErrorShare => counts,
            MetricKind::EventRate => Self {
                absolute_floor: DEFAULT_RATE_FLOOR,
                ..counts
            },
            MetricKind::Histogram => Self {
                effect_gate_ratio: DEFAULT_QUANTILE_GATE_RATIO,
                absolute_floor: 0.0,
                unit: Unit::Seconds,
                ..counts
            },
            MetricKind::Gauge => gauge,
            MetricKind::Leak => Self {
                unit: Unit::Bytes,
                ..gauge
            },
        }
    }
}

/// A metric as a person writes it: what is left out is the default of its kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMetric {
    name: String,
    #[serde(default = "yes")]
    critical: bool,
    kind: Option<MetricKind>,
    #[serde(default)]
    worse: Direction,
    allowed_ratio: Option<f64>,
    effect_gate_ratio: Option<f64>,
    absolute_floor: Option<f64>,
    pass_margin: Option<f64>,
    known_dispersion: Option<f64>,
    past: Option<Past>,
    unit: Option<Unit>,
    #[serde(default)]
    from: Origin,
    query: Option<String>,
}

impl From<WrittenMetric> for MetricConfig {
    fn from(written: WrittenMetric) -> Self {
        let kind = written.kind.unwrap_or_else(|| written.from.kind());
        let defaults = Defaults::of(kind);
        Self {
            name: written.name,
            critical: written.critical,
            kind,
            worse: written.worse,
            allowed_ratio: written.allowed_ratio.unwrap_or(defaults.allowed_ratio),
            effect_gate_ratio: written.effect_gate_ratio.unwrap_or(defaults.effect_gate_ratio),
            absolute_floor: written.absolute_floor.unwrap_or(defaults.absolute_floor),
            pass_margin: written.pass_margin.unwrap_or(defaults.pass_margin),
            known_dispersion: written.known_dispersion,
            past: written.past,
            unit: written.unit.unwrap_or(defaults.unit),
            query: written.query.unwrap_or_else(|| written.from.shown()),
            from: written.from,
        }
    }
}

fn yes() -> bool {
    true
}
