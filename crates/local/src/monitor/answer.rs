//! What a query answers, in Prometheus' JSON. Must never know how it was computed.

use serde::ser::{SerializeSeq, SerializeStruct, SerializeTuple};
use serde::{Serialize, Serializer};

use super::labels::Labels;

/// The answer to a query; times in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// One number.
    Scalar {
        /// The moment asked for.
        at_ms: i64,
        /// The number.
        value: f64,
    },
    /// One text.
    Text {
        /// The moment asked for.
        at_ms: i64,
        /// The text.
        value: String,
    },
    /// Each series at one moment.
    Vector {
        /// The moment asked for.
        at_ms: i64,
        /// The series, sorted by labels unless the query sorts them.
        series: Vec<(Labels, f64)>,
    },
    /// Each series over time.
    Matrix(Vec<(Labels, Vec<(i64, f64)>)>),
}

impl Answer {
    /// The numbers of an instant answer, without labels.
    #[must_use]
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Scalar { value, .. } => vec![*value],
            Self::Vector { series, .. } => series.iter().map(|(_, value)| *value).collect(),
            Self::Text { .. } | Self::Matrix(_) => Vec::new(),
        }
    }
}

/// As Go writes a double without an exponent.
#[must_use]
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        }
    } else {
        value.to_string()
    }
}

/// `[seconds, "value"]`.
struct Pair<'a>(i64, &'a str);

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        if self.0 % 1000 == 0 {
            pair.serialize_element(&(self.0 / 1000))?;
        } else {
            pair.serialize_element(&(self.0 as f64 / 1000.0))?;
        }
        pair.serialize_element(self.1)?;
        pair.end()
    }
}

struct Instants<'a>(i64, &'a [(Labels, f64)]);

impl Serialize for Instants<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Instant<'a> {
            metric: &'a Labels,
            value: Pair<'a>,
        }
        let mut list = serializer.serialize_seq(Some(self.1.len()))?;
        for (metric, value) in self.1 {
            list.serialize_element(&Instant {
                metric,
                value: Pair(self.0, &number(*value)),
            })?;
        }
        list.end()
    }
}

struct Ranges<'a>(&'a [(Labels, Vec<(i64, f64)>)]);

impl Serialize for Ranges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Range<'a> {
            metric: &'a Labels,
            values: Values<'a>,
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (metric, values) in self.0 {
            list.serialize_element(&Range {
                metric,
                values: Values(values),
            })?;
        }
        list.end()
    }
}

struct Values<'a>(&'a [(i64, f64)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (t, value) in self.0 {
            list.serialize_element(&Pair(*t, &number(*value)))?;
        }
        list.end()
    }
}

/// `{"resultType":…,"result":…}`.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_struct("Answer", 2)?;
        let kind = match self {
            Self::Scalar { .. } => "scalar",
            Self::Text { .. } => "string",
            Self::Vector { .. } => "vector",
            Self::Matrix(_) => "matrix",
        };
        data.serialize_field("resultType", kind)?;
        match self {
            Self::Scalar { at_ms, value } => data.serialize_field("result", &Pair(*at_ms, &number(*value)))?,
            Self::Text { at_ms, value } => data.serialize_field("result", &Pair(*at_ms, value))?,
            Self::Vector { at_ms, series } => data.serialize_field("result", &Instants(*at_ms, series))?,
            Self::Matrix(series) => data.serialize_field("result", &Ranges(series))?,
        }
        data.end()
    }
}
