//! The score of Kayenta's judge on our evidence, for those who know it. Ours is what is acted on.

use arya_judge::kayenta::{Abort, Judgement, MetricPair, MetricResult, Thresholds};
use serde::{Deserialize, Serialize};

/// What the score does not tell; the whole list is in the judge's documentation.
const NOTE: &str = "Kayenta's score passes metrics that could not be judged, knows no minimum sample, counts a minute of ten \
                    requests as much as one of ten thousand, and alarms more often the more often one looks. It is shown \
                    and never acted on.";

/// One judgement of Kayenta's judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KayentaDocument {
    /// In points, usually 0 to 100; `None` when the judgement was aborted.
    pub(crate) score: Option<f64>,
    /// `Pass`, `Marginal`, `Fail`, or `Aborted`.
    pub(crate) classification: String,
    /// Why the score is what it is, where not the groups say so; why it was aborted.
    pub(crate) reason: String,
    /// Points for `Pass` and for `Marginal`.
    pub(crate) pass: f64,
    pub(crate) marginal: f64,
    /// Values of each side, one a minute, of the metric that has most.
    pub(crate) values: usize,
    pub(crate) metrics: Vec<KayentaMetricDocument>,
    pub(crate) note: String,
}

/// One metric of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KayentaMetricDocument {
    pub(crate) name: String,
    /// `Pass`, `High`, `Low`, `Nodata`, `NodataFailMetric` or `Error`.
    pub(crate) classification: String,
    /// Whether it fails the whole judgement.
    pub(crate) critical: bool,
    pub(crate) reason: Option<String>,
}

impl KayentaDocument {
    pub(crate) fn of(judged: Result<Judgement, Abort>, pairs: &[MetricPair], thresholds: Thresholds) -> Self {
        let values = pairs.iter().map(|pair| pair.control.len().max(pair.experiment.len()));
        let nothing = Self {
            score: None,
            classification: "Aborted".to_owned(),
            reason: String::new(),
            pass: thresholds.pass,
            marginal: thresholds.marginal,
            values: values.max().unwrap_or_default(),
            metrics: Vec::new(),
            note: NOTE.to_owned(),
        };
        match judged {
            Ok(judgement) => Self {
                score: Some(judgement.score.score).filter(|score| score.is_finite()),
                classification: judgement.score.rating.name().to_owned(),
                reason: judgement
                    .score
                    .outright
                    .as_ref()
                    .map(|why| why.sentence())
                    .unwrap_or_default(),
                metrics: judgement.results.iter().map(metric).collect(),
                ..nothing
            },
            Err(abort) => Self {
                reason: format!("As in Kayenta, the whole judgement is aborted: {abort}."),
                ..nothing
            },
        }
    }
}

fn metric(result: &MetricResult) -> KayentaMetricDocument {
    KayentaMetricDocument {
        name: result.name.clone(),
        classification: result.classified.classification.name().to_owned(),
        critical: result.classified.critical,
        reason: result.reason.clone(),
    }
}
