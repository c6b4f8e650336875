//! The options of one metric, read with Kayenta's leniencies and refusals: an unknown word is the default, a missing
//! option is the default, but a wrong type ends the whole judgement.

use serde_json::{Map, Value};

use super::abort::Abort;
use super::config::CanaryMetric;

const DEFAULT_OUTLIER_FACTOR: f64 = 3.0;
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

impl MetricOptions {
    /// Reads every option, also those that the others make pointless: a wrong type anywhere ends the judgement.
    pub fn read(metric: &CanaryMetric) -> Result<Self, Abort> {
        let options = Options::of(metric);
        let direction = match options.text(&["direction"])? {
            Some("increase") => Direction::Increase,
            Some("decrease") => Direction::Decrease,
            _ => Direction::Either,
        };
        let nan_strategy = match options.text(&["nanStrategy"])? {
            Some("replace") => NanStrategy::Replace,
            _ => NanStrategy::Remove,
        };
        let measure = match options.text(&["effectSize", "measure"])? {
            Some("cles") => Measure::Cles,
            _ => Measure::MeanRatio,
        };
        let neutral = EffectThresholds::neutral(measure);
        let threshold = |name, usual: f64| Ok(options.number(&["effectSize", name])?.unwrap_or(usual));
        Ok(Self {
            direction,
            nan_strategy,
            critical: options.truth(&["critical"])?,
            must_have_data: options.truth(&["mustHaveData"])?,
            muted: options.truth(&["muted"])?,
            outliers: options.outliers()?,
            effect: EffectThresholds {
                measure,
                allowed_increase: threshold("allowedIncrease", neutral.allowed_increase)?,
                allowed_decrease: threshold("allowedDecrease", neutral.allowed_decrease)?,
                critical_increase: threshold("criticalIncrease", neutral.critical_increase)?,
                critical_decrease: threshold("criticalDecrease", neutral.critical_decrease)?,
            },
        })
    }
}

struct Options<'a> {
    metric: &'a str,
    canary: Option<&'a Value>,
}

/// What a path leads to.
enum Found<'a> {
    Nothing,
    One(&'a Value),
    /// A list on the way: the search went on in each of its elements, and some had an answer.
    Several,
}

fn look_up<'a>(node: &'a Value, path: &[&str]) -> Found<'a> {
    let Some((first, rest)) = path.split_first() else {
        return Found::One(node);
    };
    match node {
        Value::Object(entries) => look_in(entries, first, rest),
        Value::Array(elements) => {
            let answers = |element| !matches!(look_up(element, path), Found::Nothing);
            if elements.iter().any(answers) {
                Found::Several
            } else {
                Found::Nothing
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Found::Nothing,
    }
}

fn look_in<'a>(entries: &'a Map<String, Value>, first: &str, rest: &[&str]) -> Found<'a> {
    entries.get(first).map_or(Found::Nothing, |node| look_up(node, rest))
}

impl<'a> Options<'a> {
    fn of(metric: &'a CanaryMetric) -> Self {
        Self {
            metric: metric.name.as_deref().unwrap_or_default(),
            canary: metric
                .analysis_configurations
                .as_ref()
                .and_then(|configurations| configurations.get("canary")),
        }
    }

    fn find(&self, path: &[&str]) -> Found<'a> {
        self.canary.map_or(Found::Nothing, |canary| look_up(canary, path))
    }

    /// A text; of anything else that has one, a text that is no option's name.
    fn text(&self, path: &[&str]) -> Result<Option<&'a str>, Abort> {
        match self.find(path) {
            Found::Nothing => Ok(None),
            Found::One(Value::Null) => Err(Abort::NullText {
                metric: self.metric.to_owned(),
                option: path.join("."),
            }),
            Found::One(Value::String(text)) => Ok(Some(text)),
            Found::One(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | Found::Several => {
                Ok(Some(""))
            }
        }
    }

    fn truth(&self, path: &[&str]) -> Result<bool, Abort> {
        match self.find(path) {
            Found::Nothing | Found::One(Value::Null) => Ok(false),
            Found::One(Value::Bool(truth)) => Ok(*truth),
            other => Err(self.wrong(path, &other, "true or false")),
        }
    }

    /// A number: one with a decimal point or an exponent, or a whole one of 32 bits. An explicit null is zero.
    fn number(&self, path: &[&str]) -> Result<Option<f64>, Abort> {
        let found = self.find(path);
        match &found {
            Found::Nothing => Ok(None),
            Found::One(Value::Null) => Ok(Some(0.0)),
            Found::One(Value::Number(number)) if number.is_f64() => Ok(number.as_f64()),
            Found::One(Value::Number(number)) => match number.as_i64().and_then(|whole| i32::try_from(whole).ok()) {
                Some(whole) => Ok(Some(f64::from(whole))),
                None => Err(self.wrong(path, &found, "a decimal number, or a whole one of 32 bits")),
            },
            Found::One(Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) | Found::Several => {
                Err(self.wrong(path, &found, "a number"))
            }
        }
    }

    fn outliers(&self) -> Result<Outliers, Abort> {
        let strategy = self.text(&["outliers", "strategy"])?;
        let factor = self.number(&["outliers", "outlierFactor"])?;
        let factor = factor.unwrap_or(DEFAULT_OUTLIER_FACTOR);
        match strategy {
            Some("remove") if factor > 0.0 => Ok(Outliers::Remove { factor }),
            Some("remove") => Err(Abort::OutlierFactor {
                metric: self.metric.to_owned(),
                factor,
            }),
            _ => Ok(Outliers::Keep),
        }
    }

    fn wrong(&self, path: &[&str], found: &Found, expected: &'static str) -> Abort {
        let found = match found {
            Found::Nothing => "nothing".to_owned(),
            Found::One(Value::Array(_)) | Found::Several => "a list".to_owned(),
            Found::One(Value::Object(_)) => "an object".to_owned(),
            Found::One(Value::Number(number)) => format!("the number {number}"),
            Found::One(Value::String(text)) => format!("the text {:?}", shortened(text)),
            Found::One(Value::Bool(truth)) => format!("`{truth}`"),
            Found::One(Value::Null) => "null".to_owned(),
        };
        Abort::WrongType {
            metric: self.metric.to_owned(),
            option: path.join("."),
            found,
            expected,
        }
    }
}

/// As much of a text as shows which one it is.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
