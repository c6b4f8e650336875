//! Judging past deployments again: parse, ask the app, answer.

use arya_judge::backtest::Change;
use arya_judge::kayenta::{CanaryConfig, Thresholds};
use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;

use super::documents::BacktestDocument;
use super::input::{Json, deployment_id};
use super::problem::Problem;
use crate::app::{App, Backtest, Chosen, RUNS_MAX, RUNS_USUAL};

/// Metrics that a configuration of Kayenta's may name: far more than anything measured has. Each gets a line in the answer of
/// each of [`RUNS_MAX`] deployments, known or not, and a body has room for a hundred thousand.
const KAYENTA_METRICS_MAX: usize = 1_000;

/// What is asked for; everything may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BacktestBody {
    last: Option<usize>,
    deployment: Option<String>,
    examples: bool,
    config: Change,
    kayenta_config: Option<serde_json::Value>,
    thresholds: Option<ThresholdsBody>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdsBody {
    pass: f64,
    marginal: f64,
}

pub(crate) async fn backtest(
    State(app): State<App>,
    Json(body): Json<BacktestBody>,
) -> Result<Answer<BacktestDocument>, Problem> {
    app.backtest(body.parsed()?).await.map(Answer)
}

impl BacktestBody {
    fn parsed(self) -> Result<Backtest, Problem> {
        let of = match (self.deployment, self.examples, self.last) {
            (Some(id), _, _) => Chosen::One(deployment_id(&id)?),
            (None, true, _) => Chosen::Examples,
            (None, false, last) => Chosen::Latest(runs(last.unwrap_or(RUNS_USUAL))?),
        };
        let thresholds = self.thresholds.map_or(Thresholds::USUAL, |given| Thresholds {
            pass: given.pass,
            marginal: given.marginal,
        });
        let kayenta = self.kayenta_config.map(|config| {
            let config = kayenta_config(&config.to_string())?;
            Ok::<_, Problem>((config, thresholds))
        });
        Ok(Backtest {
            of,
            change: self.config,
            kayenta: kayenta.transpose()?,
        })
    }
}

/// How many deployments.
pub(crate) fn runs(last: usize) -> Result<usize, Problem> {
    if (1..=RUNS_MAX).contains(&last) {
        return Ok(last);
    }
    let detail = format!("`last` must be from 1 to {RUNS_MAX}. Nothing was judged.");
    Err(Problem::invalid(detail).at("last").next("Ask for fewer."))
}

/// A configuration of Kayenta's from its text.
pub(crate) fn kayenta_config(text: &str) -> Result<CanaryConfig, Problem> {
    let config: CanaryConfig = serde_json::from_str(text).map_err(|error| {
        let what = super::input::shown(&error.to_string());
        Problem::invalid(format!(
            "This is no configuration of Kayenta's: {what}. Nothing was judged."
        ))
        .at("kayenta_config")
        .next("Paste one as Spinnaker or Referee writes it, in JSON.")
    })?;
    if config.metrics.len() > KAYENTA_METRICS_MAX {
        let named = config.metrics.len();
        let detail = format!(
            "This configuration has {named} metrics, at most {KAYENTA_METRICS_MAX} are judged here. Nothing was judged."
        );
        let problem = Problem::invalid(detail).at("kayenta_config");
        return Err(problem.next("Leave out metrics that were not measured."));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_metrics(count: usize) -> Result<CanaryConfig, Problem> {
        let metrics = vec![serde_json::json!({ "name": "errors", "groups": ["all"] }); count];
        kayenta_config(&serde_json::json!({ "metrics": metrics }).to_string())
    }

    #[test]
    fn a_configuration_of_more_metrics_than_are_answered_for_is_refused_at_its_field() {
        assert_eq!(
            of_metrics(KAYENTA_METRICS_MAX).unwrap().metrics.len(),
            KAYENTA_METRICS_MAX
        );
        let refused = of_metrics(KAYENTA_METRICS_MAX + 1).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("kayenta_config"));
        assert!(refused.detail.contains("1001 metrics"), "{}", refused.detail);
    }
}
