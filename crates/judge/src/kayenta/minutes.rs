//! Our evidence as Kayenta would have asked for it: one value per minute and side. A value is a share of requests, events
//! per second, a 95th percentile or a mean, so it forgets how many requests it rests on, as Kayenta's values do.

use std::collections::BTreeSet;

use serde_json::json;

use super::config::CanaryConfig;
use super::judging::MetricPair;
use super::scoring::Thresholds;
use crate::sequential::histogram::Direction;
use crate::{Block, Evidence, JudgeConfig, MetricConfig, MetricKind, course};

/// A day of minutes; Kayenta's users give it an hour or a few.
pub const MOST_MINUTES: usize = 1440;

impl Thresholds {
    /// What Spinnaker's pages suggest: 95 points pass, 75 are marginal.
    pub const USUAL: Self = Self {
        pass: 95.0,
        marginal: 75.0,
    };
}

/// The metrics of ours as a configuration of Kayenta's: one group, ours' directions and critical flags, its defaults for
/// everything else.
pub fn usual_config(config: &JudgeConfig) -> CanaryConfig {
    let metric = |metric: &MetricConfig| {
        let direction = match metric.worse {
            Direction::Up => "increase",
            Direction::Down => "decrease",
            Direction::Any => "either",
        };
        let options = json!({ "direction": direction, "critical": metric.critical, "nanStrategy": "remove" });
        json!({
            "name": metric.name,
            "groups": ["all"],
            "analysisConfigurations": { "canary": options },
            "scopeName": "default",
        })
    };
    let metrics: Vec<serde_json::Value> = config.metrics.iter().map(metric).collect();
    let text = json!({
        "name": "arya",
        "applications": ["ad-hoc"],
        "metrics": metrics,
        "classifier": { "groupWeights": { "all": 100.0 } },
    });
    // By way of its text, because a configuration keeps its numbers as they were written.
    serde_json::from_str(&text.to_string()).expect("the document above is a configuration")
}

/// The values of every metric that a configuration of Kayenta's names, in its order and each name once, for of two metrics
/// of one name the first counts; no values at all for one of which nothing is kept, which Kayenta calls *Nodata*. So there
/// are never more values than ours have, however long a configuration is.
pub fn pairs(names: &CanaryConfig, ours: &JudgeConfig, evidence: &[Evidence]) -> Vec<MetricPair> {
    let names = names.metrics.iter().filter_map(|metric| metric.name.as_deref());
    let mut seen = BTreeSet::new();
    names
        .filter(|name| seen.insert(*name))
        .map(|name| {
            let metric = ours.metrics.iter().find(|metric| metric.name == name);
            let known = evidence.iter().find(|known| known.metric == name);
            let (control, experiment) = match (metric, known) {
                (Some(metric), Some(known)) => minutes(metric.kind, known),
                (None, _) | (_, None) => (Vec::new(), Vec::new()),
            };
            MetricPair {
                name: name.to_owned(),
                control,
                experiment,
                ..MetricPair::default()
            }
        })
        .collect()
}

/// One value a minute of each side, for whole minutes only; NaN where a side has none.
fn minutes(kind: MetricKind, evidence: &Evidence) -> (Vec<f64>, Vec<f64>) {
    let readable = |block: &&Block| block.is_of(kind) && block.is_readable();
    let blocks: Vec<&Block> = evidence.blocks.iter().filter(readable).collect();
    let mut values: Vec<(f64, f64)> = Vec::new();
    let mut last: Option<i64> = None;
    for group in blocks.chunk_by(|a, b| minute(a) == minute(b)) {
        let (Some(first), Some(end)) = (group.first(), group.last()) else {
            continue;
        };
        let this = minute(first);
        // A minute that has just begun would be a value that rests on less than the others.
        let is_newest = blocks.last().is_some_and(|newest| minute(newest) == this);
        if is_newest && end.ends_at().as_second().rem_euclid(60) != 0 {
            break;
        }
        let silent = last.map_or(0, |last| (this - last - 1).max(0));
        let room = MOST_MINUTES.saturating_sub(values.len());
        values.extend(std::iter::repeat_n((f64::NAN, f64::NAN), room.min(silent as usize)));
        let point = course::point(group);
        let side = |value: Option<f64>| value.unwrap_or(f64::NAN);
        values.push(point.map_or((f64::NAN, f64::NAN), |point| (side(point.baseline), side(point.canary))));
        last = Some(this);
    }
    let oldest = values.len().saturating_sub(MOST_MINUTES);
    values.split_off(oldest).into_iter().unzip()
}

/// The minute that a block ends in; one that ends with the minute belongs to it.
fn minute(block: &Block) -> i64 {
    (block.ends_at().as_second() - 1).div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::kayenta::judge;

    fn errors(of_canary: impl Fn(i64) -> f64, blocks: i64) -> (JudgeConfig, Vec<Evidence>) {
        fixtures::errors(blocks, |n| (1.0 + (n % 3) as f64, of_canary(n)))
    }

    fn score(ours: &JudgeConfig, evidence: &[Evidence]) -> (usize, f64) {
        let config = usual_config(ours);
        let pairs = pairs(&config, ours, evidence);
        let judgement = judge(&config, &pairs, Thresholds::USUAL).unwrap();
        (pairs[0].control.len(), judgement.score.score)
    }

    #[test]
    fn a_minute_is_one_value_and_a_part_of_one_none() {
        let (ours, evidence) = errors(|n| 1.0 + (n % 3) as f64, 4 * 30 + 2);
        assert_eq!(score(&ours, &evidence), (30, 100.0));
    }

    #[test]
    fn what_fails_more_fails_kayentas_judge_too() {
        let (ours, evidence) = errors(|n| 20.0 + (n % 5) as f64, 4 * 30);
        assert_eq!(score(&ours, &evidence), (30, 0.0));
    }

    #[test]
    fn a_silent_minute_is_a_missing_value() {
        let (ours, mut evidence) = errors(|_| 1.0, 40);
        evidence[0].blocks.retain(|block| minute(block) % 3 != 0);
        let values = pairs(&usual_config(&ours), &ours, &evidence)[0].control.clone();
        assert!(values.iter().any(|value| value.is_nan()), "{values:?}");
        assert!(values.len() >= 8, "{values:?}");
    }

    #[test]
    fn a_name_that_stands_a_thousand_times_costs_its_values_once() {
        let (mut ours, evidence) = errors(|_| 1.0, 40);
        ours.metrics = vec![ours.metrics[0].clone(); 1_000];
        let pairs = pairs(&usual_config(&ours), &ours, &evidence);
        assert_eq!(pairs.len(), 1);
        assert!(!pairs[0].control.is_empty());
    }

    #[test]
    fn a_metric_that_was_never_measured_has_no_values() {
        let (ours, _) = errors(|_| 1.0, 4);
        assert_eq!(pairs(&usual_config(&ours), &ours, &[])[0].experiment, Vec::<f64>::new());
    }
}
