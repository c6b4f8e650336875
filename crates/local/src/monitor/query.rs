//! Queries against the store: read the series once, evaluate each step. Must never know HTTP.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Monitor;
use super::answer::Answer;
use super::labels::Labels;
use super::promql::{EvalError, Evaluator, Expr, LOOKBACK_MS, ParseError, SAMPLE_LIMIT, Value, parse, parse_selector};
use super::store::Selected;

/// Prometheus' own limit on the steps of a range query.
const STEP_LIMIT: i64 = 11_000;

/// Why a query has no answer. Nothing in the monitor has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The query is not one.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The question cannot be asked like this.
    #[error("{0}")]
    Request(String),
    /// The query is well formed, and these series give it no answer.
    #[error("{0}")]
    Execution(String),
}

impl From<EvalError> for QueryError {
    fn from(error: EvalError) -> Self {
        Self::Execution(error.0)
    }
}

impl Monitor {
    /// The value of a query at one moment.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn query(&self, query: &str, at: Timestamp) -> Result<Answer, QueryError> {
        let expr = parse(query)?;
        let at_ms = at.as_millisecond();
        let series = self.series_of(&expr, at_ms, at_ms)?;
        let touched = Cell::new(0);
        Ok(match Evaluator::new(&series, at_ms, &touched).evaluate(&expr)? {
            Value::Scalar(value) => Answer::Scalar { at_ms, value },
            Value::Text(value) => Answer::Text { at_ms, value },
            Value::Vector(samples) => Answer::Vector {
                at_ms,
                series: samples
                    .into_iter()
                    .map(|sample| (sample.labels, sample.value))
                    .collect(),
            },
            Value::Matrix(series) => Answer::Matrix(series),
        })
    }

    /// The values of a query at `start`, `start + step` and so on up to `end`.
    ///
    /// # Errors
    /// See [`QueryError`]; more than 11 000 steps are refused.
    pub fn query_range(
        &self,
        query: &str,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    ) -> Result<Answer, QueryError> {
        let (start, end) = (start.as_millisecond(), end.as_millisecond());
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        check_range(start, end, step)?;
        let expr = parse(query)?;
        let series = self.series_of(&expr, start, end)?;
        let touched = Cell::new(0);
        let mut found: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
        let mut at = start;
        while at <= end {
            match Evaluator::new(&series, at, &touched).evaluate(&expr)? {
                Value::Scalar(value) => found.entry(Labels::default()).or_default().push((at, value)),
                Value::Vector(samples) => {
                    for sample in samples {
                        found.entry(sample.labels).or_default().push((at, sample.value));
                    }
                }
                Value::Matrix(_) | Value::Text(_) => {
                    let kind = expr.kind().name();
                    let why =
                        format!("invalid expression type {kind:?} for range query, must be Scalar or instant Vector");
                    return Err(QueryError::Request(why));
                }
            }
            at = at.saturating_add(step);
        }
        Ok(Answer::Matrix(found.into_iter().collect()))
    }

    /// The series that any of the selectors matches and that had samples between `start` and `end`.
    ///
    /// # Errors
    /// A selector is not one.
    pub fn series(
        &self,
        selectors: &[impl AsRef<str>],
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<Labels>, QueryError> {
        let selectors: Vec<_> = selectors
            .iter()
            .map(|selector| parse_selector(selector.as_ref()))
            .collect::<Result<_, _>>()?;
        let found = self
            .read()
            .series(&selectors, start.as_millisecond(), end.as_millisecond());
        Ok(found.into_iter().collect())
    }

    /// Reads what each selector of the query can see between two moments, in one hold of the lock.
    fn series_of(&self, expr: &Expr, start: i64, end: i64) -> Result<Vec<Vec<Selected>>, QueryError> {
        let mut selectors = Vec::new();
        expr.selectors(&mut |selector| selectors.push(selector));
        selectors.sort_by_key(|selector| selector.index);
        let store = self.read();
        let mut left = SAMPLE_LIMIT;
        let mut all = Vec::with_capacity(selectors.len());
        for selector in selectors {
            let back = selector.range_ms.unwrap_or(LOOKBACK_MS);
            let from = start.saturating_sub(selector.offset_ms).saturating_sub(back);
            let to = end.saturating_sub(selector.offset_ms);
            let series = store.select(&selector.matchers, from, to, left).map_err(|_| {
                let why =
                    format!("query processing would load too many samples (more than {SAMPLE_LIMIT}) into memory");
                QueryError::Execution(why)
            })?;
            left -= series.iter().map(|one| one.points.len()).sum::<usize>();
            all.push(series);
        }
        Ok(all)
    }
}

fn check_range(start: i64, end: i64, step: i64) -> Result<(), QueryError> {
    if end < start {
        return Err(QueryError::Request(
            "end timestamp must not be before start time".to_owned(),
        ));
    }
    if step <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(QueryError::Request(why.to_owned()));
    }
    if end.saturating_sub(start) / step > STEP_LIMIT {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(QueryError::Request(why.to_owned()));
    }
    Ok(())
}
