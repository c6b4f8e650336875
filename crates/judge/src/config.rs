//! What to judge and how strictly: the numbers a person may edit. It knows no source and no measurement.

use serde::{Deserialize, Serialize};

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
            metrics: Vec::new(),
        }
    }
}

/// One metric to judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricConfig {
    /// A short name a person reads, unique in the configuration; evidence is matched by it.
    pub name: String,
    /// *No worse* needs every critical metric; a metric that is not critical can only show harm.
    #[serde(default = "yes")]
    pub critical: bool,
    /// What is counted, and which way is worse.
    #[serde(default)]
    pub kind: MetricKind,
    /// No alarm below this ratio of canary to baseline, however certain.
    #[serde(default = "effect_gate_ratio")]
    pub effect_gate_ratio: f64,
    /// No alarm below this difference of shares, as a fraction of requests (0.0005 = 0.05 points).
    #[serde(default = "absolute_floor")]
    pub absolute_floor: f64,
    /// The ratio that *no worse* excludes; above 1.
    #[serde(default = "pass_margin")]
    pub pass_margin: f64,
    /// Dispersion measured on two old instances against each other, at 15 s blocks; at least 1.
    /// Without it the judge assumes that an instance's rate wanders, and says so.
    #[serde(default)]
    pub known_dispersion: Option<f64>,
    /// What the source is asked, in the source's own language; kept for display.
    #[serde(default)]
    pub query: String,
}

impl MetricConfig {
    /// A critical share of failed requests with the default margins.
    pub fn error_share(name: impl Into<String>, query: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            critical: true,
            kind: MetricKind::ErrorShare,
            effect_gate_ratio: DEFAULT_EFFECT_GATE_RATIO,
            absolute_floor: DEFAULT_ABSOLUTE_FLOOR,
            pass_margin: DEFAULT_PASS_MARGIN,
            known_dispersion: None,
            query: query.into(),
        }
    }
}

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Failed requests of all requests; more is worse.
    #[default]
    ErrorShare,
}

fn yes() -> bool {
    true
}

fn effect_gate_ratio() -> f64 {
    DEFAULT_EFFECT_GATE_RATIO
}

fn absolute_floor() -> f64 {
    DEFAULT_ABSOLUTE_FLOOR
}

fn pass_margin() -> f64 {
    DEFAULT_PASS_MARGIN
}
