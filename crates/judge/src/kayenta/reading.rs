//! The options of one metric, read with Kayenta's leniencies and refusals: an unknown word is the default, a missing
//! option is the default, but a wrong type ends the whole judgement.

use serde_json::{Map, Value};

use super::abort::Abort;
use super::config::{AnalysisConfigurations, CanaryMetric};
use super::options::{Direction, EffectThresholds, Measure, MetricOptions, NanStrategy, Outliers};

const DEFAULT_OUTLIER_FACTOR: f64 = 3.0;

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
    configurations: Option<&'a AnalysisConfigurations>,
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
            configurations: metric.analysis_configurations.as_ref(),
        }
    }

    fn find(&self, path: &[&str]) -> Found<'a> {
        let canary = self.configurations.and_then(AnalysisConfigurations::canary);
        canary.map_or(Found::Nothing, |canary| look_up(canary, path))
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
        const NEEDED: &str = "a decimal number, or a whole one of 32 bits";
        if let Some(digits) = self.configurations.and_then(|known| known.overlong(path)) {
            return Err(self.wrong_type(path, format!("the number {}", shortened(digits)), NEEDED));
        }
        let found = self.find(path);
        match &found {
            Found::Nothing => Ok(None),
            Found::One(Value::Null) => Ok(Some(0.0)),
            Found::One(Value::Number(number)) if number.is_f64() => Ok(number.as_f64()),
            Found::One(Value::Number(number)) => match number.as_i64().and_then(|whole| i32::try_from(whole).ok()) {
                Some(whole) => Ok(Some(f64::from(whole))),
                None => Err(self.wrong(path, &found, NEEDED)),
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
        self.wrong_type(path, found, expected)
    }

    fn wrong_type(&self, path: &[&str], found: String, expected: &'static str) -> Abort {
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
