//! The functions of the language. Must never know how a query is written.

use std::collections::BTreeMap;

use super::super::chunk::Point;
use super::super::labels::{Labels, METRIC_NAME};
use super::ast::{Expr, Function, Matcher, anchored};
use super::eval::{Evaluator, Sample, Value, mapped, unique};
use super::quantile::{self, Bucket};
use super::rate::{Series, Window, increase, instant_rate};
use super::{EvalError, aggregate};

pub(super) fn call(evaluator: &Evaluator<'_>, function: Function, arguments: &[Expr]) -> Result<Value, EvalError> {
    if let Some(ranged) = arguments.iter().find_map(|argument| match argument {
        Expr::Selector(selector) if selector.range_ms.is_some() => Some(selector),
        _ => None,
    }) {
        let parameter = if arguments.len() > 1 {
            evaluator.scalar(&arguments[0])?
        } else {
            f64::NAN
        };
        let mut result = Vec::new();
        evaluator.each_window(ranged, |labels, points, window| {
            if let Some(value) = over_range(function, parameter, points, window) {
                // The last value is still a value of that metric.
                let named = function == Function::LastOverTime;
                result.push(Sample {
                    labels: if named { labels.clone() } else { labels.unnamed() },
                    value,
                });
            }
        })?;
        return unique(result);
    }
    if let Some(change) = of_each(evaluator, function, arguments)? {
        return unique(mapped(evaluator.vector(&arguments[0])?, change));
    }
    own_way(evaluator, function, arguments)
}

fn over_range(function: Function, parameter: f64, points: &[Point], window: Window) -> Option<f64> {
    let values = points.iter().map(|(_, value)| *value);
    let pairs = || points.windows(2).map(|pair| (pair[0].1, pair[1].1));
    let range_s = (window.to - window.from) as f64 / 1000.0;
    match function {
        Function::Rate => increase(points, window, Series::Counter).map(|increase| increase / range_s),
        Function::Increase => increase(points, window, Series::Counter),
        Function::Delta => increase(points, window, Series::Gauge),
        Function::Irate => instant_rate(points),
        Function::Idelta => pairs().next_back().map(|(before, value)| value - before),
        Function::Changes => Some(pairs().filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan())).count() as f64),
        Function::Resets => Some(pairs().filter(|(before, value)| value < before).count() as f64),
        Function::AvgOverTime => Some(aggregate::mean(values)),
        Function::SumOverTime => Some(aggregate::sum(values)),
        Function::MinOverTime => Some(aggregate::smallest(values)),
        Function::MaxOverTime => Some(aggregate::largest(values)),
        Function::CountOverTime => Some(points.len() as f64),
        Function::LastOverTime => points.last().map(|(_, value)| *value),
        Function::PresentOverTime => Some(1.0),
        Function::StdvarOverTime => Some(aggregate::variance(values)),
        Function::StddevOverTime => Some(aggregate::variance(values).sqrt()),
        Function::QuantileOverTime => Some(quantile::of_values(parameter, values.collect())),
        _ => None,
    }
}

type Change = Box<dyn Fn(f64) -> f64>;

/// Functions that change each value by itself.
fn of_each(evaluator: &Evaluator<'_>, function: Function, arguments: &[Expr]) -> Result<Option<Change>, EvalError> {
    let number = |n: usize| evaluator.scalar(&arguments[n]);
    Ok(Some(match function {
        Function::Abs => Box::new(f64::abs),
        Function::Ceil => Box::new(f64::ceil),
        Function::Floor => Box::new(f64::floor),
        Function::Exp => Box::new(f64::exp),
        Function::Ln => Box::new(f64::ln),
        Function::Log2 => Box::new(f64::log2),
        Function::Log10 => Box::new(f64::log10),
        Function::Sqrt => Box::new(f64::sqrt),
        Function::Sgn => Box::new(|value| {
            if value == 0.0 || value.is_nan() {
                value
            } else {
                value.signum()
            }
        }),
        Function::Round => {
            // Ties go up; dividing by the inverse keeps 0.1 and the like exact.
            let inverse = 1.0 / if arguments.len() > 1 { number(1)? } else { 1.0 };
            Box::new(move |value| (value * inverse + 0.5).floor() / inverse)
        }
        Function::ClampMin => {
            let least = number(1)?;
            Box::new(move |value| greater(value, least))
        }
        Function::ClampMax => {
            let most = number(1)?;
            Box::new(move |value| lesser(value, most))
        }
        Function::Clamp => {
            let (least, most) = (number(1)?, number(2)?);
            Box::new(move |value| greater(least, lesser(most, value)))
        }
        _ => return Ok(None),
    }))
}

/// Unlike `f64::max`, NaN wins, as in Go.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn own_way(evaluator: &Evaluator<'_>, function: Function, arguments: &[Expr]) -> Result<Value, EvalError> {
    let now_s = evaluator.at as f64 / 1000.0;
    match (function, arguments) {
        (Function::Time, _) => Ok(Value::Scalar(now_s)),
        (Function::Vector, [number]) => {
            let value = evaluator.scalar(number)?;
            Ok(Value::Vector(vec![Sample {
                labels: Labels::default(),
                value,
            }]))
        }
        (Function::Scalar, [of]) => Ok(Value::Scalar(match evaluator.vector(of)?.as_slice() {
            [only] => only.value,
            _ => f64::NAN,
        })),
        (Function::Timestamp, [Expr::Selector(selector)]) => {
            let points = evaluator.instant_points(selector)?;
            let at = |(labels, (t, _)): (Labels, Point)| Sample {
                labels: labels.unnamed(),
                value: t as f64 / 1000.0,
            };
            unique(points.into_iter().map(at).collect())
        }
        (Function::Timestamp, [of]) => unique(mapped(evaluator.vector(of)?, |_| now_s)),
        (Function::Absent, [of]) => {
            let there = !evaluator.vector(of)?.is_empty();
            let absent = || {
                vec![Sample {
                    labels: expected_labels(of),
                    value: 1.0,
                }]
            };
            Ok(Value::Vector(if there { Vec::new() } else { absent() }))
        }
        (Function::Sort | Function::SortDesc, [of]) => {
            let mut samples = evaluator.vector(of)?;
            samples.sort_by(|a, b| {
                let order = a.value.partial_cmp(&b.value).map(|order| {
                    if function == Function::Sort {
                        order
                    } else {
                        order.reverse()
                    }
                });
                order.unwrap_or_else(|| a.value.is_nan().cmp(&b.value.is_nan()))
            });
            Ok(Value::Vector(samples))
        }
        (Function::HistogramQuantile, [q, of]) => histogram_quantile(evaluator.scalar(q)?, evaluator.vector(of)?),
        (
            Function::LabelReplace,
            [
                of,
                Expr::Text(to),
                Expr::Text(with),
                Expr::Text(from),
                Expr::Text(pattern),
            ],
        ) => label_replace(evaluator.vector(of)?, to, with, from, pattern),
        _ => Err(EvalError(
            "the arguments of this function must be written directly in the call".to_owned(),
        )),
    }
}

/// The labels that the missing series would have had, as far as the selector says.
fn expected_labels(of: &Expr) -> Labels {
    let Expr::Selector(selector) = of else {
        return Labels::default();
    };
    let said = |matcher: &&Matcher| matcher.is_equality() && matcher.label() != METRIC_NAME;
    Labels::from_pairs(
        selector
            .matchers
            .iter()
            .filter(said)
            .map(|matcher| (matcher.label(), matcher.value.as_str())),
    )
}

fn histogram_quantile(q: f64, samples: Vec<Sample>) -> Result<Value, EvalError> {
    let mut histograms: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
    for sample in samples {
        // A series without a bound is no bucket.
        let Ok(upper) = sample.labels.get("le").parse::<f64>() else {
            continue;
        };
        let labels = sample.labels.filtered(|name| name != "le" && name != METRIC_NAME);
        histograms.entry(labels).or_default().push(Bucket {
            upper,
            count: sample.value,
        });
    }
    let quantiles = histograms.into_iter();
    Ok(Value::Vector(
        quantiles
            .map(|(labels, buckets)| Sample {
                labels,
                value: quantile::of_buckets(q, buckets),
            })
            .collect(),
    ))
}

fn label_replace(samples: Vec<Sample>, to: &str, with: &str, from: &str, pattern: &str) -> Result<Value, EvalError> {
    let pattern = anchored(pattern).map_err(EvalError)?;
    let replaced = samples.into_iter().map(|sample| {
        let Some(captures) = pattern.captures(sample.labels.get(from)) else {
            return sample;
        };
        let mut value = String::new();
        captures.expand(with, &mut value);
        Sample {
            labels: sample.labels.with(to, &value),
            ..sample
        }
    });
    unique(replaced.collect())
}
