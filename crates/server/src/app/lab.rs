//! The judge's laboratory: what is kept of past deployments, judged again under a changed configuration. It reads and
//! computes; nothing that it says is stored or acted on.

use std::time::Duration;

use arya_engine::{Kept, StoreError};
use arya_judge::backtest::Change;
use arya_judge::kayenta::minutes::usual_config;
use arya_judge::kayenta::{CanaryConfig, Thresholds};
use arya_plan::identity::DeploymentId;
use axum::http::StatusCode;

use super::App;
use super::evidence::{aside, kayentas};
use super::examples::examples;
use crate::api::documents::{BacktestDocument, BacktestRunDocument, LeftOutDocument};
use crate::api::problem::Problem;

/// Deployments that one request judges again.
pub(crate) const RUNS_MAX: usize = 20;
/// Without a number so many are.
pub(crate) const RUNS_USUAL: usize = 5;
/// Blocks of all of them together: five canaries of 20 metrics over four hours. Judged twice, three to five seconds.
pub(crate) const BLOCKS_MAX: usize = 100_000;
/// Past deployments that are looked through for evidence.
const LOOKED_THROUGH: usize = 200;
/// One request at a time has the machine; another waits so long.
const WAITS_AT_MOST: Duration = Duration::from_secs(10);

/// What is judged again, and how.
#[derive(Debug, Clone)]
pub(crate) struct Backtest {
    pub(crate) of: Chosen,
    pub(crate) change: Change,
    /// A configuration of Kayenta's, to be run on the same evidence.
    pub(crate) kayenta: Option<(CanaryConfig, Thresholds)>,
}

/// Which deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The latest ones of which something was measured; the saved examples where there are none.
    Latest(usize),
    /// One.
    One(DeploymentId),
    /// The saved examples.
    Examples,
}

/// A run, and what it is called.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) id: Option<DeploymentId>,
    pub(crate) kept: Kept,
}

impl App {
    /// Judges again.
    pub(crate) async fn backtest(&self, asked: Backtest) -> Result<BacktestDocument, Problem> {
        asked
            .change
            .check()
            .map_err(|error| refused(&asked.change, &error.to_string()))?;
        let turn = tokio::time::timeout(WAITS_AT_MOST, self.lab.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let detail = "Others are judging past deployments again right now. Nothing was computed.";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).next("Try again in a moment."));
        };
        let app = self.clone();
        aside(move || {
            let _turn = turn;
            app.all_judged_again(&asked)
        })
        .await
    }

    fn all_judged_again(&self, asked: &Backtest) -> Result<BacktestDocument, Problem> {
        let (mut runs, mut left_out, mut blocks) = (Vec::new(), Vec::new(), 0);
        let with_blocks = |id: &DeploymentId| self.engine.kept(id);
        self.each_kept(asked.of, with_blocks, |named| {
            let own = named.kept.run.blocks();
            // One alone is judged however long it is: what it costs is bounded by what is kept of a metric.
            if blocks + own > BLOCKS_MAX && !runs.is_empty() {
                left_out.push(LeftOutDocument {
                    name: named.kept.name.clone(),
                    why: format!("These are more than {BLOCKS_MAX} blocks together; ask for it alone."),
                });
                return Ok(());
            }
            blocks += own;
            runs.push(judged_again(&named, asked)?);
            Ok(())
        })?;
        Ok(BacktestDocument::of(asked, runs, left_out))
    }

    /// What could be judged again, without its blocks, for a page that lists it.
    pub(crate) async fn could_be_judged_again(&self, of: Chosen) -> Result<Vec<Named>, Problem> {
        let app = self.clone();
        aside(move || {
            let mut all = Vec::new();
            let head = |id: &DeploymentId| app.engine.kept_head(id);
            app.each_kept(of, head, |named| {
                all.push(named);
                Ok(())
            })?;
            Ok(all)
        })
        .await
    }

    /// Reads one after the other, so that no more than one is held at a time.
    fn each_kept(
        &self,
        of: Chosen,
        read: impl Fn(&DeploymentId) -> Result<Option<Kept>, StoreError>,
        mut with: impl FnMut(Named) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let kept = |id: &DeploymentId| read(id).map_err(|error| Problem::internal(&error));
        let (mut found, most) = match of {
            Chosen::One(id) => {
                self.report(&id)?;
                let one = kept(&id)?.ok_or_else(|| nothing_measured(&id))?;
                return with(Named {
                    id: Some(id),
                    kept: one,
                });
            }
            Chosen::Latest(most) => (0, most.min(RUNS_MAX)),
            Chosen::Examples => (0, 0),
        };
        let past = self
            .engine
            .deployments(LOOKED_THROUGH)
            .map_err(|error| Problem::internal(&error))?;
        for summary in past {
            if found == most {
                break;
            }
            if let Some(one) = kept(&summary.id)? {
                found += 1;
                with(Named {
                    id: Some(summary.id),
                    kept: one,
                })?;
            }
        }
        if found == 0 {
            for example in examples() {
                with(Named {
                    id: None,
                    kept: example.clone(),
                })?;
            }
        }
        Ok(())
    }
}

/// One run judged twice.
pub(crate) fn judged_again(named: &Named, asked: &Backtest) -> Result<BacktestRunDocument, Problem> {
    let run = &named.kept.run;
    let applied = asked.change.applied(&run.config);
    let changed = applied.map_err(|error| refused(&asked.change, &error.to_string()))?;
    let old = run.judged_by(&run.config);
    let new = if changed == run.config {
        old.clone()
    } else {
        run.judged_by(&changed)
    };
    let kayenta = asked.kayenta.as_ref().map(|(config, thresholds)| {
        let usual = kayentas(&usual_config(&run.config), Thresholds::USUAL, run);
        (usual, kayentas(config, *thresholds, run))
    });
    Ok(BacktestRunDocument::of(named, &old, &new, kayenta))
}

fn nothing_measured(id: &DeploymentId) -> Problem {
    Problem::not_found(&format!(
        "evidence of the deployment `{id}`: nothing was measured of it"
    ))
}

/// What is wrong with a change, at its key.
fn refused(change: &Change, sentence: &str) -> Problem {
    let key = sentence.split('`').nth(1).unwrap_or("metrics");
    let keys = ["alpha_fail", "alpha_pass", "minimum_bake_s", "pass_margin"];
    // A key of the whole, or one of a metric's entry.
    let of_a_metric = sentence.contains("of the metric");
    let field = if keys.contains(&key) && !of_a_metric {
        format!("config.{key}")
    } else {
        let named = |edit: &&arya_judge::source::pack::MetricEdit| sentence.contains(&format!("`{}`", edit.name));
        let place = change.metrics.iter().position(|edit| named(&edit));
        place.map_or_else(
            || "config.metrics".to_owned(),
            |place| format!("config.metrics.{place}"),
        )
    };
    Problem::invalid(format!("{sentence} Nothing was judged."))
        .at(field)
        .next("Correct it; docs/judge.md says what may be changed.")
}
