//! A parsed query. Must never know its text.

use regex::Regex;

use super::super::labels::METRIC_NAME;

/// A condition on one label.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    label: String,
    test: Test,
    pub(super) value: String,
}

#[derive(Debug, Clone)]
enum Test {
    Equal,
    NotEqual,
    Like(Regex),
    NotLike(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchOp {
    Equal,
    NotEqual,
    Like,
    NotLike,
}

/// A compiled pattern takes at most this much memory; patterns of label values take a few KB.
const PATTERN_LIMIT: usize = 256 * 1024;

impl Matcher {
    pub(super) fn metric(name: String) -> Self {
        Self {
            label: METRIC_NAME.to_owned(),
            test: Test::Equal,
            value: name,
        }
    }

    /// The reason why the pattern is none, as an error.
    pub(super) fn new(label: String, op: MatchOp, value: String) -> Result<Self, String> {
        let pattern = || anchored(&value);
        let test = match op {
            MatchOp::Equal => Test::Equal,
            MatchOp::NotEqual => Test::NotEqual,
            MatchOp::Like => Test::Like(pattern()?),
            MatchOp::NotLike => Test::NotLike(pattern()?),
        };
        Ok(Self { label, test, value })
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal => self.value == value,
            Test::NotEqual => self.value != value,
            Test::Like(pattern) => pattern.is_match(value),
            Test::NotLike(pattern) => !pattern.is_match(value),
        }
    }

    pub(super) fn is_equality(&self) -> bool {
        matches!(self.test, Test::Equal)
    }
}

/// A pattern matches whole values only.
pub(super) fn anchored(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_LIMIT)
        .build()
        .map_err(|error| {
            format!(
                "{pattern:?} is not a regular expression: {}",
                last_line(&error.to_string())
            )
        })
}

/// The library draws the pattern with a caret on several lines; the last one says what is wrong.
fn last_line(text: &str) -> &str {
    text.trim_end()
        .lines()
        .next_back()
        .unwrap_or_default()
        .trim_start_matches("error: ")
}

/// Which series, how far back and over how long.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    /// Place among the selectors of its query, from 0.
    pub(crate) index: usize,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) range_ms: Option<i64>,
    pub(crate) offset_ms: i64,
}

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Number(f64),
    Text(String),
    Selector(Selector),
    Negated(Box<Expr>),
    Call(Function, Vec<Expr>),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(super) op: AggregateOp,
    pub(super) grouping: Labelling,
    pub(super) parameter: Option<Expr>,
    pub(super) of: Expr,
}

/// Labels that count, or labels that do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Labelling {
    Only(Vec<String>),
    Without(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile,
    Topk,
    Bottomk,
}

impl AggregateOp {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "quantile" => Self::Quantile,
            "topk" => Self::Topk,
            "bottomk" => Self::Bottomk,
            _ => return None,
        })
    }

    pub(super) fn takes_parameter(self) -> bool {
        matches!(self, Self::Quantile | Self::Topk | Self::Bottomk)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(super) op: BinaryOp,
    /// `bool`: a comparison answers 0 or 1 instead of filtering.
    pub(super) answers_bool: bool,
    pub(super) matching: Matching,
    pub(super) left: Expr,
    pub(super) right: Expr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matching {
    pub(super) labels: Labelling,
    pub(super) many: Many,
    /// Labels taken over from the "one" side.
    pub(super) include: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Many {
    Neither,
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

impl BinaryOp {
    /// Binds tighter with a higher number.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal | Self::NotEqual | Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Modulo => 5,
            Self::Power => 6,
        }
    }

    pub(super) fn is_set(self) -> bool {
        self.precedence() <= 2
    }

    pub(super) fn is_comparison(self) -> bool {
        self.precedence() == 3
    }
}

/// What an expression yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar,
    Vector,
    Matrix,
    Text,
}

impl Kind {
    /// As Prometheus calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Text => "string",
        }
    }
}

impl Expr {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Number(_) => Kind::Scalar,
            Self::Text(_) => Kind::Text,
            Self::Selector(selector) if selector.range_ms.is_some() => Kind::Matrix,
            Self::Selector(_) | Self::Aggregate(_) => Kind::Vector,
            Self::Negated(of) => of.kind(),
            Self::Call(function, _) => function.yields(),
            Self::Binary(binary) if binary.left.kind() == Kind::Scalar && binary.right.kind() == Kind::Scalar => {
                Kind::Scalar
            }
            Self::Binary(_) => Kind::Vector,
        }
    }

    /// Calls `visit` for every selector.
    pub(crate) fn selectors<'a>(&'a self, visit: &mut dyn FnMut(&'a Selector)) {
        match self {
            Self::Number(_) | Self::Text(_) => {}
            Self::Selector(selector) => visit(selector),
            Self::Negated(of) => of.selectors(visit),
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.selectors(visit)),
            Self::Aggregate(aggregate) => {
                if let Some(parameter) = &aggregate.parameter {
                    parameter.selectors(visit);
                }
                aggregate.of.selectors(visit);
            }
            Self::Binary(binary) => {
                binary.left.selectors(visit);
                binary.right.selectors(visit);
            }
        }
    }
}

/// The functions, by what they take: over a range, over each sample, or something of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Rate,
    Increase,
    Irate,
    Delta,
    Idelta,
    Changes,
    Resets,
    AvgOverTime,
    SumOverTime,
    MinOverTime,
    MaxOverTime,
    CountOverTime,
    LastOverTime,
    PresentOverTime,
    StddevOverTime,
    StdvarOverTime,
    QuantileOverTime,
    HistogramQuantile,
    Abs,
    Ceil,
    Floor,
    Exp,
    Ln,
    Log2,
    Log10,
    Sqrt,
    Sgn,
    Round,
    Clamp,
    ClampMin,
    ClampMax,
    Absent,
    Scalar,
    Vector,
    Time,
    Timestamp,
    Sort,
    SortDesc,
    LabelReplace,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS
            .iter()
            .find(|(known, ..)| *known == name)
            .map(|(_, function, ..)| *function)
    }

    /// What it takes; arguments from the returned number on may be left out.
    pub(super) fn takes(self) -> (&'static [Kind], usize) {
        FUNCTIONS
            .iter()
            .find(|(_, function, ..)| *function == self)
            .map_or((&[], 0), |(_, _, kinds, required)| (*kinds, *required))
    }

    fn yields(self) -> Kind {
        match self {
            Self::Scalar | Self::Time => Kind::Scalar,
            _ => Kind::Vector,
        }
    }
}

type Row = (&'static str, Function, &'static [Kind], usize);

/// Name, function, kinds of the arguments, how many of them are required.
const FUNCTIONS: &[Row] = {
    use Function::*;
    use Kind::{Matrix as M, Scalar as S, Text as T, Vector as V};
    &[
        ("rate", Rate, &[M], 1),
        ("increase", Increase, &[M], 1),
        ("irate", Irate, &[M], 1),
        ("delta", Delta, &[M], 1),
        ("idelta", Idelta, &[M], 1),
        ("changes", Changes, &[M], 1),
        ("resets", Resets, &[M], 1),
        ("avg_over_time", AvgOverTime, &[M], 1),
        ("sum_over_time", SumOverTime, &[M], 1),
        ("min_over_time", MinOverTime, &[M], 1),
        ("max_over_time", MaxOverTime, &[M], 1),
        ("count_over_time", CountOverTime, &[M], 1),
        ("last_over_time", LastOverTime, &[M], 1),
        ("present_over_time", PresentOverTime, &[M], 1),
        ("stddev_over_time", StddevOverTime, &[M], 1),
        ("stdvar_over_time", StdvarOverTime, &[M], 1),
        ("quantile_over_time", QuantileOverTime, &[S, M], 2),
        ("histogram_quantile", HistogramQuantile, &[S, V], 2),
        ("abs", Abs, &[V], 1),
        ("ceil", Ceil, &[V], 1),
        ("floor", Floor, &[V], 1),
        ("exp", Exp, &[V], 1),
        ("ln", Ln, &[V], 1),
        ("log2", Log2, &[V], 1),
        ("log10", Log10, &[V], 1),
        ("sqrt", Sqrt, &[V], 1),
        ("sgn", Sgn, &[V], 1),
        ("round", Round, &[V, S], 1),
        ("clamp", Clamp, &[V, S, S], 3),
        ("clamp_min", ClampMin, &[V, S], 2),
        ("clamp_max", ClampMax, &[V, S], 2),
        ("absent", Absent, &[V], 1),
        ("scalar", Scalar, &[V], 1),
        ("vector", Vector, &[S], 1),
        ("time", Time, &[], 0),
        ("timestamp", Timestamp, &[V], 1),
        ("sort", Sort, &[V], 1),
        ("sort_desc", SortDesc, &[V], 1),
        ("label_replace", LabelReplace, &[V, T, T, T, T], 5),
    ]
};
