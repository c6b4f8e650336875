//! The value of a query at one moment. Must never know how its series were found.

use std::cell::Cell;
use std::collections::HashSet;

use super::super::chunk::Point;
use super::super::labels::Labels;
use super::super::store::{Selected, is_stale};
use super::ast::{Aggregate, AggregateOp, Expr, Selector};
use super::rate::Window;
use super::{EvalError, LOOKBACK_MS, SAMPLE_LIMIT, aggregate, binary, functions};

/// A series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

/// What an expression is worth at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar(f64),
    Vector(Vec<Sample>),
    Matrix(Vec<(Labels, Vec<Point>)>),
    Text(String),
}

/// Evaluates against series that were read beforehand, one list per selector of the query.
#[derive(Debug)]
pub(crate) struct Evaluator<'a> {
    pub(super) series: &'a [Vec<Selected>],
    pub(super) at: i64,
    /// Shared between the steps of one query.
    pub(super) touched: &'a Cell<usize>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(series: &'a [Vec<Selected>], at: i64, touched: &'a Cell<usize>) -> Self {
        Self { series, at, touched }
    }

    pub(crate) fn evaluate(&self, expr: &Expr) -> Result<Value, EvalError> {
        match expr {
            Expr::Number(number) => Ok(Value::Scalar(*number)),
            Expr::Text(text) => Ok(Value::Text(text.clone())),
            Expr::Selector(selector) if selector.range_ms.is_some() => {
                let mut windows = Vec::new();
                self.each_window(selector, |labels, points, _| {
                    windows.push((labels.clone(), points.to_vec()))
                })?;
                Ok(Value::Matrix(windows))
            }
            Expr::Selector(selector) => self.instant(selector).map(Value::Vector),
            Expr::Negated(of) => match self.evaluate(of)? {
                Value::Scalar(value) => Ok(Value::Scalar(-value)),
                other => unique(mapped(samples(other), |value| -value)),
            },
            Expr::Call(function, arguments) => functions::call(self, *function, arguments),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(operation) => {
                let left = self.evaluate(&operation.left)?;
                let right = self.evaluate(&operation.right)?;
                match binary::evaluate(operation, left, right)? {
                    Value::Vector(samples) => unique(samples),
                    other => Ok(other),
                }
            }
        }
    }

    pub(super) fn vector(&self, expr: &Expr) -> Result<Vec<Sample>, EvalError> {
        self.evaluate(expr).map(samples)
    }

    pub(super) fn scalar(&self, expr: &Expr) -> Result<f64, EvalError> {
        match self.evaluate(expr)? {
            Value::Scalar(value) => Ok(value),
            _ => Err(EvalError("a scalar was expected".to_owned())),
        }
    }

    fn aggregate(&self, operation: &Aggregate) -> Result<Value, EvalError> {
        let parameter = operation
            .parameter
            .as_ref()
            .map_or(Ok(f64::NAN), |parameter| self.scalar(parameter))?;
        if operation.op != AggregateOp::Quantile && operation.parameter.is_some() && parameter.is_nan() {
            return Err(EvalError("the number of series to keep is NaN".to_owned()));
        }
        let samples = self.vector(&operation.of)?;
        Ok(Value::Vector(aggregate::aggregate(
            operation.op,
            &operation.grouping,
            parameter,
            samples,
        )))
    }

    fn instant(&self, selector: &Selector) -> Result<Vec<Sample>, EvalError> {
        let points = self.instant_points(selector)?;
        Ok(points
            .into_iter()
            .map(|(labels, (_, value))| Sample { labels, value })
            .collect())
    }

    /// The newest sample of each series that is not older than the lookback and not a stale marker.
    pub(super) fn instant_points(&self, selector: &Selector) -> Result<Vec<(Labels, Point)>, EvalError> {
        let at = self.at - selector.offset_ms;
        let series = &self.series[selector.index];
        self.touch(series.len())?;
        let newest = series.iter().filter_map(|one| {
            let seen = one.points.partition_point(|(t, _)| *t <= at);
            let point = *one.points[..seen].last()?;
            (point.0 >= at - LOOKBACK_MS && !is_stale(point.1)).then(|| (one.labels.clone(), point))
        });
        Ok(newest.collect())
    }

    /// Hands over the samples in the selector's range for each series that has any.
    pub(super) fn each_window(
        &self,
        selector: &Selector,
        mut visit: impl FnMut(&Labels, &[Point], Window),
    ) -> Result<(), EvalError> {
        let to = self.at - selector.offset_ms;
        let window = Window {
            from: to - selector.range_ms.unwrap_or_default(),
            to,
        };
        for one in &self.series[selector.index] {
            let start = one.points.partition_point(|(t, _)| *t < window.from);
            let end = one.points.partition_point(|(t, _)| *t <= window.to);
            let points = &one.points[start..end.max(start)];
            self.touch(points.len())?;
            if points.iter().any(|(_, value)| is_stale(*value)) {
                let real: Vec<Point> = points.iter().filter(|(_, value)| !is_stale(*value)).copied().collect();
                if !real.is_empty() {
                    visit(&one.labels, &real, window);
                }
            } else if !points.is_empty() {
                visit(&one.labels, points, window);
            }
        }
        Ok(())
    }

    fn touch(&self, samples: usize) -> Result<(), EvalError> {
        self.touched.set(self.touched.get().saturating_add(samples));
        if self.touched.get() > SAMPLE_LIMIT {
            return Err(EvalError(format!(
                "query processing would load too many samples (more than {SAMPLE_LIMIT}); ask for fewer series, a shorter time or a larger step"
            )));
        }
        Ok(())
    }
}

fn samples(value: Value) -> Vec<Sample> {
    match value {
        Value::Vector(samples) => samples,
        // The parser has checked the kinds; nothing else arrives here.
        Value::Scalar(_) | Value::Matrix(_) | Value::Text(_) => Vec::new(),
    }
}

/// Each value changed, the names dropped: a computed series is no longer that metric.
pub(super) fn mapped(samples: Vec<Sample>, change: impl Fn(f64) -> f64) -> Vec<Sample> {
    let changed = |sample: Sample| Sample {
        labels: sample.labels.unnamed(),
        value: change(sample.value),
    };
    samples.into_iter().map(changed).collect()
}

/// Dropping names may leave two series that nobody can tell apart.
pub(super) fn unique(samples: Vec<Sample>) -> Result<Value, EvalError> {
    let mut seen = HashSet::with_capacity(samples.len());
    if samples.iter().all(|sample| seen.insert(&sample.labels)) {
        return Ok(Value::Vector(samples));
    }
    Err(EvalError(
        "vector cannot contain metrics with the same labelset".to_owned(),
    ))
}
