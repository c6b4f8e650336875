//! What a person changes of the default metrics, by name: margins, whether one is critical, one more, or one less.

use serde::{Deserialize, Serialize};

use super::default_names;

use crate::sequential::histogram::Direction;
use crate::source::{Origin, Watched};
use crate::{MetricConfig, MetricKind, Unit};

/// More metrics would share the false alarms into nothing.
const MOST_METRICS: usize = 50;
/// A name stands in a tile.
const LONGEST_NAME: usize = 60;

/// One entry of `analysis.metrics`: what it leaves out stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricEdit {
    /// A default metric's name, or a new one's.
    pub name: String,
    /// Takes the metric out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub off: bool,
    /// Whether *no worse* needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,
    /// Which way is worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse: Option<Direction>,
    /// The ratio of canary to baseline up to which nothing is wrong; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_ratio: Option<f64>,
    /// No alarm below this ratio, however certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_gate_ratio: Option<f64>,
    /// No alarm below this difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_floor: Option<f64>,
    /// The ratio that *no worse* excludes; above 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_margin: Option<f64>,
    /// What is measured, where it is not what its series make by themselves: `leak` instead of `gauge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MetricKind>,
    /// What its numbers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Which series it is made of; a new metric needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Watched>,
}

/// Why an entry cannot be followed. The sentence names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No metric has this name, and no series are given for a new one.
    #[error("There is no metric `{name}`, and a new one needs `series`.")]
    Unknown {
        /// The name as written.
        name: String,
    },
    /// The name is none.
    #[error("A metric's name has 1 to {LONGEST_NAME} characters; `{name}` has not.")]
    Name {
        /// The name as written, cut.
        name: String,
    },
    /// Two entries have one name.
    #[error("The metric `{name}` is named twice.")]
    Twice {
        /// The name.
        name: String,
    },
    /// A number is out of its range.
    #[error("`{key}` of the metric `{name}` must be {range}.")]
    Number {
        /// The metric.
        name: String,
        /// The key.
        key: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// The series do not make this kind of metric.
    #[error("The series of the metric `{name}` do not make a metric of that `kind`.")]
    Kind {
        /// The metric.
        name: String,
    },
    /// There would be too many metrics.
    #[error("At most {MOST_METRICS} metrics are judged; these are more.")]
    TooMany,
}

impl MetricEdit {
    /// Whether the entry is in order by itself, whatever metrics it will meet.
    ///
    /// # Errors
    /// See [`EditError`]; never [`EditError::Unknown`].
    pub fn check(&self) -> Result<(), EditError> {
        let name = || self.name.clone();
        let characters = self.name.chars().count();
        if !(1..=LONGEST_NAME).contains(&characters) {
            let name = self.name.chars().take(LONGEST_NAME).collect();
            return Err(EditError::Name { name });
        }
        let ratios = [
            ("allowed_ratio", self.allowed_ratio, "from 1 to 100"),
            ("effect_gate_ratio", self.effect_gate_ratio, "from 1 to 100"),
        ];
        let number = |key, range| EditError::Number {
            name: name(),
            key,
            range,
        };
        for (key, value, range) in ratios {
            if value.is_some_and(|value| !(1.0..=100.0).contains(&value)) {
                return Err(number(key, range));
            }
        }
        if self.pass_margin.is_some_and(|value| !(value > 1.0 && value <= 100.0)) {
            return Err(number("pass_margin", "above 1, at most 100"));
        }
        if self.absolute_floor.is_some_and(|value| !(0.0..=1e9).contains(&value)) {
            return Err(number("absolute_floor", "from 0 to a thousand million"));
        }
        match (&self.series, self.kind) {
            (Some(series), Some(kind)) if !series.suits(kind) => Err(EditError::Kind { name: name() }),
            (Some(_) | None, _) => Ok(()),
        }
    }

    fn apply(&self, metric: MetricConfig) -> MetricConfig {
        MetricConfig {
            critical: self.critical.unwrap_or(metric.critical),
            worse: self.worse.unwrap_or(metric.worse),
            allowed_ratio: self.allowed_ratio.unwrap_or(metric.allowed_ratio),
            effect_gate_ratio: self.effect_gate_ratio.unwrap_or(metric.effect_gate_ratio),
            absolute_floor: self.absolute_floor.unwrap_or(metric.absolute_floor),
            pass_margin: self.pass_margin.unwrap_or(metric.pass_margin),
            unit: self.unit.unwrap_or(metric.unit),
            ..metric
        }
    }

    /// A metric of the entry's own series; not critical unless it says so.
    fn own(&self, series: &Watched) -> MetricConfig {
        let kind = self.kind.unwrap_or_else(|| series.kind());
        MetricConfig {
            critical: false,
            from: Origin::Series(series.clone()),
            ..MetricConfig::of(kind, self.name.clone(), series.promql())
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The metrics after what a person changed.
///
/// # Errors
/// The first entry that cannot be followed.
pub fn edited(defaults: Vec<MetricConfig>, edits: &[MetricEdit]) -> Result<Vec<MetricConfig>, EditError> {
    let mut metrics = defaults;
    for (place, edit) in edits.iter().enumerate() {
        edit.check()?;
        let name = || edit.name.clone();
        if edits[..place].iter().any(|earlier| earlier.name == edit.name) {
            return Err(EditError::Twice { name: name() });
        }
        let known = metrics.iter().position(|metric| metric.name == edit.name);
        match (known, &edit.series) {
            (Some(known), _) if edit.off => {
                metrics.remove(known);
            }
            // What is not there needs no taking out: another version may show it.
            (None, _) if edit.off => {}
            (Some(known), None) => {
                let metric = edit.apply(metrics[known].clone());
                if edit.kind.is_some_and(|kind| kind != metric.kind) {
                    return Err(EditError::Kind { name: name() });
                }
                metrics[known] = metric;
            }
            (Some(known), Some(series)) => metrics[known] = edit.apply(edit.own(series)),
            (None, Some(series)) => metrics.push(edit.apply(edit.own(series))),
            // A default that the arms do not show has nothing to be changed.
            (None, None) if default_names().any(|name| name == edit.name) => {}
            (None, None) => return Err(EditError::Unknown { name: name() }),
        }
    }
    if metrics.len() > MOST_METRICS {
        return Err(EditError::TooMany);
    }
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Vec<MetricConfig> {
        vec![
            super::super::error_share_of_clients(),
            super::super::latency_of_targets(),
        ]
    }

    #[track_caller]
    fn check(edits: &str, expected: &[(&str, bool, f64)]) {
        let edits: Vec<MetricEdit> = serde_json::from_str(edits).unwrap();
        let metrics = edited(defaults(), &edits).unwrap();
        let seen: Vec<_> = metrics
            .iter()
            .map(|m| (m.name.as_str(), m.critical, m.pass_margin))
            .collect();
        assert_eq!(seen, expected);
    }

    #[track_caller]
    fn refused(edits: &str, sentence: &str) {
        let edits: Vec<MetricEdit> = serde_json::from_str(edits).unwrap();
        assert_eq!(edited(defaults(), &edits).unwrap_err().to_string(), sentence);
    }

    #[test]
    fn metrics_are_changed_added_and_taken_out_by_name() {
        check("[]", &[("error share", true, 1.5), ("latency", true, 1.5)]);
        check(
            r#"[{"name":"latency","critical":false,"pass_margin":2},{"name":"error share","off":true},{"name":"gone","off":true}]"#,
            &[("latency", false, 2.0)],
        );
        check(
            r#"[{"name":"cpu","allowed_ratio":2},{"name":"latency at the balancer","critical":false}]"#,
            &[("error share", true, 1.5), ("latency", true, 1.5)],
        );
        check(
            r#"[{"name":"queue","kind":"leak","critical":true,"series":{"level":"queue_length{queue=\"mail\"}"}}]"#,
            &[("error share", true, 1.5), ("latency", true, 1.5), ("queue", true, 1.1)],
        );
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        refused(
            r#"[{"name":"latncy"}]"#,
            "There is no metric `latncy`, and a new one needs `series`.",
        );
        refused(
            r#"[{"name":"latency","allowed_ratio":0.5}]"#,
            "`allowed_ratio` of the metric `latency` must be from 1 to 100.",
        );
        refused(
            r#"[{"name":"latency","pass_margin":1}]"#,
            "`pass_margin` of the metric `latency` must be above 1, at most 100.",
        );
        refused(
            r#"[{"name":"latency"},{"name":"latency"}]"#,
            "The metric `latency` is named twice.",
        );
        refused(
            r#"[{"name":"q","kind":"histogram","series":{"level":"q"}}]"#,
            "The series of the metric `q` do not make a metric of that `kind`.",
        );
    }
}
