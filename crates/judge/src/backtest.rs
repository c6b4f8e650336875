//! Judging again what is kept of an earlier canary, by its own configuration or by a changed one. The same blocks, so
//! whatever differs between two answers is the configuration's doing. It must never ask a source for more.

use serde::{Deserialize, Serialize};

use crate::source::pack::{EditError, MetricEdit, edited};
use crate::{Evidence, JudgeConfig, Judging, Timestamp, Verdict};

/// A chance of one in two says nothing; below one in a million no traffic suffices.
const ALPHAS: (f64, f64) = (1e-6, 0.5);
/// From none to a day, in seconds.
const BAKES_S: (f64, f64) = (0.0, 86_400.0);

/// Everything that a verdict was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What it was judged by.
    pub config: JudgeConfig,
    /// Since when the share was what it was in the end: the minimum bake counts from there.
    #[serde(default)]
    pub share_since: Option<Timestamp>,
    /// One per metric.
    pub evidence: Vec<Evidence>,
}

/// What a person changes of a configuration to see what it would have said. What it leaves out stays as it was.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Chance of a false *harmful* per canary run, in (0, 0.5].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha_fail: Option<f64>,
    /// Chance of a false *no worse* per critical metric, in (0, 0.5].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha_pass: Option<f64>,
    /// Seconds of data on both arms before *no worse* may be said, up to a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_bake_s: Option<f64>,
    /// The margin of *no worse* of every metric that is not named below; above 1, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_margin: Option<f64>,
    /// Metrics by name, as in `analysis.metrics` of a spec, but for what would need other measurements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricEdit>,
}

/// Why a change cannot be followed. The sentence names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A number is out of its range.
    #[error("`{key}` must be {range}.")]
    Number {
        /// The key.
        key: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// A metric's entry is wrong.
    #[error(transparent)]
    Metric(#[from] EditError),
    /// What was not measured cannot be judged.
    #[error("`{key}` of the metric `{name}` needs other measurements than those that were kept.")]
    Unmeasured {
        /// The metric.
        name: String,
        /// The key.
        key: &'static str,
    },
}

impl Run {
    /// What its blocks show by a configuration.
    pub fn judged_by(&self, config: &JudgeConfig) -> Verdict {
        let mut judging = Judging::without_charts(config);
        self.evidence.iter().for_each(|evidence| judging.advance(evidence));
        judging.set_bake_from(self.share_since);
        judging.verdict()
    }

    /// Blocks of all metrics together: what judging it costs.
    pub fn blocks(&self) -> usize {
        self.evidence.iter().map(|evidence| evidence.blocks.len()).sum()
    }
}

impl Change {
    /// Whether it is in order by itself, whatever runs it will meet.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check(&self) -> Result<(), ChangeError> {
        let within = |value: Option<f64>, (low, high): (f64, f64)| value.is_none_or(|v| v >= low && v <= high);
        let number = |key, range| ChangeError::Number { key, range };
        if !within(self.alpha_fail, ALPHAS) {
            return Err(number("alpha_fail", "from 0.000001 to 0.5"));
        }
        if !within(self.alpha_pass, ALPHAS) {
            return Err(number("alpha_pass", "from 0.000001 to 0.5"));
        }
        if !within(self.minimum_bake_s, BAKES_S) {
            return Err(number("minimum_bake_s", "from 0 to 86400"));
        }
        if self
            .pass_margin
            .is_some_and(|margin| !(margin > 1.0 && margin <= 100.0))
        {
            return Err(number("pass_margin", "above 1, at most 100"));
        }
        for (place, edit) in self.metrics.iter().enumerate() {
            edit.check()?;
            let name = || edit.name.clone();
            if self.metrics[..place].iter().any(|earlier| earlier.name == edit.name) {
                return Err(EditError::Twice { name: name() }.into());
            }
            let unmeasured = |key| ChangeError::Unmeasured { name: name(), key };
            if edit.series.is_some() {
                return Err(unmeasured("series"));
            }
            if edit.kind.is_some() {
                return Err(unmeasured("kind"));
            }
        }
        Ok(())
    }

    /// A run's configuration with what this changes of it. Metrics that the run does not have are nothing to change.
    ///
    /// # Errors
    /// As [`Change::check`].
    pub fn applied(&self, config: &JudgeConfig) -> Result<JudgeConfig, ChangeError> {
        self.check()?;
        let mut changed = config.clone();
        changed.alpha_fail = self.alpha_fail.unwrap_or(changed.alpha_fail);
        changed.alpha_pass = self.alpha_pass.unwrap_or(changed.alpha_pass);
        changed.minimum_bake_s = self.minimum_bake_s.unwrap_or(changed.minimum_bake_s);
        if let Some(margin) = self.pass_margin {
            changed
                .metrics
                .iter_mut()
                .for_each(|metric| metric.pass_margin = margin);
        }
        let there = |edit: &&MetricEdit| config.metrics.iter().any(|metric| metric.name == edit.name);
        let edits: Vec<MetricEdit> = self.metrics.iter().filter(there).cloned().collect();
        changed.metrics = edited(changed.metrics, &edits)?;
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, fixtures};

    /// Half an hour in which the canary fails so many of 500 requests every 15 s, the baseline two.
    fn run(canary_events: f64) -> Run {
        let (mut config, evidence) = fixtures::errors(120, |_| (2.0, canary_events));
        config.metrics[0].known_dispersion = Some(1.0);
        Run {
            config,
            share_since: None,
            evidence,
        }
    }

    fn check(canary_events: f64, change: &str, expected: Outcome) {
        let run = run(canary_events);
        let change: Change = serde_json::from_str(change).unwrap();
        let config = change.applied(&run.config).unwrap();
        assert_eq!(run.judged_by(&config).outcome, expected);
    }

    #[track_caller]
    fn refused(change: &str, sentence: &str) {
        let change: Change = serde_json::from_str(change).unwrap();
        assert_eq!(change.check().unwrap_err().to_string(), sentence);
    }

    #[test]
    fn without_a_change_it_is_what_the_judge_says() {
        let run = run(2.0);
        let config = Change::default().applied(&run.config).unwrap();
        assert_eq!(config, run.config);
        assert_eq!(run.judged_by(&config), crate::judge(&run.config, &run.evidence));
    }

    #[test]
    fn a_wider_margin_lets_pass_what_was_open() {
        check(2.6, "{}", Outcome::Inconclusive);
        check(2.6, r#"{"pass_margin": 3}"#, Outcome::NoWorse);
        check(
            2.6,
            r#"{"metrics": [{"name": "errors", "pass_margin": 3}]}"#,
            Outcome::NoWorse,
        );
    }

    #[test]
    fn a_longer_bake_holds_back_a_pass() {
        check(2.0, "{}", Outcome::NoWorse);
        check(2.0, r#"{"minimum_bake_s": 7200}"#, Outcome::Inconclusive);
    }

    #[test]
    fn the_bake_counts_from_the_latest_change_of_the_share() {
        let mut run = run(2.0);
        let end = run.evidence[0].blocks.last().unwrap().ends_at();
        run.share_since = Some(end);
        assert_eq!(run.judged_by(&run.config).outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_metric_that_is_off_shows_no_harm() {
        check(40.0, "{}", Outcome::Harmful);
        check(
            40.0,
            r#"{"metrics": [{"name": "errors", "off": true}]}"#,
            Outcome::Inconclusive,
        );
        check(
            40.0,
            r#"{"metrics": [{"name": "of another run", "critical": false}]}"#,
            Outcome::Harmful,
        );
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        refused(r#"{"alpha_fail": 0}"#, "`alpha_fail` must be from 0.000001 to 0.5.");
        refused(r#"{"alpha_pass": 0.9}"#, "`alpha_pass` must be from 0.000001 to 0.5.");
        refused(r#"{"minimum_bake_s": -1}"#, "`minimum_bake_s` must be from 0 to 86400.");
        refused(r#"{"pass_margin": 1}"#, "`pass_margin` must be above 1, at most 100.");
        refused(
            r#"{"metrics": [{"name": "a"}, {"name": "a"}]}"#,
            "The metric `a` is named twice.",
        );
        refused(
            r#"{"metrics": [{"name": "a", "kind": "leak"}]}"#,
            "`kind` of the metric `a` needs other measurements than those that were kept.",
        );
    }
}
