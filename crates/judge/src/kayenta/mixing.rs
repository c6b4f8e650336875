//! From series of both sides to the pairs that are judged. It decides which missing values the judge sees. Data from files
//! are pairs already; this is for whoever asks a metrics service on the judge's behalf.

use std::collections::{BTreeMap, BTreeSet};

use super::config::CanaryConfig;
use super::judging::MetricPair;

/// More values than a judgement can use: a year of them, one a second, would be three times as many. It bounds what a
/// wrong step can make of a window.
const MOST_VALUES: i64 = 10_000_000;

type Tags = BTreeMap<String, String>;

/// One series of one side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricSet {
    /// The metric's.
    pub name: String,
    /// What tells series of one metric apart.
    pub tags: Tags,
    /// Start of the window in milliseconds since 1970.
    pub start_ms: i64,
    /// End of the window in milliseconds since 1970.
    pub end_ms: i64,
    /// Distance of the values in milliseconds; 0 when it is not known.
    pub step_ms: i64,
    /// In order of time; NaN where one is missing.
    pub values: Vec<f64>,
}

/// Which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The baseline.
    Control,
    /// The canary.
    Experiment,
}

/// Why the series do not make pairs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// A metrics service answers at least with an empty series, so this is a fault of it.
    #[error("there is no {} series of the metric `{metric}`", match side { Side::Control => "baseline", Side::Experiment => "canary" })]
    NoSeries {
        /// The metric's name.
        metric: String,
        /// The side without any.
        side: Side,
    },
    /// The two sides cannot be told apart by the same tags.
    #[error("the metric `{metric}` has the tags {control:?} in the baseline and {experiment:?} in the canary")]
    TagKeys {
        /// The metric's name.
        metric: String,
        /// The baseline's keys.
        control: Vec<String>,
        /// The canary's keys.
        experiment: Vec<String>,
    },
    /// Window and step ask for too many values.
    #[error("the window of the metric `{metric}` has {values} steps; at most {MOST_VALUES} can be judged")]
    TooLong {
        /// The metric's name.
        metric: String,
        /// How many.
        values: i64,
    },
}

/// The pairs, in the order of the configuration; those of one metric in the order in which their tags first appear.
pub fn mix(
    config: &CanaryConfig,
    control: &[MetricSet],
    experiment: &[MetricSet],
) -> Result<Vec<MetricPair>, MixError> {
    let names = config
        .metrics
        .iter()
        .map(|metric| metric.name.as_deref().unwrap_or_default());
    let mut pairs = Vec::new();
    for name in names {
        let of = |sets: &'_ [MetricSet], side| {
            let found: Vec<MetricSet> = sets.iter().filter(|set| set.name == name).cloned().collect();
            if found.is_empty() {
                return Err(MixError::NoSeries {
                    metric: name.to_owned(),
                    side,
                });
            }
            Ok(found)
        };
        let (control, experiment) = (of(control, Side::Control)?, of(experiment, Side::Experiment)?);
        pairs.extend(mix_metric(name, &control, &experiment)?);
    }
    Ok(pairs)
}

fn mix_metric(name: &str, control: &[MetricSet], experiment: &[MetricSet]) -> Result<Vec<MetricPair>, MixError> {
    agree_on_keys(name, control, experiment)?;
    let untagged = |sets: &[MetricSet]| sets.iter().any(|set| set.tags.is_empty());
    // Where only one side has a series without tags, that series stands for no data at all: what it has is ignored.
    let ignore_untagged = untagged(control) != untagged(experiment);
    let mut seen: BTreeSet<&Tags> = BTreeSet::new();
    let all_tags = control.iter().chain(experiment).map(|set| &set.tags);
    all_tags
        .filter(|tags| !(ignore_untagged && tags.is_empty()))
        .filter(|tags| seen.insert(tags))
        .map(|tags| {
            Ok(MetricPair {
                name: name.to_owned(),
                id: None,
                tags: tags.clone(),
                control: values(control, tags)?,
                experiment: values(experiment, tags)?,
            })
        })
        .collect()
}

fn agree_on_keys(name: &str, control: &[MetricSet], experiment: &[MetricSet]) -> Result<(), MixError> {
    let keys = |sets: &[MetricSet]| -> Vec<String> {
        let keys: BTreeSet<&String> = sets.iter().flat_map(|set| set.tags.keys()).collect();
        keys.into_iter().cloned().collect()
    };
    let (control, experiment) = (keys(control), keys(experiment));
    if control.is_empty() || experiment.is_empty() || control == experiment {
        return Ok(());
    }
    Err(MixError::TagKeys {
        metric: name.to_owned(),
        control,
        experiment,
    })
}

/// The values of the series with these tags, filled up at the end to what its window expects and never cut. Without
/// such a series, nothing but missing values, as many as the window of the side's first series expects.
fn values(sets: &[MetricSet], tags: &Tags) -> Result<Vec<f64>, MixError> {
    let (values, window) = match sets.iter().find(|set| set.tags == *tags) {
        Some(set) => (set.values.clone(), set),
        None => (Vec::new(), &sets[0]),
    };
    padded(values, window)
}

fn padded(mut values: Vec<f64>, window: &MetricSet) -> Result<Vec<f64>, MixError> {
    let length = window.end_ms.saturating_sub(window.start_ms);
    // A step of 0 expects nothing; the one step that could overflow, -1, means nothing either.
    let expected = if window.step_ms > 0 { length / window.step_ms } else { 0 };
    if expected > MOST_VALUES {
        return Err(MixError::TooLong {
            metric: window.name.clone(),
            values: expected,
        });
    }
    let expected = usize::try_from(expected).unwrap_or(0);
    values.resize(values.len().max(expected), f64::NAN);
    Ok(values)
}
