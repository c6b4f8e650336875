//! The always-valid judge on a document: measurements in, what the tests say at each look out. It parses no text itself:
//! the structures are serde's to fill.

mod counts;
mod gauge;
mod histogram;
mod lists;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use counts::{CountsAnswer, CountsDocument, CountsLook, CountsSettings, EdgeAnswer, judge_counts};
pub use gauge::{GaugeAnswer, GaugeDocument, GaugeDocumentSettings, GaugeLook, judge_gauge};
pub use histogram::{
    HistogramAnswer, HistogramDocument, HistogramLook, HistogramSettings, QuantileAnswer, judge_histogram,
};
pub use lists::{CombineAnswer, CombineDocument, PreprocessAnswer, PreprocessDocument, combine, preprocess};

/// As many blocks as a deployment is judged by.
const MOST_BLOCKS: usize = crate::MAX_BLOCKS;
/// Each look costs bounds and forecasts, some milliseconds; this many are a minute at the very most.
const MOST_LOOKS: usize = 4096;
/// The same limit as for stored evidence: beyond it a double is no longer a count.
const LARGEST_COUNT: f64 = 9e15;

/// What is asked, by its `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Document {
    /// Events of both arms.
    Counts(CountsDocument),
    /// Bucket increments of both arms.
    Histogram(HistogramDocument),
    /// Samples of both arms.
    Gauge(GaugeDocument),
    /// Evidence of several metrics.
    Combine(CombineDocument),
    /// Readings of a counter on both arms.
    Preprocess(PreprocessDocument),
}

/// The answer, with the `kind` that was asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// To event counts.
    Counts(CountsAnswer),
    /// To bucket increments.
    Histogram(HistogramAnswer),
    /// To samples.
    Gauge(GaugeAnswer),
    /// To several metrics.
    Combine(CombineAnswer),
    /// To readings of a counter.
    Preprocess(PreprocessAnswer),
}

/// Answers any document.
///
/// # Errors
/// When a number is out of its range; nothing is computed then.
pub fn answer(document: &Document) -> Result<Answer, DocumentError> {
    Ok(match document {
        Document::Counts(document) => Answer::Counts(judge_counts(document)?),
        Document::Histogram(document) => Answer::Histogram(judge_histogram(document)?),
        Document::Gauge(document) => Answer::Gauge(judge_gauge(document)?),
        Document::Combine(document) => Answer::Combine(combine(document)?),
        Document::Preprocess(document) => Answer::Preprocess(preprocess(document)?),
    })
}

/// A number that may be infinite, which JSON writes as the text `inf`, `-inf` or `nan`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure(pub f64);

impl Serialize for Figure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            number if number.is_nan() => serializer.serialize_str("nan"),
            number if number > 0.0 => serializer.serialize_str("inf"),
            _ => serializer.serialize_str("-inf"),
        }
    }
}

/// Why a document is not answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// A number is outside what it can mean.
    #[error("{field} is {found}; it must be {allowed}")]
    OutOfRange {
        /// The key in the document.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        allowed: String,
    },
}

/// Feeds rows to a test and asks it after each row that is a look; the answers in the order asked, and after the last
/// row when no look is named.
fn at_looks<T, A: Clone>(
    looks: &[usize],
    rows: usize,
    test: &mut T,
    mut push: impl FnMut(&mut T, usize),
    look: impl Fn(&T, usize) -> A,
) -> Vec<A> {
    let last = [rows];
    let asked = if looks.is_empty() { &last[..] } else { looks };
    let mut answers = BTreeMap::new();
    if asked.contains(&0) {
        answers.insert(0, look(test, 0));
    }
    for index in 0..rows {
        push(test, index);
        if asked.contains(&(index + 1)) {
            answers.insert(index + 1, look(test, index + 1));
        }
    }
    asked.iter().filter_map(|look| answers.get(look).cloned()).collect()
}

fn accept_looks(looks: &[usize], rows: usize, field: &str) -> Result<(), DocumentError> {
    at_most(MOST_BLOCKS, rows, &format!("the number of rows in {field}"))?;
    at_most(MOST_LOOKS, looks.len(), "the number of looks")?;
    looks.iter().try_for_each(|look| at_most(rows, *look, "looks"))
}

fn accept_phi(phi: Option<f64>) -> Result<(), DocumentError> {
    let phi = phi.unwrap_or(1.0);
    within(
        (1.0..=1e12).contains(&phi),
        "settings.phi_hist",
        phi.to_string(),
        "from 1 to 1e12",
    )
}

/// Both arms must have as many rows.
fn accept_equal(baseline: usize, canary: usize) -> Result<(), DocumentError> {
    within(
        baseline == canary,
        "the number of entries in canary",
        canary.to_string(),
        &format!("{baseline}, as in baseline"),
    )
}

fn moderate(number: f64, field: &str) -> Result<(), DocumentError> {
    within(
        (1e-6..=1e6).contains(&number),
        field,
        number.to_string(),
        "from 0.000001 to 1000000",
    )
}

fn at_most(limit: usize, found: usize, field: &str) -> Result<(), DocumentError> {
    within(found <= limit, field, found.to_string(), &format!("at most {limit}"))
}

fn within(holds: bool, field: &str, found: String, allowed: &str) -> Result<(), DocumentError> {
    let wrong = || DocumentError::OutOfRange {
        field: field.to_owned(),
        found: shortened(found),
        allowed: allowed.to_owned(),
    };
    if holds { Ok(()) } else { Err(wrong()) }
}

/// A list of a million numbers is recognised by its beginning.
fn shortened(found: String) -> String {
    const SHOWN: usize = 80;
    match found.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &found[..end]),
        None => found,
    }
}
