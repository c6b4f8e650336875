//! What Kayenta checks when a configuration is stored, and when it is run. Nothing checks that weights sum to 100 or
//! that thresholds make sense. The judge asks none of it: whoever stores or runs configurations for others does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::CanaryConfig;

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// Missing or empty.
    #[error("the configuration has no `name`")]
    NoName,
    /// A letter out of range; the comma is in it, by an old accident.
    #[error("the configuration's name `{name}` has letters other than A-Z, a-z, 0-9, comma, hyphen and underscore")]
    NameLetters {
        /// As written.
        name: String,
    },
    /// Missing or empty.
    #[error("the configuration has no `applications`; `[\"ad-hoc\"]` will do")]
    NoApplications,
    /// Missing or empty.
    #[error("metric number {number} has no `name`")]
    NoMetricName {
        /// From 1.
        number: usize,
    },
    /// Two metrics cannot be told apart.
    #[error("several metrics have the name `{name}`")]
    SameMetricName {
        /// The name.
        name: String,
    },
    /// Nothing to run.
    #[error("the configuration has no metrics")]
    NoMetrics,
    /// A metric belongs to no scope.
    #[error("metric `{metric}` has no `scopeName`")]
    NoScopeName {
        /// Its name.
        metric: String,
    },
    /// A metric belongs to a scope that the request does not have.
    #[error("metric `{metric}` belongs to the scope `{scope}`, which the request does not have")]
    UnknownScope {
        /// Its name.
        metric: String,
        /// The scope's name.
        scope: String,
    },
    /// A scope with one side only.
    #[error("the scope `{scope}` has no `{side}`")]
    NoSide {
        /// The scope's name.
        scope: String,
        /// `controlScope` or `experimentScope`.
        side: &'static str,
    },
    /// Nothing to rate the score by.
    #[error("the request has no `thresholds`")]
    NoThresholds,
}

/// Whether two metrics may have the same name: an option of Kayenta's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricNames {
    /// As by default.
    Unique,
    /// The check is turned off.
    Any,
}

/// What a configuration is run on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRequest {
    /// By the names that metrics use.
    #[serde(default)]
    pub scopes: BTreeMap<String, ScopePair>,
    /// `pass` and `marginal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Map<String, Value>>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Where and when the two sides are measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopePair {
    /// The baseline's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_scope: Option<Map<String, Value>>,
    /// The canary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_scope: Option<Map<String, Value>>,
}

/// All that is wrong with a configuration that is to be stored.
pub fn check_stored(config: &CanaryConfig, names: MetricNames) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    match config.name.as_deref().unwrap_or_default() {
        "" => problems.push(ConfigProblem::NoName),
        name if !name.chars().all(may_be_in_a_name) => {
            problems.push(ConfigProblem::NameLetters { name: name.to_owned() })
        }
        _ => {}
    }
    if config.applications.as_ref().is_none_or(Vec::is_empty) {
        problems.push(ConfigProblem::NoApplications);
    }
    let mut seen = BTreeSet::new();
    for (index, metric) in config.metrics.iter().enumerate() {
        match metric.name.as_deref().unwrap_or_default() {
            "" => problems.push(ConfigProblem::NoMetricName { number: index + 1 }),
            name if !seen.insert(name) && names == MetricNames::Unique => {
                problems.push(ConfigProblem::SameMetricName { name: name.to_owned() });
            }
            _ => {}
        }
    }
    problems
}

fn may_be_in_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, ',' | '-' | '_')
}

/// All that is wrong with running a configuration on a request.
pub fn check_run(config: &CanaryConfig, request: &ExecutionRequest) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    if config.metrics.is_empty() {
        problems.push(ConfigProblem::NoMetrics);
    }
    let mut used = BTreeSet::new();
    for metric in &config.metrics {
        let name = || metric.name.clone().unwrap_or_default();
        match metric.scope_name.as_deref() {
            None => problems.push(ConfigProblem::NoScopeName { metric: name() }),
            Some(scope) => match request.scopes.get(scope) {
                None => problems.push(ConfigProblem::UnknownScope {
                    metric: name(),
                    scope: scope.to_owned(),
                }),
                Some(pair) if used.insert(scope) => problems.extend(missing_sides(scope, pair)),
                Some(_) => {}
            },
        }
    }
    if request.thresholds.is_none() {
        problems.push(ConfigProblem::NoThresholds);
    }
    problems
}

fn missing_sides(scope: &str, pair: &ScopePair) -> Vec<ConfigProblem> {
    let sides = [
        ("controlScope", &pair.control_scope),
        ("experimentScope", &pair.experiment_scope),
    ];
    let missing = sides.into_iter().filter(|(_, given)| given.is_none());
    missing
        .map(|(side, _)| ConfigProblem::NoSide {
            scope: scope.to_owned(),
            side,
        })
        .collect()
}
