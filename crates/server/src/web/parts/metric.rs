//! One metric: a sentence, the numbers of both sides, the chart, and the exact query.

use arya_judge::{ArmCount, DEFAULT_PASS_MARGIN};

use crate::api::documents::MetricDocument;
use crate::web::chart::Chart;
use crate::web::tone::Chip;
use crate::web::words;

#[derive(Debug, Clone)]
pub(crate) struct MetricTile {
    pub(crate) name: String,
    pub(crate) chip: Chip,
    pub(crate) critical: bool,
    pub(crate) sentence: String,
    pub(crate) ratio: String,
    pub(crate) interval: String,
    pub(crate) baseline: String,
    pub(crate) baseline_count: String,
    pub(crate) canary: String,
    pub(crate) canary_count: String,
    pub(crate) chart: Option<Chart>,
    pub(crate) query: String,
}

impl MetricTile {
    pub(crate) fn of(metric: &MetricDocument) -> Self {
        Self {
            name: words::capitalised(&metric.name),
            chip: Chip::outcome(metric.outcome),
            critical: metric.critical,
            sentence: words::capitalised(&metric.sentence),
            ratio: metric
                .ratio
                .map_or_else(|| "–".into(), |ratio| format!("{} ×", words::factor(ratio))),
            interval: interval(metric.interval),
            baseline: share(metric.baseline),
            baseline_count: counts(&metric.baseline_count),
            canary: share(metric.canary),
            canary_count: counts(&metric.canary_count),
            chart: Chart::of(&metric.track, DEFAULT_PASS_MARGIN),
            query: metric.query.clone(),
        }
    }
}

fn interval(interval: (f64, Option<f64>)) -> String {
    match interval {
        (lower, Some(upper)) => format!("{} – {} ×", words::factor(lower), words::factor(upper)),
        (lower, None) if lower > 0.0 => format!("≥ {} ×", words::factor(lower)),
        (_, None) => "not bounded yet".into(),
    }
}

fn share(percent: Option<f64>) -> String {
    percent.map_or_else(|| "–".into(), words::percent)
}

fn counts(arm: &ArmCount) -> String {
    format!(
        "{} of {} requests",
        words::count(arm.events),
        words::count(arm.exposure)
    )
}
