//! The judgement as JSON: Kayenta's own result, and beside it the numbers that Kayenta computes and does not tell.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::classifier::Test;
use super::judging::{JUDGE_NAME, Judgement, MetricResult};
use super::statistics::Summary;

/// A double as Kayenta writes it: JSON has no word for NaN and infinities, so these are texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            number if number.is_nan() => serializer.serialize_str("NaN"),
            number if number > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

/// The answer of `arya judge`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<'a> {
    /// Kayenta's result.
    pub judge_result: JudgeResult<'a>,
    /// One per result, in the same order.
    pub details: Vec<Details<'a>>,
    /// `NONE`, `CRITICAL` or `TOO_MANY_NODATA`.
    pub summary_reason_category: &'static str,
}

/// Kayenta's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JudgeResult<'a> {
    judge_name: &'static str,
    score: ScoreEntry<'a>,
    group_scores: Vec<ScoreEntry<'a>>,
    results: Vec<ResultEntry<'a>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ScoreEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    score: Number,
    classification: &'static str,
    classification_reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultEntry<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    tags: &'a BTreeMap<String, String>,
    groups: &'a [String],
    classification: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    classification_reason: Option<&'a str>,
    critical: bool,
    muted: bool,
    experiment_metadata: SideMetadata,
    control_metadata: SideMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_metadata: Option<ResultMetadata>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct SideMetadata {
    stats: Stats,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Stats {
    min: Number,
    max: Number,
    mean: Number,
    std: Number,
    count: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ResultMetadata {
    ratio: Number,
}

/// What Kayenta computes about a metric and does not tell. The numbers are there only where the test ran on the data
/// as they are.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details<'a> {
    name: &'a str,
    lower: Option<Number>,
    upper: Option<Number>,
    estimate: Option<Number>,
    effect_size: Option<Number>,
    test_ran: bool,
    noise_applied: bool,
    reason_category: &'static str,
}

impl Judgement {
    /// With the details.
    pub fn answer(&self) -> Answer<'_> {
        Answer {
            judge_result: self.judge_result(),
            details: self.results.iter().map(details).collect(),
            summary_reason_category: self.score.outright.as_ref().map_or("NONE", |outright| outright.name()),
        }
    }

    /// As Kayenta answers.
    pub fn judge_result(&self) -> JudgeResult<'_> {
        let score = &self.score;
        JudgeResult {
            judge_name: JUDGE_NAME,
            score: ScoreEntry {
                name: None,
                score: Number(score.score),
                classification: score.rating.name(),
                classification_reason: score
                    .outright
                    .as_ref()
                    .map(|outright| outright.sentence())
                    .unwrap_or_default(),
            },
            group_scores: score
                .groups
                .iter()
                .map(|group| ScoreEntry {
                    name: Some(&group.name),
                    score: Number(group.score),
                    classification: "",
                    classification_reason: String::new(),
                })
                .collect(),
            results: self.results.iter().map(entry).collect(),
        }
    }
}

fn entry(result: &MetricResult) -> ResultEntry<'_> {
    ResultEntry {
        name: &result.name,
        id: result.id.as_deref(),
        tags: &result.tags,
        groups: &result.groups,
        classification: result.classified.classification.name(),
        classification_reason: result.reason.as_deref(),
        critical: result.classified.critical,
        muted: result.muted,
        experiment_metadata: metadata(&result.experiment),
        control_metadata: metadata(&result.control),
        result_metadata: result
            .classified
            .ratio
            .map(|ratio| ResultMetadata { ratio: Number(ratio) }),
    }
}

fn metadata(summary: &Summary) -> SideMetadata {
    SideMetadata {
        stats: Stats {
            min: Number(summary.min),
            max: Number(summary.max),
            mean: Number(summary.mean),
            std: Number(summary.std),
            count: summary.count,
        },
    }
}

fn details(result: &MetricResult) -> Details<'_> {
    let (test_ran, noise_applied) = match result.classified.test {
        Test::NotRun => (false, false),
        Test::Ran { .. } | Test::Threw => (true, false),
        Test::Constant => (true, true),
    };
    let numbers = match result.classified.test {
        Test::Ran { interval, effect_size } => Some((interval, effect_size)),
        Test::NotRun | Test::Threw | Test::Constant => None,
    };
    Details {
        name: &result.name,
        lower: numbers.map(|(interval, _)| Number(interval.lower)),
        upper: numbers.map(|(interval, _)| Number(interval.upper)),
        estimate: numbers.map(|(interval, _)| Number(interval.estimate)),
        effect_size: numbers.map(|(_, effect_size)| Number(effect_size)),
        test_ran,
        noise_applied,
        reason_category: result.classified.reason.name(),
    }
}
