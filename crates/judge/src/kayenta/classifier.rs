//! One metric: is the canary's distribution shifted against the baseline's, and does the shift matter?

use super::constants::{self, AllTied, Constant};
use super::effect::{mean_ratio, measured};
use super::mann_whitney::{self, Interval, IntervalError};
use super::options::{Direction, EffectThresholds, NanStrategy};
use super::statistics::{mean, sorted};

/// What a metric is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classification {
    /// No shift that matters.
    Pass,
    /// The canary's values are larger.
    High,
    /// The canary's values are smaller.
    Low,
    /// A side has no values.
    Nodata,
    /// A side has no values, and that counts as a failure.
    NodataFailMetric,
    /// The test could not be computed. Harms no score.
    Error,
}

impl Classification {
    /// As in the result.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::High => "High",
            Self::Low => "Low",
            Self::Nodata => "Nodata",
            Self::NodataFailMetric => "NodataFailMetric",
            Self::Error => "Error",
        }
    }
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing to say.
    None,
    /// A side has no values.
    MissingData,
    /// Both sides have the same values.
    Identical,
    /// Larger.
    High,
    /// Smaller.
    Low,
    /// Larger, and critical.
    HighCritical,
    /// Smaller, and critical.
    LowCritical,
    /// The test could not be computed.
    Failed,
}

impl Reason {
    /// As in the details of the answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::MissingData => "MISSING_DATA",
            Self::Identical => "IDENTICAL",
            Self::High => "HIGH",
            Self::Low => "LOW",
            Self::HighCritical => "HIGH_CRITICAL",
            Self::LowCritical => "LOW_CRITICAL",
            Self::Failed => "FAILED",
        }
    }

    /// A sentence about the metric of this name, if there is anything to say.
    pub fn sentence(self, metric: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::MissingData => Some(format!("Data are missing for {metric}")),
            Self::Identical => Some("The Canary and Baseline populations are identical".to_owned()),
            Self::High => Some(format!("{metric} was classified as High")),
            Self::Low => Some(format!("{metric} was classified as Low")),
            Self::HighCritical => Some(format!("{metric} was classified as High (critical)")),
            Self::LowCritical => Some(format!("{metric} was classified as Low (critical)")),
            Self::Failed => Some("Metric classification failed".to_owned()),
        }
    }
}

/// What the classifier goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criteria {
    /// Share of the estimated shift that the interval must exclude, from 0.
    pub tolerance: f64,
    /// Of the interval, in (0, 1); the classifier panics on what is no share.
    pub confidence: f64,
    /// Which shift is bad.
    pub direction: Direction,
    /// How values were prepared: with zeros for missing ones, an empty side passes.
    pub nan_strategy: NanStrategy,
    /// Whether the metric is critical.
    pub critical: bool,
    /// Whether missing data count as a failure.
    pub must_have_data: bool,
    /// How large an effect must be.
    pub effect: EffectThresholds,
}

/// How the test went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test {
    /// It was not needed.
    NotRun,
    /// It ran.
    Ran {
        /// Of the shift of the canary's values over the baseline's.
        interval: Interval,
        /// By the measure of the thresholds.
        effect_size: f64,
    },
    /// Both sides are constant. Kayenta adds noise here, so that its numbers differ from run to run; the
    /// class is that of the exact shift.
    Constant,
    /// It could not be computed.
    Threw,
}

/// The answer about one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classified {
    /// What the metric is.
    pub classification: Classification,
    /// Why.
    pub reason: Reason,
    /// Whether it fails the whole judgement. Not the option of that name.
    pub critical: bool,
    /// Canary's mean over baseline's; absent when the test could not be computed.
    pub ratio: Option<f64>,
    /// How the test went.
    pub test: Test,
}

impl Classified {
    fn untested(classification: Classification, reason: Reason) -> Self {
        Self {
            classification,
            reason,
            critical: false,
            ratio: Some(1.0),
            test: Test::NotRun,
        }
    }

    fn error(test: Test) -> Self {
        Self {
            classification: Classification::Error,
            reason: Reason::Failed,
            critical: false,
            ratio: None,
            test,
        }
    }
}

/// Classifies prepared values.
pub fn classify(control: &[f64], experiment: &[f64], criteria: &Criteria) -> Classified {
    classify_with_means(control, experiment, (mean(control), mean(experiment)), criteria)
}

/// Classifies prepared values whose means are known. The order of the conditions is Kayenta's.
pub(super) fn classify_with_means(
    control: &[f64],
    experiment: &[f64],
    (control_mean, experiment_mean): (f64, f64),
    criteria: &Criteria,
) -> Classified {
    if control.is_empty() || experiment.is_empty() {
        return without_data(criteria);
    }
    if are_identical(control, experiment) {
        return Classified::untested(Classification::Pass, Reason::Identical);
    }
    let ratio = mean_ratio(control_mean, experiment_mean);
    if let (Some(baseline), Some(canary)) = (Constant::of(control), Constant::of(experiment)) {
        return of_constants(&baseline, &canary, ratio, (control, experiment), criteria);
    }
    match mann_whitney::interval(control, experiment, criteria.confidence) {
        Ok(interval) => {
            let effect_size = measured(criteria.effect.measure, ratio, control, experiment);
            let test = Test::Ran { interval, effect_size };
            decided(&interval, ratio, effect_size, criteria, test)
        }
        Err(IntervalError::AllTied) => Classified::error(Test::Threw),
        Err(error @ (IntervalError::NoValues | IntervalError::ConfidenceOutOfRange)) => {
            unreachable!("both sides have values and the confidence is a share, yet: {error}")
        }
    }
}

fn of_constants(
    baseline: &Constant,
    canary: &Constant,
    ratio: f64,
    (control, experiment): (&[f64], &[f64]),
    criteria: &Criteria,
) -> Classified {
    if baseline.is_same_as(canary) {
        return Classified::untested(Classification::Pass, Reason::None);
    }
    match constants::interval(baseline, canary) {
        Ok(interval) => {
            let effect_size = measured(criteria.effect.measure, ratio, control, experiment);
            decided(&interval, ratio, effect_size, criteria, Test::Constant)
        }
        Err(AllTied) => Classified::error(Test::Constant),
    }
}

fn without_data(criteria: &Criteria) -> Classified {
    match criteria.nan_strategy {
        NanStrategy::Replace => Classified::untested(Classification::Pass, Reason::None),
        NanStrategy::Remove if criteria.must_have_data && !criteria.critical => {
            Classified::untested(Classification::NodataFailMetric, Reason::MissingData)
        }
        NanStrategy::Remove => Classified {
            critical: criteria.critical,
            ..Classified::untested(Classification::Nodata, Reason::MissingData)
        },
    }
}

/// High, Low or Pass by interval and effect; an effect that is not a number meets every threshold.
fn decided(interval: &Interval, ratio: f64, effect_size: f64, criteria: &Criteria, test: Test) -> Classified {
    let least_shift = criteria.tolerance * interval.estimate.abs();
    let at_least = |threshold: f64| effect_size.is_nan() || effect_size >= threshold;
    let at_most = |threshold: f64| effect_size.is_nan() || effect_size <= threshold;
    let (increase_matters, decrease_matters) = match criteria.direction {
        Direction::Increase => (true, false),
        Direction::Decrease => (false, true),
        Direction::Either => (true, true),
    };
    let effect = &criteria.effect;
    let (classification, reason, critical) =
        if increase_matters && interval.lower > least_shift && at_least(effect.allowed_increase) {
            let critical = criteria.critical && at_least(effect.critical_increase);
            let reason = if critical { Reason::HighCritical } else { Reason::High };
            (Classification::High, reason, critical)
        } else if decrease_matters && interval.upper < -least_shift && at_most(effect.allowed_decrease) {
            let critical = criteria.critical && at_most(effect.critical_decrease);
            let reason = if critical { Reason::LowCritical } else { Reason::Low };
            (Classification::Low, reason, critical)
        } else {
            (Classification::Pass, Reason::None, false)
        };
    Classified {
        classification,
        reason,
        critical,
        ratio: Some(ratio),
        test,
    }
}

/// Whether both sides have the same values, whatever their order; zeros of either sign are one value.
fn are_identical(control: &[f64], experiment: &[f64]) -> bool {
    // Sorting is dear and sides are hardly ever the same, so a sum that does not depend on the order goes first.
    control.len() == experiment.len() && digest(control) == digest(experiment) && {
        let (control, experiment) = (sorted(control), sorted(experiment));
        control.iter().zip(&experiment).all(|(one, other)| one == other)
    }
}

/// Equal for equal values in any order.
fn digest(values: &[f64]) -> u64 {
    // Multiplication by a large odd number spreads each value over the word before they are added.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    values.iter().fold(0, |sum: u64, value| {
        // Adding zero makes a negative zero positive.
        let bits = (value + 0.0).to_bits().wrapping_mul(SPREAD);
        sum.wrapping_add(bits ^ (bits >> 32))
    })
}
