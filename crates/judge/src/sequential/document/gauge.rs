//! Samples of a gauge in, what the tests say at each look out.

use serde::{Deserialize, Serialize};

use super::{DocumentError, Figure, accept_equal, accept_looks, at_looks, moderate, within};
use crate::sequential::gauge::{GaugePast, GaugeSettings, GaugeTest, Level, Slope};

/// Beyond this a square is no longer a number.
const LARGEST_SAMPLE: f64 = 1e140;
/// The threshold of a two-sided bound at 95 %: `ln(2 / 0.05)`.
const TWO_SIDED: f64 = 3.688_879_454_113_936_3;
/// The correlation of neighbours that is assumed without a history.
const ASSUMED: f64 = 0.905;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaugeDocument {
    /// How the test is set.
    #[serde(default)]
    pub settings: GaugeDocumentSettings,
    /// Samples of the baseline; `null` is a missing one.
    #[serde(default)]
    pub baseline: Vec<Option<f64>>,
    /// Samples of the canary at the same times.
    #[serde(default)]
    pub canary: Vec<Option<f64>>,
    /// After how many samples to answer; after the last one when empty.
    #[serde(default)]
    pub looks: Vec<usize>,
}

/// How the test is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GaugeDocumentSettings {
    /// The part of the baseline's mean by which the canary may be above it.
    pub margin: f64,
    /// The part that a pass excludes.
    pub pass_margin: f64,
    /// The planned number of samples.
    pub horizon: f64,
    /// Correlation of neighbours, standard deviation of the difference and effective samples of a history.
    pub history_ar_sd_neff: Option<[f64; 3]>,
}

impl Default for GaugeDocumentSettings {
    fn default() -> Self {
        Self {
            margin: 0.0,
            pass_margin: 0.1,
            horizon: 240.0,
            history_ar_sd_neff: None,
        }
    }
}

/// The answer to a [`GaugeDocument`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GaugeAnswer {
    /// One per look, in the order asked.
    pub looks: Vec<GaugeLook>,
}

/// What the tests say after some samples. Logarithms are natural; what is not defined yet is `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GaugeLook {
    /// After how many samples.
    pub sample: usize,
    /// Evidence that the canary is above the margin.
    pub log_e: Figure,
    /// Always-valid p over every sample so far.
    pub p: Figure,
    /// Evidence that the canary is below the margin on the other side.
    pub log_e_down: Figure,
    /// Evidence that the difference grows.
    pub log_e_slope: Figure,
    /// Always-valid p of the growth.
    pub p_slope: Figure,
    /// Evidence that the canary is below the pass margin.
    pub log_e_pass: Figure,
    /// Effective samples.
    pub neff: Option<Figure>,
    /// Correlation of neighbours, as it is used.
    pub ar: Option<Figure>,
    /// Statistic of the level.
    #[serde(rename = "T")]
    pub t: Option<Figure>,
    /// Statistic of the growth.
    #[serde(rename = "slope_T")]
    pub slope_t: Option<Figure>,
    /// Confidence sequence of the difference of means, 95 %.
    pub cs95_difference: [Figure; 2],
}

/// Answers a document about a gauge.
///
/// # Errors
/// When a number is out of its range; nothing is computed then.
pub fn judge_gauge(document: &GaugeDocument) -> Result<GaugeAnswer, DocumentError> {
    accept(document)?;
    let settings = &document.settings;
    let past = settings
        .history_ar_sd_neff
        .map(|[memory, spread, effective]| GaugePast {
            memory,
            spread,
            effective,
        });
    let mut run = Run {
        test: GaugeTest::new(GaugeSettings {
            past,
            horizon: settings.horizon,
            assumed_memory: ASSUMED,
        }),
        margin: settings.margin,
        pass_margin: settings.pass_margin,
        highest: 0.0,
        highest_slope: 0.0,
    };
    let push = |run: &mut Run, index: usize| run.push(document.baseline[index], document.canary[index]);
    let looks = at_looks(&document.looks, document.baseline.len(), &mut run, push, Run::look);
    Ok(GaugeAnswer { looks })
}

fn accept(document: &GaugeDocument) -> Result<(), DocumentError> {
    let settings = &document.settings;
    let fraction = |number: f64, field: &str| {
        within(
            (0.0..=1e6).contains(&number),
            field,
            number.to_string(),
            "from 0 to 1000000",
        )
    };
    fraction(settings.margin, "settings.margin")?;
    fraction(settings.pass_margin, "settings.pass_margin")?;
    moderate(settings.horizon, "settings.horizon")?;
    if let Some(past) = settings.history_ar_sd_neff {
        let [memory, spread, effective] = past;
        let sound = (0.0..=0.98).contains(&memory)
            && (0.0..=LARGEST_SAMPLE).contains(&spread)
            && (1.0..=1e12).contains(&effective);
        within(
            sound,
            "settings.history_ar_sd_neff",
            format!("{past:?}"),
            "a correlation from 0 to 0.98, a spread of at least 0 and at least 1 effective sample",
        )?;
    }
    accept_looks(&document.looks, document.baseline.len(), "baseline")?;
    accept_equal(document.baseline.len(), document.canary.len())?;
    let samples = document.baseline.iter().chain(&document.canary).flatten();
    samples.copied().try_for_each(|sample| {
        let allowed = "between -1e140 and 1e140";
        within(sample.abs() <= LARGEST_SAMPLE, "a sample", sample.to_string(), allowed)
    })
}

/// The tests under way.
struct Run {
    test: GaugeTest,
    margin: f64,
    pass_margin: f64,
    highest: f64,
    highest_slope: f64,
}

impl Run {
    fn push(&mut self, baseline: Option<f64>, canary: Option<f64>) {
        let (Some(baseline), Some(canary)) = (baseline, canary) else {
            return;
        };
        self.test.push(baseline, canary);
        self.highest = self.highest.max(above(self.level()));
        self.highest_slope = self.highest_slope.max(growth(self.test.slope()));
    }

    fn level(&self) -> Option<Level> {
        self.test.level(1.0 + self.margin)
    }

    fn look(&self, sample: usize) -> GaugeLook {
        let (level, slope) = (self.level(), self.test.slope());
        let below = |margin: f64| self.test.level(1.0 + margin).map_or(0.0, |level| level.log_e_below());
        let bounds = self
            .test
            .level(1.0)
            .map_or((f64::NEG_INFINITY, f64::INFINITY), |level| {
                let half = level.half_width(TWO_SIDED);
                (level.mean - half, level.mean + half)
            });
        GaugeLook {
            sample,
            log_e: Figure(above(level)),
            p: Figure((-self.highest).exp().min(1.0)),
            log_e_down: Figure(below(-self.margin)),
            log_e_slope: Figure(growth(slope)),
            p_slope: Figure((-self.highest_slope).exp().min(1.0)),
            log_e_pass: Figure(below(self.pass_margin)),
            neff: level.map(|level| Figure(level.effective)),
            ar: level.map(|level| Figure(level.memory)),
            t: level.map(|level| Figure(level.statistic.t)),
            slope_t: slope.map(|slope| Figure(slope.statistic.t)),
            cs95_difference: [Figure(bounds.0), Figure(bounds.1)],
        }
    }
}

fn above(level: Option<Level>) -> f64 {
    level.map_or(0.0, |level| level.log_e_above())
}

fn growth(slope: Option<Slope>) -> f64 {
    slope.map_or(0.0, |slope| slope.log_e_above())
}
