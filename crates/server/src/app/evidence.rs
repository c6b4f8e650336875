//! What is kept of a deployment's judging, for those who look closer: one metric over time, and Kayenta's score.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arya_judge::backtest::Run;
use arya_judge::kayenta::minutes::{pairs, usual_config};
use arya_judge::kayenta::{self, CanaryConfig, Thresholds};
use arya_judge::{AboveEdge, CoursePoint, MetricKind, TrackPoint, Unit, above_edges, course, history};
use arya_plan::identity::DeploymentId;

use super::App;
use crate::api::documents::{KayentaDocument, VerdictDocument};
use crate::api::problem::Problem;

/// Scores that are remembered: more deployments than can be live.
const SCORES_KEPT: usize = 128;

/// A metric that somebody looks at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Closer {
    pub(crate) kind: MetricKind,
    pub(crate) unit: Unit,
    /// Where it was measured.
    pub(crate) source: String,
    pub(crate) query: String,
    /// Both arms over time.
    pub(crate) course: Vec<CoursePoint>,
    /// Of a distribution: the shares of requests above each edge.
    pub(crate) above: Vec<AboveEdge>,
    /// How the estimate and its confidence sequence grew.
    pub(crate) track: Vec<TrackPoint>,
}

/// Kayenta's latest score of each deployment. Its values are whole minutes, so a minute's score holds for that minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scores(Arc<Mutex<HashMap<DeploymentId, (i64, KayentaDocument)>>>);

impl Scores {
    fn of(&self, id: &DeploymentId, minute: i64) -> Option<KayentaDocument> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, score) = known.get(id)?;
        (*at == minute).then(|| score.clone())
    }

    fn keep(&self, id: &DeploymentId, minute: i64, score: &KayentaDocument) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SCORES_KEPT && !known.contains_key(id) {
            known.clear();
        }
        known.insert(*id, (minute, score.clone()));
    }
}

impl App {
    /// The verdict with Kayenta's score beside it.
    pub(crate) async fn scored_verdict(&self, id: &DeploymentId) -> Result<VerdictDocument, Problem> {
        let mut verdict = self.verdict(id)?;
        if let Some(as_of) = verdict.as_of {
            let minute = as_of.as_second().div_euclid(60);
            verdict.kayenta = match self.scores.of(id, minute) {
                Some(score) => Some(score),
                None => self.score(id, minute).await?,
            };
        }
        Ok(verdict)
    }

    async fn score(&self, id: &DeploymentId, minute: i64) -> Result<Option<KayentaDocument>, Problem> {
        let (app, id) = (self.clone(), *id);
        let work = move || {
            let kept = app.engine.kept(&id).map_err(|error| Problem::internal(&error))?;
            let score = kept.map(|kept| {
                let ours = &kept.run.config;
                kayentas(&usual_config(ours), Thresholds::USUAL, &kept.run)
            });
            if let Some(score) = &score {
                app.scores.keep(&id, minute, score);
            }
            Ok(score)
        };
        aside(work).await
    }

    /// The verdict with the points of every chart, also where an earlier run of the server kept them.
    pub(super) async fn with_tracks(
        &self,
        id: &DeploymentId,
        mut verdict: VerdictDocument,
    ) -> Result<VerdictDocument, Problem> {
        if verdict.metrics.iter().all(|metric| !metric.track.is_empty()) {
            return Ok(verdict);
        }
        let (app, id) = (self.clone(), *id);
        let work = move || {
            let kept = app.engine.kept(&id).map_err(|error| Problem::internal(&error))?;
            for evidence in kept.iter().flat_map(|kept| &kept.run.evidence) {
                let metric = verdict.metrics.iter_mut().find(|metric| metric.name == evidence.metric);
                if let (Some(metric), Some(kept)) = (metric.filter(|metric| metric.track.is_empty()), &kept) {
                    metric.track = history(&kept.run.config, evidence);
                }
            }
            Ok(verdict)
        };
        aside(work).await
    }

    /// One metric over time; `None` = nothing is kept of one of that name.
    pub(crate) async fn closer(&self, id: &DeploymentId, metric: &str) -> Result<Option<Closer>, Problem> {
        let (app, id, name) = (self.clone(), *id, metric.to_owned());
        let tracks = self.report(&id)?;
        let work = move || {
            let kept = app
                .engine
                .kept_metric(&id, &name)
                .map_err(|error| Problem::internal(&error))?;
            let Some((config, evidence)) = kept else {
                return Ok(None);
            };
            let Some(metric) = config.metrics.iter().find(|metric| metric.name == name) else {
                return Ok(None);
            };
            // While it is judged its points are kept; of an earlier run of the server they are found again.
            let live = tracks.tracks.iter().find(|track| track.metric == name);
            let track = live.map_or_else(|| history(&config, &evidence), |track| track.points.clone());
            Ok(Some(Closer {
                kind: metric.kind,
                unit: metric.unit,
                source: evidence.source.clone(),
                query: evidence.query.clone(),
                course: course(metric.kind, &evidence),
                above: above_edges(&evidence),
                track,
            }))
        };
        aside(work).await
    }
}

/// What Kayenta's judge says of a run by a configuration of its own.
pub(super) fn kayentas(config: &CanaryConfig, thresholds: Thresholds, run: &Run) -> KayentaDocument {
    let pairs = pairs(config, &run.config, &run.evidence);
    KayentaDocument::of(kayenta::judge(config, &pairs, thresholds), &pairs, thresholds)
}

/// Work that takes more than a moment, beside the answering of others.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| Problem::internal(&panic))?
}
