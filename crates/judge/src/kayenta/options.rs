//! What a metric can be judged by. [`super::reading`] finds it in a configuration.

/// No change of the ratio of means.
const DEFAULT_MEAN_RATIO: f64 = 1.0;
/// No change of the chance that a canary's value is the larger one.
const DEFAULT_CLES: f64 = 0.5;

/// Which shift is bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Upwards.
    Increase,
    /// Downwards.
    Decrease,
    /// Both.
    #[default]
    Either,
}

/// What a missing value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NanStrategy {
    /// Nothing: it is dropped.
    #[default]
    Remove,
    /// A zero.
    Replace,
}

/// What happens to outliers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Outliers {
    /// They stay.
    #[default]
    Keep,
    /// They are dropped, beyond `factor` interquartile ranges (above 0).
    Remove {
        /// In interquartile ranges.
        factor: f64,
    },
}

/// Which effect size the thresholds are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Measure {
    /// Mean of the canary over mean of the baseline.
    #[default]
    MeanRatio,
    /// The chance that a canary's value is larger than a baseline's, ties counting half.
    Cles,
}

/// How large an effect must be, in terms of [`Measure`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EffectThresholds {
    /// What is measured.
    pub measure: Measure,
    /// High needs at least this.
    pub allowed_increase: f64,
    /// Low needs at most this.
    pub allowed_decrease: f64,
    /// A critical metric that is High is critical from here.
    pub critical_increase: f64,
    /// A critical metric that is Low is critical down from here.
    pub critical_decrease: f64,
}

impl EffectThresholds {
    /// Thresholds that exclude only effects in the other direction.
    pub fn neutral(measure: Measure) -> Self {
        let none = match measure {
            Measure::MeanRatio => DEFAULT_MEAN_RATIO,
            Measure::Cles => DEFAULT_CLES,
        };
        Self {
            measure,
            allowed_increase: none,
            allowed_decrease: none,
            critical_increase: none,
            critical_decrease: none,
        }
    }
}

/// Everything the judge reads of a metric's `analysisConfigurations.canary`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricOptions {
    /// Which shift is bad.
    pub direction: Direction,
    /// What a missing value is.
    pub nan_strategy: NanStrategy,
    /// Whether a failure fails the whole judgement.
    pub critical: bool,
    /// Whether missing data count as a failure.
    pub must_have_data: bool,
    /// Whether the result is left out of all scores.
    pub muted: bool,
    /// What happens to outliers.
    pub outliers: Outliers,
    /// How large an effect must be.
    pub effect: EffectThresholds,
}
