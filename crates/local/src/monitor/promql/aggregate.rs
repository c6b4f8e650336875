//! Many series into few: sums, means, quantiles by labels. Must never know time.

use std::collections::BTreeMap;

use super::super::labels::{Labels, METRIC_NAME};
use super::ast::{AggregateOp, Labelling};
use super::eval::Sample;
use super::quantile;

impl Labelling {
    /// The labels that count; a metric's name counts only when it is listed.
    pub(super) fn of(&self, labels: &Labels) -> Labels {
        match self {
            Self::Only(names) => labels.filtered(|name| names.iter().any(|listed| listed == name)),
            Self::Without(names) => {
                labels.filtered(|name| name != METRIC_NAME && !names.iter().any(|listed| listed == name))
            }
        }
    }
}

/// One sample per group of `grouping`; for the top and bottom ones up to `parameter` of each group.
pub(super) fn aggregate(op: AggregateOp, grouping: &Labelling, parameter: f64, samples: Vec<Sample>) -> Vec<Sample> {
    let mut groups: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        groups.entry(grouping.of(&sample.labels)).or_default().push(sample);
    }
    groups
        .into_iter()
        .flat_map(|(labels, members)| of_group(op, parameter, labels, members))
        .collect()
}

fn of_group(op: AggregateOp, parameter: f64, labels: Labels, mut members: Vec<Sample>) -> Vec<Sample> {
    let values = || members.iter().map(|member| member.value);
    let value = match op {
        AggregateOp::Sum => sum(values()),
        AggregateOp::Avg => mean(values()),
        AggregateOp::Min => smallest(values()),
        AggregateOp::Max => largest(values()),
        AggregateOp::Count => members.len() as f64,
        AggregateOp::Group => 1.0,
        AggregateOp::Stdvar => variance(values()),
        AggregateOp::Stddev => variance(values()).sqrt(),
        AggregateOp::Quantile => quantile::of_values(parameter, values().collect()),
        AggregateOp::Topk | AggregateOp::Bottomk => {
            // NaN is neither large nor small: it comes last both times.
            members.sort_by(|a, b| {
                let by_value = if op == AggregateOp::Topk {
                    b.value.partial_cmp(&a.value)
                } else {
                    a.value.partial_cmp(&b.value)
                };
                by_value.unwrap_or_else(|| a.value.is_nan().cmp(&b.value.is_nan()))
            });
            members.truncate(if parameter >= 1.0 { parameter as usize } else { 0 });
            return members;
        }
    };
    vec![Sample { labels, value }]
}

/// With the lost low-order bits carried along (Neumaier): the order of the series must not show in the sum.
pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = total + value;
        lost += if next.is_infinite() {
            0.0
        } else if total.abs() >= value.abs() {
            (total - next) + value
        } else {
            (value - next) + total
        };
        total = next;
    }
    if total.is_infinite() { total } else { total + lost }
}

pub(super) fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    sum(values.clone()) / values.count() as f64
}

pub(super) fn smallest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(
        f64::NAN,
        |least, value| if value < least || least.is_nan() { value } else { least },
    )
}

pub(super) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(
        f64::NAN,
        |most, value| if value > most || most.is_nan() { value } else { most },
    )
}

/// Of the population: divided by the number of values.
pub(super) fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let mean = mean(values.clone());
    self::mean(values.map(move |value| (value - mean) * (value - mean)))
}
