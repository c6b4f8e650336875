//! The part of PromQL that canary analysis, the pages and Grafana's panels use, with Prometheus 2.53's results.
//!
//! A query is parsed once, its series are read once, then it is evaluated at each step. This module must never know
//! how samples are stored or where a query came from. What is left out is refused with a sentence: subqueries, the
//! `@` modifier, native histograms.

mod aggregate;
mod ast;
mod binary;
mod eval;
mod functions;
mod lexer;
mod parser;
mod quantile;
mod rate;

pub(super) use ast::{Expr, Matcher};
pub(super) use eval::{Evaluator, Value};
pub(super) use parser::{parse, parse_duration, parse_selector};

/// Longer queries are not written by people.
pub(super) const QUERY_LIMIT: usize = 8 * 1024;

/// Parentheses, calls and operators inside each other; deeper ones would only exhaust the stack.
const DEPTH_LIMIT: usize = 64;

/// Samples that one query may touch, all steps together: some seconds of one processor core.
pub(super) const SAMPLE_LIMIT: usize = 20_000_000;

/// An instant selector sees a sample that is at most this old, as in Prometheus by default.
pub(super) const LOOKBACK_MS: i64 = 5 * 60_000;

/// The query is not one: where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {reason}")]
pub struct ParseError {
    /// Line from 1.
    pub line: usize,
    /// Character in the line from 1.
    pub column: usize,
    /// What was expected or is not allowed.
    pub reason: String,
}

impl ParseError {
    fn at(query: &str, offset: usize, reason: impl Into<String>) -> Self {
        let before = query.get(..offset).unwrap_or(query);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: reason.into(),
        }
    }
}

/// The query is well formed and has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct EvalError(pub(super) String);
