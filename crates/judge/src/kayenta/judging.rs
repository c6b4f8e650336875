//! The whole judgement: every metric classified, then scored.

use std::collections::BTreeMap;

use super::abort::Abort;
use super::classifier::{Classified, Criteria, classify_with_means};
use super::config::{CanaryConfig, CanaryMetric};
use super::options::MetricOptions;
use super::scoring::{self, Score, Scored, Thresholds};
use super::statistics::Summary;
use super::transforms::prepared;

/// The only judge here, which is also the one that a configuration gets that names none.
pub const JUDGE_NAME: &str = "NetflixACAJudge-v1.0";
/// Share of the estimated shift that the interval must exclude. Kayenta has properties for this and the next one, and
/// does not read them.
pub const TOLERANCE: f64 = 0.25;
/// Of the interval.
pub const CONFIDENCE: f64 = 0.98;

/// The values of one metric on both sides; NaN where one is missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricPair {
    /// Joins it with the configuration; several pairs may have the same.
    pub name: String,
    /// By which readers join the result with the series, if they do.
    pub id: Option<String>,
    /// What tells pairs of the same name apart.
    pub tags: BTreeMap<String, String>,
    /// The baseline's values.
    pub control: Vec<f64>,
    /// The canary's values.
    pub experiment: Vec<f64>,
}

/// What was found about one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricResult {
    /// The pair's.
    pub name: String,
    /// The pair's.
    pub id: Option<String>,
    /// The pair's.
    pub tags: BTreeMap<String, String>,
    /// The metric's.
    pub groups: Vec<String>,
    /// The metric's option: the result is reported and not scored.
    pub muted: bool,
    /// Of the prepared baseline.
    pub control: Summary,
    /// Of the prepared canary.
    pub experiment: Summary,
    /// What it is and why.
    pub classified: Classified,
    /// The reason as a sentence, if there is one.
    pub reason: Option<String>,
}

/// What was found about all.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// In the order of the pairs.
    pub results: Vec<MetricResult>,
    /// Of groups and of the whole.
    pub score: Score,
}

/// Judges as Kayenta does. Metrics of the configuration without a pair are not looked at.
pub fn judge(config: &CanaryConfig, pairs: &[MetricPair], thresholds: Thresholds) -> Result<Judgement, Abort> {
    ask_for_known_judge(config)?;
    let mut metrics: BTreeMap<&str, &CanaryMetric> = BTreeMap::new();
    for metric in &config.metrics {
        // Of two metrics of one name the first counts.
        metrics
            .entry(metric.name.as_deref().unwrap_or_default())
            .or_insert(metric);
    }
    let results = pairs.iter().map(|pair| {
        let metric = metrics.get(pair.name.as_str()).ok_or_else(|| Abort::UnknownMetric {
            metric: pair.name.clone(),
        })?;
        judge_pair(metric, pair)
    });
    let results: Vec<MetricResult> = results.collect::<Result<_, _>>()?;
    let weights = weights(config)?;
    let scored: Vec<Scored> = results.iter().map(MetricResult::scored).collect();
    let score = scoring::score(&scored, &weights, thresholds);
    Ok(Judgement { results, score })
}

fn ask_for_known_judge(config: &CanaryConfig) -> Result<(), Abort> {
    match config.judge.as_ref().and_then(|judge| judge.name.as_deref()) {
        None | Some("" | JUDGE_NAME) => Ok(()),
        Some(name) => Err(Abort::UnknownJudge { name: name.to_owned() }),
    }
}

fn judge_pair(metric: &CanaryMetric, pair: &MetricPair) -> Result<MetricResult, Abort> {
    let options = MetricOptions::read(metric)?;
    let groups = metric.groups.clone().ok_or_else(|| Abort::NoGroups {
        metric: pair.name.clone(),
    })?;
    let side = |values| prepared(values, options.nan_strategy, options.outliers);
    let (control, experiment) = (side(&pair.control), side(&pair.experiment));
    let (baseline, canary) = (Summary::of(&control), Summary::of(&experiment));
    let means = (baseline.mean, canary.mean);
    let classified = classify_with_means(&control, &experiment, means, &options.criteria());
    Ok(MetricResult {
        name: pair.name.clone(),
        id: pair.id.clone(),
        tags: pair.tags.clone(),
        groups,
        muted: options.muted,
        control: baseline,
        experiment: canary,
        classified,
        reason: classified.reason.sentence(&pair.name),
    })
}

fn weights(config: &CanaryConfig) -> Result<Vec<(String, f64)>, Abort> {
    let classifier = config.classifier.as_ref().ok_or(Abort::NoClassifier)?;
    let given = classifier.group_weights.iter().flat_map(|weights| &weights.0);
    let weight = |(group, weight): &(String, Option<f64>)| match weight {
        Some(weight) => Ok((group.clone(), *weight)),
        None => Err(Abort::NoWeight { group: group.clone() }),
    };
    given.map(weight).collect()
}

impl MetricOptions {
    fn criteria(&self) -> Criteria {
        Criteria {
            tolerance: TOLERANCE,
            confidence: CONFIDENCE,
            direction: self.direction,
            nan_strategy: self.nan_strategy,
            critical: self.critical,
            must_have_data: self.must_have_data,
            effect: self.effect,
        }
    }
}

impl MetricResult {
    fn scored(&self) -> Scored<'_> {
        Scored {
            classification: self.classified.classification,
            critical: self.classified.critical,
            muted: self.muted,
            groups: &self.groups,
            reason: self.reason.as_deref(),
        }
    }
}
