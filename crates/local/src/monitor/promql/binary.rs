//! Operators between scalars and series, with the rules for which series meet. Must never know time.

use std::collections::{HashMap, HashSet};

use super::super::labels::Labels;
use super::EvalError;
use super::ast::{Binary, BinaryOp, Labelling, Many, Matching};
use super::eval::{Sample, Value};

/// What an operator makes of two values: a new value, or a decision to keep the left one.
enum Outcome {
    Computed(f64),
    Kept(bool),
}

fn apply(op: BinaryOp, left: f64, right: f64) -> Outcome {
    match op {
        BinaryOp::Add => Outcome::Computed(left + right),
        BinaryOp::Subtract => Outcome::Computed(left - right),
        BinaryOp::Multiply => Outcome::Computed(left * right),
        BinaryOp::Divide => Outcome::Computed(left / right),
        BinaryOp::Modulo => Outcome::Computed(left % right),
        BinaryOp::Power => Outcome::Computed(left.powf(right)),
        BinaryOp::Equal => Outcome::Kept(left == right),
        BinaryOp::NotEqual => Outcome::Kept(left != right),
        BinaryOp::Less => Outcome::Kept(left < right),
        BinaryOp::LessOrEqual => Outcome::Kept(left <= right),
        BinaryOp::Greater => Outcome::Kept(left > right),
        BinaryOp::GreaterOrEqual => Outcome::Kept(left >= right),
        // Sets never come here: they look at labels, not at values.
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless => Outcome::Kept(true),
    }
}

pub(super) fn evaluate(binary: &Binary, left: Value, right: Value) -> Result<Value, EvalError> {
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Ok(Value::Scalar(match apply(binary.op, left, right) {
            Outcome::Computed(value) => value,
            Outcome::Kept(kept) => f64::from(u8::from(kept)),
        })),
        (Value::Vector(samples), Value::Scalar(scalar)) => {
            Ok(with_scalar(binary, samples, |value| apply(binary.op, value, scalar)))
        }
        (Value::Scalar(scalar), Value::Vector(samples)) => {
            Ok(with_scalar(binary, samples, |value| apply(binary.op, scalar, value)))
        }
        (Value::Vector(left), Value::Vector(right)) => match binary.op {
            op if op.is_set() => Ok(Value::Vector(sets(op, &binary.matching.labels, left, right))),
            _ => between(binary, left, right).map(Value::Vector),
        },
        _ => Err(EvalError(
            "an operator stands between scalars and instant vectors".to_owned(),
        )),
    }
}

fn with_scalar(binary: &Binary, samples: Vec<Sample>, apply: impl Fn(f64) -> Outcome) -> Value {
    let result = samples.into_iter().filter_map(|sample| match apply(sample.value) {
        Outcome::Computed(value) => Some(Sample {
            labels: sample.labels.unnamed(),
            value,
        }),
        Outcome::Kept(kept) if binary.answers_bool => Some(Sample {
            labels: sample.labels.unnamed(),
            value: f64::from(u8::from(kept)),
        }),
        Outcome::Kept(kept) => kept.then_some(sample),
    });
    Value::Vector(result.collect())
}

fn sets(op: BinaryOp, labels: &Labelling, left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    let signatures = |side: &[Sample]| {
        side.iter()
            .map(|sample| labels.of(&sample.labels))
            .collect::<HashSet<_>>()
    };
    if op == BinaryOp::Or {
        let there = signatures(&left);
        let added = right
            .into_iter()
            .filter(|sample| !there.contains(&labels.of(&sample.labels)));
        return left.into_iter().chain(added).collect();
    }
    let other = signatures(&right);
    let wanted = op == BinaryOp::And;
    left.into_iter()
        .filter(|sample| other.contains(&labels.of(&sample.labels)) == wanted)
        .collect()
}

/// Each sample of the "many" side meets the one sample of the other side with the same matching labels.
fn between(binary: &Binary, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, EvalError> {
    let matching = &binary.matching;
    let (many, one, one_side) = match matching.many {
        Many::Neither | Many::Left => (left, right, "right"),
        Many::Right => (right, left, "left"),
    };
    let mut ones: HashMap<Labels, &Sample> = HashMap::with_capacity(one.len());
    for sample in &one {
        let signature = matching.labels.of(&sample.labels);
        if let Some(twin) = ones.insert(signature.clone(), sample) {
            return Err(EvalError(format!(
                "found duplicate series for the match group {signature} on the {one_side} hand-side of the operation: \
                 [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                sample.labels, twin.labels
            )));
        }
    }
    let mut seen: HashSet<(Labels, Labels)> = HashSet::new();
    let mut result = Vec::new();
    for sample in &many {
        let signature = matching.labels.of(&sample.labels);
        let Some(partner) = ones.get(&signature) else { continue };
        let (left, right) = if matching.many == Many::Right {
            (*partner, sample)
        } else {
            (sample, *partner)
        };
        let value = match apply(binary.op, left.value, right.value) {
            Outcome::Computed(value) => value,
            Outcome::Kept(kept) if binary.answers_bool => f64::from(u8::from(kept)),
            Outcome::Kept(true) => left.value,
            Outcome::Kept(false) => continue,
        };
        let labels = result_labels(binary, &sample.labels, &partner.labels);
        let place = match matching.many {
            Many::Neither => (signature, Labels::default()),
            Many::Left | Many::Right => (signature, labels.clone()),
        };
        if !seen.insert(place) {
            let clause = match matching.many {
                Many::Neither => "many-to-one matching must be explicit (group_left/group_right)",
                Many::Left | Many::Right => "grouping labels must ensure unique matches",
            };
            return Err(EvalError(format!("multiple matches for labels: {clause}")));
        }
        result.push(Sample { labels, value });
    }
    Ok(result)
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let keeps_name = binary.op.is_comparison() && !binary.answers_bool;
    let labels = if keeps_name { many.clone() } else { many.unnamed() };
    let Matching {
        labels: matched,
        many: cardinality,
        include,
    } = &binary.matching;
    match (cardinality, matched) {
        (Many::Neither, Labelling::Only(_)) => matched.of(&labels),
        (Many::Neither, Labelling::Without(names)) => {
            labels.filtered(|name| !names.iter().any(|listed| listed == name))
        }
        (Many::Left | Many::Right, _) => include
            .iter()
            .fold(labels, |labels, name| labels.with(name, one.get(name))),
    }
}
